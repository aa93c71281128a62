"""Of Amazon Bedrock: failed tools, retries, and the whole of the input's tokens.

Bedrock counts what it read from or wrote to its cache beside the input; the conventions, as part.
"""

from collections.abc import Mapping
from typing import Any

from botocore.client import BaseClient
from opentelemetry import trace
from opentelemetry.instrumentation.genai.bedrock import extractors, patch, stream

from spanlore.instrumentation.recovery.amending import after, before
from spanlore.instrumentation.recovery.failed_tool import as_failed
from spanlore.schemas import semconv

_SERVICES = ("bedrock-runtime", "bedrock-agent-runtime")


def recover() -> None:
    """Amend the client of every service of Amazon's, and how the instrumentor reads a message."""
    after(BaseClient, "_make_request", _noted)
    after(extractors, "extract_content_block", _with_error)
    for answered in ("extract_converse_response", "extract_invoke_model_response"):
        after(patch, answered, _count_cache)
    for streamed in (stream._BedrockConverseStreamMixin, stream._BedrockInvokeModelStreamMixin):  # noqa: SLF001
        before(streamed, "_on_stream_end", _count_cache_of_stream)


def _noted(answer: Any, client: Any, *_: Any, **__: Any) -> Any:
    """Note on the span of the call how often its request was sent again."""
    if client.meta.service_model.service_name in _SERVICES:
        resent = answer[1].get("ResponseMetadata", {}).get("RetryAttempts", 0)
        if resent:
            trace.get_current_span().set_attribute(semconv.HTTP_RESEND_COUNT, resent)
    return answer


def _with_error(part: Any, block: Mapping[str, Any]) -> Any:
    result = block.get("toolResult")
    is_error = result.get("status") == "error" if result else block.get("is_error")
    return as_failed(part) if is_error else part


def _count_cache(result: None, *answer: Any, **_: Any) -> None:
    """Called with the invocation as the last argument by position."""
    del result
    invocation = answer[-1]
    invocation.input_tokens = _whole(
        invocation.input_tokens,
        invocation.cache_read_input_tokens,
        invocation.cache_write_input_tokens,
    )


def _count_cache_of_stream(streamed: Any) -> None:
    streamed._self_input_tokens = _whole(  # noqa: SLF001
        streamed._self_input_tokens,  # noqa: SLF001
        streamed._self_cache_read_input_tokens,  # noqa: SLF001
        streamed._self_cache_creation_input_tokens,  # noqa: SLF001
    )


def _whole(beside: int | None, *cached: int | None) -> int | None:
    return None if beside is None else beside + sum(count or 0 for count in cached)

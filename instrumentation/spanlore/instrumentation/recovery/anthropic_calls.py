"""Of Anthropic's SDK: that a tool's result is an error, which the instrumentor drops; retries."""

from collections.abc import Mapping
from typing import Any

from anthropic import _base_client
from opentelemetry.instrumentation.genai.anthropic import utils

from spanlore.instrumentation.recovery import http_retries
from spanlore.instrumentation.recovery.amending import after
from spanlore.instrumentation.recovery.failed_tool import as_failed


def recover() -> None:
    """Amend the SDK's client, and how the instrumentor reads a request."""
    http_retries.recover(_base_client)
    after(utils, "_convert_dict_block_to_part", _with_error)


def _with_error(part: Any, block: Mapping[str, Any]) -> Any:
    return as_failed(part) if block.get("is_error") else part

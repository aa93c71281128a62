"""Of Anthropic's SDK: that a tool's result is an error, which the instrumentor drops; retries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anthropic import _base_client
from opentelemetry.instrumentation.genai.anthropic import utils
from opentelemetry.util.genai.types import ToolCallResponsePart

from spanlore.instrumentation.recovery import http_retries
from spanlore.instrumentation.recovery.amending import after


@dataclass
class _FailedToolCallResponse(ToolCallResponsePart):
    """The conventions have no flag for it and allow further keys; Anthropic's own name."""

    is_error: bool = True


def recover() -> None:
    """Amend the SDK's client, and how the instrumentor reads a request."""
    http_retries.recover(_base_client)
    after(utils, "_convert_dict_block_to_part", _with_error)


def _with_error(part: Any, block: Mapping[str, Any]) -> Any:
    if isinstance(part, ToolCallResponsePart) and block.get("is_error"):
        return _FailedToolCallResponse(response=part.response, id=part.id)
    return part

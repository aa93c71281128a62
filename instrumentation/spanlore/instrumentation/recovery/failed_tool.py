"""The part of a message that tells the model that its tool failed.

The conventions have no flag for it and allow further keys; the key is Anthropic's own.
"""

from dataclasses import dataclass
from typing import Any

from opentelemetry.util.genai.types import ToolCallResponsePart


@dataclass
class _FailedToolCallResponse(ToolCallResponsePart):
    is_error: bool = True


def as_failed(part: Any) -> Any:
    """Return the part as one of a tool that failed; what is no tool's result stays as it is."""
    if isinstance(part, ToolCallResponsePart):
        return _FailedToolCallResponse(response=part.response, id=part.id)
    return part

"""Of OpenAI's SDK: reasoning, which the instrumentor drops, and retries."""

from typing import Any

from openai import _base_client
from opentelemetry.instrumentation.genai.openai import patch, response_extractors
from opentelemetry.util.genai.types import ReasoningPart

from spanlore.instrumentation.recovery import http_retries
from spanlore.instrumentation.recovery.amending import after


def recover() -> None:
    """Amend the SDK's client, and how the instrumentor reads an answer."""
    http_retries.recover(_base_client)
    after(response_extractors, "_finish_reason_from_status", _ended)
    after(patch, "_prepare_output_messages", _with_reasoning)


def _ended(reason: Any, status: Any, *_: Any) -> Any:
    """An output item without a status is whole, and not one that has yet to come."""
    return "stop" if status is None and reason is None else reason


def _with_reasoning(messages: list[Any], choices: Any) -> list[Any]:
    """Put before a message what the model thought, as compatible servers give it beside."""
    for message, choice in zip(messages, choices, strict=True):
        thought = getattr(choice.message, "reasoning_content", None) or getattr(
            choice.message, "reasoning", None
        )
        if isinstance(thought, str):
            message.parts.insert(0, ReasoningPart(content=thought))
    return messages

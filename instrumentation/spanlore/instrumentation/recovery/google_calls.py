"""Of Google's GenAI SDK: what it does within one call: tools, further requests, and retries.

It runs functions that a model asks for by itself and asks the model again. All of that is one call
of the program's and one span, on which the instrumentor counts the last answer's tokens alone.
"""

import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from google.genai import _api_client, models
from opentelemetry.instrumentation.google_genai import generate_content, tool_call_wrapper
from opentelemetry.trace import Span, get_current_span

from spanlore.instrumentation import asked_tools
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.recovery.amending import after, around
from spanlore.schemas import semconv

# What an invocation counts, by what the SDK calls it; thoughts stand beside what was said.
_COUNTS = {
    "input_tokens": ("prompt_token_count",),
    "output_tokens": ("candidates_token_count", "thoughts_token_count"),
    "cache_read_input_tokens": ("cached_content_token_count",),
    "thinking_tokens": ("thoughts_token_count",),
}


@dataclass(slots=True)
class _Call:
    """What was seen below the span of one call; ``request`` is the last that was sent."""

    answers: list[Any] = field(default_factory=list)
    request: Any = None
    resent: int = 0


_calls: WeakKeyDictionary[Span, _Call] = WeakKeyDictionary()


def recover() -> None:
    """Amend where the SDK sends and is answered, and what the instrumentor reads of it."""
    for name in ("_request_once", "_async_request_once"):
        around(_api_client.BaseApiClient, name, _sent)
    for kind in (models.Models, models.AsyncModels):
        around(kind, "_generate_content", lambda *_, **__: _Asking())
    after(generate_content, "_apply_response_attributes", _add_earlier)
    after(tool_call_wrapper, "bind_arguments", _name_call)


def _call() -> _Call | None:
    span = get_current_span()
    return _calls.setdefault(span, _Call()) if span.is_recording() else None


def _sent(_: Any, request: Any, *__: Any, **___: Any) -> None:
    """No bracket, but a look: a request is the same object where it is sent again."""
    if (call := _call()) is None:
        return
    if call.request is request:
        call.resent += 1
        get_current_span().set_attribute(semconv.HTTP_RESEND_COUNT, call.resent)
    call.request = request


class _Asking:
    """A bracket of one request of a call, with the model's answer."""

    def __init__(self) -> None:
        self.result: Any = None

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with quiet:
            if error is None and (call := _call()) is not None:
                call.answers.append(self.result)
                _note_asked(self.result)


def _note_asked(answer: Any) -> None:
    parts = [
        {"type": "tool_call", "id": asked.id, "name": asked.name, "arguments": asked.args}
        for asked in answer.function_calls or ()
        if asked.id
    ]
    if parts:
        trace_id = get_current_span().get_span_context().trace_id
        asked_tools.note(trace_id, json.dumps([{"role": "assistant", "parts": parts}]))


def _add_earlier(result: None, answer: Any, _: Any, invocation: Any) -> None:
    """Count what the answers before the last used; only the last has been counted."""
    call = _calls.get(invocation.span)
    for earlier in call.answers if call is not None else ():
        usage = earlier.usage_metadata
        if earlier is answer or usage is None:
            continue
        for name, counts in _COUNTS.items():
            used = sum(getattr(usage, count) or 0 for count in counts)
            if used:
                setattr(invocation, name, (getattr(invocation, name) or 0) + used)
    return result


def _name_call(given: Any, function: Any, *_: Any) -> Any:
    """Called where the tool's span has just begun, and content may be on it."""
    span = get_current_span()
    found = asked_tools.claim(span.get_span_context().trace_id, function.__name__, given)
    if found is not None:
        span.set_attribute(semconv.TOOL_CALL_ID, found)
    return given

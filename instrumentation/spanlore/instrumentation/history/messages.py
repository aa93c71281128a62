"""One message of a conversation: what a span needs of it, its JSON made once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spanlore.instrumentation.history import json_text, parts
from spanlore.instrumentation.history.times import parse_time
from spanlore.instrumentation.history.usage import unknown_usage, usage_attributes

_FINISH_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call"}
_REASONING_KEYS = ("reasoning_content", "reasoning")
_READ_KEYS = frozenset(
    {"role", "content", "name", "tool_calls", "function_call", "tool_call_id", "is_error"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool as a message asks for it; ``arguments`` as they stand in the source."""

    call_id: str | None
    name: str | None
    arguments: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of a run. ``json`` is it in the shape of ``gen_ai.input.messages``.

    ``answers`` is the id of the call a tool message answers, ``text`` its content as text.
    ``parts_json`` are the parts alone, as ``gen_ai.system_instructions`` takes them.
    """

    role: str
    json: str
    parts_json: str
    calls: tuple[ToolCall, ...]
    answers: str | None
    name: str | None
    text: str | None
    is_error: bool
    time_ns: int | None
    usage: Mapping[str, int]
    usage_extra: Mapping[str, Any]
    finish_reason: str | None


def message_of(value: Any) -> Message:
    """Return the message that a member of ``messages`` stands for, whatever its shape."""
    raw = value if isinstance(value, dict) else {"content": value}
    role = _role(raw)
    calls = tuple(_calls(raw))
    made = _parts(raw, role=role, calls=calls)
    name = json_text.text_of(raw.get("name"))
    time_ns = parse_time(raw.get("timestamp"))
    usage = raw.get("usage") if role == "assistant" else None
    finish = raw.get("finish_reason") if role == "assistant" else None
    carried = {
        "timestamp": time_ns is not None,
        "usage": isinstance(usage, dict),
        "finish_reason": isinstance(finish, str),
    }
    whole = {"role": role, "parts": made} | ({} if name is None else {"name": name})
    return Message(
        role=role,
        json=json_text.compact(whole | _extras(raw, carried)),
        parts_json=json_text.compact(made),
        calls=calls,
        answers=json_text.text_of(raw.get("tool_call_id")),
        name=name,
        text=parts.content_text(raw.get("content")),
        is_error=raw.get("is_error") in (True, "true"),
        time_ns=time_ns,
        usage=usage_attributes(usage) if isinstance(usage, dict) else {},
        usage_extra=unknown_usage(usage) if isinstance(usage, dict) else {},
        finish_reason=_FINISH_REASONS.get(finish, finish) if isinstance(finish, str) else None,
    )


def _role(raw: Mapping[str, Any]) -> str:
    """Return the role; a message that does not say is told by what only one role has."""
    role = raw.get("role")
    if role == "function":
        return "tool"
    if isinstance(role, str) and role:
        return role
    if raw.get("tool_call_id") is not None:
        return "tool"
    return "assistant" if raw.get("tool_calls") or raw.get("function_call") else "unknown"


def _calls(raw: Mapping[str, Any]) -> Iterator[ToolCall]:
    listed = raw.get("tool_calls")
    for call in listed if isinstance(listed, list) else [listed]:
        if isinstance(call, dict):
            yield _call(call)
        elif call is not None:
            yield ToolCall(call_id=None, name=None, arguments=json_text.text_of(call))
    legacy = raw.get("function_call")
    if isinstance(legacy, dict):
        yield _call({"function": legacy})


def _call(raw: Mapping[str, Any]) -> ToolCall:
    """Read a call: OpenAI's nested function or custom tool, or the same members flat."""
    nested = raw.get("function") or raw.get("custom")
    body = nested if isinstance(nested, dict) else raw
    return ToolCall(
        call_id=json_text.text_of(raw.get("id")),
        name=json_text.text_of(body.get("name")),
        arguments=json_text.text_of(body.get("arguments", body.get("input"))),
    )


def _parts(raw: Mapping[str, Any], *, role: str, calls: tuple[ToolCall, ...]) -> list[parts.Part]:
    thoughts = (raw.get(key) for key in _REASONING_KEYS)
    made: list[parts.Part] = [
        {"type": "reasoning", "content": text}
        for text in thoughts
        if isinstance(text, str) and text
    ]
    if role == "tool":
        made.append(parts.tool_response(raw))
    else:
        made.extend(parts.content_parts(raw.get("content")))
    made.extend(
        parts.tool_call(call.name, call_id=call.call_id, arguments=call.arguments) for call in calls
    )
    return made


def _extras(raw: Mapping[str, Any], carried: Mapping[str, bool]) -> dict[str, Any]:
    """Return the members that nothing else carries; the conventions allow extra keys."""
    return {
        key if key != "parts" else "spanlore.import.parts": value
        for key, value in raw.items()
        if value is not None
        and key not in _READ_KEYS
        and not carried.get(key)
        and not (key in _REASONING_KEYS and isinstance(value, str))
    }

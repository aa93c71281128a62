"""The conversation of a run: messages in the JSON shapes of the GenAI conventions, as values."""

import json
from collections.abc import Mapping
from typing import Any

from spanlore.analyzers.runs.calls import parsed
from spanlore.analyzers.runs.run_trace import Message, Role, ToolAnswer, ToolRequest

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


def messages_of(text: str) -> tuple[Message, ...]:
    """Read the value of ``gen_ai.input.messages`` or ``gen_ai.output.messages``; () for none."""
    listed = parsed(text) if text else None
    if not isinstance(listed, list):
        return ()
    return tuple(_message(one) for one in listed if isinstance(one, dict))


def text_of(instructions: str) -> str:
    """Return ``gen_ai.system_instructions`` as text: its parts joined, or the text itself."""
    listed = parsed(instructions)
    if not isinstance(listed, list):
        return instructions
    return "\n".join(filter(None, map(_text, listed)))


def _message(raw: Mapping[str, Any]) -> Message:
    parts = raw.get("parts")
    if not isinstance(parts, list):  # the shape of an SDK: content, not parts
        parts = [{"type": "text", "content": raw.get("content")}]
    parts = [part for part in parts if isinstance(part, dict)]
    requests = tuple(_request(part) for part in parts if part.get("type") == "tool_call")
    answers = tuple(_answer(part) for part in parts if part.get("type") == "tool_call_response")
    role = _ROLES.get(str(raw.get("role")), "user")
    return Message(
        role="tool" if answers and role == "user" else role,
        text="\n".join(filter(None, map(_text, parts))),
        requests=requests,
        answers=answers,
    )


def _text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or part.get("type") != "text":
        return ""
    content = part.get("content", part.get("text"))
    return content if isinstance(content, str) else ""


def _request(part: Mapping[str, Any]) -> ToolRequest:
    raw: Any = part.get("arguments")
    text = raw if isinstance(raw, str) else ""
    return ToolRequest(
        call_id=str(part.get("id") or ""),
        name=str(part.get("name") or ""),
        arguments=parsed(text) if text else raw,
        arguments_text=text,
    )


def _answer(part: Mapping[str, Any]) -> ToolAnswer:
    said = part.get("response", part.get("result"))
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return ToolAnswer(call_id=str(part.get("id") or ""), text=text if said is not None else "")

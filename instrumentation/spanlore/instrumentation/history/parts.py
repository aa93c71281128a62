"""The parts a message consists of, in the JSON shapes of the GenAI conventions."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from spanlore.instrumentation.history import json_text

_TEXT_TYPES = frozenset({"text", "input_text", "output_text"})
_DATA_URL = re.compile(r"data:(?P<mime>[^;,]*)[^,]*;base64,(?P<data>.*)", re.DOTALL)
Part = dict[str, Any]


def content_parts(content: Any) -> Iterator[Part]:
    """Yield the parts of a message's content: a string, a list of parts, or anything else."""
    if content is None or content == "":
        return
    for member in content if isinstance(content, list) else [content]:
        if isinstance(member, dict):
            yield _part(member)
        elif member is not None:
            yield {"type": "text", "content": json_text.text_of(member) or ""}


def content_text(content: Any) -> str | None:
    """Return content as one text: a string or a single text part as it is, the rest as JSON."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        only = content[0]
        if only.get("type") in _TEXT_TYPES and isinstance(only.get("text"), str):
            return str(only["text"])
    return content if isinstance(content, str) else json_text.text_of(content)


def tool_call(name: str | None, *, call_id: str | None, arguments: str | None) -> Part:
    """Return the part that asks for a tool, its arguments as an object where they are one."""
    identity = {} if call_id is None else {"id": call_id}
    return {
        "type": "tool_call",
        **identity,
        "name": name or "",
        "arguments": None if arguments is None else _arguments(arguments),
    }


def tool_response(raw: Mapping[str, Any]) -> Part:
    """Return the part that answers a call; the conventions lack an error flag, so ours is added."""
    call_id = json_text.text_of(raw.get("tool_call_id"))
    part: Part = {"type": "tool_call_response"}
    if call_id is not None:
        part["id"] = call_id
    part["response"] = content_text(raw.get("content"))
    if raw.get("is_error") is not None:
        part["is_error"] = raw["is_error"]
    return part


def _part(raw: Mapping[str, Any]) -> Part:
    kind = raw.get("type")
    if kind in _TEXT_TYPES and isinstance(raw.get("text"), str):
        rest = {key: value for key, value in raw.items() if key not in ("type", "text")}
        return {"type": "text", "content": raw["text"], **rest}
    if kind == "image_url":
        return _image(raw)
    return {"type": kind if isinstance(kind, str) and kind else "unknown"} | {
        key: value for key, value in raw.items() if key != "type"
    }


def _image(raw: Mapping[str, Any]) -> Part:
    image = raw.get("image_url")
    details = dict(image) if isinstance(image, dict) else {"url": image}
    url = details.pop("url", None)
    if not isinstance(url, str):
        return dict(raw)
    inline = _DATA_URL.fullmatch(url)
    if inline is None:
        return {"type": "uri", "modality": "image", "uri": url, **details}
    blob = {"type": "blob", "modality": "image", "content": inline["data"], **details}
    return blob | ({"mime_type": inline["mime"]} if inline["mime"] else {})


def _arguments(text: str) -> Any:
    """Return arguments parsed, if they are an object that JSON can say again, else the text."""
    if not text.startswith("{"):
        return text
    try:
        return json_text.parse_exact(text)
    except json_text.NotJson:
        return text

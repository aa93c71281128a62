"""The spans of a run as a tree of plain data: what stays the same from one time to the next."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

Tree = dict[str, Any]

_TEXT_CHARACTERS_MAX = 80
_MADE_UP = re.compile(
    r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|0x[0-9a-f]{6,}|(?<=agentId: )[0-9a-f]+"
)
_PLACES = re.compile(r"127\.0\.0\.1(:\d+)?")
# Of the machine or the moment.
_TYPE_ONLY = {"server.port", "spanlore.harness.version"}
_MESSAGES = ("gen_ai.input.messages", "gen_ai.output.messages")


def scenarios(spans: Sequence[Span]) -> dict[str, Tree]:
    """Return the trees by their root's agent: the name of the scenario."""
    known = {span.span_id for span in spans}
    roots = sorted(
        (span for span in spans if span.parent_span_id not in known),
        key=lambda span: span.start_time_unix_nano,
    )
    return {root.name.removeprefix("invoke_agent "): _tree(root, spans) for root in roots}


def walk(tree: Tree) -> Iterator[Tree]:
    """Return the span and all below it."""
    yield tree
    for child in tree["children"]:
        yield from walk(child)


def _tree(span: Span, spans: Sequence[Span]) -> Tree:
    children = sorted(
        (each for each in spans if each.parent_span_id == span.span_id),
        key=lambda each: each.start_time_unix_nano,
    )
    return {
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "status": _status(span.status),
        "attributes": {
            each.key: _described(each.key, each.value)
            for each in sorted(span.attributes, key=lambda each: each.key)
        },
        "children": [_tree(child, spans) for child in children],
    }


def _status(status: Status) -> str:
    code = Status.StatusCode.Name(status.code).removeprefix("STATUS_CODE_")
    return f"{code}: {_text(status.message)}" if status.message else code


def _described(key: str, value: AnyValue) -> str:
    """Write a value's type, and the value where it is always the same."""
    kind = str(value.WhichOneof("value")).removesuffix("_value")
    if key in _TYPE_ONLY or kind == "double":
        return kind
    if kind == "array":
        return f"array {[_text(each.string_value) for each in value.array_value.values]}"
    given = getattr(value, f"{kind}_value")
    if key in _MESSAGES and kind == "string":
        return f"messages {' '.join(map(_message, json.loads(given)))}"
    return f"{kind} {_text(str(given))}"


def _message(message: Mapping[str, Any]) -> str:
    return f"{message['role']}({', '.join(map(_part, message['parts']))})"


def _part(part: Mapping[str, Any]) -> str:
    said = [part["type"]]
    said += [f"{key}={part[key]}" for key in ("id", "name", "is_error") if part.get(key)]
    return " ".join(said)


def _text(text: str) -> str:
    plain = _PLACES.sub("127.0.0.1", _MADE_UP.sub("<id>", text))
    return plain if len(plain) <= _TEXT_CHARACTERS_MAX else f"{plain[:_TEXT_CHARACTERS_MAX]}…"

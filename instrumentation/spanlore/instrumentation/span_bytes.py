"""Ended spans as an OTLP request, written as bytes.

The SDK's encoder builds a protobuf message for each attribute, which is two thirds of what
tracing costs a program. Most spans are ids, times and plain attributes: those are written here;
a span with anything else, and every resource and scope, is left to the SDK's encoder. The field
numbers are those of opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

_FIXED64 = struct.Struct("<Q").pack
_FIXED32 = struct.Struct("<I").pack
_DOUBLE = struct.Struct("<d").pack
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_INT64_MASK = (1 << 64) - 1
_INT64_MAX = 1 << 63
_ONE_BYTE = 0x80
_VARINTS = [
    bytes([n]) if n < _ONE_BYTE else bytes([n & 0x7F | 0x80, n >> 7]) for n in range(0x1000)
]
_KEYS_MAX = 4_096
_keys: dict[str, bytes] = {}


class _NotPlain(Exception):
    """The SDK's encoder knows how to write this."""


def span_request(spans: Sequence[ReadableSpan]) -> bytes:
    """Return the ExportTraceServiceRequest that holds the spans, by resource and scope."""
    groups: dict[int, dict[int, list[ReadableSpan]]] = {}
    for span in spans:
        scopes = groups.setdefault(id(span.resource), {})
        scopes.setdefault(id(span.instrumentation_scope), []).append(span)
    return b"".join(_field(b"\x0a", _resource_spans(scopes)) for scopes in groups.values())


def _resource_spans(scopes: Mapping[int, Sequence[ReadableSpan]]) -> bytes:
    """Write the spans of one resource by scope, taking both heads from the SDK's encoder."""
    parts = []
    for spans in scopes.values():
        (resource,) = encode_spans(spans[:1]).resource_spans
        (scope,) = resource.scope_spans
        del scope.spans[:]
        head = scope.SerializeToString()
        parts.append(_field(b"\x12", head + b"".join(_field(b"\x12", _span(s)) for s in spans)))
    del resource.scope_spans[:]
    return resource.SerializeToString() + b"".join(parts)


def _span(span: ReadableSpan) -> bytes:
    try:
        return _plain_span(span)
    except _NotPlain:
        (resource,) = encode_spans([span]).resource_spans
        return resource.scope_spans[0].spans[0].SerializeToString()


def _plain_span(span: ReadableSpan) -> bytes:
    context, parent, status = span.context, span.parent, span.status
    if context is None or context.trace_state or span.events or span.links or _has_dropped(span):
        raise _NotPlain
    message = _field(b"\x12", _utf8(status.description)) if status.description else b""
    if status.status_code.value:
        message += b"\x18" + _VARINTS[status.status_code.value]
    parts = [
        b"\x0a\x10" + context.trace_id.to_bytes(16, "big"),
        b"\x12\x08" + context.span_id.to_bytes(8, "big"),
        b"\x22\x08" + parent.span_id.to_bytes(8, "big") if parent else b"",
        _field(b"\x2a", _utf8(span.name)),
        b"\x30" + _VARINTS[span.kind.value + 1],
        b"\x39" + _FIXED64(span.start_time or 0),
        b"\x41" + _FIXED64(span.end_time or 0),
        *_attributes(span.attributes or {}),
        _field(b"\x7a", message),
        b"\x85\x01" + _FIXED32(_flags(parent)),
    ]
    return b"".join(parts)


def _has_dropped(span: ReadableSpan) -> bool:
    return bool(span.dropped_attributes or span.dropped_events or span.dropped_links)


def _flags(parent: SpanContext | None) -> int:
    return _HAS_IS_REMOTE | (_IS_REMOTE if parent is not None and parent.is_remote else 0)


def _attributes(attributes: Mapping[str, Any]) -> list[bytes]:
    """Return the pieces of all attributes: a long text is not copied before the last join."""
    pieces: list[bytes] = []
    for key, value in attributes.items():
        name = _keys.get(key) or _key(key)
        if type(value) is str:
            text = _utf8(value)
            size = _varint(len(text))
            length = 1 + len(size) + len(text)
            whole = length + len(name) + 1 + len(inner := _varint(length))
            pieces += (b"\x4a", _varint(whole), name, b"\x12", inner, b"\x0a", size, text)
        else:
            pieces.append(_field(b"\x4a", name + _field(b"\x12", _value(value))))
    return pieces


def _key(key: str) -> bytes:
    written = _field(b"\x0a", _utf8(key))
    if len(_keys) < _KEYS_MAX:
        _keys[key] = written
    return written


def _value(value: Any) -> bytes:
    kind = type(value)
    if kind is str:
        return _field(b"\x0a", _utf8(value))
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int and -_INT64_MAX <= value < _INT64_MAX:
        return b"\x18" + _varint(value & _INT64_MASK)
    if kind is float:
        return b"\x21" + _DOUBLE(value)
    if kind is tuple or kind is list:
        return _field(b"\x2a", b"".join(_field(b"\x0a", _value(each)) for each in value))
    raise _NotPlain


def _utf8(text: str) -> bytes:
    """Encode text; half an emoji, as a stream that was cut leaves it, costs only itself."""
    return text.encode("utf-8", "replace")


def _field(tag: bytes, body: bytes) -> bytes:
    return tag + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    if number < len(_VARINTS):
        return _VARINTS[number]
    written = bytearray()
    while number >= _ONE_BYTE:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)

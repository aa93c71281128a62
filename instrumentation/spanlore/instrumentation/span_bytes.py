"""Spans as an OTLP request, written as bytes, without the secrets that can be told from texts.

The SDK's encoder builds a protobuf message for each attribute, which is two thirds of what
tracing costs a program; only resources and scopes, which hardly change, are left to it. The field
numbers are those of opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from spanlore.instrumentation.redaction import mark_of, secret_kind, without_secrets
from spanlore.schemas import semconv
from spanlore.schemas.secret_names import is_secret_name

VALUE_BYTES_MAX = 16 * 1024 * 1024

_FIXED64 = struct.Struct("<Q").pack
_FIXED32 = struct.Struct("<I").pack
_DOUBLE = struct.Struct("<d").pack
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_INT64_MASK = (1 << 64) - 1
_INT64_MAX = 1 << 63
_DEPTH_MAX = 24
_ONE_BYTE = 0x80
# Nothing shorter is looked at: `password=abcd`.
_SECRET_BYTES_MIN = 13
_VARINTS = [
    bytes([n]) if n < _ONE_BYTE else bytes([n & 0x7F | 0x80, n >> 7]) for n in range(0x1000)
]
_VARINTS_MAX = len(_VARINTS)
_TWO_BYTES_MAX = 1 << 14
_SHORT_MAX = 64
# The parts of a harness: long, and the same in every call of an agent.
_REPEATED = {semconv.SYSTEM_INSTRUCTIONS, semconv.TOOL_DEFINITIONS}
_REPEATED_MAX = 65_536
_HEADS_MAX = 256
# What stands before the spans of a resource and a scope; the two are kept, so that ids stay theirs.
_heads: dict[tuple[int, int], tuple[Any, Any, bytes, bytes]] = {}

_INCOMPLETE = {semconv.INCOMPLETE: True}


def span_request(spans: Sequence[ReadableSpan]) -> bytes:
    """Return the ExportTraceServiceRequest that holds the spans, by resource and scope."""
    return _request(spans, lambda span: _span(span, end_ns=span.end_time or 0))


def open_span_request(spans: Sequence[ReadableSpan], *, now_ns: int) -> bytes:
    """Return the same for spans that go on, as far as they came, marked as incomplete."""
    return _request(spans, lambda span: _span(span, end_ns=now_ns, also=_INCOMPLETE))


def _request(spans: Sequence[ReadableSpan], written: Any) -> bytes:
    resources: dict[int, dict[int, list[ReadableSpan]]] = {}
    for span in spans:
        scopes = resources.setdefault(id(span.resource), {})
        scopes.setdefault(id(span.instrumentation_scope), []).append(span)
    whole = []
    for scopes in resources.values():
        parts = []
        for of_scope in scopes.values():
            resource_head, scope_head = _head(of_scope[0])
            body = b"".join([_field(b"\x12", written(span)) for span in of_scope])
            parts.append(_field(b"\x12", scope_head + body))
        whole.append(_field(b"\x0a", resource_head + b"".join(parts)))
    return b"".join(whole)


def _head(span: ReadableSpan) -> tuple[bytes, bytes]:
    """Return what ResourceSpans and ScopeSpans begin with, as the SDK's encoder writes it."""
    key = id(span.resource), id(span.instrumentation_scope)
    known = _heads.get(key)
    if known is None:
        (resource,) = encode_spans([span]).resource_spans
        (scope,) = resource.scope_spans
        del scope.spans[:]
        scope_head = scope.SerializeToString()
        del resource.scope_spans[:]
        if len(_heads) >= _HEADS_MAX:
            _heads.clear()
        known = (
            span.resource,
            span.instrumentation_scope,
            resource.SerializeToString(),
            scope_head,
        )
        _heads[key] = known
    return known[2], known[3]


def _span(span: ReadableSpan, *, end_ns: int, also: Mapping[str, Any] | None = None) -> bytes:
    context, parent, status = span.get_span_context(), span.parent, span.status
    if context is None:
        raise ValueError("a span without ids")
    pieces = [
        b"\x0a\x10%b\x12\x08%b"
        % (context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big")),
    ]
    if context.trace_state:
        pieces.append(_field(b"\x1a", _utf8(context.trace_state.to_header())))
    if parent:
        pieces.append(b"\x22\x08" + parent.span_id.to_bytes(8, "big"))
    pieces += (
        _field(b"\x2a", _utf8(span.name)),
        b"\x30%b\x39%b\x41%b"
        % (_VARINTS[span.kind.value + 1], _FIXED64(span.start_time or 0), _FIXED64(end_ns)),
    )
    pieces += _attributes(_as_dict(span), b"\x4a")
    if also:
        pieces += _attributes(also, b"\x4a")
    pieces.append(_count(b"\x50", span.dropped_attributes))
    pieces += [_field(b"\x5a", _event(event)) for event in _some(span, "events")]
    pieces.append(_count(b"\x60", span.dropped_events))
    pieces += [_field(b"\x6a", _link(link)) for link in _some(span, "links")]
    pieces += (
        _count(b"\x70", span.dropped_links),
        _field(b"\x7a", _status(status)),
        b"\x85\x01" + _FIXED32(_flags(parent)),
    )
    return b"".join(pieces)


def _some(span: ReadableSpan, name: str) -> Sequence[Any]:
    """Return the events or links; the SDK copies them twice, also where there are none."""
    return getattr(span, name) if getattr(span, f"_{name}", True) else ()


def _status(status: Any) -> bytes:
    message = _field(b"\x12", _text(status.description)) if status.description else b""
    code = status.status_code.value
    return message + b"\x18" + _VARINTS[code] if code else message


def _as_dict(span: ReadableSpan) -> Mapping[str, Any]:
    """Return a copy of the attributes, past the SDK's two layers, which double what reading costs.

    A span that goes on may be written to meanwhile.
    """
    inner = getattr(span, "_attributes", None)
    known = getattr(inner, "_dict", None)
    return dict(known if type(known) is dict else span.attributes or {})


def _event(event: Any) -> bytes:
    parts = [
        b"\x09" + _FIXED64(event.timestamp),
        _field(b"\x12", _utf8(event.name)),
        *_attributes(event.attributes or {}, b"\x1a"),
        _count(b"\x20", event.dropped_attributes),
    ]
    return b"".join(parts)


def _link(link: Any) -> bytes:
    context: SpanContext = link.context
    parts = [
        b"\x0a\x10" + context.trace_id.to_bytes(16, "big"),
        b"\x12\x08" + context.span_id.to_bytes(8, "big"),
        *_attributes(link.attributes or {}, b"\x22"),
        _count(b"\x28", link.dropped_attributes),
        b"\x35" + _FIXED32(_flags(context)),
    ]
    return b"".join(parts)


def _count(tag: bytes, number: int) -> bytes:
    return tag + _varint(number) if number else b""


def _flags(parent: SpanContext | None) -> int:
    return _HAS_IS_REMOTE | (_IS_REMOTE if parent is not None and parent.is_remote else 0)


def _attributes(attributes: Mapping[str, Any], tag: bytes) -> list[bytes]:
    """Return the pieces of all attributes: a long text is not copied before the last join."""
    pieces: list[bytes] = []
    for key, value in attributes.items():
        kind = type(value)
        if kind is str:
            if len(value) <= _SHORT_MAX:
                pieces.append(_short_attribute(tag, key, value))
            elif key in _REPEATED and len(value) <= _REPEATED_MAX:
                pieces += _repeated_attribute(tag, key, value)
            else:
                pieces += _text_attribute(tag, key, value)
        elif kind is int and 0 <= value < _INT64_MAX:
            number = _varint(value)
            pieces += (_head_of(tag, key, len(number), b"\x18"), number)
        elif kind is float:
            pieces += (_head_of(tag, key, 8, b"\x21"), _DOUBLE(value))
        else:
            pieces.append(_field(tag, _key(key)[0] + _field(b"\x12", _value(value))))
    return pieces


def _text_attribute(tag: bytes, key: str, value: str) -> tuple[bytes, bytes]:
    text = _text(value)
    if _key(key)[1] and (kind := secret_kind(key, text)):
        text = mark_of(kind)
    size = len(text)
    if size <= _SHORT_MAX:
        return _head_of(tag, key, size, b"\x0a" + _VARINTS[size]), text
    inner = b"\x0a" + _varint(size)
    outer = _key(key)[0] + b"\x12" + _varint(len(inner) + size) + inner
    return tag + _varint(len(outer) + size) + outer, text


@lru_cache(maxsize=4_096)
def _short_attribute(tag: bytes, key: str, value: str) -> bytes:
    """Write what comes again and again: names of models, tools, agents and users."""
    head, text = _text_attribute(tag, key, value)
    return head + text


@lru_cache(maxsize=64)
def _repeated_attribute(tag: bytes, key: str, value: str) -> tuple[bytes, bytes]:
    """Write what is long and the same in every call of an agent."""
    return _text_attribute(tag, key, value)


@lru_cache(maxsize=8_192)
def _head_of(tag: bytes, key: str, size: int, inner: bytes) -> bytes:
    """Return what stands before the bytes of a value; ``inner`` is its field's tag and length."""
    value = bytes(size)
    whole = _field(tag, _key(key)[0] + _field(b"\x12", inner + value))
    return whole[: len(whole) - size]


@lru_cache(maxsize=4_096)
def _key(key: str) -> tuple[bytes, bool]:
    """Return a key as it is written, and whether it promises a secret."""
    text = _utf8(key)
    return _field(b"\x0a", text), is_secret_name(text)


def _value(value: Any, depth: int = 0) -> bytes:
    kind = type(value)
    if kind is str:
        return _field(b"\x0a", _text(value))
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int and -_INT64_MAX <= value < _INT64_MAX:
        return b"\x18" + _varint(value & _INT64_MASK)
    if kind is float:
        return b"\x21" + _DOUBLE(value)
    return _rare_value(value, depth)


def _rare_value(value: Any, depth: int) -> bytes:
    for plain in (str, int, float):
        if isinstance(value, plain) and type(value) is not plain:
            return _value(plain(value))
    if isinstance(value, bytes):
        return _field(b"\x3a", value[:VALUE_BYTES_MAX])
    if value is None or depth >= _DEPTH_MAX:
        return b""
    if isinstance(value, Mapping):
        return _field(b"\x32", b"".join([_pair(*pair, depth=depth) for pair in value.items()]))
    if isinstance(value, Sequence):
        return _field(b"\x2a", _values(value, depth))
    return _field(b"\x0a", _text(str(value)))


def _pair(key: Any, value: Any, *, depth: int) -> bytes:
    name = _field(b"\x0a", _utf8(str(key)))
    return _field(b"\x0a", name + _field(b"\x12", _value(value, depth + 1)))


def _values(values: Iterable[Any], depth: int) -> bytes:
    return b"".join([_field(b"\x0a", _value(each, depth + 1)) for each in values])


def _text(text: str) -> bytes:
    """Encode what a person or a model may have written: bounded, without secrets."""
    written = text.encode("utf-8", "replace")
    if len(written) < _SECRET_BYTES_MIN:
        return written
    if len(written) > VALUE_BYTES_MAX:
        written = written[:VALUE_BYTES_MAX].decode("utf-8", "ignore").encode()
    return without_secrets(written)


def _utf8(text: str) -> bytes:
    """Encode text; half an emoji, as a stream that was cut leaves it, costs only itself."""
    return text.encode("utf-8", "replace")


def _field(tag: bytes, body: bytes) -> bytes:
    return tag + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    if number < _VARINTS_MAX:
        return _VARINTS[number]
    if number < _TWO_BYTES_MAX:
        return bytes((number & 0x7F | 0x80, number >> 7))
    written = bytearray()
    while number >= _ONE_BYTE:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)

"""Spans as an OTLP request, written as bytes, without the secrets that can be told from texts.

The SDK's encoder builds a protobuf message for each attribute, which is two thirds of what
tracing costs a program; only resources and scopes, which hardly change, are left to it. The field
numbers are those of opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
"""

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, StatusCode, TraceState

from spanlore.instrumentation.attribute_bytes import Unseen, attribute_pieces, looked_into
from spanlore.instrumentation.redaction import texts_with_secrets
from spanlore.instrumentation.wire import VARINTS, field, utf8, varint
from spanlore.schemas import semconv

Write = Callable[[ReadableSpan, Unseen | None], bytes]

_FIXED64 = struct.Struct("<Q").pack
_FIXED32 = struct.Struct("<I").pack
_KIND_AND_TIMES = struct.Struct("<cBcQcQ").pack
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_NO_STATE = TraceState.get_default()
# Spans whose texts are looked at together; with eight or a hundred it costs the same.
_SPANS_AT_ONCE = 32
_HEADS_MAX = 256
# What stands before the spans of a resource and a scope; the two are kept, so that ids stay theirs.
_heads: dict[tuple[int, int], tuple[Any, Any, bytes, bytes]] = {}

_INCOMPLETE = {semconv.INCOMPLETE: True}


def span_request(spans: Sequence[ReadableSpan]) -> bytes:
    """Return the ExportTraceServiceRequest that holds the spans, by resource and scope."""
    return _request(spans, lambda span, unseen: _span(span, unseen, end_ns=span.end_time or 0))


def open_span_request(spans: Sequence[ReadableSpan], *, now_ns: int) -> bytes:
    """Return the same for spans that go on, as far as they came, marked as incomplete."""
    return _request(
        spans, lambda span, unseen: _span(span, unseen, end_ns=now_ns, also=_INCOMPLETE)
    )


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    """Return the attributes, past the SDK's two layers, which double what reading costs.

    A copy where the span goes on: it may be written to meanwhile.
    """
    known = getattr(span, "_attributes", None)
    known = getattr(known, "_dict", known)
    if type(known) is not dict:
        known = span.attributes or {}
    return dict(known) if span.end_time is None else known


def _request(spans: Sequence[ReadableSpan], write: Write) -> bytes:
    resources: dict[int, dict[int, list[bytes]]] = {}
    heads: dict[tuple[int, int], tuple[bytes, bytes]] = {}
    for span, written in zip(spans, _without_secrets(spans, write), strict=True):
        resource, scope = id(span.resource), id(span.instrumentation_scope)
        of_scope = resources.setdefault(resource, {}).setdefault(scope, [])
        if not of_scope:
            heads[resource, scope] = _head(span)
        of_scope += (b"\x12", varint(len(written)), written)
    pieces: list[bytes] = []
    for resource, scopes in resources.items():
        parts: list[bytes] = []
        for scope, of_scope in scopes.items():
            resource_head, scope_head = heads[resource, scope]
            size = len(scope_head) + sum(map(len, of_scope))
            parts += (b"\x12", varint(size), scope_head, *of_scope)
        size = len(resource_head) + sum(map(len, parts))
        pieces += (b"\x0a", varint(size), resource_head, *parts)
    return b"".join(pieces)


def _without_secrets(spans: Sequence[ReadableSpan], write: Write) -> Iterator[bytes]:
    """Write each span, some at once, and again those in whose texts a secret is then found."""
    for begin in range(0, len(spans), _SPANS_AT_ONCE):
        some, unseen = spans[begin : begin + _SPANS_AT_ONCE], Unseen()
        written: list[bytes] = []
        texts: list[int] = []
        for span in some:
            written.append(write(span, unseen))
            texts.append(len(unseen.texts))
        found = texts_with_secrets(unseen.texts)
        for at in {bisect_right(texts, text) for text in found}:
            written[at] = write(some[at], None)
        unseen.keep(without={unseen.texts[text] for text in found})
        yield from written


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


def _span(
    span: ReadableSpan,
    unseen: Unseen | None,
    *,
    end_ns: int,
    also: Mapping[str, Any] | None = None,
) -> bytes:
    pieces = _beginning(span, end_ns)
    pieces += attribute_pieces(attributes_of(span), b"\x4a", unseen)
    if also:
        pieces += attribute_pieces(also, b"\x4a", unseen)
    pieces += _beside(span, unseen)
    parent, status = span.parent, span.status
    if status.status_code is StatusCode.UNSET and not (parent and parent.is_remote):
        pieces.append(_PLAIN_END)
    else:
        pieces += (field(b"\x7a", _status(status)), b"\x85\x01" + _flags(parent))
    return b"".join(pieces)


def _beginning(span: ReadableSpan, end_ns: int) -> list[bytes]:
    context, parent, name = span.get_span_context(), span.parent, utf8(span.name)
    if context is None:
        raise ValueError("a span without ids")
    pieces = [
        b"\x0a\x10",
        context.trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        context.span_id.to_bytes(8, "big"),
        b"\x2a",
        varint(len(name)),
        name,
        _KIND_AND_TIMES(
            b"\x30", span.kind._value_ + 1, b"\x39", span.start_time or 0, b"\x41", end_ns
        ),
    ]
    if parent:
        pieces += (b"\x22\x08", parent.span_id.to_bytes(8, "big"))
    state = context.trace_state
    if state is not _NO_STATE and state:
        pieces.append(field(b"\x1a", utf8(state.to_header())))
    return pieces


def _beside(span: ReadableSpan, unseen: Unseen | None) -> list[bytes]:
    """Return what hardly a span has: events, links, and how much was dropped."""
    pieces = [field(b"\x5a", _event(event, unseen)) for event in _some(span, "events")]
    pieces += [field(b"\x6a", _link(link, unseen)) for link in _some(span, "links")]
    if dropped := span.dropped_attributes:
        pieces.append(_count(b"\x50", dropped))
    if dropped := span.dropped_events:
        pieces.append(_count(b"\x60", dropped))
    if dropped := span.dropped_links:
        pieces.append(_count(b"\x70", dropped))
    return pieces


def _some(span: ReadableSpan, name: str) -> Sequence[Any]:
    """Return the events or links; the SDK copies them twice, also where there are none."""
    return getattr(span, name) if getattr(span, f"_{name}", True) else ()


def _status(status: Any) -> bytes:
    message = field(b"\x12", looked_into(status.description)) if status.description else b""
    code = status.status_code.value
    return message + b"\x18" + VARINTS[code] if code else message


def _event(event: Any, unseen: Unseen | None) -> bytes:
    parts = [
        b"\x09" + _FIXED64(event.timestamp),
        field(b"\x12", utf8(event.name)),
        *attribute_pieces(event.attributes or {}, b"\x1a", unseen),
        _count(b"\x20", event.dropped_attributes),
    ]
    return b"".join(parts)


def _link(link: Any, unseen: Unseen | None) -> bytes:
    context: SpanContext = link.context
    parts = [
        b"\x0a\x10" + context.trace_id.to_bytes(16, "big"),
        b"\x12\x08" + context.span_id.to_bytes(8, "big"),
        *attribute_pieces(link.attributes or {}, b"\x22", unseen),
        _count(b"\x28", link.dropped_attributes),
        b"\x35" + _flags(context),
    ]
    return b"".join(parts)


def _count(tag: bytes, number: int) -> bytes:
    return tag + varint(number) if number else b""


def _flags(parent: SpanContext | None) -> bytes:
    is_remote = parent is not None and parent.is_remote
    return _FIXED32(_HAS_IS_REMOTE | (_IS_REMOTE if is_remote else 0))


# How nearly every span ends: nobody said how it went, and its parent is of this process.
_PLAIN_END = b"\x7a\x00\x85\x01" + _flags(None)

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanlore.collector.wire import (
    TooManyMessagesError,
    WireError,
    fields,
    limit_messages,
    read_varint,
    shape_of,
    tags_of,
    varint,
)
from tests.collector.otlp_requests import traces

SHAPE = shape_of(ExportTraceServiceRequest.DESCRIPTOR)
TAGS = tags_of(SHAPE)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=5))
def test_a_varint_reads_back_wherever_it_stands(value: int, before: bytes) -> None:
    data = before + varint(value)
    assert read_varint(data, len(before)) == (value, len(data))


@given(st.binary(max_size=200))
def test_any_bytes_are_walked_or_refused(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert all(end <= len(data) for *_, end in fields(data, 0, len(data)))


def test_empty_messages_by_the_million_are_refused_before_they_are_parsed() -> None:
    bomb = b"\x0a\x00" * (4 << 20)
    with pytest.raises(TooManyMessagesError):
        limit_messages(bomb, SHAPE, tags=TAGS, messages_max=1_000_000)


def test_empty_messages_deep_in_a_span_are_refused_too() -> None:
    attributes = b"\x4a\x00" * 2000
    span = b"\x12" + varint(len(attributes)) + attributes
    scope = b"\x12" + varint(len(span)) + span
    body = b"\x0a" + varint(len(scope)) + scope
    with pytest.raises(TooManyMessagesError):
        limit_messages(body, SHAPE, tags=TAGS, messages_max=1000)


def test_overlong_tags_hide_no_message_from_the_limit() -> None:
    bomb = b"\x8a\x80\x00\x00" * 3000
    with pytest.raises(TooManyMessagesError):
        limit_messages(bomb, SHAPE, tags=TAGS, messages_max=1000)


def test_a_large_request_of_long_texts_is_not_refused() -> None:
    body = traces(20, text='{"2": "J"}' * 20_000).SerializeToString()
    limit_messages(body, SHAPE, tags=TAGS, messages_max=1000)


def test_what_is_no_protobuf_is_told_from_what_is_too_much() -> None:
    with pytest.raises(WireError):
        limit_messages(b"\x0a\x7f" + b"\x0a" * 5000, SHAPE, tags=TAGS, messages_max=1000)

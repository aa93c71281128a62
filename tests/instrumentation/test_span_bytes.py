"""The bytes we write for spans say what the SDK's own encoder says."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from spanlore.instrumentation.span_bytes import span_request
from spanlore.schemas import semconv

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
NUMBER = st.integers(-(2**63), 2**63 - 1)
SCALARS = TEXT | st.booleans() | NUMBER | st.floats(allow_nan=False)
LISTS = st.lists(TEXT) | st.lists(st.booleans()) | st.lists(NUMBER)
ATTRIBUTES = st.dictionaries(TEXT.filter(bool), SCALARS | LISTS, max_size=20)


def ended(
    attributes: Mapping[str, Any], *, name: str = "chat m", kind: SpanKind = SpanKind.CLIENT
) -> list[ReadableSpan]:
    """Make a plain span, and one of each kind that is not."""
    exporter = InMemorySpanExporter()
    limits = SpanLimits(max_span_attributes=10)
    for each in (SpanLimits(), limits):
        provider = TracerProvider(resource=Resource({"service.name": "s"}), span_limits=each)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("scope", "1", schema_url="https://s")
        state = TraceState([("a", "b")]) if each is limits else None
        remote = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
        around = set_span_in_context(NonRecordingSpan(remote))
        with tracer.start_as_current_span(name, kind=kind) as outer:
            outer.set_attributes(attributes)
            with tracer.start_as_current_span(name) as inner:
                inner.add_event("event", attributes)
            outer.set_status(Status(StatusCode.ERROR, name))
        tracer.start_span(name, context=around, links=[Link(remote, {"a": 1})]).end()
        tracer.start_span(name, context=around, attributes=attributes).end()
        provider.get_tracer("other").start_span(name).end()
    return list(exporter.get_finished_spans())


def by_id(request: ExportTraceServiceRequest) -> dict[bytes, Any]:
    return {
        span.span_id: (span, scope.scope, scope.schema_url, resource.resource)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


@settings(max_examples=60, deadline=None)
@given(attributes=ATTRIBUTES, name=TEXT, kind=st.sampled_from(SpanKind))
def test_our_bytes_say_what_the_sdks_encoder_says(
    attributes: dict[str, Any], name: str, kind: SpanKind
) -> None:
    spans = ended(attributes, name=name, kind=kind)
    ours = ExportTraceServiceRequest.FromString(span_request(spans))
    assert by_id(ours) == by_id(encode_spans(spans))
    assert len(by_id(ours)) == 10


SIZES = (12, 13, 64, 65, 127, 128, 4_095, 4_096, 16_383, 16_384, 65_536, 65_537)
LONG_KEYS = (semconv.SYSTEM_INSTRUCTIONS, semconv.TOOL_DEFINITIONS, semconv.INPUT_MESSAGES)


@pytest.mark.parametrize("letter", ["word ", "Wörter "])
@pytest.mark.parametrize("key", LONG_KEYS)
def test_texts_of_any_length_are_written_as_they_are(key: str, letter: str) -> None:
    for size in SIZES:
        for last in "ab":  # twice nearly the same, where what comes again is written once
            spans = ended({key: (letter * size)[: size - 1] + last})
            ours = ExportTraceServiceRequest.FromString(span_request(spans))
            assert by_id(ours) == by_id(encode_spans(spans))


@pytest.mark.parametrize("secret", ["abcd1234efgh", "abcd1234efgh" * 10])
def test_the_value_of_a_name_that_promises_a_secret_is_named_and_not_told(secret: str) -> None:
    ours = ExportTraceServiceRequest.FromString(span_request(ended({"my.api_key": secret})))
    told = {
        attribute.value.string_value
        for span, *_ in by_id(ours).values()
        for attribute in span.attributes
        if attribute.key == "my.api_key"
    }
    assert told == {"[redacted:credential]"}


def test_spans_of_one_scope_stand_together() -> None:
    spans = ended({})
    ours = ExportTraceServiceRequest.FromString(span_request(spans))
    found = [[len(scope.spans) for scope in each.scope_spans] for each in ours.resource_spans]
    assert found == [[4, 1], [4, 1]]

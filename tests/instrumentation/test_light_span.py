"""A light span says what the SDK's span says that was told the same."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from spanlore.instrumentation.light_span import LightSpan
from spanlore.instrumentation.own_provider import SPAN_ATTRIBUTES_MAX, OwnProvider

ROOT = Context()
Told = Callable[[Span], Any]


@pytest.fixture(autouse=True)
def _hushed(caplog: pytest.LogCaptureFixture) -> None:
    """The SDK says at length what it does not take."""
    caplog.set_level(logging.CRITICAL)


class Ended(SpanProcessor):
    """Keeps what ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def light_and_heavy(told: Sequence[Told], **begun: Any) -> list[ReadableSpan]:
    """Tell the same to a span of each kind, and end them."""
    ended = Ended()
    provider = OwnProvider(Resource({"service.name": "s"}), ended)
    scope = ("scope", "1", "https://schema")
    for start in (provider.start_of(*scope), provider.get_tracer(*scope).start_span):
        span = start("chat m", **{"context": ROOT, "start_time": 1, **begun})
        for tell in told:
            tell(span)
        span.end(2)
    light, heavy = ended.spans
    assert isinstance(light, LightSpan)
    assert not isinstance(heavy, LightSpan)
    return ended.spans


def said(span: ReadableSpan) -> dict[str, Any]:
    """Give all that a span says but its own ids, in their order."""
    names = ("name", "kind", "start_time", "end_time", "resource", "instrumentation_scope")
    counts = ("dropped_attributes", "dropped_events", "dropped_links", "parent")
    context = span.context
    assert context is not None
    return {
        **{name: getattr(span, name) for name in (*names, *counts)},
        "trace": (context.trace_flags, context.trace_state, context.is_valid, context.is_remote),
        "status": (span.status.status_code, span.status.description),
        "attributes": typed(span.attributes),
        "events": [
            (each.name, each.timestamp, typed(each.attributes), each.dropped_attributes)
            for each in span.events
        ],
        "links": [
            (each.context, typed(each.attributes), each.dropped_attributes) for each in span.links
        ],
    }


def typed(attributes: Any) -> list[tuple[Any, str]]:
    return [(key, f"{type(value).__name__} {value!r}") for key, value in (attributes or {}).items()]


class Name(str):
    """A text that is not plainly one."""

    __slots__ = ()


KEYS = st.sampled_from(["a", "b", "c", "d", "", Name("e"), 7])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS | st.binary() | st.just(Name("named")) | st.just(StatusCode.OK),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=4)
STATUSES = st.sampled_from(
    [Status(StatusCode.ERROR, "why"), Status(StatusCode.UNSET), StatusCode.OK, StatusCode.ERROR]
)
OTHER = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(1))
CONTEXTS = st.sampled_from([OTHER, SpanContext(0, 0, is_remote=False)])
TOLD = st.one_of(
    ATTRIBUTES.map(lambda attributes: lambda span: span.set_attributes(attributes)),
    st.tuples(KEYS, VALUES).map(lambda pair: lambda span: span.set_attribute(*pair)),
    ATTRIBUTES.map(lambda attributes: lambda span: span.add_event("e", attributes, 3)),
    st.tuples(CONTEXTS, ATTRIBUTES).map(lambda link: lambda span: span.add_link(*link)),
    STATUSES.map(lambda status: lambda span: span.set_status(status)),
    st.text().map(lambda name: lambda span: span.update_name(name)),
    st.just(lambda span: span.record_exception(ValueError("no"), {"more": 1}, 3)),
)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    told=st.lists(TOLD, max_size=8),
    kind=st.sampled_from(SpanKind),
    attributes=st.none() | ATTRIBUTES,
)
def test_it_says_what_the_sdks_span_says(
    told: list[Told], kind: SpanKind, attributes: dict[str, Any] | None
) -> None:
    links = [Link(OTHER, {"a": [1]}), None, Link(SpanContext(0, 0, is_remote=False))]
    light, heavy = light_and_heavy(told, kind=kind, attributes=attributes, links=links)
    assert said(light) == said(heavy)


@pytest.mark.parametrize("flags", [1, 3])
@pytest.mark.parametrize("is_remote", [False, True])
def test_it_goes_on_in_the_trace_around(flags: int, is_remote: bool) -> None:
    parent = SpanContext(
        5,
        6,
        is_remote=is_remote,
        trace_flags=TraceFlags(flags),
        trace_state=TraceState([("a", "b")]),
    )
    light, heavy = light_and_heavy([], context=set_span_in_context(NonRecordingSpan(parent), ROOT))
    assert said(light) == said(heavy)
    assert light.context is not None
    assert light.context.trace_id == parent.trace_id


def test_it_bears_so_much_and_the_oldest_goes() -> None:
    def tell(span: Span) -> None:
        for number in range(SPAN_ATTRIBUTES_MAX + 5):
            span.set_attribute(f"k{number}", number)
        for number in range(200):
            span.add_event(f"e{number}", {f"k{each}": each for each in range(200)}, number)
            span.add_link(OTHER, {"number": number})

    light, heavy = light_and_heavy([tell])
    assert said(light) == said(heavy)
    assert (light.dropped_attributes, light.dropped_events) == (5, 72)


def test_what_is_told_after_the_end_is_not_heard() -> None:
    def tell(span: Span) -> None:
        span.end(2)
        span.set_attributes({"a": 1})
        span.set_attribute("a", 1)
        span.add_event("late")
        span.add_link(OTHER)
        span.set_status(StatusCode.ERROR)
        span.update_name("late")
        assert not span.is_recording()

    light, heavy = light_and_heavy([tell])
    assert said(light) == said(heavy)


@pytest.mark.parametrize(
    "heeded", [{}, {"record_exception": False}, {"set_status_on_exception": False}]
)
def test_it_tells_of_an_exception_that_leaves_it(heeded: dict[str, bool]) -> None:
    def tell(span: Span) -> None:
        with pytest.raises(ValueError, match="no"), span:
            raise ValueError("no")

    light, heavy = light_and_heavy([tell], **heeded)
    assert light.status.status_code is heavy.status.status_code
    assert light.status.description == heavy.status.description
    assert [each.name for each in light.events] == [each.name for each in heavy.events]


def test_what_nobody_can_write_is_no_fault_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Ended()
    span: Any = OwnProvider(Resource({}), ended).start_of("scope")("chat m", context=ROOT)
    monkeypatch.setattr(LightSpan, "_put", lambda *_: 1 / 0)
    span.set_attribute("a", 1)
    span.set_attributes(None)
    span.set_status("no status")
    span.end()
    assert [each.status.status_code for each in ended.spans] == [StatusCode.UNSET]


def test_a_trace_that_is_not_sampled_stays_so() -> None:
    around = set_span_in_context(NonRecordingSpan(SpanContext(5, 6, is_remote=True)), ROOT)
    span = OwnProvider(Resource({}), Ended()).start_of("scope")("chat m", context=around)
    assert not span.is_recording()
    assert span.get_span_context().trace_id == 5


def test_another_that_listens_is_told_of_the_sdks_spans() -> None:
    provider = OwnProvider(Resource({}), Ended())
    start = provider.start_of("scope")
    assert isinstance(start("chat m", context=ROOT), LightSpan)
    other = Ended()
    provider.add_span_processor(other)
    start("chat m", context=ROOT).end()
    assert [isinstance(span, LightSpan) for span in other.spans] == [False]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10"),
        ("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true"),
        ("OTEL_SDK_DISABLED", "true"),
    ],
)
def test_what_the_environment_asks_of_the_sdk_the_sdk_does(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    span = OwnProvider(Resource({}), Ended()).start_of("scope")("chat m", context=ROOT)
    assert not isinstance(span, LightSpan)

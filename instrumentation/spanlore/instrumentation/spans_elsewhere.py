"""Spans that a program sends elsewhere, by a provider of its own, and that are ours to tell too."""

from collections.abc import Callable, Mapping

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import TraceFlags

from spanlore.instrumentation.identity import run_attributes
from spanlore.instrumentation.late_provider import without_content
from spanlore.instrumentation.other_tracers import OtherTracer
from spanlore.instrumentation.quiet import quiet

# Of more that go on at once, it is not known any more whose run they are.
OPEN_SPANS_MAX = 10_000


class SpansElsewhere(SpanProcessor):
    """Gives copies of one tracer's spans to ``put``; the spans themselves stay as they are.

    Their run's identity is on the copies alone, and content only where ``may_carry_content``.
    None is given where ``is_here``: the provider has been joined since, and they come from it.
    """

    def __init__(
        self,
        tracer: OtherTracer,
        put: Callable[[ReadableSpan], None],
        *,
        is_here: Callable[[], bool],
        may_carry_content: Callable[[], bool],
    ) -> None:
        self._tracer = tracer
        self._put = put
        self._is_here = is_here
        self._may_carry_content = may_carry_content
        self._identities: dict[int, Mapping[str, str]] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        with quiet:
            if self._tracer.is_scope(span.instrumentation_scope):
                if len(self._identities) >= OPEN_SPANS_MAX:
                    self._identities.clear()
                span_id = span.get_span_context().span_id
                self._identities[span_id] = run_attributes(parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        with quiet:
            if not self._tracer.is_scope(span.instrumentation_scope) or self._is_here():
                return
            if span.context and span.context.trace_flags & TraceFlags.SAMPLED:
                known = self._identities.pop(span.context.span_id, {})
                self._put(self._copy(span, known))

    def _copy(self, span: ReadableSpan, known: Mapping[str, str]) -> ReadableSpan:
        attributes = span.attributes or {}
        if not self._may_carry_content():
            attributes = without_content(attributes)
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes={**known, **attributes},
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

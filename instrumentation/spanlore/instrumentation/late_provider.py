"""A tracer provider that decides at the first span where spans go.

A program may set up its own OpenTelemetry long after it imported us. Whoever comes to trace
first finds the provider that is there by then.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    Tracer,
    TracerProvider,
    get_current_span,
    set_span_in_context,
    use_span,
)

from spanlore.instrumentation import other_tracers
from spanlore.instrumentation.identity import current_run
from spanlore.instrumentation.own_provider import OwnProvider, Start
from spanlore.instrumentation.parent_process import below_the_parent_process, has_parent_process
from spanlore.instrumentation.quiet import quiet
from spanlore.schemas import semconv

_CONTENT = {
    semconv.INPUT_MESSAGES,
    semconv.OUTPUT_MESSAGES,
    semconv.SYSTEM_INSTRUCTIONS,
    semconv.TOOL_DEFINITIONS,
    semconv.TOOL_CALL_ARGUMENTS,
    semconv.TOOL_CALL_RESULT,
    "gen_ai.memory.query.text",
    "gen_ai.memory.records",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.query.text",
    # Pydantic AI's own.
    "final_result",
    "pydantic_ai.all_messages",
    "tool_arguments",
    "tool_response",
}
_CONTENT_PREFIX = "gen_ai.prompt.variable."


class LateTracerProvider(TracerProvider):
    """Gives tracers that ask ``choose`` for the provider when their first span starts.

    ``may_carry_content`` is asked at every span: content that an instrumentor was allowed to
    collect before it was known where spans go is kept off the span then. ``library`` is the module
    of the one whose calls are traced by it.
    """

    def __init__(
        self,
        choose: Callable[[], TracerProvider],
        may_carry_content: Callable[[], bool],
        *,
        library: str = "",
    ) -> None:
        self._choose = choose
        self._may_carry_content = may_carry_content
        self._library = library

    def of(self, library: str) -> "LateTracerProvider":
        """Return the provider for what traces a library."""
        return LateTracerProvider(self._choose, self._may_carry_content, library=library)

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        return _LateTracer(lambda: _start_of(self._choose(), *args, **kwargs), self)

    def begin_span(self, start: Start, *args: Any, **kwargs: Any) -> Span:
        """Start a span that refuses content, where spans may not carry any.

        Where another tracer tells the same, it is one that records nothing: what comes below it
        comes below the span around.
        """
        given, attributes = kwargs.get("context"), kwargs.get("attributes") or {}
        within = get_current_span(given)
        if self._library and self._is_told(attributes, within):
            return NonRecordingSpan(within.get_span_context())
        if within is INVALID_SPAN or not within.get_span_context().is_valid:
            if has_parent_process():
                kwargs["context"] = below_the_parent_process(given)
        elif self._goes_elsewhere(within):
            kwargs["context"] = _below_the_run(given)
        if self._may_carry_content():
            return start(*args, **kwargs)
        kwargs["attributes"] = without_content(attributes)
        span = start(*args, **kwargs)
        _keep_content_off(span)
        return span

    def _is_told(self, attributes: Mapping[str, Any], within: Span) -> bool:
        return other_tracers.is_told(
            self._library, attributes=attributes, within=within, provider=self._choose()
        )

    def _goes_elsewhere(self, span: Span) -> bool:
        """Say whether a span of this process goes through another provider: it is not seen here."""
        processor = getattr(span, "_span_processor", None)
        if processor is None or processor is other_tracers.processor_of(self._choose()):
            return False
        return not other_tracers.is_taken(span, processor)


class _LateTracer(Tracer):
    def __init__(self, choose: Callable[[], Start], provider: LateTracerProvider) -> None:
        self._choose = choose
        self._provider = provider
        self._chosen: Start | None = None

    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        """Called by instrumentors amid a call of the program's."""
        with quiet:
            if self._chosen is None:
                self._chosen = self._choose()
            return self._provider.begin_span(self._chosen, *args, **kwargs)
        return NonRecordingSpan(get_current_span(kwargs.get("context")).get_span_context())

    def start_as_current_span(  # type: ignore[override]  # the API's own is generic over async
        self, *args: Any, **kwargs: Any
    ) -> AbstractContextManager[Span]:
        ends = kwargs.pop("end_on_exit", True)
        return use_span(
            self.start_span(*args, **kwargs),
            end_on_exit=ends,
            record_exception=kwargs.get("record_exception", True),
            set_status_on_exception=kwargs.get("set_status_on_exception", True),
        )


def _start_of(provider: TracerProvider, *args: Any, **kwargs: Any) -> Start:
    if isinstance(provider, OwnProvider):
        return provider.start_of(*args, **kwargs)
    return provider.get_tracer(*args, **kwargs).start_span


def _below_the_run(context: Context | None) -> Context | None:
    """Return a context in which the run's span is the parent, where there is a run."""
    run = current_run(context)
    if run is None or not run.span_context.is_valid:
        return context
    return set_span_in_context(run.span, context)


def _keep_content_off(span: Span) -> None:
    """Replace how attributes are set on this one span: it stays the SDK's own object for others."""
    set_attributes, set_attribute = span.set_attributes, span.set_attribute

    def set_others(attributes: Mapping[str, Any]) -> None:
        set_attributes(without_content(attributes))

    def set_other(key: str, value: Any) -> None:
        if not _is_content(key):
            set_attribute(key, value)

    span.set_attributes = set_others  # type: ignore[method-assign]
    span.set_attribute = set_other  # type: ignore[method-assign]


def without_content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what says nothing of messages, arguments and results."""
    return {key: value for key, value in attributes.items() if not _is_content(key)}


def _is_content(key: str) -> bool:
    return key in _CONTENT or key.startswith(_CONTENT_PREFIX)

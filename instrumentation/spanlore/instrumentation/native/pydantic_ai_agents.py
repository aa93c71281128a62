"""Pydantic AI's own spans of agents, calls of models and tools, which are off by themselves.

That a tool failed they tell by an event and a bare status; what its error was is said on the span.
"""

from typing import Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import Span, TracerProvider
from opentelemetry.util.genai.utils import fq_exception_type
from pydantic_ai import Agent, exceptions
from pydantic_ai.models.instrumented import InstrumentationSettings

from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.recovery.amending import before
from spanlore.schemas import semconv


def switch_on(provider: TracerProvider, *, with_content: bool) -> None:
    """Trace every agent, unless the program said itself how."""
    if Agent._instrument_default is not False:  # noqa: SLF001
        return
    with quiet:
        from pydantic_ai.capabilities import instrumentation  # noqa: PLC0415  # of newer versions

        before(instrumentation, "_record_exception", _name_error)
    settings = InstrumentationSettings(
        tracer_provider=provider,
        meter_provider=NoOpMeterProvider(),
        include_content=with_content,
        include_binary_content=False,
    )
    Agent.instrument_all(settings)


def _name_error(span: Span, error: BaseException, *, include_content: bool, **_: Any) -> None:
    """Called before the status is set; what asks the model again wraps what asked for it."""
    is_wrapped = isinstance(error, getattr(exceptions, "ToolRetryError", ()))
    raised = error.__cause__ or error if is_wrapped else error
    span.set_attribute(semconv.ERROR_TYPE, fq_exception_type(raised))
    if include_content:
        set_status = span.set_status
        span.set_status = lambda status, description=None: set_status(  # type: ignore[method-assign]
            status, description or str(raised)
        )

"""Pydantic AI's own spans of agents, calls of models and tools, which are off by themselves."""

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import TracerProvider
from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings


def switch_on(provider: TracerProvider, *, with_content: bool) -> None:
    """Trace every agent, unless the program said itself how."""
    if Agent._instrument_default is False:  # noqa: SLF001
        settings = InstrumentationSettings(
            tracer_provider=provider,
            meter_provider=NoOpMeterProvider(),
            include_content=with_content,
            include_binary_content=False,
        )
        Agent.instrument_all(settings)

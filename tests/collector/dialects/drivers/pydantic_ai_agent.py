"""An agent on Pydantic AI with its own spans: in 1 the first version of them, then the newest."""

import contextlib
import importlib.metadata

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from pydantic_ai import Agent, InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
is_first = importlib.metadata.version("pydantic-ai-slim").startswith("1.")
first = {"version": 1, "event_mode": "attributes"} if is_first else {}
Agent.instrument_all(InstrumentationSettings(tracer_provider=provider, **first))
forecaster = Agent(
    OpenAIChatModel("m"),
    name="forecaster",
    instructions="Be brief.",
    model_settings={"temperature": 0.5},
)


@forecaster.tool_plain
def weather(city: str) -> str:
    """The weather."""
    if is_down:
        raise LookupError(city)
    return "sunny"


for is_down in (False, True):
    with contextlib.suppress(LookupError):
        forecaster.run_sync("How is the weather?")

"""An agent on Pydantic AI with its first version of its own spans."""

import contextlib

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from pydantic_ai import Agent, InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
forecaster = Agent(
    OpenAIChatModel("m"),
    name="forecaster",
    instructions="Be brief.",
    model_settings={"temperature": 0.5},
    instrument=InstrumentationSettings(
        tracer_provider=provider, version=1, event_mode="attributes"
    ),
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

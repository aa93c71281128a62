"""The agent as Arize Phoenix's users trace it."""

from forecaster import ask_twice
from openinference.instrumentation import TracerProvider, using_attributes
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
OpenAIInstrumentor().instrument(tracer_provider=provider)
tracer = provider.get_tracer("forecasts")
ask_twice(
    agent=tracer.agent(name="forecaster"),
    tool=tracer.tool,
    about=lambda: using_attributes(session_id="talk-7", user_id="ada"),
)

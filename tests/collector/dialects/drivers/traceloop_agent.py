"""The agent as OpenLLMetry's users trace it."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import agent, tool

Traceloop.init(
    app_name="forecasts",
    exporter=OTLPSpanExporter(),
    disable_batch=True,
    telemetry_enabled=False,
)

from forecaster import ask_twice

Traceloop.set_association_properties({"user_id": "ada", "session_id": "talk-7"})
ask_twice(agent=agent(name="forecaster"), tool=tool(name="weather"))

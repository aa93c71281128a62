"""The agent as OpenLIT's users trace it."""

import os

import openlit
from forecaster import ask_twice

openlit.init(
    application_name="forecasts",
    otlp_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
    disable_batch=True,
    disable_metrics=True,
    disabled_instrumentors=["httpx"],
    pricing_json=os.environ["PRICES"],
)
ask_twice(agent=openlit.trace, tool=openlit.trace, told={"user": "ada"})

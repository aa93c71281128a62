"""What a traced program may be traced by; each is switched on as its documentation says.

All send OTLP/HTTP to ``OTEL_EXPORTER_OTLP_ENDPOINT`` and make spans alone, no metrics, which
spanlore does not make. A peer stands in an environment of its own, without spanlore: what a system
needs is imported where it is switched on.

``spanlore-PART`` is spanlore as far as that part: what comes behind it is left out.
"""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from typing import Any

# In the order in which a span comes through them; the last is the sending.
SPANLORE_PARTS = ("tracer", "outbox", "encoding", "redaction", "journal")
_FLUSH_S = 30
_FLUSH_MS = 30_000

On = tuple[Any, Callable[[], Any]]


def switch_on(system: str) -> On:
    """Switch a system on; give its tracer, and what sends all that was made."""
    name, _, part = system.partition("-")
    return _spanlore_as_far_as(part) if part else _SYSTEMS[name]()


def _none() -> On:
    from opentelemetry.trace import NoOpTracerProvider

    return NoOpTracerProvider().get_tracer("bench"), lambda: None


def _sdk() -> On:
    """Give the SDK alone: spans are made, and nobody is told."""
    from opentelemetry.sdk.trace import TracerProvider

    return TracerProvider().get_tracer("bench"), lambda: None


def _stock() -> On:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("bench"), provider.force_flush


def _spanlore() -> On:
    import spanlore.auto
    from spanlore.instrumentation.switch import pipeline

    made = pipeline()
    if made is None:
        raise SystemExit(f"{spanlore.auto.__name__} did not switch tracing on")
    return made.tracer_provider.get_tracer("bench"), lambda: made.outbox.flush(_FLUSH_S)


def _openllmetry() -> On:
    from traceloop.sdk import Traceloop  # type: ignore[import-not-found, unused-ignore]

    os.environ |= {"TRACELOOP_METRICS_ENABLED": "false", "TRACELOOP_TELEMETRY": "false"}
    with redirect_stdout(sys.stderr):
        Traceloop.init(app_name="bench", api_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])
    return _of_provider()


def _openlit() -> On:
    import openlit  # type: ignore[import-not-found, unused-ignore]

    with redirect_stdout(sys.stderr):
        openlit.init(service_name="bench", disable_metrics=True)
    return _of_provider()


def _of_provider() -> On:
    from opentelemetry import trace

    provider: Any = trace.get_tracer_provider()
    return provider.get_tracer("bench"), lambda: provider.force_flush(_FLUSH_MS)


def _spanlore_as_far_as(part: str) -> On:
    """Switch spanlore on, without all that comes behind a part."""
    from spanlore.instrumentation import attribute_bytes, pipeline, span_bytes
    from spanlore.instrumentation.answer import TAKEN
    from spanlore.instrumentation.outbox import Outbox

    left_out = SPANLORE_PARTS[SPANLORE_PARTS.index(part) + 1 :]
    code: Any = pipeline
    of_texts: Any = attribute_bytes
    of_spans: Any = span_bytes
    code.sender = lambda _: lambda *_, **__: TAKEN
    if "journal" in left_out:
        os.environ["SPANLORE_JOURNAL"] = "off"
    if "redaction" in left_out:
        of_texts.without_secrets = lambda text: text
        of_spans.texts_with_secrets = lambda _: []
    if "encoding" in left_out:
        code.span_request = lambda _: b""
    if "outbox" in left_out:
        Outbox.began = Outbox.put = lambda *_: None  # type: ignore[method-assign, assignment]
    return _spanlore()


_SYSTEMS: Mapping[str, Callable[[], On]] = {
    "none": _none,
    "sdk": _sdk,
    "stock": _stock,
    "spanlore": _spanlore,
    "openllmetry": _openllmetry,
    "openlit": _openlit,
}

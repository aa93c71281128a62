"""The program that is measured: makes spans at a pace, and comes to an end of the kind asked for.

``python benchmarks/traced_program.py SYSTEM SPANS RATE END``, where SYSTEM is none, stock or
spanlore. Says on stdout how many spans have ended, and last what CPU the spans took.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import NoOpTracerProvider, Tracer

from corpus import agent_corpus

_SEED = 11
_KINDS_OF_SPANS = 200
_FLUSH_S = 30


def main() -> None:
    """Make the spans, then end."""
    system, spans, rate, end = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    attributes = _attributes()
    tracer, flush = _SYSTEMS[system]()
    _spans(tracer, attributes, spans=200, rate=rate, says=False, name="warm")
    flush()
    cpu_s = time.process_time()
    if end == "fork":
        _in_child(tracer, attributes, spans=spans, rate=rate)
    else:
        _spans(tracer, attributes, spans=spans, rate=rate, says=end != "cpu", name="span")
    if end == "cpu":
        flush()
        print((time.process_time() - cpu_s) / spans * 1e6, flush=True)
    elif end == "sigterm":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_FLUSH_S)
    elif end == "_exit":
        os._exit(0)


def _spans(
    tracer: Tracer,
    attributes: list[dict[str, Any]],
    *,
    spans: int,
    rate: float,
    says: bool,
    name: str,
) -> None:
    begun = time.monotonic()
    for number in range(spans):
        span = tracer.start_span(f"{name} {number}")
        span.set_attributes(attributes[number % len(attributes)])
        span.end()
        if says:
            os.write(1, b"%d\n" % (number + 1))
        time.sleep(max(0.0, begun + (number + 1) / rate - time.monotonic()))


def _in_child(tracer: Tracer, attributes: list[dict[str, Any]], *, spans: int, rate: float) -> None:
    """Work as a server's worker does that is replaced: in a child that leaves by `os._exit`."""
    child = os.fork()
    if child == 0:
        _spans(tracer, attributes, spans=spans, rate=rate, says=True, name="span")
        os._exit(0)
    os.waitpid(child, 0)


def _attributes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for body in agent_corpus(_KINDS_OF_SPANS, seed=_SEED).requests:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                found += [_values(span.attributes) for span in scope.spans]
    return found


def _values(attributes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        if kind == "array_value":
            value = [part.string_value for part in value.values]
        values[each.key] = value
    return values


def _none() -> tuple[Tracer, Callable[[], Any]]:
    return NoOpTracerProvider().get_tracer("bench"), lambda: None


def _stock() -> tuple[Tracer, Callable[[], Any]]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("bench"), provider.force_flush


def _spanlore() -> tuple[Tracer, Callable[[], Any]]:
    import spanlore.auto
    from spanlore.instrumentation.switch import pipeline

    made = pipeline()
    if made is None:
        raise SystemExit(f"{spanlore.auto.__name__} did not switch tracing on")
    return made.tracer_provider.get_tracer("bench"), lambda: made.outbox.flush(_FLUSH_S)


_SYSTEMS: Mapping[str, Callable[[], tuple[Tracer, Callable[[], Any]]]] = {
    "none": _none,
    "stock": _stock,
    "spanlore": _spanlore,
}

if __name__ == "__main__":
    main()

"""Which spans stand below a run, and whose they are."""

from spanlore.instrumentation.pipeline import SCOPE
from tests.instrumentation.traced import Collector

OFFICIAL = "opentelemetry.instrumentation.genai."


def below(there: Collector) -> dict[str, list[str]]:
    """Return what stands below each run, by the run's agent: names of spans, ours marked."""
    # Some bring an exporter to the same endpoint, so that a span comes twice.
    spans = {span.span_id: (scope, span) for scope, span in there.scoped_spans()}
    runs: dict[bytes, str] = {}
    found: dict[str, list[str]] = {}
    for scope, span in sorted(spans.values(), key=lambda each: each[1].start_time_unix_nano):
        if scope == SCOPE:
            runs[span.span_id] = span.name.removeprefix("invoke_agent ")
        elif span.parent_span_id in runs:
            name = f"our {span.name}" if scope.startswith(OFFICIAL) else span.name
            found.setdefault(runs[span.parent_span_id], []).append(name)
    return found

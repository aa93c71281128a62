"""The outcome a recording gives a run, as the judgement event of the GenAI conventions."""

import hashlib
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import (
    SEVERITY_NUMBER_INFO,
    LogRecord,
    ResourceLogs,
    ScopeLogs,
)

from spanlore.instrumentation.history import json_text
from spanlore.instrumentation.history.attributes import Value, attributes, extra_attributes
from spanlore.instrumentation.history.outcomes import label_and_score, members_of
from spanlore.instrumentation.history.spans import identity, span_id
from spanlore.instrumentation.history.trajectory import Trajectory
from spanlore.schemas import semconv
from spanlore.schemas.types import JUDGEMENT_SOURCES

_SOURCES = {source: source for source in JUDGEMENT_SOURCES} | {
    "annotator": "human",
    "customer": "end_user",
    "env": "environment",
    "judge": "llm",
    "model": "llm",
    "reviewer": "human",
    "test": "code",
    "tests": "code",
    "user": "end_user",
}
# What scores a recorded run and does not say who it is, is the environment the run was made in.
_SOURCE_UNKNOWN = "environment"


def judgement_of(run: Trajectory) -> LogRecord | None:
    """Return the event that says how the run came out, None where the recording does not say."""
    outcome = members_of(run.outcome)
    label, score = label_and_score(outcome)
    if run.unknown_label is not None or (label is None and score is None):
        return None
    source = json_text.text_of(outcome.get("source"))
    known = _SOURCES.get((source or "").strip().lower())
    identifier = hashlib.sha256(run.trace_id + b"outcome").hexdigest()[:32]
    values: dict[str, Value] = {
        semconv.EVALUATION_NAME: semconv.EVALUATION_TASK_SUCCESS,
        semconv.EVALUATION_SCORE: score,
        semconv.EVALUATION_LABEL: label,
        semconv.EVALUATION_EXPLANATION: _explanation(outcome, None if known else source),
        semconv.JUDGEMENT_SOURCE: known or _SOURCE_UNKNOWN,
        semconv.JUDGEMENT_ID: identifier,
        semconv.TIME_UNKNOWN: None if run.times.known else True,
        **identity(run),
        **extra_attributes(_rest(outcome), prefix="outcome."),
    }
    return _record(run.trace_id, span_id(run.trace_id, 0), at_ns=run.times.end_ns, values=values)


def evaluation_event(trace_id: bytes, *, at_ns: int, values: Mapping[str, Value]) -> bytes:
    """Return an export request with one judgement of a run, said at ``at_ns`` (Unix ns)."""
    scope = ScopeLogs(log_records=[_record(trace_id, b"", at_ns=at_ns, values=values)])
    request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[scope])])
    return request.SerializeToString()


def _record(
    trace_id: bytes, judged_span_id: bytes, *, at_ns: int, values: Mapping[str, Value]
) -> LogRecord:
    return LogRecord(
        time_unix_nano=at_ns,
        observed_time_unix_nano=at_ns,
        severity_number=SEVERITY_NUMBER_INFO,
        event_name=semconv.EVENT_EVALUATION,
        trace_id=trace_id,
        span_id=judged_span_id,
        attributes=attributes(values),
    )


def _explanation(outcome: Mapping[str, Any], unknown_source: str | None) -> str | None:
    given = outcome.get("explanation", outcome.get("reason"))
    source = None if unknown_source is None else f"source: {unknown_source}"
    said = [text for text in (json_text.text_of(given), source) if text]
    return "; ".join(said) or None


def _rest(outcome: Mapping[str, Any]) -> dict[str, Any]:
    read = {"label", "score", "source", "explanation"} | (
        set() if "explanation" in outcome else {"reason"}
    )
    return {key: value for key, value in outcome.items() if key not in read}

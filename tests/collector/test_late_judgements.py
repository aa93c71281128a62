"""Feedback that names an answer or a conversation finds the run that it is about."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanlore.collector.late_judgements import place_judgements
from spanlore.schemas import semconv, tables
from spanlore.schemas.store import Store
from tests.loaded_runs import load_requests
from tests.schemas.segments import RECEIVED_NS

SECOND_NS = 10**9


def attributes(said: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in said.items()]


def run(number: int, *, begun_s: int, tenant: str = "acme") -> bytes:
    begun_ns = RECEIVED_NS + begun_s * SECOND_NS
    said = {
        semconv.OPERATION_NAME: semconv.OP_CHAT,
        semconv.RESPONSE_ID: f"answer-{number}",
        semconv.CONVERSATION_ID: "talk",
        semconv.TENANT_ID: tenant,
    }
    span = Span(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        name="chat",
        start_time_unix_nano=begun_ns,
        end_time_unix_nano=begun_ns + SECOND_NS,
        attributes=attributes(said),
    )
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.append(span)
    return request.SerializeToString()


def feedback(at_s: int, score: str = "1", tenant: str = "acme", **about: str) -> bytes:
    names = {"response": semconv.RESPONSE_ID, "conversation": semconv.CONVERSATION_ID}
    said = {
        semconv.EVALUATION_NAME: semconv.EVALUATION_USER_FEEDBACK,
        semconv.EVALUATION_SCORE: score,
        semconv.JUDGEMENT_SOURCE: "end_user",
        semconv.JUDGEMENT_ID: f"of {about}",
        semconv.TENANT_ID: tenant,
        **{names[name]: text for name, text in about.items()},
    }
    record = LogRecord(
        time_unix_nano=RECEIVED_NS + at_s * SECOND_NS,
        event_name=semconv.EVENT_EVALUATION,
        attributes=attributes(said),
    )
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.append(record)
    return request.SerializeToString()


def placed(store: Store) -> list[tuple[int, float]]:
    """Place what can be placed, and return the numbers of the runs with their scores."""
    place_judgements(store, now_ns=RECEIVED_NS + SECOND_NS)
    rows = store.query(f"SELECT TraceId, Score FROM {tables.JUDGEMENTS} FINAL ORDER BY TraceId")
    return [(int(row["TraceId"], 16), row["Score"]) for row in rows]


@pytest.fixture
def conversation(store: Store, tmp_path: Path) -> Store:
    runs = [run(1, begun_s=0), run(2, begun_s=100), run(3, begun_s=200)]
    load_requests(store, tmp_path, traces=runs)
    return store


def test_feedback_on_an_answer_is_of_the_run_that_gave_it(
    conversation: Store, tmp_path: Path
) -> None:
    load_requests(conversation, tmp_path, logs=[feedback(500, response="answer-2")])
    assert placed(conversation) == [(2, 1.0)]
    assert placed(conversation) == [(2, 1.0)]


def test_feedback_on_a_conversation_is_of_its_latest_run_by_then(
    conversation: Store, tmp_path: Path
) -> None:
    load_requests(conversation, tmp_path, logs=[feedback(150, conversation="talk")])
    assert placed(conversation) == [(2, 1.0)]


def test_a_later_word_replaces_the_earlier(conversation: Store, tmp_path: Path) -> None:
    load_requests(conversation, tmp_path, logs=[feedback(500, response="answer-2")])
    assert placed(conversation) == [(2, 1.0)]
    load_requests(conversation, tmp_path, logs=[feedback(600, "0", response="answer-2")])
    assert placed(conversation) == [(2, 0.0)]


def test_feedback_that_comes_before_its_run_waits_for_it(store: Store, tmp_path: Path) -> None:
    load_requests(store, tmp_path, logs=[feedback(500, response="answer-7")])
    assert placed(store) == []
    load_requests(store, tmp_path, traces=[run(7, begun_s=10)])
    assert placed(store) == [(7, 1.0)]


@pytest.mark.parametrize(("tenant", "found"), [("other", []), (semconv.DEFAULT_TENANT, [(2, 1.0)])])
def test_a_tenant_judges_no_run_of_another(
    tenant: str, found: list[tuple[int, float]], conversation: Store, tmp_path: Path
) -> None:
    said = feedback(500, tenant=tenant, response="answer-2")
    load_requests(conversation, tmp_path, logs=[said])
    assert placed(conversation) == found

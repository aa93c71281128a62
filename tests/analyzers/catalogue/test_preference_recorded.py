"""Recorded runs have no preferences planted: nothing is to be believed, and nothing silly said."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanlore.analyzers.catalogue.preference_override import preference_hypotheses
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.preferences.slot_changes import given_by
from spanlore.analyzers.preferences.slot_choices import (
    ProposingRun,
    SlotChoice,
    choices_of_thread,
    slot_choices,
)
from spanlore.analyzers.preferences.slot_facts import ProposingCall
from spanlore.analyzers.runs.calls import parsed
from spanlore.analyzers.window import Window
from spanlore.instrumentation.history.spans import spans_of
from spanlore.instrumentation.history.trajectory import trajectory_of
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS, TRACES
from tests.analyzers import recorded

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IMPORTED_RUNS = 60


def from_lines(runs: list[dict[str, Any]]) -> list[SlotChoice]:
    """Read the choices from the lines alone, without spans and without the store."""
    choices: list[SlotChoice] = []
    for number, line in enumerate(runs):
        task = line["task"]
        run = ProposingRun(
            trace_id=line["trace_id"],
            version=1,
            tenant=line.get("tenant_id") or "default",
            user=line.get("user_id") or "",
            session="",
            start_ns=number,
            agent=line["agent"]["name"],
            task=f"{task['type']}/{task['id']}",
            task_type=task["type"],
        )
        for tool, calls in calls_of_lines(line).items():
            choices += choices_of_thread([(run, {}, calls)], tool, {})
    return choices


def calls_of_lines(line: dict[str, Any]) -> dict[str, list[ProposingCall]]:
    answers = {id(call): answer for call, answer in recorded.answered_calls(line)}
    by_tool: dict[str, list[ProposingCall]] = {}
    said = 0
    for position, message in enumerate(line["messages"]):
        said += message["role"] == "user"
        for call in message.get("tool_calls") or []:
            tool, answer = call["function"]["name"], answers[id(call)]
            if answer is None:
                continue
            made = ProposingCall(
                start_ns=position,
                turn=said,
                failed=bool(answer.get("is_error")),
                given=given_by(tool, parsed(call["function"]["arguments"])),
            )
            by_tool.setdefault(tool, []).append(made)
    return by_tool


def test_recorded_runs_confirm_no_preference_and_tell_none() -> None:
    choices = from_lines(list(recorded.trajectories()))
    assert len(choices) > 2000
    assert 0 < sum(one.overridden for one in choices) < 30
    assert findings_of(list(preference_hypotheses(choices))) == []


def test_looking_up_another_id_is_not_an_override() -> None:
    choices = from_lines(list(recorded.trajectories()))
    changed = {one.field for one in choices if one.overridden}
    assert not changed & {"/id", "/reservation_id", "/user_id", "/expression"}


def text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    return "" if kind is None or kind == "array_value" else str(getattr(value, kind))


def rows(spans: Iterator[Span]) -> Iterator[dict[str, Any]]:
    for span in spans:
        at = datetime(1970, 1, 1, tzinfo=UTC)
        yield {
            "TraceId": span.trace_id.hex(),
            "SpanId": span.span_id.hex(),
            "ParentSpanId": span.parent_span_id.hex(),
            "Timestamp": at + timedelta(microseconds=span.start_time_unix_nano // 1000),
            "Duration": span.end_time_unix_nano - span.start_time_unix_nano,
            "StatusCode": "Error" if span.status.code else "",
            "SpanAttributes": {each.key: text(each.value) for each in span.attributes},
        }


def test_imported_spans_say_the_same_as_the_lines(store: Store) -> None:
    lines = list(islice(recorded.trajectories(), IMPORTED_RUNS))
    spans: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for number, line in enumerate(lines):
        made = trajectory_of(line, {key: each for key, each in line.items() if key != "trace_id"})
        line["trace_id"] = made.trace_id.hex()
        spans += rows(spans_of(made))
        run = {
            "TenantId": "default",
            "TraceId": line["trace_id"],
            "UserId": line.get("user_id") or "",
            "TaskType": line["task"]["type"],
            "TaskId": line["task"]["id"],
            "AgentName": line["agent"]["name"],
            "StartedAt": NOW + timedelta(hours=number),
            "TimeUnknown": 1,
            "LastReceivedAt": NOW,
            "Version": 1,
        }
        runs.append(run)
    store.insert(TRACES, spans)
    store.insert(RUNS, runs)

    def said(choices: list[SlotChoice]) -> Counter[tuple[str, ...]]:
        return Counter((one.trace_id, *one.slot.json().values(), one.final) for one in choices)

    extract_pending(store, Window())
    from_spans = slot_choices(store, Window())
    assert said(from_spans) == said(from_lines(lines))
    assert len(from_spans) > 100

"""Recorded runs have no preferences planted: nothing is to be believed, and nothing silly said."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanlore.analyzers.core import findings_of
from spanlore.analyzers.preference_override import preference_hypotheses
from spanlore.analyzers.slot_choices import SlotChoice, choices_of, slot_choices
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
    calls, turns = [], []
    for number, run in enumerate(runs):
        answers = {id(call): answer for call, answer in recorded.answered_calls(run)}
        said, last = 0, ""
        for position, message in enumerate(run["messages"]):
            if message["role"] == "user":
                said, last = said + 1, str(message["content"])
            heard = {"StartNs": position, "Said": said, "Last": hash(last)}
            turns.append({"TraceId": run["trace_id"], **heard})
            calls += [
                {
                    "TraceId": run["trace_id"],
                    "TenantId": run.get("tenant_id") or "default",
                    "UserId": run.get("user_id") or "",
                    "SessionId": "",
                    "TaskType": run["task"]["type"],
                    "TaskId": run["task"]["id"],
                    "AgentName": run["agent"]["name"],
                    "RunStartNs": number,
                    "TimeUnknown": 1,
                    "StartNs": position,
                    "ToolName": call["function"]["name"],
                    "Arguments": call["function"]["arguments"],
                    "Failed": int(bool((answers[id(call)] or {}).get("is_error"))),
                }
                for call in message.get("tool_calls") or []
                if answers[id(call)] is not None
            ]
    return list(choices_of(calls, turns=turns, overrides=[], segments={}))


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

    from_spans = slot_choices(store, Window())
    assert said(from_spans) == said(from_lines(lines))
    assert len(from_spans) > 100

"""Rows of runs in which an agent proposes values, as collector and sealing job write them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.preferences.slot_choices import SlotChoice
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import OVERRIDES
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS, TRACES

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class MadeRun:
    """A run: who, when, and its steps, each a number of user messages or (tool, arguments, ok)."""

    trace_id: str
    steps: Sequence[Any]
    tenant: str = "acme"
    user: str = "ana"
    session: str = ""
    minute: float = 0
    segments: Mapping[str, str] | None = None

    @property
    def at(self) -> datetime:
        return START + timedelta(minutes=self.minute)

    def row(self) -> dict[str, Any]:
        return {
            "TenantId": self.tenant,
            "TraceId": self.trace_id,
            "RootSpanId": "root",
            "UserId": self.user,
            "SessionId": self.session,
            "TaskType": "schedule",
            "TaskId": "",
            "AgentName": "assistant",
            "StartedAt": self.at,
            "LastReceivedAt": self.at,
            "SealedAt": self.at,
            "Version": 1,
        }

    def spans(self) -> Iterable[dict[str, Any]]:
        segments = {f"spanlore.segment.{k}": v for k, v in (self.segments or {}).items()}
        yield self._span("root", 0, Op="invoke_agent", SpanAttributes={**segments, "x": "y"})
        for number, step in enumerate(self.steps, start=1):
            if isinstance(step, tuple):
                tool, arguments, works = step
                yield self._span(
                    f"s{number}",
                    number,
                    Op="execute_tool",
                    ToolName=tool,
                    ToolArguments=json.dumps(arguments),
                    StatusCode="Ok" if works else "Error",
                )
            else:
                messages = user_messages(step) if isinstance(step, int) else step
                said = {"gen_ai.input.messages": json.dumps(messages)}
                yield self._span(f"s{number}", number, Op="chat", SpanAttributes=said)

    def _span(self, span_id: str, step: int, **values: Any) -> dict[str, Any]:
        row = {
            "TenantId": self.tenant,
            "TraceId": self.trace_id,
            "SpanId": span_id,
            "Timestamp": self.at + timedelta(seconds=step),
            "Op": "",
            "ToolName": "",
            "ToolArguments": "",
            "StatusCode": "",
            "SpanAttributes": {},
        }
        return {**row, **values}


def user_messages(number: int) -> list[dict[str, Any]]:
    """Return a history in which the user spoke so often, with what else stands in one."""
    history: list[dict[str, Any]] = []
    for turn in range(number):
        said = f'no, {turn}. What is "role":"user" to you?'
        history += [
            {"role": "user", "parts": [{"type": "text", "content": said}]},
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "name": "t", "arguments": {"role": "user"}}],
            },
            {"role": "user", "parts": [{"type": "tool_call_response", "response": "done"}]},
        ]
    return history


def write(store: Store, runs: Sequence[MadeRun], events: Sequence[Mapping[str, Any]] = ()) -> None:
    """Store runs with their spans and events about them, and read them as a round of learning."""
    store.insert(RUNS, [run.row() for run in runs])
    store.insert(TRACES, [span for run in runs for span in run.spans()])
    store.insert(OVERRIDES, [dict(event) for event in events])
    extract_pending(store, Window())


def event(
    trace_id: str, field: str, original: str, replacement: str, **more: Any
) -> dict[str, Any]:
    return {
        "TenantId": "acme",
        "TraceId": trace_id,
        "UserId": "ana",
        "Target": "tool_argument",
        "ToolName": "create_event",
        "Field": field,
        "Original": original,
        "Replacement": replacement,
        "Actor": "user",
        "OverrideId": "",
        "At": START,
        **more,
    }


def runs_of(choices: Sequence[SlotChoice]) -> tuple[list[MadeRun], list[dict[str, Any]]]:
    """Return rows that say the same as these choices: calls with arguments, and events."""
    by_run: dict[str, list[SlotChoice]] = {}
    for choice in choices:
        by_run.setdefault(choice.trace_id, []).append(choice)
    runs, events = [], []
    for number, (trace_id, made) in enumerate(by_run.items()):
        first = made[0]
        calls: dict[str, dict[str, Any]] = {}
        for choice in made:
            keys = choice.field.strip("/").split("/")
            inner = calls.setdefault(choice.tool, {})
            for key in keys[:-1]:
                inner = inner.setdefault(key, {})
            inner[keys[-1]] = _argument(choice, choice.proposed)
            if choice.overridden:
                events.append(
                    event(
                        trace_id,
                        choice.field,
                        json.dumps(_argument(choice, choice.proposed)),
                        json.dumps(_argument(choice, choice.final)),
                        TenantId=choice.tenant,
                        UserId=choice.user,
                        ToolName=choice.tool,
                    )
                )
        runs.append(
            MadeRun(
                trace_id=trace_id,
                tenant=first.tenant,
                user=first.user,
                session=first.session,
                minute=number * 90,
                segments=first.segments,
                steps=[1, *((tool, arguments, True) for tool, arguments in calls.items())],
            )
        )
    return runs, events


def _argument(choice: SlotChoice, text: str) -> str:
    return f"2026-03-04T{text}" if choice.part == "time_of_day" else text

"""Made-up runs of an assistant that proposes a time, with a memory and without."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from spanlore.schemas.learning_tables import EXPOSURES, OVERRIDES
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS, TRACES
from spanlore.schemas.types import Lesson

START = datetime(2024, 5, 1, tzinfo=UTC)
NOW = START + timedelta(days=400)
SLOT = {"tool": "create_event", "field": "/start", "part": "time_of_day"}


def memory(scope: Any = "tenant", key: str = "acme", **also: Any) -> Lesson:
    known: dict[str, Any] = {
        "lesson_id": "m1",
        "layer": "context",
        "scope": scope,
        "scope_key": key,
        "tenant": "acme",
        "kind": "memory",
        "title": "t",
        "body": "b",
        "patch": None,
        "base_path": None,
        "base_hash": None,
        "findings": (),
        "evidence": (),
        "state": "rolled_out",
        "content": {"slot": SLOT, "value": "10:00", "instead_of": "09:00"},
    }
    return Lesson(**(known | also))


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """A run in which the agent proposed 09:00, and perhaps the user wanted 10:00."""

    number: int
    user: str
    arm: str = ""
    changed: bool = False
    outcome: str = "pass"
    tenant: str = "acme"
    day: int = 0
    proposes: bool = True

    @property
    def trace_id(self) -> str:
        return f"{self.number:032x}"

    @property
    def at(self) -> datetime:
        return START + timedelta(days=self.day, minutes=self.number)

    @property
    def identity(self) -> dict[str, Any]:
        return {"TenantId": self.tenant, "TraceId": self.trace_id}

    def run(self) -> dict[str, Any]:
        return {
            **self.identity,
            "UserId": self.user,
            "RootSpanId": f"{self.number:016x}",
            "SessionId": f"s{self.number}",
            "State": "sealed",
            "TaskType": "meeting",
            "TaskId": str(self.number % 4),
            "AgentName": "assistant",
            "Outcome": self.outcome,
            "StartedAt": self.at,
            "LastReceivedAt": self.at,
            "Version": 1,
        }

    def call(self) -> dict[str, Any]:
        return {
            **self.identity,
            "SpanId": f"{self.number:015x}c",
            "Timestamp": self.at,
            "Op": "execute_tool",
            "ToolName": SLOT["tool"] if self.proposes else "look",
            "ToolArguments": '{"start": "2024-05-01T09:00"}',
            "ToolResult": "{}",
            "StatusCode": "Ok",
        }

    def override(self) -> dict[str, Any]:
        return {
            **self.identity,
            "SpanId": "",
            "UserId": self.user,
            "Target": "tool_argument",
            "ToolName": SLOT["tool"],
            "Field": SLOT["field"],
            "Original": '"2024-05-01T09:00"',
            "Replacement": '"2024-05-01T10:00"',
            "Actor": "user",
            "OverrideId": str(self.number),
            "At": self.at,
        }

    def exposure(self) -> dict[str, Any]:
        return {
            **self.identity,
            "UserId": self.user,
            "LessonId": "m1",
            "LessonVersion": 3,
            "Arm": self.arm,
            "At": self.at,
        }


def stored(store: Store, meetings: Iterable[Meeting]) -> None:
    all_of_them = list(meetings)
    store.insert(RUNS, [one.run() for one in all_of_them])
    store.insert(TRACES, [one.call() for one in all_of_them])
    store.insert(OVERRIDES, [one.override() for one in all_of_them if one.changed])
    store.insert(EXPOSURES, [one.exposure() for one in all_of_them if one.arm])

"""Lessons as they stand, and findings for them, for tests of what becomes of them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from spanlore.analyzers.lessons.consolidation import Consolidated, Known, consolidate
from spanlore.schemas.lesson_state import LessonEvent, transition
from spanlore.schemas.types import Finding, Lesson

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SLOT = {"tool": "create_event", "field": "/start", "part": "time_of_day"}


def finding(finding_id: str, *, k: int = 10, confirmed: bool = True, **detail: Any) -> Finding:
    return Finding(
        finding_id=finding_id,
        analyzer="preference_override",
        title="t",
        n=k,
        k=k,
        effect=None,
        interval=None,
        p=None,
        q=None,
        adjusted_for=(),
        confirmed=confirmed,
        evidence=(),
        counter_evidence=(),
        detail=detail,
    )


def memory(
    lesson_id: str,
    value: str = "10:00",
    *,
    tenant: str = "acme",
    user: str = "ana",
    scope: str = "user",
    state: str = "proposed",
    **changes: Any,
) -> Lesson:
    """A memory of a user, a tenant or all, as it is in a state."""
    key = {"user": user, "tenant": tenant, "global": ""}[scope]
    lesson = Lesson(
        lesson_id=lesson_id,
        layer="context",
        scope=scope,  # type: ignore[arg-type]
        scope_key=key,
        tenant="" if scope == "global" else tenant,
        kind="memory",
        title=value,
        body=f"propose {value}",
        patch=None,
        base_path=None,
        base_hash=None,
        findings=(f"finding of {lesson_id}",),
        evidence=(f"trace of {lesson_id}",),
        content={"slot": SLOT, "value": value, "instead_of": None},
    )
    return replace(in_state(lesson, state), **changes)


def in_state(lesson: Lesson, state: str, *, human: bool = False, day: int = 0) -> Lesson:
    """Take a lesson down its road; "approved by ada" is one that a person approved."""
    if state == "proposed":
        return lesson
    at = NOW - timedelta(days=60 - day)
    passed = LessonEvent(kind="evaluate", by="learn", at=at, detail={"verdict": "pass"})
    lesson = transition(lesson, passed)
    if state == "evaluated":
        return lesson
    is_human = human or state.endswith("ada") or lesson.scope != "user"
    lesson = transition(lesson, LessonEvent(kind="approve", by="ada", at=at, human=is_human))
    return lesson if state.startswith("approved") else replace(lesson, state=state)


def known(*lessons: Lesson, **changes: Any) -> Known:
    """All is well with these lessons: proposed one after the other, their findings confirmed."""
    findings = [finding(one) for lesson in lessons for one in lesson.findings]
    values: dict[str, Any] = {
        "lessons": {one.lesson_id: one for one in lessons},
        "findings": {one.finding_id: one for one in findings},
        "analyzer_of": {one.finding_id: one.analyzer for one in findings},
        "since": {
            one.lesson_id: NOW - timedelta(days=50 - number) for number, one in enumerate(lessons)
        },
        "complete": frozenset({"preference_override"}),
        "now": NOW,
    }
    return Known(**{**values, **changes})


def ends(said: Consolidated) -> dict[str, tuple[str, str]]:
    return {one.lesson_id: (one.kind, one.successor) for one in said.endings}


def applied(state: Known, said: Consolidated) -> Known:
    """Let what was said happen, by the rules of lessons."""
    lessons: Mapping[str, Lesson] = dict(state.lessons)
    for one in said.endings:
        event = LessonEvent(kind=one.kind, by="learn", at=state.now)
        lessons = {**lessons, one.lesson_id: transition(lessons[one.lesson_id], event)}
    return replace(state, lessons=lessons)


def settled(state: Known) -> Known:
    return applied(state, consolidate(state))

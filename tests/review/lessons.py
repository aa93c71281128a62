"""Lessons as a test needs them, and the road to where they may be delivered."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spanlore.review.change import Caller, Proposal
from spanlore.review.desk import Desk
from spanlore.review.shelf import Standing
from spanlore.schemas.lesson_records import lesson_json
from spanlore.schemas.types import Arm, Effect, Lesson

ADA = Caller(by="ada", peer="127.0.0.1", human=True)
LEARN = Caller(by="spanlore learn", peer="127.0.0.1")
PASS: Mapping[str, Any] = {"verdict": "pass", "gate": "held_out_match", "reason": "it held", "n": 9}
MEMORY = Lesson(
    lesson_id="m1",
    layer="context",
    scope="user",
    scope_key="ann",
    tenant="acme",
    kind="memory",
    title="Meetings start at ten",
    body="Ann starts meetings at 10:00, not at 09:00.",
    patch=None,
    base_path=None,
    base_hash=None,
    findings=("f1",),
    evidence=("a" * 32,),
    content={
        "slot": {"tool": "create_event", "field": "/start", "part": "time_of_day"},
        "value": "10:00",
        "instead_of": "09:00",
    },
)
HARNESS = replace(
    MEMORY,
    lesson_id="h1",
    layer="harness",
    scope="global",
    scope_key="",
    tenant="",
    kind="tool_description",
    body="Say that times carry a zone.",
    patch="--- a/tools.json\n+++ b/tools.json\n",
    base_path="tools.json",
    base_hash="00",
    content={"tool": "create_event", "failure": {"template": "no zone"}, "says": ["With a zone."]},
)


def memory_lesson(lesson_id: str, scope: str = "user", **changes: Any) -> Lesson:
    """A memory for ann of acme, for acme, or for all."""
    whom = {"user": ("ann", "acme"), "tenant": ("acme", "acme"), "global": ("", "")}[scope]
    named: dict[str, Any] = {"scope": scope, "scope_key": whom[0], "tenant": whom[1]}
    return replace(MEMORY, lesson_id=lesson_id, **{**named, **changes})


def offered(lesson: Lesson, evaluation: Mapping[str, Any] | None = PASS) -> dict[str, Any]:
    """The body of POST /v1/proposals for one lesson."""
    said = None if evaluation is None else dict(evaluation)
    return {"by": "learn", "proposals": [{"lesson": lesson_json(lesson), "evaluation": said}]}


def approved(desk: Desk, lesson: Lesson, **detail: Any) -> Standing:
    """Take a lesson down the road to its approval by a person."""
    desk.propose([Proposal(lesson=lesson, evaluation=PASS)], [], caller=LEARN)
    return desk.happen(lesson.lesson_id, "approve", caller=ADA, detail=detail)


def effect(lesson_id: str = "m1", verdict: str = "improved", version: int = 3) -> Effect:
    return Effect(
        lesson_id=lesson_id,
        lesson_version=version,
        metric="override",
        compared_with="held_out",
        exposed=Arm(runs=40, users=9, clusters=9, events=4),
        other=Arm(runs=20, users=5, clusters=5, events=11),
        difference=-0.45,
        interval=(-0.7, -0.2),
        verdict=verdict,
        reason="fewer were overridden",
    )

"""Held-out runs decide: whose they are, what counts, and when they are too few."""

import json
from dataclasses import replace
from itertools import count

import pytest

from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.analyzers.evaluation.memory_gate import evaluate_memory, held_out, held_out_match
from spanlore.analyzers.preferences.slot_choices import SlotChoice
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import EXPOSURES
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson
from tests.analyzers.slot_rows import START, runs_of, write

SLOT = {"tool": "create_event", "field": "/start", "part": "time_of_day"}
numbers = count()


def choice(user: str, final: str, *, proposed: str = "09:30", zone: str = "tokyo") -> SlotChoice:
    number = next(numbers)
    return SlotChoice(
        tenant="acme",
        user=user,
        segments={"time_zone": zone},
        trace_id=f"{number:032x}",
        session="",
        start_ns=number,
        agent="assistant",
        task="schedule/1",
        task_type="schedule",
        tool="create_event",
        field="/start",
        part="time_of_day",
        proposed=proposed,
        final=final,
        overridden=final != proposed,
        explicit=True,
    )


def lesson(scope: str = "tenant", **selector: str) -> Lesson:
    return Lesson(
        lesson_id="lesson",
        layer="context",
        scope="user" if scope == "user" else "tenant",
        scope_key="ana" if scope == "user" else "acme",
        kind="memory",
        title="",
        body="",
        patch=None,
        base_path=None,
        base_hash=None,
        findings=(),
        evidence=(),
        tenant="acme",
        selector={name.replace("__", "."): value for name, value in selector.items()},
        content={"slot": SLOT, "value": "10:00", "instead_of": "09:30"},
    )


def users(number: int, finals: str, **more: str) -> list[SlotChoice]:
    """Return runs of users: a letter a run, y ended with the memory's value, k kept, o other."""
    texts = {"y": "10:00", "k": "09:30", "o": "16:00"}
    return [choice(f"u{user}", texts[final], **more) for user in range(number) for final in finals]


def test_other_users_than_those_of_the_discovery_decide_for_a_group() -> None:
    held = held_out(lesson(), users(40, "yk"))
    assert held
    assert not any(in_discovery_half(f"acme/{one.user}") for one in held)


def test_the_later_half_of_the_sessions_decides_for_a_user() -> None:
    own = [choice("ana", "10:00") for _ in range(5)]
    assert held_out(lesson("user"), [*own, *users(4, "y")]) == own[3:]


def test_more_sessions_never_bring_back_what_was_discovered_on() -> None:
    own = [choice("ana", "10:00") for _ in range(9)]
    for first in range(1, 9):
        discovered = {one.trace_id for one in own[: (first + 1) // 2]}
        assert not discovered & {one.trace_id for one in held_out(lesson("user"), own)}


def test_a_value_that_most_end_with_passes() -> None:
    verdict = held_out_match(lesson(), users(40, "yyyyk"))
    assert verdict["verdict"] == "pass"
    assert verdict["gate"] == "held_out_match"
    assert verdict["match"]["rate"] == pytest.approx(0.8)
    assert verdict["agent_match"]["rate"] == pytest.approx(0.2)
    assert verdict["improvement"] == pytest.approx(0.6)
    assert verdict["interval"][0] > 0
    assert "80%" in verdict["reason"]
    assert verdict["runs_needed"] is None
    assert json.loads(json.dumps(verdict)) == verdict


def test_a_value_that_most_do_not_end_with_fails() -> None:
    verdict = held_out_match(lesson(), users(40, "ykkkk"))
    assert verdict["verdict"] == "fail"
    assert verdict["interval"][1] < 0


def test_too_few_runs_are_inconclusive_and_say_how_many_it_takes() -> None:
    verdict = held_out_match(lesson("user"), [choice("ana", end) for end in ("10:00", "09:30") * 3])
    assert verdict["verdict"] == "inconclusive"
    more = held_out_match(lesson(), users(6, "yyk"))
    assert more["verdict"] == "inconclusive"
    assert more["runs_needed"] > more["n"]
    assert str(more["runs_needed"]) in more["reason"]


def test_a_value_that_beats_the_agent_but_is_seldom_right_does_not_pass() -> None:
    verdict = held_out_match(lesson(), users(200, "yyoook"))
    assert verdict["interval"][0] > 0
    assert verdict["verdict"] == "inconclusive"
    assert verdict["reason"].endswith("not in half of them")


def test_one_busy_user_does_not_decide_for_a_tenant() -> None:
    held = next(f"u{n}" for n in range(99) if not in_discovery_half(f"acme/u{n}"))
    alone = [choice(held, "10:00") for _ in range(3000)]
    verdict = held_out_match(lesson(), [*alone, *users(30, "kk")])
    assert verdict["verdict"] != "pass"


def test_nothing_held_out_is_inconclusive() -> None:
    verdict = held_out_match(lesson(), [])
    assert (verdict["verdict"], verdict["n"]) == ("inconclusive", 0)


def test_what_the_agent_proposed_rightly_counts_for_both() -> None:
    right = [replace(one, proposed="10:00", overridden=False) for one in users(40, "yy")]
    verdict = held_out_match(lesson(), right)
    assert verdict["match"]["rate"] == verdict["agent_match"]["rate"] == 1.0
    assert verdict["improvement"] == 0.0
    assert verdict["verdict"] == "inconclusive"


def test_only_runs_that_would_be_given_the_lesson_count() -> None:
    mine, others = users(40, "y"), users(40, "k", zone="berlin")
    selected = lesson(segment__time_zone="tokyo", task="schedule", agent="assistant")
    verdict = held_out_match(selected, [*mine, *others])
    assert verdict["match"]["rate"] == 1.0
    assert held_out_match(lesson(task="schedule/1"), mine)["n"] == verdict["n"]
    assert held_out_match(lesson(task="schedule/2"), mine)["n"] == 0


def test_the_store_is_counted_anew_without_runs_that_were_given_the_memory(store: Store) -> None:
    before = users(40, "yyyk")
    exposed = users(40, "kk", proposed="10:00")
    write(store, *runs_of([*before, *exposed]))
    told = [
        {
            "TenantId": "acme",
            "TraceId": one.trace_id,
            "UserId": one.user,
            "LessonId": "lesson",
            "LessonVersion": 1,
            "Arm": "exposed",
            "At": START,
        }
        for one in exposed
    ]
    store.insert(EXPOSURES, told)
    assert evaluate_memory(store, lesson(), Window()) == held_out_match(lesson(), before)


def test_a_lesson_that_says_no_value_is_inconclusive(store: Store) -> None:
    verdict = evaluate_memory(store, replace(lesson(), content={}), Window())
    assert verdict["verdict"] == "inconclusive"

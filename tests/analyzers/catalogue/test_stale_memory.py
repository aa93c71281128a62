"""Lessons that no longer help: contradicted, harmful, unused, outlived."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from spanlore.analyzers.catalogue.stale_memory import posterior, stale_memory
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.preferences.slot_values import Slot
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import EXPOSURES, LESSONS, OVERRIDES
from spanlore.schemas.lesson_records import lesson_row
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding, Lesson
from tests.analyzers.traced_runs import START, run_trace, store_facts

LESSON_ID = "a" * 32
SLOT = Slot("book", "/at", "time_of_day")


def lesson(**changes: Any) -> Lesson:
    values: dict[str, Any] = {
        "lesson_id": LESSON_ID,
        "layer": "context",
        "scope": "tenant",
        "scope_key": "acme",
        "tenant": "acme",
        "kind": "memory",
        "title": "",
        "body": "",
        "patch": None,
        "base_path": None,
        "base_hash": None,
        "findings": (),
        "evidence": (),
        "state": "rolled_out",
        "content": {"slot": SLOT.json(), "value": "10:00"},
    }
    return Lesson(**{**values, **changes})


def keep(store: Store, one: Lesson, *, at: datetime = START - timedelta(days=1)) -> None:
    """Write the lesson's approval and its state since."""
    rows = [
        lesson_row(one, at=at, version=version, by="ana") | {"State": state}
        for version, state in ((1, "approved"), (2, one.state))
    ]
    store.insert(LESSONS, rows)


def give(store: Store, traces: Sequence[RunTrace], arms: Mapping[str, str]) -> None:
    store.insert(
        EXPOSURES,
        [
            {
                "TenantId": one.tenant,
                "TraceId": one.trace_id,
                "UserId": one.user,
                "LessonId": LESSON_ID,
                "LessonVersion": 1,
                "Arm": arms[one.trace_id],
                "At": START + timedelta(hours=int(one.trace_id, 16)),
            }
            for one in traces
            if one.trace_id in arms
        ],
    )


def override(store: Store, traces: Sequence[RunTrace], replacement: str) -> None:
    store.insert(
        OVERRIDES,
        [
            {
                "TenantId": one.tenant,
                "TraceId": one.trace_id,
                "UserId": one.user,
                "Target": "tool_argument",
                "ToolName": "book",
                "Field": "at",
                "Original": json.dumps("2026-01-05T10:00"),
                "Replacement": json.dumps(replacement),
                "Actor": "user",
                "OverrideId": "",
                "At": START,
            }
            for one in traces
        ],
    )


def runs(number: int, **changes: Any) -> list[RunTrace]:
    """Return runs, an hour apart, of 30 users."""
    return [run_trace((), each, user=f"u{each % 30}", **changes) for each in range(number)]


def found(store: Store) -> Iterator[Finding]:
    for one in findings_of(list(stale_memory(store, Window()))):
        assert one.detail["lesson_id"] == LESSON_ID
        if one.confirmed:
            yield one


def kinds(store: Store) -> list[str]:
    return sorted(one.detail["kind"] for one in found(store))


def given_world(
    store: Store, seed: int, *, early: float, late: float, replacement: str = "2026-01-05T14:00"
) -> None:
    """Give the lesson to 300 runs; users change its slot at one rate early, at another late."""
    random = Random(seed)
    traces = runs(300)
    keep(store, lesson())
    store_facts(store, lambda _: (), traces, extractor="none", version="1")
    give(store, traces, {one.trace_id: "exposed" for one in traces})
    changed = [
        one
        for number, one in enumerate(traces)
        if random.random() < (late if number >= 150 else early)
    ]
    override(store, changed, replacement)


@pytest.mark.parametrize("seed", range(3))
def test_a_lesson_that_users_turn_against_is_found(store: Store, seed: int) -> None:
    given_world(store, seed, early=0.05, late=0.4)
    [one] = found(store)
    assert one.detail["kind"] == "memory_rising"
    assert one.n == 150
    assert one.effect is not None
    assert 0.2 < one.effect < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_a_lesson_that_most_users_change_is_found(store: Store, seed: int) -> None:
    given_world(store, seed, early=0.75, late=0.75)
    assert kinds(store) == ["memory_mostly_contradicted"]


@pytest.mark.parametrize("seed", range(3))
def test_a_lesson_that_is_changed_now_and_then_is_left_alone(store: Store, seed: int) -> None:
    given_world(store, seed, early=0.2, late=0.2)
    assert kinds(store) == []


def test_a_change_to_what_the_lesson_says_speaks_for_it(store: Store) -> None:
    given_world(store, 1, early=0.8, late=0.8, replacement="2026-01-06T10:00")
    assert kinds(store) == []


def test_exposures_before_the_last_approval_are_of_another_wording(store: Store) -> None:
    given_world(store, 1, early=0.8, late=0.8)
    rows = [
        lesson_row(lesson(), at=START, version=version, by="ana") | {"State": state}
        for version, state in ((3, "approved"), (4, "rolled_out"))
    ]
    store.insert(LESSONS, rows)
    assert kinds(store) == []


def outcome_world(store: Store, seed: int, *, harm: float) -> None:
    """Give the lesson to half of 400 runs by chance, and hold the others out."""
    random = Random(seed)
    arms = ["exposed" if random.random() < 0.5 else "held_out" for _ in range(400)]
    traces = [
        run_trace(
            (),
            number,
            user=f"u{number % 40}",
            task=f"t/{number % 40}",
            outcome="fail" if random.random() < 0.3 + (harm if arm == "exposed" else 0) else "pass",
        )
        for number, arm in enumerate(arms)
    ]
    keep(store, lesson(content={}))
    store_facts(store, lambda _: (), traces, extractor="none", version="1")
    give(store, traces, {one.trace_id: arm for one, arm in zip(traces, arms, strict=True)})


@pytest.mark.parametrize("seed", range(3))
def test_a_harmful_lesson_is_found_with_its_posterior(store: Store, seed: int) -> None:
    outcome_world(store, seed, harm=0.3)
    [one] = found(store)
    assert one.detail["kind"] == "memory_harmful"
    assert one.detail["posterior"]["probability_worse"] > 0.99
    assert one.adjusted_for == ("task",)
    assert len(one.evidence) == 20


@pytest.mark.parametrize("seed", range(3))
def test_a_lesson_without_effect_is_not_said_to_harm(store: Store, seed: int) -> None:
    outcome_world(store, seed, harm=0.0)
    assert kinds(store) == []


def test_the_posterior_is_that_of_two_beta_distributions() -> None:
    even = posterior(given=(10, 10), held_out=(10, 10))
    assert even["probability_worse"] == pytest.approx(0.5, abs=0.001)
    assert even["given"]["rate"] == 0.5
    worse = posterior(given=(0, 1), held_out=(1, 0))
    # P(X < Y) for X ~ Beta(1, 2), Y ~ Beta(2, 1) is 5/6.
    assert worse["probability_worse"] == pytest.approx(5 / 6, abs=0.001)


def test_a_lesson_that_no_run_of_its_scope_is_given_is_found(store: Store) -> None:
    traces = runs(300)
    keep(store, lesson(), at=START - timedelta(days=60))
    store_facts(store, lambda _: (), traces, extractor="none", version="1")
    [one] = found(store)
    assert (one.detail["kind"], one.n, one.k) == ("memory_unused", 300, 300)


@pytest.mark.parametrize(
    ("changes", "approved_days_ago"),
    [
        ({}, 5),  # too new
        ({"scope": "user", "scope_key": "nobody"}, 60),  # no runs
        ({"tenant": "other"}, 60),
        ({"selector": {"agent": "another"}}, 60),
        ({"state": "revoked"}, 60),
    ],
)
def test_a_lesson_without_runs_that_could_be_given_it_is_not_unused(
    store: Store, changes: dict[str, Any], approved_days_ago: int
) -> None:
    keep(store, lesson(**changes), at=START - timedelta(days=approved_days_ago))
    store_facts(store, lambda _: (), runs(300), extractor="none", version="1")
    assert kinds(store) == []


def test_a_lesson_given_after_the_day_it_holds_until_is_found(store: Store) -> None:
    traces = runs(200)
    until = (START + timedelta(hours=100)).isoformat()
    keep(store, lesson(content={"valid_until": until}))
    store_facts(store, lambda _: (), traces, extractor="none", version="1")
    give(store, traces, {one.trace_id: "exposed" for one in traces})
    [one] = found(store)
    assert (one.detail["kind"], one.n, one.k) == ("memory_outlived", 200, 100)


def test_a_users_lesson_is_judged_by_sessions(store: Store) -> None:
    traces = [run_trace((), number, user="ana", session=f"s{number // 2}") for number in range(80)]
    keep(store, lesson(scope="user", scope_key="ana"))
    store_facts(store, lambda _: (), traces, extractor="none", version="1")
    give(store, traces, {one.trace_id: "exposed" for one in traces})
    override(store, traces[:70], "2026-01-05T14:00")
    [one] = found(store)
    assert one.detail["kind"] == "memory_mostly_contradicted"
    assert (one.n, one.k, one.detail["units_affected"]) == (80, 70, 35)
    assert one.detail["units_noun"] == "session"

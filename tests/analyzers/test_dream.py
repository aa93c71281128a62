"""When a running spanlore learns by itself."""

from datetime import UTC, datetime, timedelta

import pytest

from spanlore.analyzers.dream import RUNS_MIN, DreamState, Pace, dream_state, due
from spanlore.schemas.learning_tables import ANALYSES
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS, TRACES

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("runs", "learned", "received", "tried", "waits_for"),
    [
        # new runs, time since the last round, since the last span, since the last try
        (0, None, None, None, "runs"),
        (49, None, 5 * MINUTE, None, "runs"),
        (50, None, 5 * MINUTE, None, None),
        (50, 2 * HOUR, 5 * MINUTE, None, None),
        (50, 59 * MINUTE, 5 * MINUTE, None, "period"),
        (50, HOUR, MINUTE, None, None),
        (50, 2 * HOUR, timedelta(seconds=59), None, "quiet"),
        (50, None, timedelta(seconds=0), None, "quiet"),
        (50, 23 * HOUR, timedelta(seconds=1), None, "quiet"),
        (50, 24 * HOUR, timedelta(seconds=1), None, None),
        (49, 24 * HOUR, timedelta(seconds=1), None, "runs"),
        # a round that failed is tried again after a period, not at once
        (50, 9 * HOUR, 5 * MINUTE, 10 * MINUTE, "period"),
        (50, None, 5 * MINUTE, 10 * MINUTE, "period"),
        (50, 9 * HOUR, 5 * MINUTE, HOUR, None),
    ],
)
def test_a_round_is_due_after_enough_runs_a_period_and_in_a_quiet_moment(
    runs: int,
    learned: timedelta | None,
    received: timedelta | None,
    tried: timedelta | None,
    waits_for: str | None,
) -> None:
    def ago(span: timedelta | None) -> datetime | None:
        return None if span is None else NOW - span

    state = DreamState(
        new_runs=runs, learned_at=ago(learned), received_at=ago(received), tried_at=ago(tried)
    )
    said = due(state, NOW, Pace(period=HOUR))
    assert (said.is_due, said.waits_for) == (waits_for is None, waits_for)
    assert said.reason


@pytest.mark.parametrize(
    ("new", "learned", "is_due"),
    [
        (999, 2 * HOUR, False),
        (1_000, 2 * HOUR, True),
        # where it takes too long it is not waited for; the least of runs still is
        (999, 24 * HOUR, True),
        (49, 24 * HOUR, False),
    ],
)
def test_a_store_must_have_grown_by_a_tenth(new: int, learned: timedelta, is_due: bool) -> None:
    state = DreamState(
        new_runs=new, counted_runs=10_000, learned_at=NOW - learned, received_at=NOW - HOUR
    )
    said = due(state, NOW, Pace(period=HOUR))
    assert (said.is_due, said.waits_for) == (is_due, None if is_due else "runs")
    if new > RUNS_MIN and not is_due:
        assert said.reason == "999 of 1,000 new runs are there"
        assert said.next_at == NOW + 22 * HOUR


def test_counting_costs_the_same_for_each_new_run_however_many_there_are() -> None:
    counted, rounds_total, now = 0, 0, NOW
    for new in range(0, 1_000_001, 50):
        state = DreamState(
            new_runs=new - counted,
            counted_runs=counted,
            learned_at=now - HOUR,
            received_at=now - HOUR,
        )
        if due(state, now, Pace(period=HOUR)).is_due:
            counted = new
            rounds_total += new
    assert rounds_total <= 12 * counted


def test_it_says_when_it_may_be_next() -> None:
    state = DreamState(new_runs=99, learned_at=NOW, received_at=NOW - HOUR)
    assert due(state, NOW, Pace(period=HOUR)).next_at == NOW + HOUR
    quiet = DreamState(new_runs=99, learned_at=NOW - 2 * HOUR, received_at=NOW)
    assert due(quiet, NOW, Pace(period=HOUR)).next_at == NOW + MINUTE


def test_an_empty_store_waits_for_runs(store: Store) -> None:
    state = dream_state(store)
    assert state == DreamState(learned_at=None, new_runs=0, received_at=None)


def test_the_state_is_read_from_the_store(store: Store) -> None:
    def run(name: str, at: datetime, version: int = 1) -> dict[str, object]:
        return {"TraceId": name, "Spans": 1, "SealedAt": at, "Version": version}

    store.insert(RUNS, [run("old", NOW - 2 * HOUR), run("new", NOW), run("again", NOW - 2 * HOUR)])
    store.insert(RUNS, [run("again", NOW, 2), run("new", NOW, 2)])
    store.insert(TRACES, [{"TraceId": "new", "SpanId": "s", "Timestamp": NOW, "ReceivedAt": NOW}])
    analysis = {"AnalysisId": "a", "At": NOW - HOUR, "SealedBefore": NOW - 2 * HOUR}
    store.insert(ANALYSES, [{**analysis, "Runs": 7, "Whole": 1}])
    part = {
        "AnalysisId": "b",
        "At": NOW,
        "SealedBefore": NOW,
        "Analyzers": ["one"],
        "Runs": 9,
        "Whole": 0,
    }
    store.insert(ANALYSES, [part])
    assert dream_state(store) == DreamState(
        learned_at=NOW - HOUR, new_runs=2, counted_runs=7, received_at=NOW
    )

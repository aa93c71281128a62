"""When a rate changed: the day, the size, and what else was new that day."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from spanlore.analyzers.catalogue.change_point import Version, change_hypothesis, change_point
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.counting.change_search import Series, changes
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding
from tests.analyzers.traced_runs import START, run_trace, store_facts
from tests.loaded_runs import load_lines

DAYS = 40
FIRST = 20_000
RUNS_A_DAY = 20
TASKS = 24


def series(seed: int, *, after: float, day: int = 25, tool: str = "") -> Series:
    """Return 40 days of runs of 24 tasks, of which some are hard; from a day on more fail."""
    random = Random(f"{seed}{tool}")
    hard = [random.uniform(0.05, 0.35) for _ in range(TASKS)]
    rows = []
    for number in range(DAYS):
        for _ in range(RUNS_A_DAY):
            task = random.randrange(TASKS)
            rate = hard[task] + (after if number >= day else 0.0)
            rows.append((FIRST + number, task, int(random.random() < rate)))
    return made(rows, tool=tool)


def made(rows: list[tuple[int, int, int]], *, tool: str = "") -> Series:
    day, task, event = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Series(
        metric="failure",
        agent="helper",
        tool=tool,
        day=day,
        unit=task,
        task=task,
        task_type=np.zeros_like(task),
        cluster=np.full_like(task, -1),
        discovers=task % 2 == 0,
        n=np.ones_like(task),
        k=event,
        units_noun="task",
    )


def findings(of: list[Series], versions: list[Version] | None = None) -> list[Finding]:
    formed = [change_hypothesis(one, split, versions or []) for one, split in changes(of)]
    return findings_of(formed)


def confirmed(of: list[Series], versions: list[Version] | None = None) -> list[Finding]:
    return [one for one in findings(of, versions) if one.confirmed]


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_rise_is_found_near_its_day(seed: int) -> None:
    others = [series(seed, after=0.0, tool=f"t{number}") for number in range(9)]
    [found] = confirmed([series(seed, after=0.3), *others])
    day = datetime.fromisoformat(found.detail["day"]).replace(tzinfo=UTC)
    assert abs((day - datetime(1970, 1, 1, tzinfo=UTC)).days - FIRST - 25) <= 2
    assert found.detail["direction"] == "rose"
    assert found.effect is not None
    assert 0.15 < found.effect < 0.45
    assert found.detail["before"]["rate"] < found.detail["after"]["rate"]


def test_a_fall_is_told_as_one() -> None:
    rows = series(3, after=0.3)
    fallen = replace(rows, day=(2 * FIRST + DAYS - 1) - rows.day)
    [found] = confirmed([fallen])
    assert found.detail["direction"] == "fell"
    assert "fell on" in found.title


def test_where_nothing_changes_nothing_is_told() -> None:
    worlds = [
        seed
        for seed in range(40)
        if confirmed([series(seed, after=0.0, tool=f"t{number}") for number in range(10)])
    ]
    assert len(worlds) <= 2, worlds


def test_another_mix_of_tasks_is_no_change() -> None:
    random = Random(1)
    rows = []
    for number in range(DAYS):
        for _ in range(RUNS_A_DAY):
            is_hard = random.random() < (0.8 if number >= 20 else 0.2)
            task = random.randrange(TASKS // 2) + (TASKS // 2 if is_hard else 0)
            rows.append((FIRST + number, task, int(random.random() < (0.6 if is_hard else 0.05))))
    assert confirmed([made(rows)]) == []


def test_days_that_differ_among_themselves_are_no_change() -> None:
    wrong = []
    for seed in range(40):
        random = Random(seed)
        rows = [
            (FIRST + number, random.randrange(TASKS), int(random.random() < rate))
            for number in range(DAYS)
            for rate in [random.choice((0.02, 0.4))]
            for _ in range(RUNS_A_DAY)
        ]
        wrong += [seed] if confirmed([made(rows)]) else []
    assert len(wrong) <= 2, wrong


def version(value: str, days: range) -> Version:
    runs = {FIRST + day: RUNS_A_DAY for day in days}
    return Version(agent="helper", factor="harness", value=value, runs=runs)


def test_the_harness_that_came_that_day_is_named_and_no_other() -> None:
    split = changes([series(1, after=0.5)])[0][1]
    new = split.day - FIRST
    versions = [version("old", range(new)), version("new", range(new, DAYS))]
    [found] = confirmed([series(1, after=0.5)], versions)
    assert [one["value"] for one in found.detail["changed_with"]] == ["new"]
    assert found.title.endswith(f"on {found.detail['day']}, the first day of harness new")
    earlier = [version("old", range(new - 9)), version("new", range(new - 9, DAYS))]
    [alone] = confirmed([series(1, after=0.5)], earlier)
    assert alone.detail["changed_with"] == []


def test_runs_without_times_say_nothing(store: Store) -> None:
    random = Random(2)
    traces = [
        run_trace(
            (),
            number,
            task=f"t/{number % 30}",
            outcome="fail" if random.random() < (0.7 if number >= 150 else 0.1) else "pass",
            time_unknown=True,
        )
        for number in range(300)
    ]
    store_facts(store, lambda _: (), traces, extractor="none", version="1")
    assert list(change_point(store, Window())) == []


def lines(*, seed: int, rate_after: float) -> Iterator[dict[str, Any]]:
    """Yield 30 days with 10 runs each; from day 18 on another model calls `look` wrongly."""
    random = Random(seed)
    for number in range(300):
        day, task = number // 10, random.randrange(20)
        is_new = day >= 18
        at = START + timedelta(days=day, minutes=20 * (number % 10))
        fails = random.random() < (rate_after if is_new else 0.05)
        call = {"name": "look", "arguments": "{}"}
        answer: dict[str, Any] = {"role": "tool", "tool_call_id": "c", "content": "Error: no"}
        messages: list[dict[str, Any]] = [
            {"role": "user", "content": "Look."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": call}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10},
            },
            answer | ({"is_error": True} if fails else {}),
            {
                "role": "assistant",
                "content": "Done.",
                "usage": {"prompt_tokens": 120, "completion_tokens": 10},
            },
        ]
        for position, message in enumerate(messages):
            message["timestamp"] = (at + timedelta(seconds=position)).isoformat()
        yield {
            "run_id": f"r{number}",
            "task": {"type": "t", "id": str(task)},
            "agent": {"name": "helper", "version": "2" if is_new else "1"},
            "model": "m",
            "started_at": at.isoformat(),
            "ended_at": (at + timedelta(minutes=1)).isoformat(),
            "messages": messages,
            "outcome": {"label": "pass", "score": 1.0, "source": "environment"},
        }


def test_from_spans_to_the_day_a_tool_began_to_fail(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, lines(seed=1, rate_after=0.6))
    [found] = [one for one in findings_of(list(change_point(store, Window()))) if one.confirmed]
    assert (found.detail["metric"], found.detail["tool"]) == ("tool_error", "look")
    assert found.detail["day"] == "2026-01-23"
    assert {(one["factor"], one["value"]) for one in found.detail["changed_with"]} >= {
        ("agent version", "2")
    }
    assert found.n == 120
    assert len(found.evidence) == 20
    assert not set(found.evidence) & set(found.counter_evidence)


def test_from_spans_to_nothing_where_nothing_changed(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, lines(seed=2, rate_after=0.05))
    assert [one for one in findings_of(list(change_point(store, Window()))) if one.confirmed] == []

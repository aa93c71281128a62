"""One made-up world for each analyzer, through the whole path: lines, import, facts, findings.

What is planted is found, and nothing is confirmed that is not true of the world. The error rates
over many seeds are those of ``benchmarks/bench_learning.py``.
"""

import pytest

from learning.planted import ALL, Tally, judge, looked_at
from learning.world import Make
from spanlore.schemas.store import Store

SEED = 20261123
# Each takes some ten seconds: these few always, all of them with the slow tests.
QUICK = {"new_error", "contradicted", "other_name", "hard_tasks_for_one_agent"}


def test_the_quick_worlds_are_worlds() -> None:
    assert {make.__name__ for make in ALL} > QUICK


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, marks=[] if make.__name__ in QUICK else [pytest.mark.slow])
        for make in ALL
    ],
    ids=lambda make: make.__name__,
)
def test_what_is_planted_is_found_and_nothing_else(store: Store, make: Make) -> None:
    tally, world = Tally(), make(SEED)
    report = looked_at(store, world)
    judge(world, report.findings, tally)
    assert tally.said == [], f"seed {SEED}"
    assert report.failed == {}

"""Whole analyses of made worlds: where nothing is there, and where something is."""

from collections.abc import Iterator

import numpy as np
import pytest

from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.core.hypothesis import Hypothesis
from tests.analyzers.cell_rows import cells_of, hypothesis_of

SEED = 20261122
TASKS, USERS, RUNS, TRAITS = 40, 25, 600, 20


def world(seed: int, *, effects: int = 0, effect: float = 0.35) -> Iterator[Hypothesis]:
    """Yield one hypothesis a trait of 600 runs, the first of which do harm.

    Tasks are hard and agents weak in their own ways, users repeat; a weak agent, a hard task and
    a user have their own traits as well, so that next to every trait looks harmful.
    """
    random = np.random.default_rng(seed)
    task, agent = random.integers(0, TASKS, RUNS), random.integers(0, 3, RUNS)
    user = random.integers(0, USERS, RUNS)
    hard, rude = random.normal(0, 1.2, TASKS), random.normal(0, 0.8, USERS)
    pull = hard[task] + rude[user] + 0.9 * agent
    has = [
        random.random(RUNS) < 1 / (1 + np.exp(1.5 - 0.4 * random.normal(1, 1) * pull))
        for _ in range(TRAITS)
    ]
    rate = 1 / (1 + np.exp(2.2 - pull))
    for trait in has[:effects]:
        rate = np.minimum(rate + effect * trait, 1)
    failed = (random.random(RUNS) < rate).astype(int)
    for number, trait in enumerate(has):
        rows = [
            {
                "task": int(task[run]),
                "agent": int(agent[run]),
                "user": int(user[run]),
                "counts": (1, failed[run], 0, 0) if trait[run] else (0, 0, 1, failed[run]),
            }
            for run in range(RUNS)
        ]
        yield hypothesis_of(cells_of(rows), key=f"trait {number:02}")


def count(rounds: int, *, effects: int = 0) -> tuple[int, int, int]:
    """Return in how many analyses something false was confirmed, and how much true and false."""
    analyses = true = false = 0
    for seed in range(SEED, SEED + rounds):
        confirmed = [
            one.detail["key"] for one in findings_of(world(seed, effects=effects)) if one.confirmed
        ]
        right = sum(int(key.removeprefix("trait ")) < effects for key in confirmed)
        wrong = len(confirmed) - right
        analyses, true, false = analyses + (wrong > 0), true + right, false + wrong
    return analyses, true, false


def test_where_nothing_does_harm_hardly_an_analysis_confirms_anything() -> None:
    analyses, _, false = count(12)
    print(f"seed {SEED}: {analyses} of 12 analyses, {false} false findings")
    assert analyses <= 1


def test_what_does_harm_is_found_among_what_only_looks_so() -> None:
    analyses, true, false = count(6, effects=2)
    print(f"seed {SEED}: {true} of 12 found, {false} false in {analyses} of 6 analyses")
    assert true >= 8
    assert analyses <= 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_of_many_analyses_at_most_a_twentieth_confirm_something_false() -> None:
    rounds = 300
    analyses, _, false = count(rounds)
    print(f"seed {SEED}: {analyses} of {rounds} analyses, {false} false findings")
    assert analyses <= 0.05 * rounds

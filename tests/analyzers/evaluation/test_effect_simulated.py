"""Worlds with known truth: the interval holds it, peeking finds nothing, an effect is found."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from spanlore.analyzers.core.clustered import (
    Cluster,
    clusters_of,
    difference_of_rates,
    rate_interval,
)
from spanlore.analyzers.core.statistics import wilson_interval
from spanlore.analyzers.evaluation.effect import alpha_of_look, effect_of
from spanlore.analyzers.evaluation.effect_arms import Arms, EffectRun
from tests.analyzers.effect_runs import memory

SEED = 20240501
WORLDS = 300
COVERAGE_MIN = 0.93


def users(random: np.random.Generator, *, number: int, rate: float, likeness: float) -> Any:
    """Draw each user's own rate: beta-binomial runs are as alike within a user as asked."""
    scale = (1 - likeness) / likeness
    return random.beta(rate * scale, (1 - rate) * scale, number)


def clusters(random: np.random.Generator, rates: Any, *, uneven: bool) -> list[Cluster]:
    size = random.geometric(1 / 8, len(rates)) if uneven else random.poisson(7, len(rates)) + 1
    return [
        Cluster(int(n), int(k)) for n, k in zip(size, random.binomial(size, rates), strict=True)
    ]


@pytest.mark.parametrize("number", [10, 20, 40])
@pytest.mark.parametrize("likeness", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("rates", [(0.3, 0.3), (0.1, 0.6), (0.02, 0.3), (0.05, 0.05)])
@pytest.mark.parametrize("uneven", [False, True])
def test_the_interval_holds_the_truth_as_often_as_it_says(
    number: int, likeness: float, rates: tuple[float, float], *, uneven: bool
) -> None:
    print("seed", SEED)
    random = np.random.default_rng(SEED)
    held = 0
    for _ in range(WORLDS):
        arms = [
            clusters(random, users(random, number=n, rate=rate, likeness=likeness), uneven=uneven)
            for n, rate in zip((number, max(number // 2, 10)), rates, strict=True)
        ]
        low, high = difference_of_rates(*arms).interval
        held += low <= rates[0] - rates[1] <= high
    assert held / WORLDS >= COVERAGE_MIN


@dataclass(kw_only=True)
class World:
    """Two arms of users to whom runs keep coming; rates are (exposed, other)."""

    random: np.random.Generator
    number: int
    likeness: float
    events: tuple[float, float]
    passes: tuple[float, float] = (0.7, 0.7)

    def looks(self, runs: int) -> Iterator[Arms]:
        """Yield the arms after every so many more runs in each."""
        drawn = [
            [
                users(self.random, number=self.number, rate=rate, likeness=self.likeness)
                for rate in rates
            ]
            for rates in (self.events, self.passes)
        ]
        seen: tuple[list[EffectRun], list[EffectRun]] = ([], [])
        while True:
            for arm, known in enumerate(seen):
                for user in self.random.integers(self.number, size=runs):
                    known.append(
                        EffectRun(
                            trace_id=f"{arm}{len(known)}",
                            user=f"{arm}{user}",
                            cluster=f"{arm}{user}",
                            stratum="",
                            event=bool(self.random.random() < drawn[0][arm][user]),
                            passed=bool(self.random.random() < drawn[1][arm][user]),
                        )
                    )
            yield Arms(
                metric="override",
                event_words="it happened",
                compared_with="held_out",
                exposed=tuple(seen[0]),
                other=tuple(seen[1]),
            )


def verdict_of(world: World, *, looks: int, runs: int) -> str:
    """Look again and again, and stop at the first verdict, as people do."""
    details: list[Mapping[str, Any]] = []
    arms = world.looks(runs)
    verdict = ""
    for _ in range(looks):
        found = effect_of(memory(), next(arms), lesson_version=1, looks=details)
        details.append(found.detail)
        verdict = found.verdict
        if verdict in ("improved", "worse"):
            break
    return verdict


@pytest.mark.parametrize(
    ("number", "likeness", "rate", "runs"),
    [(10, 0.2, 0.4, 15), (30, 0.2, 0.1, 30), (20, 0.02, 0.4, 20)],
)
def test_looking_ten_times_at_no_effect_gives_hardly_any_verdict(
    number: int, likeness: float, rate: float, runs: int
) -> None:
    print("seed", SEED)
    random = np.random.default_rng(SEED)
    verdicts = Counter(
        verdict_of(
            World(random=random, number=number, likeness=likeness, events=(rate, rate)),
            looks=10,
            runs=runs,
        )
        for _ in range(150)
    )
    print(verdicts)
    assert verdicts["improved"] + verdicts["worse"] <= 0.05 * 150


@pytest.mark.parametrize(
    ("events", "passes", "wanted"),
    [
        ((0.1, 0.6), (0.7, 0.7), "improved"),
        ((0.6, 0.1), (0.7, 0.7), "worse"),
        ((0.1, 0.6), (0.2, 0.8), "worse"),
    ],
)
def test_a_large_effect_on_twenty_users_an_arm_is_found_at_the_first_look(
    events: tuple[float, float], passes: tuple[float, float], wanted: str
) -> None:
    print("seed", SEED)
    random = np.random.default_rng(SEED)
    found = Counter(
        verdict_of(
            World(random=random, number=20, likeness=0.15, events=events, passes=passes),
            looks=1,
            runs=100,
        )
        for _ in range(60)
    )
    print(found)
    assert found[wanted] >= 0.9 * 60


def test_no_effect_can_be_shown() -> None:
    print("seed", SEED)
    random = np.random.default_rng(SEED)
    world = World(random=random, number=400, likeness=0.02, events=(0.2, 0.2))
    assert verdict_of(world, looks=1, runs=4000) == "no_effect"


def test_the_error_spent_over_all_looks_is_five_percent() -> None:
    spent = [alpha_of_look(look) for look in range(1, 10_000)]
    assert 0.0499 < sum(spent) < 0.05
    assert spent == sorted(spent, reverse=True)


def same(n: int, k: int, clusters: int = 1) -> Sequence[Cluster]:
    return [Cluster(n, k)] * clusters


def test_where_all_or_none_had_the_event_the_interval_does_not_collapse() -> None:
    for value, arms in ((-1.0, (same(5, 0, 6), same(5, 5, 6))), (0.0, (same(5, 0, 6),) * 2)):
        found = difference_of_rates(*arms)
        assert found.value == value
        assert found.interval[1] - found.interval[0] > 0.5


def test_clusters_of_one_run_each_give_wilson_s_interval_but_for_student_s_t() -> None:
    many = [Cluster(1, int(number < 60)) for number in range(200)]
    assert rate_interval(many) == pytest.approx(wilson_interval(60, 200), abs=0.002)


def test_runs_that_are_all_alike_within_a_user_count_as_one() -> None:
    alike = [Cluster(20, 20 * (number % 2)) for number in range(20)]
    single = [Cluster(1, number % 2) for number in range(20)]
    assert rate_interval(alike) == pytest.approx(rate_interval(single), abs=0.01)


def test_one_cluster_tells_nothing_and_no_run_is_an_error() -> None:
    assert rate_interval(same(50, 25)) == (0.0, 1.0)
    low, high = difference_of_rates(same(50, 0), same(50, 50)).interval
    assert low == -1.0
    assert high > 0
    with pytest.raises(ValueError, match="at least one run"):
        rate_interval([])


def test_looks_are_counted_by_cluster() -> None:
    looks = [("b", True), ("a", False), ("b", False)]
    assert clusters_of(looks) == [Cluster(1, 0), Cluster(2, 1)]

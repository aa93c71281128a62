"""Counts of clusters: nothing is taken from single looks, and one user never says much."""

import numpy as np
import pytest

from spanlore.analyzers.core.effective_counts import ICC_MAX, ICC_MIN, effective, likeness
from spanlore.analyzers.core.statistics import rate_above


def test_single_looks_count_whole() -> None:
    ones = np.ones(40)
    assert effective(ones, ones, 0.6) == (40.0, 40.0)


def test_one_cluster_never_says_more_than_the_inverse_of_the_correlation() -> None:
    n, k = effective(np.array([10_000.0]), np.array([9_000.0]), ICC_MIN)
    assert n == pytest.approx(1 / ICC_MIN, rel=0.001)
    assert k / n == pytest.approx(0.9)


def test_the_design_effect_is_kishs() -> None:
    n, _ = effective(np.full(8, 6.0), np.zeros(8), 0.2)
    assert n == pytest.approx(48 / (1 + 5 * 0.2))


def test_clusters_that_always_or_never_have_it_are_as_alike_as_may_be() -> None:
    n = np.full(20, 5.0)
    assert likeness(n, np.repeat([0.0, 5.0], 10)) == ICC_MAX


def test_clusters_of_one_rate_are_taken_to_be_as_alike_as_usual() -> None:
    random = np.random.default_rng(1)
    n = np.full(400, 8.0)
    assert likeness(n, random.binomial(8, 0.3, 400).astype(float)) == ICC_MIN


def test_the_likeness_of_many_clusters_is_found() -> None:
    random = np.random.default_rng(2)
    rates = random.beta(0.3 * 1.5, 0.7 * 1.5, 3000)  # icc 1 / (1.5 + 1)
    n = random.integers(1, 15, 3000)
    assert likeness(n.astype(float), random.binomial(n, rates).astype(float)) == pytest.approx(
        0.4, abs=0.03
    )


def test_nothing_and_one_cluster_have_no_likeness_of_their_own() -> None:
    assert likeness(np.zeros(0), np.zeros(0)) == ICC_MIN
    assert likeness(np.array([9.0, 0.0]), np.array([3.0, 0.0])) == ICC_MIN


def test_between_whole_counts_the_binomial_tail_lies_between_theirs() -> None:
    tails = [rate_above(k, 20, floor=0.2)[1] for k in (6, 6.5, 7)]
    assert tails == sorted(tails, reverse=True)
    assert rate_above(6.0, 20.0, floor=0.2) == rate_above(6, 20, floor=0.2)
    assert rate_above(0.0, 7.5, floor=0.2)[1] == 1.0
    two_sided, above = rate_above(7.5, 7.5, floor=0.2)
    assert above == pytest.approx(0.2**7.5)
    assert two_sided == pytest.approx(2 * above)


def test_the_false_alarms_of_a_clustered_rate_stay_below_the_level() -> None:
    random = np.random.default_rng(3)
    alarms, rounds = 0, 2000
    for _ in range(rounds):
        rates = random.beta(0.1 * 5.67, 0.9 * 5.67, 12)  # icc .15
        n = random.integers(1, 20, 12)
        k = random.binomial(n, rates)
        looks, events = effective(n.astype(float), k.astype(float), ICC_MIN)
        alarms += rate_above(events, looks, floor=0.1)[1] <= 0.05
    assert alarms / rounds <= 0.055, "seed 3"

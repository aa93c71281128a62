"""Which adjustment is chosen, that it is named, and that it errs no more often than it says."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from spanlore.analyzers.core.adjustment import adjustment_of, contrast_of, floor_contrast, numbered
from spanlore.analyzers.core.cells import NO_CLUSTER, Cells, Stratum
from spanlore.analyzers.core.effective_counts import effective, likeness
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.core.statistics import Contrast, Table, stratified_contrast
from tests.analyzers.cell_rows import cells_of, hypothesis_of

SEED = 20261122


def compared(cells: Cells) -> Contrast:
    cells = numbered(cells)
    return contrast_of(cells, adjustment_of(cells))


def thin(seed: int, *, tasks: int = 90, effect: float = 0.0) -> Cells:
    """Tasks of four runs each by one of four agents, the weaker of which do the thing more."""
    random = np.random.default_rng(seed)
    rows = []
    for task in range(tasks):
        hard = random.normal(0, 0.5)
        for _ in range(4):
            agent = int(random.integers(0, 4))
            does = random.random() < 0.2 + 0.2 * agent
            fails = 1 / (1 + np.exp(1.8 - hard - 0.7 * agent)) + effect * does
            k = int(random.random() < fails)
            counts = (1, k, 0, 0) if does else (0, 0, 1, k)
            rows.append({"task": task, "agent": agent, "counts": counts})
    return cells_of(rows)


def test_thick_strata_are_compared_as_they_are() -> None:
    rows = [
        {"task": task, "agent": agent, "counts": (6, 3, 6, 1)}
        for task in range(10)
        for agent in range(3)
    ]
    [found] = findings_of([hypothesis_of(cells_of(rows))])
    assert (found.detail["method"], found.adjusted_for) == ("cmh", ("task", "agent"))
    assert found.detail["effect_is"].startswith("Mantel-Haenszel risk difference within one task,")


def test_thin_strata_make_the_agent_a_covariate_within_the_task() -> None:
    [found] = findings_of([hypothesis_of(thin(SEED, tasks=300, effect=0.25))])
    assert found.detail["method"] == "conditional_logit"
    assert found.detail["fitted"] == ["agent"]
    assert found.adjusted_for == ("task", "agent")
    assert found.detail["effect_is"].startswith(
        "linear risk difference within one task, with agent fitted: "
    )
    assert found.verdict == "confirmed"
    assert found.effect == pytest.approx(0.25, abs=0.08)


def test_too_many_covariates_leave_factors_out_and_say_so() -> None:
    cells = thin(SEED, tasks=300)
    random = np.random.default_rng(SEED)
    many = replace(cells, factors={**cells.factors, "harness": random.integers(0, 60, len(cells))})
    [found] = findings_of([hypothesis_of(many)])
    assert found.detail["method"] == "cmh"
    assert "harness" not in found.adjusted_for
    assert found.adjusted_for[0] == "task"


def test_the_choice_does_not_look_at_the_effect() -> None:
    cells = thin(SEED)
    turned = replace(cells, k=cells.n - cells.k, other_k=cells.other_n - cells.other_k)
    one, other = adjustment_of(numbered(cells)), adjustment_of(numbered(turned))
    assert (one.method, one.held, one.covariates) == (other.method, other.held, other.covariates)


def test_what_would_take_too_long_is_fitted_by_least_squares() -> None:
    [found] = findings_of([hypothesis_of(thin(SEED, tasks=9000, effect=0.05))])
    assert found.detail["method"] == "least_squares"
    assert found.adjusted_for == ("task", "agent")
    assert found.verdict == "confirmed"
    assert found.effect == pytest.approx(0.05, abs=0.02)


def test_the_regression_errs_as_often_as_it_says_where_tasks_alone_mislead() -> None:
    rounds = 300
    adjusted = linear = by_task = 0
    for seed in range(SEED, SEED + rounds):
        cells = thin(seed)
        found = compared(cells)
        assert found.method == "conditional_logit"
        adjusted += found.p <= 0.05
        chosen = adjustment_of(numbered(cells))
        linear += contrast_of(numbered(cells), replace(chosen, method="least_squares")).p <= 0.05
        alone = replace(cells, factors={"task": cells.factors["task"]})
        by_task += compared(alone).p <= 0.05
    print(f"seed {SEED}: p <= .05 in {adjusted} of {rounds}, by least squares in {linear}")
    print(f"within tasks alone in {by_task}")
    assert adjusted <= 0.075 * rounds
    assert linear <= 0.075 * rounds
    assert by_task > 0.4 * rounds


def test_the_interval_of_the_regression_covers_the_effect() -> None:
    rounds, covered = 200, 0
    for seed in range(SEED, SEED + rounds):
        found = compared(thin(seed, tasks=120, effect=0.2))
        assert found.interval is not None
        covered += found.interval[0] <= 0.2 <= found.interval[1]
    print(f"seed {SEED}: covered in {covered} of {rounds}")
    assert covered >= 0.9 * rounds


def users(seed: int, *, number: int = 40, runs: int = 10, tasks: int = 4) -> Cells:
    """Users with a rate of their own, each always of one arm: repeats say next to nothing new."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(number):
        subject = bool(random.integers(0, 2))
        rate = random.beta(0.6, 1.4)
        for _ in range(runs):
            k = int(random.random() < rate)
            counts = (1, k, 0, 0) if subject else (0, 0, 1, k)
            rows.append({"task": int(random.integers(0, tasks)), "user": user, "counts": counts})
    return cells_of(rows)


def test_users_who_repeat_do_not_make_a_test_too_sure() -> None:
    rounds = 300
    clustered = independent = 0
    for seed in range(SEED, SEED + rounds):
        cells = users(seed)
        clustered += compared(cells).p <= 0.05
        alone = replace(cells, cluster=np.full(len(cells), NO_CLUSTER))
        independent += compared(alone).p <= 0.05
    print(f"seed {SEED}: {clustered} of {rounds}; were every run its own user: {independent}")
    assert clustered <= 0.06 * rounds
    assert independent > 0.2 * rounds


def test_the_interval_is_as_wide_as_the_clustered_test_is_unsure() -> None:
    outside = shown = 0
    for seed in range(SEED, SEED + 100):
        found = compared(users(seed))
        assert found.interval is not None
        assert found.design_effect >= 1
        outside += not found.interval[0] <= 0 <= found.interval[1]
        shown += found.p <= 0.05
    assert abs(outside - shown) <= 6


def test_users_seen_once_change_nothing() -> None:
    cells = thin(SEED)
    once = replace(cells, cluster=np.arange(len(cells)) * 10**12)
    one, other = compared(cells), compared(once)
    assert other.effect == one.effect
    assert other.p == pytest.approx(one.p, rel=0.3)


def test_users_who_are_more_alike_than_chance_never_count_for_more() -> None:
    for seed in range(SEED, SEED + 50):
        cells = users(seed)
        alone = replace(cells, cluster=np.full(len(cells), NO_CLUSTER))
        assert compared(cells).p >= compared(alone).p - 1e-12


def test_a_rate_without_comparison_counts_users_not_their_runs() -> None:
    n, k = np.full(12, 20.0), np.repeat([20.0, 0.0], [3, 9])
    nothing = np.zeros(12)
    cells = Cells(
        n=n,
        k=k,
        other_n=nothing,
        other_k=nothing,
        discovers=np.arange(12) % 2 == 0,
        factors={"task": np.zeros(12, dtype=np.int64)},
        cluster=np.arange(12) * 10**15,
    )
    looks, events = effective(n, k, likeness(n, k))
    found = floor_contrast(numbered(cells), 0.2)
    assert looks < 20
    assert found.effect == pytest.approx(events / looks - 0.2)
    assert found.p_greater > 0.2
    assert stats.binomtest(60, 240, 0.2, alternative="greater").pvalue < 0.05


def test_runs_of_no_user_count_one_each_against_a_floor() -> None:
    cells = cells_of([{"task": task, "counts": (5, 2, 0, 0)} for task in range(20)])
    found = floor_contrast(numbered(cells), 0.05)
    assert found.p_greater == pytest.approx(stats.binom.sf(39, 100, 0.05))
    assert found.design_effect == 1.0


def test_strata_by_hand_and_cells_give_the_same_numbers() -> None:
    strata = [
        Stratum(name=f"s{n % 5}", unit=str(n), table=Table(6, n % 4, 9, n % 3)) for n in range(20)
    ]
    tables = [
        Table(24, sum(one.table.k for one in same), 36, sum(one.table.other_k for one in same))
        for same in ([one for one in strata if one.name == f"s{n}"] for n in range(5))
    ]
    expected, found = stratified_contrast(tables), compared(Cells.of(strata))
    assert found.p == pytest.approx(expected.p)
    assert found.interval == pytest.approx(expected.interval)


def test_the_codes_of_factors_may_be_any_numbers() -> None:
    cells = thin(SEED)
    random = np.random.default_rng(SEED)
    codes = random.permutation(random.integers(-(2**62), 2**62, 200))
    coded = replace(cells, factors={name: codes[levels] for name, levels in cells.factors.items()})
    assert compared(coded).p == pytest.approx(compared(cells).p, rel=1e-6)


def test_nothing_at_all_is_no_contrast() -> None:
    found = compared(Cells.of(()))
    assert (found.effect, found.stratified, found.p) == (None, False, 1.0)

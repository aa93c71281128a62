"""Simpson's paradox, published and planted: what flips or vanishes is never confirmed."""

from dataclasses import replace

import numpy as np
import pytest

from spanlore.analyzers.core.adjustment import adjustment_of, contrast_of, numbered
from spanlore.analyzers.core.cells import Cells
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.core.guard import Guard, guard_of
from spanlore.schemas.types import Finding
from tests.analyzers.cell_rows import cells_of, hypothesis_of

SEED = 20261122


def guarded(cells: Cells) -> Guard:
    cells = numbered(cells)
    adjustment = adjustment_of(cells)
    return guard_of(cells, adjustment, contrast_of(cells, adjustment), label="task")


def the_finding(cells: Cells) -> Finding:
    [found] = findings_of([hypothesis_of(cells)])
    return found


def test_berkeley_admissions_are_confounded_by_department() -> None:
    """Graduate admissions in 1973 (Bickel, Hammel and O'Connell 1975, Science 187:398).

    Rejections of women against those of men, in the six largest departments: +14.2 points over
    everything, and fewer within the departments.
    """
    admitted = [  # men: admitted, rejected; women: admitted, rejected
        (512, 313, 89, 19),
        (353, 207, 17, 8),
        (120, 205, 202, 391),
        (138, 279, 131, 244),
        (53, 138, 94, 299),
        (22, 351, 24, 317),
    ]
    found = the_finding(
        cells_of(
            [
                {"task": department, "counts": (c + d, d, a + b, b)}
                for department, (a, b, c, d) in enumerate(admitted)
            ]
        )
    )
    assert (found.verdict, found.confirmed) == ("confounded", False)
    guard = found.detail["guard"]
    assert guard["crude"] == pytest.approx(0.1416, abs=5e-5)
    assert guard["by"]["task"]["effect"] < 0
    assert guard["flips"] == ["task"]
    assert found.reason is not None
    assert found.reason.startswith("confounded by task: +14.2 points over everything turns into -")


def test_kidney_stones_whose_crude_difference_is_not_shown_are_left_undecided() -> None:
    """Failures of percutaneous against open surgery (Charig et al. 1986, BMJ 292:879).

    The paradox of Julious and Mullee 1994: fewer over everything, more in stones of both sizes;
    but 61 of 350 against 77 of 350 is no difference that needs explaining away.
    """
    found = the_finding(
        cells_of(
            [
                {"task": 0, "counts": (270, 36, 87, 6)},
                {"task": 1, "counts": (80, 25, 263, 71)},
            ]
        )
    )
    guard = found.detail["guard"]
    assert guard["crude"] < 0 < guard["by"]["task"]["effect"]
    assert (guard["flips"], guard["vanishes"]) == ([], [])
    assert not found.confirmed


def confounded_by_agent(seed: int, *, effect: float = 0.0, runs: int = 8) -> Cells:
    """A weak agent repeats calls and fails; that it repeats them does it no harm by itself."""
    random = np.random.default_rng(seed)
    rows = []
    for task in range(60):
        for agent, (repeats, fails) in enumerate(((0.7, 0.6), (0.2, 0.2))):
            n = int(random.binomial(runs, repeats))
            k = int(random.binomial(n, fails + effect))
            other_k = int(random.binomial(runs - n, fails))
            rows.append({"task": task, "agent": agent, "counts": (n, k, runs - n, other_k)})
    return cells_of(rows)


def test_what_vanishes_once_the_agent_is_held_fixed_is_confounded_by_it() -> None:
    found = the_finding(confounded_by_agent(SEED, runs=40))
    assert found.verdict == "confounded"
    assert found.reason is not None
    assert found.reason.startswith("confounded by agent: +")
    guard = found.detail["guard"]
    assert guard["by"]["task"]["effect"] > 0.1
    assert abs(guard["by"]["agent"]["effect"]) < 0.1
    assert "agent" in (*guard["vanishes"], *guard["flips"])


def test_what_shrinks_but_leaves_room_for_a_third_is_not_called_confounded() -> None:
    found = the_finding(confounded_by_agent(SEED))
    guard = found.detail["guard"]
    assert found.interval is not None
    assert found.interval[1] > guard["crude"] / 3
    assert (guard["vanishes"], guard["deciding"]) == (["agent", "all"], [])
    assert found.verdict == "underpowered"
    assert found.n_needed is not None
    assert found.reason is not None
    assert found.reason.endswith("; +20.9 points over everything shrinks to that")
    assert guard["says"] == (
        "+20.9 points over everything shrinks to +2.6 points once all of it is held fixed"
    )


def test_a_factor_that_misleads_alone_does_not_overrule_all_of_them_together() -> None:
    counts = [
        [(92, 47, 14, 5), (42, 21, 77, 26)],
        [(111, 92, 79, 54), (64, 14, 51, 4)],
        [(55, 41, 43, 26), (49, 9, 50, 1)],
        [(51, 32, 14, 7), (10, 6, 89, 40)],
    ]
    found = the_finding(
        cells_of(
            [
                {"task": task, "agent": agent, "counts": one}
                for task, both in enumerate(counts)
                for agent, one in enumerate(both)
            ]
        )
    )
    guard = found.detail["guard"]
    assert found.effect == pytest.approx(0.149, abs=5e-4)
    assert found.interval == pytest.approx((0.086, 0.210), abs=5e-4)
    assert "agent" in (*guard["flips"], *guard["vanishes"])
    assert guard["deciding"] == []
    assert "with all held fixed is told" in guard["says"]
    assert found.verdict == "confirmed"


def test_an_effect_in_a_factor_that_cannot_be_held_with_the_task_is_not_confirmed() -> None:
    random = np.random.default_rng(SEED)
    rows = []
    for task in range(200):
        for _ in range(6):
            harness = int(random.integers(0, 60))
            does = random.random() < (0.8 if harness < 30 else 0.2)
            k = int(random.random() < (0.6 if harness < 30 else 0.2))
            counts = (1, k, 0, 0) if does else (0, 0, 1, k)
            rows.append({"task": task, "harness": harness, "counts": counts})
    found = the_finding(cells_of(rows))
    assert found.adjusted_for == ("task",)
    assert found.effect is not None
    assert found.effect > 0.1
    assert found.verdict in ("confounded", "underpowered")
    assert "harness" in str(found.reason)


def test_a_true_effect_beside_a_confounder_is_confirmed() -> None:
    found = the_finding(confounded_by_agent(SEED, effect=0.25))
    assert found.verdict == "confirmed"
    assert found.effect == pytest.approx(0.25, abs=0.1)
    assert found.detail["guard"]["crude"] > found.effect


def test_an_effect_that_shows_only_once_adjusted_is_not_confirmed() -> None:
    cells = confounded_by_agent(SEED, effect=0.25)
    easy = cells.factors["agent"] == 1
    masked = replace(
        cells,
        n=np.where(easy, 60.0, 2.0),
        k=np.where(easy, 12.0, 2.0),
        other_n=np.where(easy, 2.0, 60.0),
        other_k=np.where(easy, 0.0, 36.0),
    )
    found = the_finding(masked)
    assert found.effect is not None
    assert found.effect > 0
    assert found.verdict == "confounded"
    assert found.reason is not None
    assert "turns into +" in found.reason


def test_what_never_shares_a_harness_cannot_be_told_apart_from_it() -> None:
    rows = [
        {"task": task, "harness": harness, "counts": counts}
        for task in range(40)
        for harness, counts in enumerate(((6, 3, 0, 0), (0, 0, 6, 1)))
    ]
    found = the_finding(cells_of(rows))
    assert found.verdict == "not_comparable"
    assert found.detail["guard"]["inseparable"] == ["harness"]
    assert found.adjusted_for == ("task",)
    assert found.reason is not None
    assert "shares the harness" in found.reason


def test_one_look_of_the_other_arm_does_not_make_a_harness_comparable() -> None:
    rows = [
        {"task": task, "harness": harness, "counts": counts}
        for task in range(40)
        for harness, counts in enumerate(((6, 3, int(task == 0), int(task == 0)), (0, 0, 6, 1)))
    ]
    found = the_finding(cells_of(rows))
    assert found.verdict == "not_comparable"
    assert found.detail["guard"]["inseparable"] == ["harness"]


def test_a_harness_that_differs_with_every_run_is_not_held_against_anything() -> None:
    rows = [
        {"task": task, "harness": 20 * task + run, "counts": counts}
        for task in range(40)
        for run, counts in enumerate([(1, 1, 0, 0)] * 3 + [(1, 0, 0, 0)] * 2 + [(0, 0, 1, 0)] * 6)
    ]
    found = the_finding(cells_of(rows))
    assert found.detail["guard"]["sparse"] == ["harness"]
    assert found.verdict == "confirmed"
    assert found.adjusted_for == ("task",)


def test_strata_are_counted_by_the_direction_of_their_difference() -> None:
    rows = [{"task": task, "counts": (30, 20 if task else 2, 30, 10)} for task in range(9)]
    guard = guarded(cells_of(rows))
    assert (guard.strata_for, guard.strata_against) == (8, 1)
    assert guard.heterogeneity_p is not None
    assert guard.heterogeneity_p < 0.05


def test_small_strata_have_no_test_of_heterogeneity() -> None:
    rows = [{"task": task, "counts": (3, 2, 3, 1)} for task in range(9)]
    assert guarded(cells_of(rows)).heterogeneity_p is None


def test_breslow_and_days_test_is_the_published_one() -> None:
    """Smoking and lung cancer in eight Chinese cities (Liu 1992; Agresti 2002, table 6.7).

    Agresti prints the Mantel-Haenszel odds ratio 2.17 with the interval (1.98, 2.38), and
    Breslow and Day's statistic 5.2 with 7 degrees of freedom, p = 0.64.
    """
    cities = [  # smokers: cancer, none; others: cancer, none
        (126, 100, 35, 61),
        (908, 688, 497, 807),
        (913, 747, 336, 598),
        (235, 172, 58, 121),
        (402, 308, 121, 215),
        (182, 156, 72, 98),
        (60, 99, 11, 43),
        (104, 89, 21, 36),
    ]
    cells = cells_of(
        [{"task": city, "counts": (a + b, a, c + d, c)} for city, (a, b, c, d) in enumerate(cities)]
    )
    [found] = findings_of([hypothesis_of(cells)])
    assert found.detail["odds_ratio"] == pytest.approx(2.17, abs=0.005)
    assert found.detail["odds_ratio_interval"] == pytest.approx([1.98, 2.38], abs=0.005)
    assert found.detail["guard"]["heterogeneity_p"] == pytest.approx(0.64, abs=0.005)
    assert found.verdict == "confirmed"

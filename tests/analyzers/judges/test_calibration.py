"""A judge held against gold: formulas against published examples, intervals against the truth."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge_coverage import is_below, judge_coverage
from spanlore.analyzers.judges.calibration import (
    Confusion,
    calibrated,
    gold_needed,
    kappa,
    lang_reiczigel,
    prediction_powered,
    rogan_gladen,
)


@pytest.mark.parametrize(
    ("positive_share", "sensitivity", "specificity", "published"),
    [
        # A herd test for brucellosis: 23 of 150 positive, and 5.1 per 100 in truth.
        (23 / 150, (24, 25), (89, 100), 0.051),
        # Helicobacter pylori at 1 to 4 years: 6 of 151 positive, and none in truth.
        (6 / 151, (241, 250), (927, 1000), 0.0),
    ],
)
def test_the_rate_is_corrected_as_rogan_and_gladen_correct_a_prevalence(
    positive_share: float,
    sensitivity: tuple[int, int],
    specificity: tuple[int, int],
    published: float,
) -> None:
    right_passes, passes = sensitivity
    right_fails, fails = specificity
    gold, judged = passes + fails, 1_000_000
    passed = round(positive_share * judged)
    found = rogan_gladen(
        Confusion(
            pass_pass=right_passes,
            pass_fail=fails - right_fails,
            fail_pass=passes - right_passes,
            fail_fail=right_fails,
            pass_only=passed - right_passes - (fails - right_fails),
            fail_only=judged - passed - (gold - right_passes - (fails - right_fails)),
        )
    )
    assert found is not None
    assert round(found.value, 3) == published


def test_its_interval_is_that_of_lang_and_reiczigel_step_by_step() -> None:
    """The equations of the paper in its own order and notation, counted again."""
    z = 1.959963984540054
    n, k, n_se, k_se, n_sp, k_sp = 4910, 4060, 179, 178, 358, 358
    se, sp = (k_se + 1) / (n_se + 2), (k_sp + 1) / (n_sp + 2)
    ap = (k / n * n + z * z / 2) / (n + z * z)
    p = (ap + sp - 1) / (se + sp - 1)
    dp = 2 * z * z * (p * se * (1 - se) / (n_se + 2) - (1 - p) * sp * (1 - sp) / (n_sp + 2))
    variance = (
        ap * (1 - ap) / (n + z * z)
        + p * p * se * (1 - se) / (n_se + 2)
        + (1 - p) ** 2 * sp * (1 - sp) / (n_sp + 2)
    ) / (se + sp - 1) ** 2
    expected = (p + dp - z * sqrt(variance), p + dp + z * sqrt(variance))
    found = lang_reiczigel(passed=k, judged=n, right_passes=(k_se, n_se), right_fails=(k_sp, n_sp))
    assert found == pytest.approx(expected)
    assert found[0] < 4060 / 4910 / (178 / 179) < found[1]


def test_a_judge_of_perfect_tests_leaves_the_interval_of_agresti_and_coull() -> None:
    found = lang_reiczigel(
        passed=300, judged=1000, right_passes=(10**9, 10**9), right_fails=(10**9, 10**9)
    )
    z2 = 1.959963984540054**2
    middle = (300 + z2 / 2) / (1000 + z2)
    half = sqrt(z2 * middle * (1 - middle) / (1000 + z2))
    assert found == pytest.approx((middle - half, middle + half), abs=1e-6)


def test_the_prediction_powered_rate_is_that_of_the_paper_counted_on_single_labels() -> None:
    """PPI++ for a mean with its power-tuned lambda, over vectors of labels as the paper has it."""
    counts = Confusion(
        pass_pass=18, pass_fail=3, fail_pass=1, fail_fail=8, pass_only=320, fail_only=180
    )
    gold = np.array([1] * 18 + [0] * 3 + [1] + [0] * 8, dtype=float)
    judge = np.array([1] * 21 + [0] * 9, dtype=float)
    others = np.array([1] * 320 + [0] * 180, dtype=float)
    n, rest = len(gold), len(others)
    covariance = np.mean(gold * judge) - gold.mean() * judge.mean()
    tuned = covariance / ((1 + n / rest) * judge.var())
    expected = tuned * others.mean() + np.mean(gold - tuned * judge)
    found = prediction_powered(counts)
    assert found is not None
    assert found.value == pytest.approx(expected)
    assert found.interval[0] < expected < found.interval[1]


def test_a_judge_of_no_help_leaves_the_gold_labels_rate() -> None:
    blind = Confusion(
        pass_pass=10, pass_fail=5, fail_pass=10, fail_fail=5, pass_only=900, fail_only=100
    )
    found = prediction_powered(blind)
    assert found is not None
    assert found.value == pytest.approx(20 / 30)


def test_a_good_judge_narrows_the_rate_and_a_bad_one_does_not() -> None:
    good = Confusion(pass_pass=20, fail_fail=10, pass_only=2000, fail_only=1000)
    bad = Confusion(
        pass_pass=10, pass_fail=5, fail_pass=10, fail_fail=5, pass_only=2000, fail_only=1000
    )
    widths = []
    for counts in (good, bad):
        found = prediction_powered(counts)
        assert found is not None
        widths.append(found.interval[1] - found.interval[0])
    assert widths[0] < 0.6 * widths[1]


def test_kappa_is_cohens() -> None:
    found = kappa(Confusion(pass_pass=20, pass_fail=5, fail_pass=10, fail_fail=15))
    assert found is not None
    assert found.value == pytest.approx(0.4)  # the textbook's two readers of 50 proposals
    assert found.interval[0] < 0.4 < found.interval[1]


def test_what_cannot_be_said_is_none_and_never_a_number() -> None:
    nothing = calibrated(Confusion(pass_only=5, fail_only=3))
    assert (nothing.bias, nothing.kappa, nothing.sensitivity) == (None, None, None)
    assert (nothing.rogan_gladen, nothing.prediction_powered) == (None, None)
    assert nothing.gold_missing == nothing.gold_needed == 30
    backwards = Confusion(pass_fail=10, fail_pass=10, pass_only=100, fail_only=100)
    assert rogan_gladen(backwards) is None
    one_kind = calibrated(Confusion(pass_pass=30, pass_only=100))
    assert (one_kind.kappa, one_kind.specificity, one_kind.rogan_gladen) == (None, None, None)


def test_a_judge_that_errs_mostly_on_one_kind_is_corrected_to_everything() -> None:
    found = rogan_gladen(
        Confusion(pass_pass=15, pass_fail=10, fail_fail=5, pass_only=500, fail_only=100)
    )
    assert found is not None
    assert found.interval == (0.0, 1.0)


def test_the_labels_that_are_missing_make_the_rate_believable_once_they_are_there() -> None:
    few = Confusion(
        pass_pass=20, pass_fail=4, fail_pass=4, fail_fail=12, pass_only=1200, fail_only=760
    )
    needed = gold_needed(few)
    assert needed > few.gold
    times = needed / few.gold
    enough = Confusion(
        pass_pass=round(20 * times),
        pass_fail=round(4 * times),
        fail_pass=round(4 * times),
        fail_fail=round(12 * times),
        pass_only=1200,
        fail_only=760,
    )
    found = prediction_powered(enough)
    assert found is not None
    assert found.interval[1] - found.interval[0] == pytest.approx(0.2, abs=0.01)


cells = st.integers(0, 60)


@given(st.builds(Confusion, **dict.fromkeys(Confusion.__slots__, cells)))
def test_every_rate_lies_in_its_interval_and_in_bounds(counts: Confusion) -> None:
    found = calibrated(counts)
    for rate in (found.rogan_gladen, found.prediction_powered, found.judge_rate):
        if rate is not None:
            low, high = rate.interval
            assert 0 <= low <= high <= 1
            assert 0 <= rate.value <= 1
    if found.prediction_powered is not None:
        low, high = found.prediction_powered.interval
        assert low - 1e-9 <= found.prediction_powered.value <= high + 1e-9
    if found.kappa is not None:
        assert -1 <= found.kappa.interval[0] <= found.kappa.value <= found.kappa.interval[1] <= 1
    assert found.gold_needed >= 30


def test_the_interval_holds_the_truth_with_thirty_gold_labels() -> None:
    seed, worlds = 20261125, 60
    print(f"seed {seed}")
    found = [
        one
        for one in judge_coverage(seed, worlds, unlabelled=(300,))
        if one.method == "prediction_powered"
    ]
    assert len(found) == 140
    assert np.mean([one.coverage for one in found]) >= 0.955
    assert not [one for one in found if is_below(one, worlds)]

"""Against published examples and against scipy and statsmodels asked in another way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spanlore.analyzers.statistics import (
    Table,
    false_discovery_q,
    pooled,
    rate_above,
    risk_difference,
    stratified_contrast,
    wilson_interval,
)


def test_the_wilson_interval_is_newcombes_published_one() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_the_wilson_interval_of_nothing_seen_is_newcombes_published_one() -> None:
    # The same table: 0 of 20.
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_the_wilson_interval_agrees_with_scipy() -> None:
    ours = wilson_interval(35, 102)
    theirs = stats.binomtest(35, 102).proportion_ci(method="wilson")
    assert ours == pytest.approx((theirs.low, theirs.high))


def test_a_rate_of_nothing_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one"):
        wilson_interval(0, 0)


def test_the_risk_difference_is_newcombes_published_one() -> None:
    # Newcombe 1998, Statistics in Medicine 17:873, table II, method 10: 56/70 - 48/80.
    effect, interval = risk_difference(Table(70, 56, 80, 48))
    assert effect == pytest.approx(0.2)
    assert interval == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_the_stratified_test_is_the_berkeley_admissions_one() -> None:
    # Bickel, Hammel, O'Connell 1975, as R's mantelhaen.test(UCBAdmissions) prints it:
    # X2 = 1.4269 with continuity correction, p = 0.2323, common odds ratio 0.9047 (0.7719, 1.0603).
    departments = [
        (512, 313, 89, 19),
        (353, 207, 17, 8),
        (120, 205, 202, 391),
        (138, 279, 131, 244),
        (53, 138, 94, 299),
        (22, 351, 24, 317),
    ]
    tables = [Table(a + b, a, c + d, c) for a, b, c, d in departments]
    found = stratified_contrast(tables)
    assert found.stratified
    assert found.informative == 6
    assert found.p == pytest.approx(0.2323, abs=5e-5)
    assert found.odds_ratio == pytest.approx(0.9047, abs=5e-5)
    assert found.odds_ratio_interval == pytest.approx((0.7719, 1.0603), abs=5e-5)


def test_berkeley_looks_unfair_only_when_departments_are_pooled() -> None:
    everyone = stratified_contrast([Table(2691, 1198, 1835, 557)])
    assert everyone.p < 1e-15
    assert everyone.p_greater < 1e-15


def test_without_an_informative_stratum_fishers_exact_test_answers() -> None:
    found = stratified_contrast([Table(8, 7, 0, 0), Table(0, 0, 8, 1)])
    assert not found.stratified
    assert found.effect is None
    assert found.p == pytest.approx(stats.fisher_exact(np.array([[7, 1], [1, 7]])).pvalue)


def test_a_rate_is_tested_exactly_against_a_floor() -> None:
    assert rate_above(7, 20, floor=0.05)[1] == pytest.approx(stats.binom.sf(6, 20, 0.05))
    assert rate_above(0, 0, floor=0.05) == (1.0, 1.0)


def test_false_discovery_adjustment_is_benjamini_and_hochbergs_own_example() -> None:
    # Benjamini and Hochberg 1995, section 3.2: of these 15 the first four pass at 0.05.
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p_values += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    q_values = false_discovery_q(p_values)
    assert [q <= 0.05 for q in q_values] == [True] * 4 + [False] * 11
    assert q_values == pytest.approx(list(stats.false_discovery_control(p_values)))


def test_no_hypotheses_have_no_q() -> None:
    assert false_discovery_q([]) == []


counts = st.integers(0, 12)


@given(st.lists(st.tuples(counts, counts, counts, counts), min_size=1, max_size=6))
def test_any_counts_give_probabilities(cells: list[tuple[int, int, int, int]]) -> None:
    tables = [Table(a + b, a, c + d, c) for a, b, c, d in cells]
    found = stratified_contrast(tables)
    assert 0 <= found.p <= 1
    assert 0 <= found.p_greater <= 1
    for bound in found.odds_ratio_interval or ():
        assert np.isfinite(bound)
    if found.interval is not None and found.effect is not None:
        assert found.interval[0] <= found.effect + 1e-9
        assert found.effect <= found.interval[1] + 1e-9
    assert pooled(tables).n == sum(table.n for table in tables)

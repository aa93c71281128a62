"""Against published examples and against scipy and statsmodels asked in another way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spanlore.analyzers.core.statistics import (
    Strata,
    Table,
    false_discovery_q,
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


# Alive or not after two treatments of multiple myeloma in 21 institutions, 156 patients: (k, n,
# other k, other n). The data and program are those published with Klingenberg 2014, Statistics in
# Medicine 33:2968; the numbers are what the R package criskdiff prints for them.
MYELOMA = """3 4 1 3|3 4 8 11|2 2 2 3|2 2 2 2|2 2 0 3|1 3 2 3|2 2 2 3|1 5 4 4|2 2 2 3|0 2 2 3
|3 3 3 3|2 2 0 2|1 4 1 5|2 3 2 4|2 4 4 6|4 12 3 9|1 2 2 3|3 3 1 4|1 4 2 3|0 3 0 2|2 4 1 5"""


def test_the_risk_difference_over_sparse_strata_is_the_published_one() -> None:
    rows = [[int(count) for count in row.split()] for row in MYELOMA.split("|")]
    found = risk_difference([Table(n, k, m, c) for k, n, c, m in rows])
    assert found is not None
    assert found[0] == pytest.approx(0.05716832, abs=5e-9)
    assert found[1] == pytest.approx((-0.10192703, 0.21126657), abs=5e-9)


def test_the_risk_difference_of_one_stratum_is_the_plain_one() -> None:
    found = risk_difference([Table(70, 56, 80, 48)])
    assert found is not None
    assert found[0] == pytest.approx(0.2)
    assert found[1] == pytest.approx((0.0524, 0.3339), abs=0.005)  # Newcombe 1998, method 10


def test_a_risk_difference_between_strata_is_none_within_them() -> None:
    strata = [Table(90, 45, 10, 5), Table(10, 1, 90, 9)]
    pooled_table = Strata.of(strata).pooled
    assert pooled_table.k / pooled_table.n - pooled_table.other_k / pooled_table.other_n > 0.3
    found = risk_difference(strata)
    assert found is not None
    assert found[0] == pytest.approx(0.0)
    assert found[1][0] < 0 < found[1][1]


def test_without_both_arms_and_both_results_in_a_stratum_there_is_no_risk_difference() -> None:
    assert risk_difference([]) is None
    assert risk_difference([Table(8, 7, 0, 0), Table(0, 0, 8, 1)]) is None
    assert risk_difference([Table(3, 3, 4, 4), Table(3, 0, 4, 0)]) is None


SEED = 20261122
BASE = np.linspace(0.02, 0.4, 40)


@pytest.mark.parametrize(
    ("n", "other_n", "rates", "other_rates"),
    [
        (5, 20, BASE, BASE),
        (1, 3, BASE, BASE),
        (5, 20, BASE + 0.3, BASE),
        (1, 1, BASE + 0.2, BASE),
        (2, 30, np.linspace(0, 0.4, 40), np.full(40, 0.015)),
        (2, 6, np.where(np.arange(40) % 2, BASE + 0.55, BASE), BASE),
        (3, 6, np.ones(40), np.full(40, 0.08)),
        (6, 3, np.full(40, 0.95), np.full(40, 0.05)),
    ],
    ids=["null", "small", "shifted", "pairs", "rare", "uneven effects", "always", "nearly always"],
)
def test_the_interval_covers_the_truth_over_simulated_strata(
    n: int, other_n: int, rates: np.ndarray, other_rates: np.ndarray
) -> None:
    random, rounds, covered = np.random.default_rng(SEED), 2000, 0
    truth = float(np.mean(rates - other_rates))
    for _ in range(rounds):
        counts = zip(random.binomial(n, rates), random.binomial(other_n, other_rates), strict=True)
        found = risk_difference([Table(n, int(k), other_n, int(c)) for k, c in counts])
        assert found is not None
        covered += found[1][0] <= truth <= found[1][1]
    print(f"seed {SEED}: the interval covered the truth in {covered / rounds:.1%}")
    assert covered >= 0.93 * rounds


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


def test_an_excess_of_less_than_half_a_call_is_sure_of_nothing() -> None:
    found = stratified_contrast([Table(99, 1, 1, 0)] * 2)
    assert found.stratified
    assert found.p == 1.0
    assert found.p_greater == 0.5


def test_without_an_informative_stratum_fishers_exact_test_answers() -> None:
    found = stratified_contrast([Table(8, 7, 0, 0), Table(0, 0, 8, 1)])
    assert not found.stratified
    assert found.effect is None
    assert found.interval is None
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
    assert Strata.of(tables).pooled.n == sum(table.n for table in tables)

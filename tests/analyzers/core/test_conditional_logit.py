"""Against statsmodels' ConditionalLogit, against matched pairs, and against CMH."""

import numpy as np
import pytest
from statsmodels.discrete.conditional_models import ConditionalLogit

from spanlore.analyzers.core.conditional_logit import Grouped, conditional_score, fitted
from spanlore.analyzers.core.statistics import Strata, sums

SEED = 20261122


def random_rows(seed: int, *, strata: int = 30, looks_max: int = 4) -> Grouped:
    """Rows of an effect (0.5), two covariates, and strata of their own rates."""
    random = np.random.default_rng(seed)
    rows = []
    for stratum in range(strata):
        level = random.normal()
        for kind in range(3):
            for subject in (0, 1):
                n = int(random.integers(0, looks_max))
                logit = level + 0.5 * subject + 0.7 * (kind == 1) - 0.4 * (kind == 2)
                k = int(random.binomial(n, 1 / (1 + np.exp(-logit))))
                rows.append((n, k, stratum, subject, kind == 1, kind == 2))
    columns = np.array([row for row in rows if row[0]], dtype=np.float64).T
    return Grouped(
        n=columns[0], k=columns[1], stratum=columns[2].astype(np.int64), design=columns[3:].T
    )


def single_looks(rows: Grouped) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows one look at a time: results, design, strata."""
    counts = rows.n.astype(int)
    results = np.concatenate(
        [np.arange(n) < k for n, k in zip(counts, rows.k, strict=True)]
    ).astype(float)
    return results, np.repeat(rows.design, counts, axis=0), np.repeat(rows.stratum, counts)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_coefficients_are_those_of_statsmodels(seed: int) -> None:
    rows = random_rows(seed)
    results, design, strata = single_looks(rows)
    theirs = ConditionalLogit(results, design, groups=strata).fit(disp=False)
    assert fitted(rows, free=np.arange(3)) == pytest.approx(theirs.params, abs=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_the_score_and_its_information_are_those_of_statsmodels() -> None:
    rows = random_rows(SEED)
    results, design, strata = single_looks(rows)
    theirs = ConditionalLogit(results, design, groups=strata)
    null = np.concatenate([[0.0], fitted(rows, free=np.arange(1, 3))[1:]])
    hessian = -theirs.hessian(null)
    left = hessian[0, 0] - hessian[0, 1:] @ np.linalg.inv(hessian[1:, 1:]) @ hessian[1:, 0]
    ours = conditional_score(rows)
    assert theirs.score(null)[1:] == pytest.approx([0, 0], abs=1e-5)
    assert ours.excess == pytest.approx(theirs.score(null)[0], abs=1e-5)
    assert ours.information == pytest.approx(left, rel=1e-5)


def matched_pairs(both: int, subject_alone: int, other_alone: int, neither: int) -> Grouped:
    """Pairs of a subject and another, by which of the two had the event."""
    kinds = [(1, 1)] * both + [(1, 0)] * subject_alone + [(0, 1)] * other_alone + [(0, 0)] * neither
    return Grouped(
        n=np.ones(2 * len(kinds)),
        k=np.array(kinds, dtype=np.float64).ravel(),
        stratum=np.repeat(np.arange(len(kinds)), 2),
        design=np.tile([[1.0], [0.0]], (len(kinds), 1)),
    )


def test_matched_pairs_give_mcnemars_test_and_the_ratio_of_the_discordant() -> None:
    """Myocardial infarction and diabetes, 144 pairs (Coulehan et al. 1986; Agresti 2002, 10.2.6).

    The odds ratio is 37 / 16 and McNemar's statistic (37 - 16) ** 2 / (37 + 16) = 8.32.
    """
    pairs = matched_pairs(9, 37, 16, 82)
    score = conditional_score(pairs)
    assert score.excess**2 / score.information == pytest.approx(8.32, abs=0.005)
    assert np.exp(fitted(pairs, free=np.arange(1)))[0] == pytest.approx(37 / 16, rel=1e-6)


def test_without_covariates_it_is_the_mantel_haenszel_test() -> None:
    rows = random_rows(SEED, looks_max=7)
    subject = rows.design[:, 0]
    strata = Strata(
        *(
            sums(rows.stratum, values * arm)
            for arm in (subject, 1 - subject)
            for values in (rows.n, rows.k)
        )
    )
    alone = Grouped(n=rows.n, k=rows.k, stratum=rows.stratum, design=rows.design[:, :1])
    score = conditional_score(alone)
    assert score.excess == pytest.approx(float(strata.excess().sum()))
    assert score.information == pytest.approx(float(strata.information().sum()))


def test_a_covariate_that_explains_the_subject_wholly_leaves_no_information() -> None:
    rows = random_rows(SEED)
    twice = Grouped(
        n=rows.n,
        k=rows.k,
        stratum=rows.stratum,
        design=np.column_stack([rows.design[:, 0], rows.design[:, 0]]),
    )
    assert conditional_score(twice).information == pytest.approx(0.0, abs=1e-6)


def test_a_covariate_level_that_always_fails_does_no_harm() -> None:
    rows = random_rows(SEED)
    always = rows.design[:, 1] > 0
    rows = Grouped(
        n=rows.n, k=np.where(always, rows.n, rows.k), stratum=rows.stratum, design=rows.design
    )
    score = conditional_score(rows)
    assert np.isfinite(score.excess)
    assert score.information > 0


def test_strata_of_many_looks_stay_finite() -> None:
    rows = Grouped(
        n=np.full(8, 100.0),
        k=np.array([60.0, 40, 30, 20, 70, 50, 99, 80]),
        stratum=np.repeat([0, 1], 4),
        design=np.tile([[1.0, 0], [0, 0], [1, 1], [0, 1]], (2, 1)),
    )
    score = conditional_score(rows)
    assert np.isfinite(score.excess)
    assert score.information > 0

"""Against CMH and Mantel-Haenszel without covariates, and against statsmodels with clusters."""

import numpy as np
import pytest
from statsmodels.genmod.cov_struct import Independence
from statsmodels.genmod.generalized_estimating_equations import GEE
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.sandwich_covariance import S_crosssection

from spanlore.analyzers.core.statistics import Strata, risk_difference, sums
from spanlore.analyzers.core.within_strata import Looks, within

SEED = 20261122

# Pups alive 21 days after birth, of litters of treated and of untreated rats (Weil 1970, Food and
# Cosmetics Toxicology 8:177): (k, n). The standard example of likeness within clusters.
UNTREATED = """13 13|12 12|9 9|9 9|8 8|8 8|12 13|11 12|9 10|9 10|8 9|11 13|4 5|5 7|7 10|7 10"""
TREATED = """12 12|11 11|10 10|9 9|10 11|9 10|9 10|8 9|8 9|4 5|7 9|4 7|5 10|3 6|3 10|0 7"""


def litters() -> Looks:
    rows = [
        (subject, *map(float, row.split()))
        for subject, text in ((1.0, TREATED), (0.0, UNTREATED))
        for row in text.split("|")
    ]
    columns = np.array(rows).T
    return Looks(
        n=columns[2],
        k=columns[1],
        subject=columns[0],
        stratum=np.zeros(len(rows), dtype=np.int64),
        cluster=np.arange(len(rows)),
        covariates=np.zeros((len(rows), 0)),
    )


def test_clusters_that_are_alike_get_the_robust_score_test_of_statsmodels() -> None:
    looks = litters()
    counts = looks.n.astype(int)
    results = np.concatenate([np.arange(n) < k for n, k in zip(counts, looks.k, strict=True)])
    subject, cluster = np.repeat(looks.subject, counts), np.repeat(looks.cluster, counts)
    design = np.column_stack([np.ones(len(subject)), subject])
    full = GEE(results.astype(float), design, cluster, cov_struct=Independence())
    less = GEE(results.astype(float), design[:, :1], cluster, cov_struct=Independence()).fit()
    found = within(looks)
    assert found is not None
    score = found.difference * found.weight
    unshrunk = len(counts) / (len(counts) - 1)
    assert score**2 / found.clustered * unshrunk == pytest.approx(
        float(full.compare_score_test(less)["statistic"]), rel=1e-6
    )
    assert found.design_effect > 1.5


def random_looks(seed: int, *, covariates: int = 0, clusters: int = 12) -> Looks:
    random = np.random.default_rng(seed)
    rows = 120
    n = random.integers(1, 5, rows).astype(np.float64)
    return Looks(
        n=n,
        k=random.binomial(n.astype(int), 0.3).astype(np.float64),
        subject=random.integers(0, 2, rows).astype(np.float64),
        stratum=np.concatenate([np.arange(10), random.integers(0, 10, rows - 10)]),
        cluster=random.integers(0, clusters, rows) if clusters else np.full(rows, -1),
        covariates=random.integers(0, 2, (rows, covariates)).astype(np.float64),
    )


def strata_of(looks: Looks) -> Strata:
    arms = (looks.subject, 1 - looks.subject)
    return Strata(*(sums(looks.stratum, one * arm) for arm in arms for one in (looks.n, looks.k)))


def test_without_covariates_it_is_the_mantel_haenszel_difference_and_variance() -> None:
    looks = random_looks(SEED, clusters=0)
    strata, found = strata_of(looks), within(looks)
    by_strata = risk_difference(strata)
    assert found is not None
    assert by_strata is not None
    assert found.difference == pytest.approx(by_strata[0])
    assert found.difference * found.weight == pytest.approx(float(strata.excess().sum()))
    assert found.independent == found.clustered
    assert found.independent == pytest.approx(float(strata.information().sum()))


def test_with_covariates_the_difference_is_that_of_least_squares() -> None:
    looks = random_looks(SEED, covariates=2)
    dummies = (looks.stratum[:, None] == np.arange(10)[None]).astype(float)
    design = np.column_stack([looks.subject, looks.covariates, dummies])
    counts = looks.n.astype(int)
    results = np.concatenate([np.arange(n) < k for n, k in zip(counts, looks.k, strict=True)])
    theirs = OLS(results.astype(float), np.repeat(design, counts, axis=0)).fit()
    found = within(looks)
    assert found is not None
    assert found.difference == pytest.approx(float(theirs.params[0]))


def test_the_clustered_variance_is_the_sandwich_meat_of_statsmodels() -> None:
    """One stratum, so that the correction for strata is one factor: G / (G - 1)."""
    looks = random_looks(SEED)
    looks = Looks(
        n=looks.n,
        k=looks.k,
        subject=looks.subject,
        stratum=np.zeros_like(looks.stratum),
        cluster=looks.cluster,
        covariates=looks.covariates,
    )
    rate, share = looks.k.sum() / looks.n.sum(), looks.n @ looks.subject / looks.n.sum()
    scores = (looks.subject - share) * (looks.k - looks.n * rate)
    meat = float(S_crosssection(scores[:, None], looks.cluster)[0, 0])
    found = within(looks)
    assert found is not None
    assert found.clustered == pytest.approx(meat * 12 / 11)


def test_looks_all_alike_within_clusters_count_as_one_each() -> None:
    size, clusters = 8, 60
    random = np.random.default_rng(SEED)
    subject = np.arange(clusters) % 2
    happened = random.binomial(1, 0.4, clusters)
    found = within(
        Looks(
            n=np.full(clusters, float(size)),
            k=size * happened.astype(np.float64),
            subject=subject.astype(np.float64),
            stratum=np.zeros(clusters, dtype=np.int64),
            cluster=np.arange(clusters),
            covariates=np.zeros((clusters, 0)),
        )
    )
    assert found is not None
    assert found.design_effect == pytest.approx(size, rel=0.05)


def test_single_looks_have_next_to_no_design_effect() -> None:
    looks = random_looks(SEED)
    alone = Looks(
        n=np.ones(len(looks.n)),
        k=(looks.k > 0).astype(np.float64),
        subject=looks.subject,
        stratum=looks.stratum,
        cluster=np.arange(len(looks.n)),
        covariates=looks.covariates,
    )
    found = within(alone)
    assert found is not None
    assert found.design_effect == pytest.approx(1.0)


def test_what_the_covariates_explain_wholly_has_no_difference() -> None:
    looks = random_looks(SEED)
    assert (
        within(
            Looks(
                n=looks.n,
                k=looks.k,
                subject=looks.subject,
                stratum=looks.stratum,
                cluster=looks.cluster,
                covariates=looks.subject[:, None],
            )
        )
        is None
    )

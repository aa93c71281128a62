"""Differences within strata, fitted linearly: with covariates, and with users who repeat.

The looks of both arms are centred within their stratum and, where there are covariates, freed of
what those explain (Frisch, Waugh and Lovell). Without covariates the fitted difference is the
Mantel-Haenszel risk difference and its score the Cochran-Mantel-Haenszel excess, exactly; so the
sandwich variance over clusters (Liang and Zeger 1986, Biometrika 73:13) that is made here belongs
to those as well. It is taken under the hypothesis that nothing is there, which keeps the test
honest with few clusters: no ratio of a sum to the root of its own squares is large by few terms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from spanlore.analyzers.core.statistics import ALPHA, Floats, sums

Codes = NDArray[np.int64]

# Of the difference between the arms, what must not go with the covariates for it to be its own.
SEPARABLE_SHARE_MIN = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """Looks of both arms as columns: ``k`` of ``n`` in each row, which is of one arm.

    ``stratum`` and ``cluster`` are numbered from 0, ``cluster`` is -1 where a look stands alone;
    ``covariates`` has a column for each, and may have none.
    """

    n: Floats
    k: Floats
    subject: Floats
    stratum: Codes
    cluster: Codes
    covariates: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """The difference between the arms within strata (-1 to 1), and its variance in two ways.

    ``excess`` is the score: the subject's events beyond what is expected; ``weight`` divides it
    into a difference. ``independent`` is the variance of the score if every look stands alone,
    ``clustered`` if looks of one cluster may be as alike as they like.
    """

    difference: float
    excess: float
    weight: float
    independent: float
    clustered: float

    @property
    def design_effect(self) -> float:
        """By how much clusters make the variance greater, never less than 1."""
        if self.independent <= 0:
            return 1.0
        return max(1.0, self.clustered / self.independent)

    @property
    def standard_error(self) -> float:
        """The standard error of the difference."""
        return float((self.independent * self.design_effect) ** 0.5 / self.weight)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference."""
        half = float(stats.norm.isf(ALPHA / 2)) * self.standard_error
        return max(self.difference - half, -1.0), min(self.difference + half, 1.0)


def within(looks: Looks) -> Within | None:
    """Return the difference within strata; None where strata and covariates explain the arms."""
    subject = _centred(looks.subject, looks)
    result = _centred(looks.k / looks.n, looks)
    spread = float(np.sum(looks.n * subject**2))
    if looks.covariates.shape[1]:
        columns = np.column_stack([_centred(one, looks) for one in looks.covariates.T])
        root = np.sqrt(looks.n)
        weighted = columns * root[:, None]
        both = np.column_stack([subject, result]) * root[:, None]
        explained = columns @ np.linalg.lstsq(weighted, both, rcond=None)[0]
        subject, result = subject - explained[:, 0], result - explained[:, 1]
    weight = float(np.sum(looks.n * subject**2))
    if weight <= SEPARABLE_SHARE_MIN * spread or weight <= 0:
        return None
    independent, clustered = _variances(looks, subject, result)
    excess = float(np.sum(looks.n * subject * result))
    return Within(
        difference=max(min(excess / weight, 1.0), -1.0),
        excess=excess,
        weight=weight,
        independent=independent,
        clustered=clustered,
    )


def _variances(looks: Looks, subject: Floats, result: Floats) -> tuple[float, float]:
    """Return the variance of the score: of looks that stand alone, and of clusters."""
    fitted = looks.k / looks.n - result
    if looks.covariates.shape[1]:  # a linear fit may leave 0 to 1: take the squares as they came
        squares = looks.k * (1 - fitted) ** 2 + (looks.n - looks.k) * fitted**2
    else:
        squares = looks.n * fitted * (1 - fitted)
    alone = subject**2 * squares
    total = sums(looks.stratum, looks.n)
    independent = float(np.sum(alone * _unshrunk(total)[looks.stratum]))
    grouped = looks.cluster >= 0
    if not grouped.any():
        return independent, independent
    stratum, cluster = looks.stratum[grouped], looks.cluster[grouped]
    parts = _clusters_in(stratum, cluster, len(total)) + sums(
        looks.stratum[~grouped], looks.n[~grouped], len(total)
    )
    factor = _unshrunk(parts)
    score = (looks.n * subject * result)[grouped] * np.sqrt(factor[stratum])
    by_cluster = sums(cluster, score)
    rest = float(np.sum(alone[~grouped] * factor[looks.stratum[~grouped]]))
    return independent, float(np.sum(by_cluster**2)) + rest


def _unshrunk(parts: Floats) -> Floats:
    """Undo that residuals are taken from a mean of their own stratum: of ``parts`` in each."""
    return np.where(parts > 1, parts / np.maximum(parts - 1, 1), 1.0)


def _clusters_in(stratum: Codes, cluster: Codes, number: int) -> Floats:
    """Return how many clusters each stratum has looks of."""
    clusters = int(cluster.max()) + 1
    pairs = np.sort(stratum * clusters + cluster)  # np.unique hashes, ten times slower
    pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])]
    return sums(pairs // clusters, np.ones(len(pairs)), number)


def _centred(values: Floats, looks: Looks) -> Floats:
    total = np.maximum(sums(looks.stratum, looks.n), 1)
    return values - (sums(looks.stratum, looks.n * values) / total)[looks.stratum]

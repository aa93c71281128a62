"""The statistics every analyzer rests on: statsmodels and scipy, given our words.

Nothing here knows about tools or traces. Counts go in as 2x2 tables
``[[subject_k, subject_n - subject_k], [other_k, other_n - other_k]]``, one for each stratum.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

ALPHA = 0.05
CONTINUITY_CORRECTION = 0.5


@dataclass(frozen=True, slots=True)
class Table:
    """One stratum: ``k`` of ``n`` for the subject, ``other_k`` of ``other_n`` for the rest.

    Counts are whole numbers, but for effective ones (``effective_counts``), which are compared
    with a rate alone and never with another arm.
    """

    n: float
    k: float
    other_n: float
    other_k: float

    @property
    def compares(self) -> bool:
        """Whether the stratum holds both arms, so that it can say something about them."""
        return self.n > 0 and self.other_n > 0

    @property
    def informs(self) -> bool:
        """Whether it holds both arms and both results: only such strata move the test."""
        return self.compares and 0 < self.k + self.other_k < self.n + self.other_n

    def counts(self) -> list[list[float]]:
        """Return the 2x2 table, subject first, event first."""
        return [[self.k, self.n - self.k], [self.other_k, self.other_n - self.other_k]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """What a comparison of two arms gave.

    ``p`` is two-sided, ``p_greater`` one-sided for "the subject's rate is the greater";
    ``odds_ratio`` is pooled over strata (Mantel-Haenszel) with its 95 % interval; ``effect`` is
    the Mantel-Haenszel risk difference with its 95 % interval (``risk_difference``); all are None
    where no stratum informs. ``stratified`` is False when the strata could not be used, and
    ``informative`` counts those that hold both arms and both results.
    """

    p: float
    p_greater: float
    odds_ratio: float | None
    odds_ratio_interval: tuple[float, float] | None
    effect: float | None
    interval: tuple[float, float] | None
    stratified: bool
    informative: int


def wilson_interval(k: float, n: float) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of the rate ``k / n`` (Wilson 1927).

    Raises ValueError when ``n`` is 0: a rate of nothing has no interval.
    """
    if n <= 0:
        message = "a rate needs at least one observation"
        raise ValueError(message)
    low, high = proportion_confint(k, n, alpha=ALPHA, method="wilson")
    return float(low), float(high)


def risk_difference(strata: Sequence[Table]) -> tuple[float, tuple[float, float]] | None:
    """Return the Mantel-Haenszel risk difference over strata, with its 95 % interval.

    The subject's rate minus the other's is taken within each stratum that holds both arms, and
    averaged with the weights ``n * other_n / (n + other_n)``. The interval inverts the test that
    uses Sato's variance (Klingenberg 2014, Statistics in Medicine 33:2968; Sato 1989, Biometrics
    45:1323): it is made for many small strata as well as for few large ones, and does not
    collapse where an arm always or never fails. None where no stratum informs.
    """
    held = [table for table in strata if table.compares]
    if not any(table.informs for table in held):
        return None
    k, n, other_k, other_n = (
        np.array([getattr(table, name) for table in held], dtype=float)
        for name in ("k", "n", "other_k", "other_n")
    )
    total = n + other_n
    weight = float(np.sum(n * other_n / total))
    effect = float(np.sum((k * other_n - other_k * n) / total)) / weight
    # Sato's variance of the effect, if it were d, is (d * slope + level) / weight ** 2.
    skew = n * other_n * (other_n - n) / 2
    slope = float(np.sum((n**2 * other_k - other_n**2 * k + skew) / total**2))
    level = float(np.sum((k * (other_n - other_k) + other_k * (n - k)) / (2 * total)))
    scale = float(stats.chi2.isf(ALPHA, 1)) / weight**2
    middle = effect + slope * scale / 2
    half = max(middle**2 - effect**2 + level * scale, 0.0) ** 0.5
    return effect, (max(min(middle - half, effect), -1.0), min(max(middle + half, effect), 1.0))


def stratified_contrast(strata: Sequence[Table]) -> Contrast:
    """Compare the two arms within strata: Cochran-Mantel-Haenszel, continuity corrected.

    Only strata that hold both arms and both results speak. Where there is none, Fisher's exact
    test on the pooled table answers instead and ``stratified`` is False: that p is confounded by
    whatever the strata stood for, and the core does not confirm on it.
    """
    informative = [table for table in strata if table.informs]
    if not informative:
        return _fisher(pooled(strata))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # an empty cell gives an infinite ratio; handled below
        cmh = StratifiedTable([np.array(table.counts(), dtype=float) for table in informative])
        statistic = float(cmh.test_null_odds(correction=True).statistic)
        ratio, low, high = _pooled_odds(cmh)
    effect, interval = risk_difference(strata) or (None, None)
    excess = _excess(informative)
    # The library takes the correction off also where there is less to take it off from, and then
    # calls the smallest excess the surest; and its own p is 1 - cdf, which stops at 1e-16.
    within_correction = abs(excess) <= CONTINUITY_CORRECTION or np.isnan(statistic)
    p = 1.0 if within_correction else float(stats.chi2.sf(statistic, 1))
    return Contrast(
        p=p,
        p_greater=p / 2 if excess > 0 else 1 - p / 2,
        odds_ratio=ratio,
        odds_ratio_interval=(low, high) if low is not None and high is not None else None,
        effect=effect,
        interval=interval,
        stratified=True,
        informative=len(informative),
    )


def rate_above(k: float, n: float, *, floor: float) -> tuple[float, float]:
    """Return the exact binomial p of ``k`` in ``n`` against the rate ``floor``.

    (two-sided, one-sided for "above"). Effective counts need not be whole numbers: the tail of
    the binomial is an incomplete beta function, which is defined between them as well; then the
    two-sided p is twice the smaller tail.
    """
    if n == 0:
        return 1.0, 1.0
    if not (float(k).is_integer() and float(n).is_integer()):
        above = float(special.betainc(k, n - k + 1, floor)) if k > 0 else 1.0
        below = float(special.betaincc(k + 1, n - k, floor)) if k < n else 1.0
        return min(2 * min(above, below), 1.0), above
    k, n = int(k), int(n)
    return (
        float(stats.binomtest(k, n, floor).pvalue),
        float(stats.binomtest(k, n, floor, alternative="greater").pvalue),
    )


def false_discovery_q(p_values: Sequence[float]) -> list[float]:
    """Return the Benjamini-Hochberg adjusted p values, in the order given."""
    if not p_values:
        return []
    return [float(q) for q in multipletests(p_values, method="fdr_bh")[1]]


def pooled(strata: Sequence[Table]) -> Table:
    """Add strata up to one table."""
    return Table(
        sum(table.n for table in strata),
        sum(table.k for table in strata),
        sum(table.other_n for table in strata),
        sum(table.other_k for table in strata),
    )


def _excess(strata: Sequence[Table]) -> float:
    """Return how many more subject events there were than the strata's own rates expect."""
    return sum(
        table.k - table.n * (table.k + table.other_k) / (table.n + table.other_n)
        for table in strata
    )


def _fisher(table: Table) -> Contrast:
    counts = np.array(table.counts())
    return Contrast(
        p=float(stats.fisher_exact(counts).pvalue),
        p_greater=float(stats.fisher_exact(counts, alternative="greater").pvalue),
        odds_ratio=None,
        odds_ratio_interval=None,
        effect=None,
        interval=None,
        stratified=False,
        informative=0,
    )


def _pooled_odds(cmh: StratifiedTable) -> tuple[float | None, float | None, float | None]:
    """Return the Mantel-Haenszel odds ratio and interval, None where a cell made it infinite."""
    ratio = float(cmh.oddsratio_pooled)
    if not np.isfinite(ratio) or ratio <= 0:
        return None, None, None
    low, high = (float(bound) for bound in cmh.oddsratio_pooled_confint(alpha=ALPHA))
    if not (np.isfinite(low) and np.isfinite(high)):
        return ratio, None, None
    return ratio, low, high

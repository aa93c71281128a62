"""The statistics every analyzer rests on: statsmodels and scipy, given our words.

Nothing here knows about tools or traces. Counts go in as 2x2 tables
``[[subject_k, subject_n - subject_k], [other_k, other_n - other_k]]``, one for each stratum, as
columns (``Strata``).
"""

import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Method = Literal["cmh", "conditional_logit", "least_squares", "fisher", "binomial"]

ALPHA = 0.05
CONTINUITY_CORRECTION = 0.5
# A 95 % interval reaches as far as this squared distance in standard errors.
_REACH = float(stats.chi2.isf(ALPHA, 1))
INTERVAL_ERRORS = 2 * _REACH**0.5
# Which warnings are shown is a matter of the whole process, and several threads come here.
_WARNINGS = threading.Lock()


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


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """Strata as columns of one length: ``k`` of ``n``, and ``other_k`` of ``other_n``."""

    n: Floats
    k: Floats
    other_n: Floats
    other_k: Floats

    @classmethod
    def of(cls, tables: Sequence[Table]) -> "Strata":
        """Return tables as columns."""
        rows = np.array(
            [(one.n, one.k, one.other_n, one.other_k) for one in tables], dtype=np.float64
        ).reshape(-1, 4)
        return cls(*rows.T)

    @property
    def total(self) -> Floats:
        """The looks of both arms."""
        return self.n + self.other_n

    @property
    def events(self) -> Floats:
        """The events of both arms."""
        return self.k + self.other_k

    @property
    def compares(self) -> Flags:
        """Which strata hold both arms, so that they can say something about them."""
        return (self.n > 0) & (self.other_n > 0)

    @property
    def informs(self) -> Flags:
        """Which hold both arms and both results: only such strata move the test."""
        return self.compares & (self.events > 0) & (self.events < self.total)

    @property
    def pooled(self) -> Table:
        """The strata added up to one table."""
        columns = (self.n, self.k, self.other_n, self.other_k)
        return Table(*(float(column.sum()) for column in columns))

    def where(self, flags: Flags) -> "Strata":
        """Return the strata whose flag is set."""
        return Strata(self.n[flags], self.k[flags], self.other_n[flags], self.other_k[flags])

    def excess(self) -> Floats:
        """Return how many more subject events each stratum has than its own rate expects."""
        return self.k - self.n * self.events / np.maximum(self.total, 1)

    def information(self) -> Floats:
        """Return the variance of each excess if the arms do not differ (hypergeometric).

        It depends on the margins alone, so that choosing by it says nothing about the effect.
        """
        total = np.maximum(self.total, 2)
        spread = self.n * self.other_n * self.events * (self.total - self.events)
        return np.asarray(spread / (total**2 * (total - 1)), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """What a comparison of two arms gave.

    ``p`` is two-sided, ``p_greater`` one-sided for "the subject's rate is the greater";
    ``odds_ratio`` is pooled over strata (Mantel-Haenszel) with its 95 % interval; ``effect`` is
    the Mantel-Haenszel risk difference with its 95 % interval (``risk_difference``, as wide as
    ``agreeing`` makes it) and its ``standard_error``, which no bound cuts short; all are None
    where no stratum informs. ``stratified`` is False when the strata could not be used, and
    ``informative`` counts those that hold both arms and both results. ``excess`` is how many more
    events the subject had than were to be expected if nothing is there, ``design_effect`` by how
    much likeness within clusters makes the variance of all of it greater (at least 1).
    """

    p: float
    p_greater: float
    odds_ratio: float | None
    odds_ratio_interval: tuple[float, float] | None
    effect: float | None
    interval: tuple[float, float] | None
    stratified: bool
    informative: int
    method: Method = "cmh"
    excess: float = 0.0
    design_effect: float = 1.0
    standard_error: float | None = None


def sums(codes: NDArray[np.int64], values: Floats, number: int = 0) -> Floats:
    """Add values up by their code, 0 to at least ``number`` - 1."""
    return np.bincount(codes, values, number).astype(np.float64, copy=False)


def wilson_interval(k: float, n: float) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of the rate ``k / n`` (Wilson 1927).

    Raises ValueError when ``n`` is 0: a rate of nothing has no interval.
    """
    if n <= 0:
        message = "a rate needs at least one observation"
        raise ValueError(message)
    low, high = proportion_confint(k, n, alpha=ALPHA, method="wilson")
    return float(low), float(high)


def risk_difference(
    tables: Sequence[Table] | Strata, *, design_effect: float = 1.0
) -> tuple[float, tuple[float, float]] | None:
    """Return the Mantel-Haenszel risk difference over strata, with its 95 % interval.

    The subject's rate minus the other's is taken within each stratum that holds both arms, and
    averaged with the weights ``n * other_n / (n + other_n)``. The interval inverts the test that
    uses Sato's variance (Klingenberg 2014, Statistics in Medicine 33:2968; Sato 1989, Biometrics
    45:1323), times the design effect: it is made for many small strata as well as for few large
    ones, and does not collapse where an arm always or never fails. None where no stratum informs.
    """
    strata = tables if isinstance(tables, Strata) else Strata.of(tables)
    found = _difference(strata, design_effect)
    return None if found is None else _bounded(*found)


def agreeing(interval: tuple[float, float] | None, p: float) -> tuple[float, float] | None:
    """Return an interval of an effect, widened to reach 0 where its test does not exclude 0.

    The tests are exact or continuity corrected and the intervals neither, so that on small counts
    an interval may leave out what the test allows.
    """
    if interval is None or p <= ALPHA:
        return interval
    return min(interval[0], 0.0), max(interval[1], 0.0)


def _bounded(effect: float, middle: float, half: float) -> tuple[float, tuple[float, float]]:
    return effect, (max(min(middle - half, effect), -1.0), min(max(middle + half, effect), 1.0))


def _difference(strata: Strata, design_effect: float) -> tuple[float, float, float] | None:
    """Return the risk difference, and the middle and half the width of its interval."""
    held = strata.where(strata.compares)
    if not held.informs.any():
        return None
    n, k, other_n, other_k = held.n, held.k, held.other_n, held.other_k
    total = held.total
    weight = float(np.sum(n * other_n / total))
    effect = float(np.sum((k * other_n - other_k * n) / total)) / weight
    # Sato's variance of the effect, if it were d, is (d * slope + level) / weight ** 2.
    skew = n * other_n * (other_n - n) / 2
    slope = float(np.sum((n**2 * other_k - other_n**2 * k + skew) / total**2))
    level = float(np.sum((k * (other_n - other_k) + other_k * (n - k)) / (2 * total)))
    scale = design_effect * _REACH / weight**2
    middle = effect + slope * scale / 2
    return effect, middle, max(middle**2 - effect**2 + level * scale, 0.0) ** 0.5


def stratified_contrast(
    tables: Sequence[Table] | Strata, *, design_effect: float = 1.0
) -> Contrast:
    """Compare the two arms within strata: Cochran-Mantel-Haenszel, continuity corrected.

    Only strata that hold both arms and both results speak. Where there is none, Fisher's exact
    test on the pooled table answers instead and ``stratified`` is False: that p is confounded by
    whatever the strata stood for, and the core does not confirm on it. A ``design_effect`` above
    1 divides the statistic and widens both intervals.
    """
    strata = tables if isinstance(tables, Strata) else Strata.of(tables)
    informative = strata.where(strata.informs)
    if not len(informative.n):
        return _fisher(strata.pooled)
    excess = float(informative.excess().sum())
    p, p_greater = score_test(
        excess, float(informative.information().sum()), design_effect=design_effect
    )
    ratio, ratio_interval = _pooled_odds(informative, design_effect)
    found = _difference(strata, design_effect)
    effect, interval = (None, None) if found is None else _bounded(*found)
    return Contrast(
        p=p,
        p_greater=p_greater,
        odds_ratio=ratio,
        odds_ratio_interval=ratio_interval,
        effect=effect,
        interval=agreeing(interval, p),
        stratified=True,
        informative=len(informative.n),
        excess=excess,
        design_effect=design_effect,
        standard_error=None if found is None else 2 * found[2] / INTERVAL_ERRORS,
    )


def score_test(
    excess: float, information: float, *, design_effect: float = 1.0
) -> tuple[float, float]:
    """Return the p of an excess whose variance is ``information`` times the design effect.

    (two-sided, one-sided for "greater"), with half an event of continuity correction: an excess
    of less than that is sure of nothing.
    """
    beyond = max(abs(excess) - CONTINUITY_CORRECTION, 0.0)
    statistic = beyond**2 / (information * design_effect) if information > 0 else 0.0
    p = float(special.chdtrc(1, statistic))  # what stats.chi2.sf is, without its checks
    return p, p / 2 if excess > 0 else 1 - p / 2


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


def _fisher(table: Table) -> Contrast:
    counts = np.array(
        [[table.k, table.n - table.k], [table.other_k, table.other_n - table.other_k]]
    )
    return Contrast(
        p=float(stats.fisher_exact(counts).pvalue),
        p_greater=float(stats.fisher_exact(counts, alternative="greater").pvalue),
        odds_ratio=None,
        odds_ratio_interval=None,
        effect=None,
        interval=None,
        stratified=False,
        informative=0,
        method="fisher",
    )


def _pooled_odds(
    strata: Strata, design_effect: float
) -> tuple[float | None, tuple[float, float] | None]:
    """Return the Mantel-Haenszel odds ratio and interval, None where a cell made it infinite."""
    counts = np.array(
        [[strata.k, strata.n - strata.k], [strata.other_k, strata.other_n - strata.other_k]]
    )
    with _WARNINGS, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # an empty cell gives an infinite ratio; handled below
        table = StratifiedTable(counts)
        ratio = float(table.oddsratio_pooled)
        if not np.isfinite(ratio) or ratio <= 0:
            return None, None
        low, high = (float(bound) for bound in table.oddsratio_pooled_confint(alpha=ALPHA))
    if not (np.isfinite(low) and np.isfinite(high) and low > 0):
        return ratio, None
    wider = design_effect**0.5
    return ratio, (ratio * (low / ratio) ** wider, ratio * (high / ratio) ** wider)

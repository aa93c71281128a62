"""How good a judge is, held against gold labels, and the pass rate that is left once it is known.

Counts in, numbers out. A judge says pass or fail of many runs; of some there is a gold label.

- ``rogan_gladen``: the judge's pass rate corrected by sensitivity and specificity (Rogan and
  Gladen 1978, American Journal of Epidemiology 107:71), with the interval of Lang and Reiczigel
  (2014, Preventive Veterinary Medicine 113:13). It holds whichever runs were given gold labels, as
  long as the judge errs on them as on the others.
- ``prediction_powered``: the gold labels' own pass rate, made sharper by the judge as far as the
  judge deserves it (PPI++: Angelopoulos, Duchi and Zrnic 2023, arXiv:2311.01453). It never claims
  more than the gold labels carry, however bad the judge; they must be of runs that stand for all.
  Its interval adds one run to each of the four outcomes, as Agresti and Coull (1998, The American
  Statistician 52:119) add two successes and two failures: the plain one covers the truth in 85 of
  100 cases with 30 labels, this one in 97 (``benchmarks/judge_coverage.py``).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from spanlore.analyzers.core.statistics import ALPHA, wilson_interval

Interval = tuple[float, float]

GOLD_MIN = 30
HALF_WIDTH_MAX = 0.10
"""A corrected rate is believable with so many labels and an interval of +-10 points at most."""

_Z = float(stats.norm.isf(ALPHA / 2))
# What is added to each of the four outcomes before an interval is taken.
_ADDED = 1.0
# Lang and Reiczigel made their interval for judges that are right at least half of the time; below
# so many labels of a kind it misses the truth too often (``benchmarks/judge_coverage.py``).
_RIGHT_MIN = 0.5
_KIND_MIN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """What a judge said of runs, by what gold says of them; the last two have no gold label."""

    pass_pass: int = 0
    pass_fail: int = 0
    fail_pass: int = 0
    fail_fail: int = 0
    pass_only: int = 0
    fail_only: int = 0

    @property
    def gold(self) -> int:
        """Runs that both labelled."""
        return self.pass_pass + self.pass_fail + self.fail_pass + self.fail_fail

    @property
    def judged(self) -> int:
        """Runs that the judge labelled."""
        return self.gold + self.pass_only + self.fail_only

    @property
    def passed(self) -> int:
        """Runs that the judge passed."""
        return self.pass_pass + self.pass_fail + self.pass_only

    @property
    def disagreements(self) -> int:
        """Runs of which the judge and gold say different things."""
        return self.pass_fail + self.fail_pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """An estimate from 0 to 1 (kappa: from -1) with its 95 % interval (low, high)."""

    value: float
    interval: Interval

    def json(self) -> dict[str, Any]:
        """Return it as JSON, to four digits."""
        low, high = self.interval
        return {"value": round(self.value, 4), "interval": [round(low, 4), round(high, 4)]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A judge held against gold; what there is too little to say of is None.

    ``bias`` is the judge's pass rate less gold's, on the runs that both labelled. ``gold_needed``
    is how many gold labels a believable corrected rate takes in all, with a judge like this one.
    """

    confusion: Confusion
    sensitivity: Rate | None
    specificity: Rate | None
    kappa: Rate | None
    bias: float | None
    judge_rate: Rate | None
    rogan_gladen: Rate | None
    prediction_powered: Rate | None
    gold_needed: int

    @property
    def gold_missing(self) -> int:
        """Gold labels still wanted for a believable corrected rate."""
        return max(0, self.gold_needed - self.confusion.gold)

    def json(self) -> dict[str, Any]:
        """Return it as JSON; rates are from 0 to 1, what there is too little to say of is null."""
        counts = self.confusion
        rates = {
            "kappa": self.kappa,
            "sensitivity": self.sensitivity,
            "specificity": self.specificity,
            "judge_pass_rate": self.judge_rate,
            "corrected_pass_rate": self.prediction_powered,
            "corrected_by_sensitivity_and_specificity": self.rogan_gladen,
        }
        return {
            "judged": counts.judged,
            "gold_labels": counts.gold,
            "gold_labels_needed": self.gold_needed,
            "gold_labels_missing": self.gold_missing,
            "passed_and_gold_passed": counts.pass_pass,
            "passed_and_gold_failed": counts.pass_fail,
            "failed_and_gold_passed": counts.fail_pass,
            "failed_and_gold_failed": counts.fail_fail,
            "bias": None if self.bias is None else round(self.bias, 4),
            **{name: None if rate is None else rate.json() for name, rate in rates.items()},
        }


def calibrated(counts: Confusion) -> Calibration:
    """Hold a judge against gold."""
    gold = counts.gold
    passed_by_gold = counts.pass_pass + counts.fail_pass
    return Calibration(
        confusion=counts,
        sensitivity=_share(counts.pass_pass, passed_by_gold),
        specificity=_share(counts.fail_fail, gold - passed_by_gold),
        kappa=kappa(counts),
        bias=(counts.pass_fail - counts.fail_pass) / gold if gold else None,
        judge_rate=_share(counts.passed, counts.judged),
        rogan_gladen=rogan_gladen(counts),
        prediction_powered=prediction_powered(counts),
        gold_needed=gold_needed(counts),
    )


def rogan_gladen(counts: Confusion) -> Rate | None:
    """Return the pass rate corrected by sensitivity and specificity.

    None without gold labels of both kinds, or where the judge does no better than chance. With
    fewer than five labels of a kind, or a judge that is wrong more often than right on one, the
    interval is all of (0, 1) and says nothing.
    """
    n_sensitivity = counts.pass_pass + counts.fail_pass
    n_specificity = counts.pass_fail + counts.fail_fail
    if not (n_sensitivity and n_specificity):
        return None
    sensitivity = counts.pass_pass / n_sensitivity
    specificity = counts.fail_fail / n_specificity
    youden = sensitivity + specificity - 1
    if youden <= 0:
        return None
    value = (counts.passed / counts.judged + specificity - 1) / youden
    interval = lang_reiczigel(
        passed=counts.passed,
        judged=counts.judged,
        right_passes=(counts.pass_pass, n_sensitivity),
        right_fails=(counts.fail_fail, n_specificity),
    )
    is_few = min(n_sensitivity, n_specificity) < _KIND_MIN
    if is_few or min(sensitivity, specificity) < _RIGHT_MIN:
        interval = (0.0, 1.0)
    return Rate(value=min(max(value, 0.0), 1.0), interval=interval)


def lang_reiczigel(
    *, passed: int, judged: int, right_passes: tuple[int, int], right_fails: tuple[int, int]
) -> Interval:
    """Return the 95 % interval of a corrected rate (Lang and Reiczigel 2014, equations 4 to 17).

    ``right_passes`` are (right, of) the gold passes: sensitivity, and ``right_fails`` of the gold
    fails: specificity.
    """
    n = judged + _Z**2
    apparent = (passed + _Z**2 / 2) / n
    n_sensitivity, n_specificity = right_passes[1] + 2, right_fails[1] + 2
    sensitivity = (right_passes[0] + 1) / n_sensitivity
    specificity = (right_fails[0] + 1) / n_specificity
    youden = sensitivity + specificity - 1
    if youden <= 0:
        return 0.0, 1.0
    rate = (apparent + specificity - 1) / youden
    of_sensitivity = sensitivity * (1 - sensitivity) / n_sensitivity
    of_specificity = specificity * (1 - specificity) / n_specificity
    shift = 2 * _Z**2 * (rate * of_sensitivity - (1 - rate) * of_specificity)
    variance = (
        apparent * (1 - apparent) / n + rate**2 * of_sensitivity + (1 - rate) ** 2 * of_specificity
    ) / youden**2
    half = _Z * math.sqrt(variance)
    return max(rate + shift - half, 0.0), min(rate + shift + half, 1.0)


def prediction_powered(counts: Confusion) -> Rate | None:
    """Return the pass rate by the gold labels with the judge's help; None without gold labels."""
    if not counts.gold:
        return None
    unlabelled = counts.pass_only + counts.fail_only
    if not unlabelled:
        return _share(counts.pass_pass + counts.fail_pass, counts.gold)
    value = _ppi(counts, added=0.0).value
    widened = _ppi(counts, added=_ADDED)
    half = _Z * math.sqrt(widened.variance)
    low, high = max(widened.value - half, 0.0), min(widened.value + half, 1.0)
    value = min(max(value, 0.0), 1.0)
    return Rate(value=value, interval=(min(low, value), max(high, value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionPowered:
    """PPI++ for a mean: how far the judge is trusted (0 to 1), the estimate and its variance.

    ``label_variance`` is that of one gold label's part in it, ``judge_variance`` of one verdict's.
    """

    trust: float
    value: float
    variance: float
    label_variance: float
    judge_variance: float


def _ppi(counts: Confusion, *, added: float) -> PredictionPowered:
    """Return PPI++ for a mean (its examples 2.1 and 6.1), with a power-tuned, clipped lambda.

    ``added`` goes to each of the four outcomes that have a gold label.
    """
    both, judge, truth, neither = (
        one + added
        for one in (counts.pass_pass, counts.pass_fail, counts.fail_pass, counts.fail_fail)
    )
    n, unlabelled = both + judge + truth + neither, counts.pass_only + counts.fail_only
    gold_rate, judge_rate = (both + truth) / n, (both + judge) / n
    covariance = both / n - gold_rate * judge_rate
    spread = judge_rate * (1 - judge_rate)
    trust = covariance / ((1 + n / unlabelled) * spread) if spread > 0 else 0.0
    trust = min(max(trust, 0.0), 1.0)
    residual = gold_rate * (1 - gold_rate) - 2 * trust * covariance + trust**2 * spread
    return PredictionPowered(
        trust=trust,
        value=gold_rate + trust * (counts.pass_only / unlabelled - judge_rate),
        variance=residual / n + trust**2 * spread / unlabelled,
        label_variance=residual,
        judge_variance=trust**2 * spread,
    )


def gold_needed(counts: Confusion) -> int:
    """Return how many gold labels make a corrected rate believable, with a judge like this one.

    At least ``GOLD_MIN``, and as many as narrow the prediction-powered interval to
    ``HALF_WIDTH_MAX``; with too few to know the judge by, as if it were of no help at all. Never
    more than the runs that were judged.
    """
    rest = counts.pass_only + counts.fail_only
    label_variance, judge_variance = 0.25, 0.0
    if counts.gold >= GOLD_MIN and rest:
        known = _ppi(counts, added=_ADDED)
        label_variance, judge_variance = known.label_variance, known.judge_variance / rest
    room = (HALF_WIDTH_MAX / _Z) ** 2 - judge_variance
    if room <= 0:
        return max(GOLD_MIN, counts.judged)
    needed = math.ceil(label_variance / room) - round(4 * _ADDED)
    return max(GOLD_MIN, min(needed, counts.judged))


def kappa(counts: Confusion) -> Rate | None:
    """Return Cohen's kappa of judge and gold; None where either says the same of all runs.

    The interval is the large-sample one (Fleiss, Cohen and Everitt 1969) around the table with
    one run added to each outcome, so that it does not collapse where all agree.
    """
    table = np.array(
        [[counts.pass_pass, counts.pass_fail], [counts.fail_pass, counts.fail_fail]], dtype=float
    )
    if not (table.sum(axis=0).all() and table.sum(axis=1).all()):
        return None
    value = float(cohens_kappa(table, return_results=False))
    widened = cohens_kappa(table + _ADDED)
    low = min(float(widened.kappa) - _Z * float(widened.std_kappa), value)
    high = max(float(widened.kappa) + _Z * float(widened.std_kappa), value)
    return Rate(value=value, interval=(max(low, -1.0), min(high, 1.0)))


def _share(k: int, n: int) -> Rate | None:
    return Rate(value=k / n, interval=wilson_interval(k, n)) if n else None

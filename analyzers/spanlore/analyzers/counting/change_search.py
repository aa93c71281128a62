"""The day that splits a series of daily counts best, and whether chance would do as well."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from spanlore.analyzers.core.statistics import false_discovery_q

SIDE_RUNS_MIN = 20  # of the discovery half, before and after the day
DAYS_TRIED_MAX = 100
SHARED_SHARE_MIN = 0.5  # of the runs, in tasks that were run before and after

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One rate from day to day, as columns of one length: in ``k`` of ``n`` runs it happened.

    A row is a ``day`` (days since 1970, UTC) and a ``unit`` (task, else user, else run), with the
    ``task``, ``task_type`` and user (``cluster``, -1 for none) of it, and its half.
    """

    metric: str
    agent: str
    tool: str
    day: Ints
    unit: Ints
    task: Ints
    task_type: Ints
    cluster: Ints
    discovers: Flags
    n: Ints
    k: Ints
    units_noun: str

    @property
    def key(self) -> str:
        """What the series is of, without counts."""
        return f"{self.metric}|{self.agent}|{self.tool}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The first day of the "after", chosen on the discovery half.

    ``p`` is two-sided and multiplied by the number of days ``tried``; ``q`` is over all series.
    """

    day: int
    p: float
    tried: int
    is_rise: bool
    q: float = 1.0


def changes(series: Sequence[Series]) -> list[tuple[Series, Split]]:
    """Return each series that has days to choose from, with the best one."""
    found = [(one, split) for one in series if (split := best_split(one)) is not None]
    q_values = false_discovery_q([split.p for _, split in found])
    return [(one, replace(split, q=q)) for (one, split), q in zip(found, q_values, strict=True)]


def best_split(series: Series) -> Split | None:
    """Return the day after which the discovery half differs most from what was before.

    Differences are within tasks: the score test of Cochran and Mantel-Haenszel, the large-sample
    form of the binomial likelihood ratio. Where days differ among themselves more than chance has
    it, the statistic is divided by how much more. None where no day has enough runs on both sides.
    """
    held = series.discovers
    day, n, k = series.day[held], series.n[held], series.k[held]
    days = np.unique(day)
    before = np.array([n[day < one].sum() for one in days])
    candidates = days[(before >= SIDE_RUNS_MIN) & (n.sum() - before >= SIDE_RUNS_MIN)]
    candidates = candidates[:: 1 + len(candidates) // DAYS_TRIED_MAX]
    if not len(candidates) or not 0 < k.sum() < n.sum():
        return None
    scores = [_score(series, int(one)) for one in candidates]
    best = int(np.argmax(np.abs(scores)))
    split = int(candidates[best])
    excess = _excess_of_days(day, n=n, k=k, split=split)
    p = float(stats.chi2.sf(scores[best] ** 2 / excess, 1))
    return Split(
        day=split,
        p=min(p * len(candidates), 1.0),
        tried=len(candidates),
        is_rise=bool(scores[best] > 0),
    )


def stratum_of(series: Series, day: int) -> tuple[Ints, tuple[str, ...]]:
    """Return what to compare within, and its name: the task, or its type where tasks are new.

    Decided on the discovery half, by whether the same tasks were run before and after.
    """
    held = series.discovers
    early, late = (series.task[held & rows] for rows in (series.day < day, series.day >= day))
    shared = np.isin(series.task[held], np.intersect1d(early, late))
    counts = series.n[held]
    if counts[shared].sum() >= SHARED_SHARE_MIN * counts.sum():
        return series.task, (series.units_noun if series.units_noun != "run" else "task type",)
    return series.task_type, ("task type",)


def _score(series: Series, day: int) -> float:
    """Return how many more events there were after, in standard deviations, within strata."""
    held = series.discovers
    stratum = np.unique(stratum_of(series, day)[0][held], return_inverse=True)[1]
    n, k = series.n[held].astype(np.float64), series.k[held].astype(np.float64)
    late = series.day[held] >= day
    every, events = np.bincount(stratum, n), np.bincount(stratum, k)
    after, seen = np.bincount(stratum, n * late), np.bincount(stratum, k * late)
    variance = after * (every - after) * events * (every - events)
    variance = variance / (every**2 * np.maximum(every - 1, 1))
    spread = float(variance.sum())
    return float((seen - after * events / every).sum()) / spread**0.5 if spread > 0 else 0.0


def _excess_of_days(day: Ints, *, n: Ints, k: Ints, split: int) -> float:
    """Return the variance between days within each period over what chance has, at least 1."""
    chi_square, freedom = 0.0, 0
    for rows in (day < split, day >= split):
        numbers = np.unique(day[rows], return_inverse=True)[1]
        looks, events = np.bincount(numbers, n[rows]), np.bincount(numbers, k[rows])
        rate = events.sum() / looks.sum()
        if 0 < rate < 1:
            chi_square += float(((events - looks * rate) ** 2 / (looks * rate * (1 - rate))).sum())
            freedom += len(looks) - 1
    return max(chi_square / freedom, 1.0) if freedom else 1.0

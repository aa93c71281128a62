"""Rates of events in runs that come in clusters (a user's runs look alike), with intervals.

A rate's interval is Wilson's score interval on the effective number of runs: the number of runs
divided by their design effect (Rao and Scott 1992, Biometrics 48:577; for score intervals of
clustered samples Dean and Pagano 2015, J. Surv. Stat. Methodol. 3:484), with Student's t on the
clusters less one in the place of the normal quantile (Korn and Graubard 1998, Surv. Methodol.
24:193). Two such intervals give that of the difference of their rates (Newcombe 1998, Stat. Med.
17:873, method 10; Zou and Donner 2008, Stat. Med. 27:1693). Unlike a linearised variance alone it
does not collapse where an arm never or always has the event. Clusters that stand in both arms
make it too wide, never too narrow, as long as a cluster's two rates do not go against each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Cluster:
    """What one cluster gave: ``k`` events in ``n`` runs."""

    n: int
    k: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The rate of one arm less the other's, with its interval (low, high)."""

    value: float
    interval: tuple[float, float]


def clusters_of(looks: Iterable[tuple[str, bool]]) -> list[Cluster]:
    """Count (name of the cluster, whether the event happened) into clusters."""
    counts: dict[str, tuple[int, int]] = {}
    for name, happened in looks:
        n, k = counts.get(name, (0, 0))
        counts[name] = (n + 1, k + happened)
    return [Cluster(*counts[name]) for name in sorted(counts)]


def rate_of(clusters: Sequence[Cluster]) -> float:
    """Return events a run. Raises ValueError when there is no run."""
    runs = sum(one.n for one in clusters)
    if not runs:
        message = "a rate needs at least one run"
        raise ValueError(message)
    return sum(one.k for one in clusters) / runs


def rate_interval(
    clusters: Sequence[Cluster], *, alpha: float = ALPHA, likeness: float = 0.0
) -> tuple[float, float]:
    """Return the interval of a rate, wide enough for runs of a cluster to look alike.

    ``likeness`` (0 to 1) is a correlation within clusters known from elsewhere; the larger of it
    and what the runs themselves show is taken, because few clusters often show too little. Raises
    ValueError when there is no run.
    """
    rate, runs = rate_of(clusters), sum(one.n for one in clusters)
    if len(clusters) == 1:
        return 0.0, 1.0
    effective = runs / design_effect(clusters, likeness)
    return score_interval(rate, runs=effective, clusters=len(clusters), alpha=alpha)


def score_interval(
    rate: float, *, runs: float, clusters: int, alpha: float = ALPHA
) -> tuple[float, float]:
    """Return the score interval of a rate seen in an effective number of runs of 2+ clusters."""
    bound = float(stats.t.isf(alpha / 2, clusters - 1)) ** 2
    middle = (rate + bound / (2 * runs)) / (1 + bound / runs)
    half = (bound * (rate * (1 - rate) + bound / (4 * runs)) / runs) ** 0.5 / (1 + bound / runs)
    return max(min(middle - half, rate), 0.0), min(max(middle + half, rate), 1.0)


def difference_of_rates(
    subject: Sequence[Cluster], other: Sequence[Cluster], *, alpha: float = ALPHA
) -> Difference:
    """Return the subject's rate less the other's, with its interval.

    Both arms are taken to be as alike within clusters as the arm that shows more of it; where
    neither can show any (all runs of each arm ended the same way), every cluster counts as a
    single run. Raises ValueError when an arm has no run.
    """
    shown = [one for one in map(_likeness, (subject, other)) if one is not None]
    likeness = max(shown, default=1.0)
    rate, other_rate = rate_of(subject), rate_of(other)
    low, high = rate_interval(subject, alpha=alpha, likeness=likeness)
    other_low, other_high = rate_interval(other, alpha=alpha, likeness=likeness)
    value = rate - other_rate
    below = ((rate - low) ** 2 + (other_high - other_rate) ** 2) ** 0.5
    above = ((high - rate) ** 2 + (other_rate - other_low) ** 2) ** 0.5
    return Difference(value=value, interval=(max(value - below, -1.0), min(value + above, 1.0)))


def design_effect(clusters: Sequence[Cluster], likeness: float = 0.0) -> float:
    """Return by how much these clusters inflate a rate's variance (Kish 1965), at least 1."""
    n = np.array([one.n for one in clusters], dtype=float)
    alike = max(_likeness(clusters) or 0.0, likeness)
    return max(1.0, 1.0 + (float(np.sum(n**2) / np.sum(n)) - 1.0) * alike)


def _likeness(clusters: Sequence[Cluster]) -> float | None:
    """Return the correlation within clusters, from the variance of the rate as a ratio of sums.

    Each cluster is held against the rate of the others (the jackknife, made for few and unequal
    clusters). None where there is nothing to see: one cluster, or all runs ended the same way.
    """
    n = np.array([one.n for one in clusters], dtype=float)
    k = np.array([one.k for one in clusters], dtype=float)
    rate = float(k.sum() / n.sum())
    if len(clusters) == 1 or rate in {0.0, 1.0}:
        return None
    apart = (k - rate * n) / (1 - n / n.sum())
    spread = float(np.sum(apart**2)) * (len(n) - 1) / len(n)
    effect = spread / (n.sum() * rate * (1 - rate))
    larger = float(np.sum(n**2) / np.sum(n)) - 1.0
    return min(max((effect - 1.0) / larger, 0.0), 1.0) if larger > 0 else 0.0

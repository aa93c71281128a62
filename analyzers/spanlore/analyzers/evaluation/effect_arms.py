"""The two sides of an effect: runs that were given a lesson, and runs that were not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from spanlore.analyzers.core.clustered import Cluster, clusters_of
from spanlore.analyzers.core.statistics import Table
from spanlore.schemas.types import Arm

Outcomes = Mapping[str, bool | None]  # "pass" and "fail" of agent_runs.Outcome; else unknown
PASSED: Outcomes = {"pass": True, "fail": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRun:
    """One run of an arm.

    ``user`` is whose run it is ("" if unknown), ``cluster`` names what runs look alike in (a user,
    or a session of the only one), ``stratum`` the task ("" if unknown).
    ``event`` says whether what the metric counts happened (None: it could not, in this run),
    ``passed`` what the run was judged (None: it was not).
    """

    trace_id: str
    user: str
    cluster: str
    stratum: str
    event: bool | None
    passed: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """Both arms of a lesson, and how they came about.

    ``event_words`` follows "in 3 of 9 runs", ``clusters_are`` names the clusters in the plural,
    ``clusters_min`` and ``runs_min`` are what an arm needs before anything is said of it.
    """

    metric: str
    event_words: str
    compared_with: Literal["held_out", "before"]
    exposed: Sequence[EffectRun]
    other: Sequence[EffectRun]
    clusters_are: str = "users"
    clusters_min: int = 5
    runs_min: int = 20
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One arm's counts, over all its runs and by cluster."""

    arm: Arm
    clusters: Sequence[Cluster]


def events_of(runs: Sequence[EffectRun]) -> Counted:
    """Count the metric's events, of runs in which it could happen."""
    return _counted([(one, one.event) for one in runs if one.event is not None])


def passes_of(runs: Sequence[EffectRun]) -> Counted:
    """Count the runs that passed, of those that were judged."""
    return _counted([(one, one.passed) for one in runs if one.passed is not None])


def _counted(told: Sequence[tuple[EffectRun, bool]]) -> Counted:
    clusters = clusters_of((run.cluster, happened) for run, happened in told)
    arm = Arm(
        runs=len(told),
        users=len({run.user for run, _ in told if run.user}),
        clusters=len(clusters),
        events=sum(happened for _, happened in told),
    )
    return Counted(arm=arm, clusters=clusters)


def tables_of(arms: Arms) -> list[Table]:
    """Count the metric's events by task, of runs that name one."""
    counts: dict[str, list[int]] = {}
    for first, runs in ((0, arms.exposed), (2, arms.other)):
        for one in runs:
            if one.stratum and one.event is not None:
                row = counts.setdefault(one.stratum, [0, 0, 0, 0])
                row[first] += 1
                row[first + 1] += one.event
    return [Table(*counts[name]) for name in sorted(counts)]

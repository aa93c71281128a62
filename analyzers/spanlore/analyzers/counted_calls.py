"""Counting calls into strata: the looks that a test may treat as independent, and the support."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from spanlore.analyzers.calls import Call
from spanlore.analyzers.hypothesis import Stratum, Support
from spanlore.analyzers.statistics import Table

Happened = Callable[[Call], bool]
# (stratum, unit) -> (looks, looks in which the thing happened)
Looks = Mapping[tuple[str, str], tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Calls, and what counts as the thing having happened in one."""

    calls: Sequence[Call]
    happened: Happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Counts of two arms, ready for a hypothesis."""

    support: Support
    strata: tuple[Stratum, ...]
    evidence: tuple[str, ...]
    counter_evidence: tuple[str, ...]


def count(subject: Arm, other: Looks) -> Counted:
    """Count the subject's calls by stratum, beside the looks of what it is compared with."""
    mine = looks(subject)
    nothing = (0, 0)
    happened = [call for call in subject.calls if subject.happened(call)]
    per_run = Counter(call.trace_id for call in happened)
    without = {call.trace_id for call in subject.calls} - per_run.keys()
    return Counted(
        support=Support(
            n=len(subject.calls),
            k=len(happened),
            runs=len(per_run.keys() | without),
            units=len({call.unit for call in happened}),
        ),
        strata=tuple(
            Stratum(
                name=place[0],
                unit=place[1],
                table=Table(*mine.get(place, nothing), *other.get(place, nothing)),
            )
            for place in sorted(mine.keys() | other.keys())
        ),
        evidence=tuple(sorted(per_run, key=lambda run: (-per_run[run], run))),
        counter_evidence=tuple(sorted(without)),
    )


def looks(arm: Arm) -> Looks:
    """Count one arm's looks: the first call of a tool in a run within the arm.

    An agent that repeats a failed call says nothing new about the tool, and counted again it
    would make any test too sure.
    """
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for call in first_looks(arm.calls):
        n, k = counts.get((call.stratum, call.unit), (0, 0))
        counts[call.stratum, call.unit] = (n + 1, k + arm.happened(call))
    return counts


def first_looks(calls: Iterable[Call]) -> list[Call]:
    """Return the first call of each tool in each run; calls must be in the order they were made."""
    seen: dict[tuple[str, str], Call] = {}
    for call in calls:
        seen.setdefault((call.trace_id, call.tool), call)
    return list(seen.values())


def adjustments(calls: Sequence[Call]) -> tuple[str, ...]:
    """Name what the strata of these calls hold fixed."""
    unit = units_noun(calls)
    names = [] if unit == "run" else [unit]
    if len({call.model for call in calls}) > 1:
        names.append("agent and model")
    return tuple(names)


def units_noun(calls: Sequence[Call]) -> str:
    """Name what ``Call.unit`` is for most of these calls: a task, a user, or but a run."""
    if any(call.task for call in calls):
        return "task"
    return "user" if any(call.user for call in calls) else "run"

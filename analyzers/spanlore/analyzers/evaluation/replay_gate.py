"""The gate of a harness lesson: what its rule would have stopped, on tasks it was not found on.

The rule is the lesson's predicate, executed over the arguments of past calls (and over earlier
outputs where it needs them), never over what a call ended in. Which call failed the way the
lesson is about is what the tool itself said. It is scored on the confirmation half: what the rule
says was chosen on the other one, though that there is something to find had to show here as well.

One run is one look: its first such failing call is covered or not, and its good calls are blocked
as soon as one of them is. Runs of a task are clusters (``clustered``). What is measured is
coverage and not uplift: what an agent does with a changed definition no past run can tell.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.analyzers.arguments.predicate import broken
from spanlore.analyzers.arguments.tool_failure import Failure, fails_as_told
from spanlore.analyzers.core.clustered import (
    Cluster,
    clusters_of,
    design_effect,
    rate_interval,
    rate_of,
    score_interval,
)
from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.analyzers.evaluation.lesson_part import parts_of
from spanlore.analyzers.runs.calls import Call, with_earlier
from spanlore.analyzers.runs.stored_calls import calls_by_run
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson

# A constraint that stops surely every second such failure is worth its place in a schema.
COVERED_MIN = 0.5
# As much as analyzers take for a tool's tolerable failure rate: a rule must not cost more.
BLOCKED_MAX = 0.05
# Below, the calls whose arguments are not recorded may well be those that differ.
PARSED_SHARE_MIN = 0.5
TASKS_MIN = 3
_RUNS_NEEDED_MAX = 10_000
_VERDICTS = ("fail", "inconclusive", "pass")  # the worst first


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The held-out calls of a tool: by task, the runs whose failing (good) call broke the rule.

    The numbers of ``calls`` count every call, not only a run's first.
    """

    failing: tuple[Cluster, ...]
    good: tuple[Cluster, ...]
    calls: int
    calls_parsed: int
    calls_checkable: int
    calls_failing: int
    calls_covered: int
    calls_good: int
    calls_blocked: int


def evaluate_harness(store: Store, lesson: Lesson, window: Window) -> dict[str, Any]:
    """Return the evaluation of a harness lesson: verdict, gate, reason and numbers.

    ``gate`` is "replay" where the lesson's patch adds a constraint, else "none": then the numbers
    are but information. A lesson that answers several findings is judged by the worst of them,
    and ``also`` holds the others. ``n`` is the number of held-out calls. Raises StoreError.
    """
    scored = [_part(store, part, window) for part in parts_of(lesson)]
    if not scored:
        return _unscored(_NO_RULE)
    worst = min(scored, key=lambda one: _VERDICTS.index(one["verdict"]))
    gate = "replay" if any(one["gate"] == "replay" for one in scored) else "none"
    return {**worst, "gate": gate, "also": [one for one in scored if one is not worst]}


def replayed(calls: Iterable[Call], part: Mapping[str, Any]) -> Replayed:
    """Execute a lesson's predicate over the held-out calls of its tool.

    ``calls`` are all calls of the runs, ordered by run and time; they are not kept.
    """
    counts: Counter[str] = Counter()
    covered: dict[str, tuple[str, bool]] = {}
    blocked: dict[str, tuple[str, bool]] = {}
    for one in _looks(calls, part):
        call, stopped = one.call, one.broken is True
        counts.update({"all": 1, "checkable": one.broken is not None})
        # What was not recorded says nothing. A rule that cannot be computed lets the call through.
        if not one.parsed:
            continue
        counts.update({"parsed": 1, "failing": one.failing, "good": call.error is None})
        counts.update({"covered": one.failing and stopped})
        counts.update({"blocked": call.error is None and stopped})
        if one.failing:
            covered.setdefault(call.trace_id, (call.unit, stopped))
        elif call.error is None:
            before = blocked.get(call.trace_id, (call.unit, False))[1]
            blocked[call.trace_id] = (call.unit, before or stopped)
    return Replayed(
        failing=tuple(clusters_of(covered.values())),
        good=tuple(clusters_of(blocked.values())),
        calls=counts["all"],
        calls_parsed=counts["parsed"],
        calls_checkable=counts["checkable"],
        calls_failing=counts["failing"],
        calls_covered=counts["covered"],
        calls_good=counts["good"],
        calls_blocked=counts["blocked"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A held-out call of the tool; what has no recorded arguments was not ``parsed``."""

    call: Call
    broken: bool | None
    failing: bool

    @property
    def parsed(self) -> bool:
        return isinstance(self.call.arguments, dict)


def _looks(calls: Iterable[Call], part: Mapping[str, Any]) -> Iterator[_Look]:
    failure: Failure = part["failure"]
    for call, earlier in with_earlier(calls):
        if call.tool == part["tool"] and not in_discovery_half(call.unit):
            yield _Look(
                call=call,
                broken=broken(part["predicate"], call, earlier),
                failing=fails_as_told(failure, call),
            )


def _part(store: Store, part: Mapping[str, Any], window: Window) -> dict[str, Any]:
    """Score one of a lesson's findings."""
    predicate = part["predicate"]
    if predicate is None:
        return {**_unscored(_CANNOT_REPLAY), "tool": part["tool"]}
    runs = calls_by_run(store, window, [part["tool"]])
    found = replayed((call for calls in runs for call in calls), part)
    verdict, why = _verdict(found)
    numbers = {"tool": part["tool"], "predicate": dict(predicate), **_numbers(found)}
    if not predicate.get("in_patch", False):
        said = f"{_CANNOT_REPLAY}. For information, its rule as a check before the call: {why}"
        return {**_unscored(said), **numbers}
    reason = f"replayed on tasks it was not found on: {why}. {_NOT_UPLIFT}"
    return {"verdict": verdict, "gate": "replay", "reason": reason, **numbers}


_WHO_DECIDES = "judge it by your own evaluation command or a canary; a named person has to decide"
_CANNOT_REPLAY = f"a reworded description cannot be replayed: {_WHO_DECIDES}"
_NO_RULE = f"it holds no rule that past runs could be replayed against: {_WHO_DECIDES}"
_NOT_UPLIFT = "This is coverage of past calls, not uplift: whether agents call better is not shown"


def _unscored(reason: str) -> dict[str, Any]:
    return {"verdict": "inconclusive", "gate": "none", "reason": reason, "n": 0}


def _verdict(found: Replayed) -> tuple[str, str]:
    """Return the verdict and the sentence it rests on."""
    if (few := _too_few(found)) is not None:
        return "inconclusive", few
    covered, blocked = rate_interval(found.failing), rate_interval(found.good)
    said = (
        f"it would have stopped {_share(found.failing)} runs with such a failing call "
        f"({_percent(covered)}) and {_share(found.good)} runs with good calls "
        f"({_percent(blocked)})"
    )
    if blocked[0] > BLOCKED_MAX:
        return "fail", f"{said}; more than {BLOCKED_MAX:.0%} of good runs is too many"
    if blocked[1] > BLOCKED_MAX:
        more = _needed(found.good, lambda interval: interval[1] <= BLOCKED_MAX)
        return "inconclusive", (
            f"{said}; that it stops at most {BLOCKED_MAX:.0%} of good runs is not shown{more}"
        )
    if covered[0] < COVERED_MIN:
        more = _needed(found.failing, lambda interval: interval[0] >= COVERED_MIN)
        return "inconclusive", f"{said}; that it stops at least half is not shown{more}"
    return "pass", said


def _too_few(found: Replayed) -> str | None:
    if found.calls_parsed < PARSED_SHARE_MIN * found.calls:
        return (
            f"the arguments of only {found.calls_parsed} of {found.calls} held-out calls are "
            "recorded; it needs at least half of them (switch the capture of content on)"
        )
    failing, good = _runs(found.failing), _runs(found.good)
    if len(found.failing) >= TASKS_MIN and len(found.good) >= TASKS_MIN:
        return None
    return (
        f"too few: of the held-out tasks {len(found.failing)} have runs with such a failing call "
        f"({failing} runs) and {len(found.good)} runs with good calls ({good} runs); it needs "
        f"{TASKS_MIN} tasks of each"
    )


def _needed(clusters: Sequence[Cluster], shown: Callable[[tuple[float, float]], bool]) -> str:
    """Say how many runs of as many tasks would show it, if the rate stayed as it is."""
    rate, effect = rate_of(clusters), design_effect(clusters)
    for runs in range(_runs(clusters), _RUNS_NEEDED_MAX):
        if shown(score_interval(rate, runs=runs / effect, clusters=len(clusters))):
            return f" (it needs about {runs} such runs, there are {_runs(clusters)})"
    return ""


def _numbers(found: Replayed) -> dict[str, Any]:
    return {
        "n": found.calls,
        "looks_are": "runs; those of one task look alike, and the intervals allow for it",
        "covered": _counted(found.failing),
        "blocked": _counted(found.good),
        "calls": {
            "held_out": found.calls,
            "failing": found.calls_failing,
            "failing_covered": found.calls_covered,
            "good": found.calls_good,
            "good_blocked": found.calls_blocked,
        },
        "checkable": {
            "n": found.calls,
            "k": found.calls_checkable,
            "share": round(found.calls_checkable / found.calls, 6) if found.calls else None,
        },
    }


def _counted(clusters: Sequence[Cluster]) -> dict[str, Any]:
    n, k = _runs(clusters), sum(one.k for one in clusters)
    interval = [round(bound, 6) for bound in rate_interval(clusters)] if n else None
    share = round(k / n, 6) if n else None
    return {"n": n, "k": k, "tasks": len(clusters), "share": share, "interval": interval}


def _runs(clusters: Sequence[Cluster]) -> int:
    return sum(one.n for one in clusters)


def _share(clusters: Sequence[Cluster]) -> str:
    return f"{sum(one.k for one in clusters)} of {_runs(clusters)}"


def _percent(interval: tuple[float, float]) -> str:
    return f"95 % interval {interval[0]:.0%} to {interval[1]:.0%}"

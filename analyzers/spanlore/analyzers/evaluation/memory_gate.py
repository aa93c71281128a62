"""The gate of a memory: how often it would have been right on runs it was not discovered on.

For a group these are the runs of users of the confirmation half, for a user the later half of
their sessions; runs that were given the memory are left out, because there the agent proposed
what it was told to. In each run the memory's value either is what the user ended with or is not,
and so is the value that the agent proposed by itself. The improvement is the difference of the two
shares, over the same runs: its interval is that of Bonett and Price (2012, Journal of Educational
and Behavioral Statistics 37:479) for paired proportions, on effective counts (users, or sessions,
as clusters: ``effective_counts``).
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from scipy import stats

from spanlore.analyzers.core.effective_counts import effective, likeness
from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.analyzers.core.statistics import ALPHA, wilson_interval
from spanlore.analyzers.preferences.preference_counts import user_unit
from spanlore.analyzers.preferences.slot_choices import SlotChoice, slot_choices
from spanlore.analyzers.preferences.slot_values import slot_of
from spanlore.analyzers.preferences.user_halves import session_of, user_halves
from spanlore.analyzers.window import Window
from spanlore.schemas import semconv
from spanlore.schemas.learning_tables import EXPOSURES
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson

GATE = "held_out_match"
MATCH_MIN = 0.5
RUNS_NEEDED_MAX = 100_000
_Z = float(stats.norm.isf(ALPHA / 2))

EXPOSED_SQL = f"""
SELECT DISTINCT TraceId FROM {EXPOSURES}
WHERE LessonId = {{lesson:String}} AND Arm = '{semconv.ARM_EXPOSED}'
"""


def evaluate_memory(store: Store, lesson: Lesson, window: Window) -> dict[str, Any]:
    """Return the verdict of the gate, counted anew from the store. Raises StoreError."""
    if "slot" not in lesson.content:
        return _inconclusive("the lesson says no value that runs could be held against")
    tool = slot_of(lesson.content["slot"]).tool
    exposed = {row["TraceId"] for row in store.query(EXPOSED_SQL, {"lesson": lesson.lesson_id})}
    choices = slot_choices(store, window, tool=tool)
    return held_out_match(lesson, [one for one in choices if one.trace_id not in exposed])


def held_out_match(lesson: Lesson, choices: Sequence[SlotChoice]) -> dict[str, Any]:
    """Hold a memory against the choices it was not discovered on.

    pass: the improvement's interval lies above 0, and the memory matches at least half of the
    runs. fail: the interval lies below 0, or the memory matches clearly less often than the
    agent's own proposal. Else inconclusive, with how many runs would be needed.
    """
    slot, value = slot_of(lesson.content["slot"]), str(lesson.content["value"])
    held = held_out(lesson, [one for one in choices if one.slot == slot])
    if not held:
        return _inconclusive(
            f"no runs to hold it against yet: none of {_whose(lesson)} with a proposal for "
            f"{slot.tool} {slot.field}"
        )
    clusters: dict[str, list[SlotChoice]] = {}
    for one in held:
        name = session_of(one) if lesson.scope == "user" else user_unit(one)
        clusters.setdefault(name, []).append(one)
    n = np.array([len(runs) for runs in clusters.values()], dtype=float)
    match, own, better, worse = (
        np.array([sum(happened(one) for one in runs) for runs in clusters.values()], dtype=float)
        for happened in (
            lambda one: one.final == value,
            lambda one: not one.overridden,
            lambda one: one.final == value != one.proposed,
            lambda one: one.proposed == one.final != value,
        )
    )
    icc = 1.0 if lesson.scope == "user" else max(likeness(n, better), likeness(n, worse))
    looks, gained = effective(n, better, icc)
    lost = effective(n, worse, icc)[1]
    low, high = _paired_interval(gained, lost, looks)
    matched, owned = effective(n, match, icc)[1], effective(n, own, icc)[1]
    shares = {
        "match": matched / looks,
        "own": owned / looks,
        "improvement": (gained - lost) / looks,
    }
    verdict = _verdict(shares, (low, high), wilson_interval(matched, looks)[1])
    needed = _looks_needed(gained / looks, lost / looks) * len(held) / looks
    return {
        "verdict": verdict,
        "gate": GATE,
        "reason": _reason(lesson, verdict, shares=shares, runs=len(held), needed=needed),
        "n": len(held),
        "k": int(match.sum()),
        "users": len({user_unit(one) for one in held}),
        "clusters": {"of": "sessions" if lesson.scope == "user" else "users", "n": len(clusters)},
        "effective_runs": round(looks, 2),
        "match": _share(matched, looks),
        "agent_match": {**_share(owned, looks), "k": int(own.sum())},
        "improvement": round(shares["improvement"], 4),
        "interval": [round(low, 4), round(high, 4)],
        "runs_needed": None if verdict != "inconclusive" else _whole(needed),
    }


def held_out(lesson: Lesson, choices: Sequence[SlotChoice]) -> list[SlotChoice]:
    """Return the choices of those whom the lesson is for, that it was not discovered on."""
    mine = [one for one in choices if one.user and is_for(lesson, one)]
    if lesson.scope == "user":
        return user_halves(mine)[1]
    return [one for one in mine if not in_discovery_half(user_unit(one))]


def is_for(lesson: Lesson, choice: SlotChoice) -> bool:
    """Whether the run of a choice would be given the lesson."""
    known = {f"segment.{name}": value for name, value in choice.segments.items()}
    known |= {"agent": choice.agent}
    tasks = {choice.task, choice.task_type}
    return (
        lesson.tenant in ("", choice.tenant)
        and (lesson.scope != "user" or lesson.scope_key == choice.user)
        and all(
            value in tasks if name == "task" else known.get(name) == value
            for name, value in lesson.selector.items()
        )
    )


def _paired_interval(better: float, worse: float, n: float) -> tuple[float, float]:
    """Return the adjusted Wald interval of the difference of two paired proportions."""
    up, down = (better + 1) / (n + 2), (worse + 1) / (n + 2)
    half = _Z * ((up + down - (up - down) ** 2) / (n + 2)) ** 0.5
    return max(up - down - half, -1.0), min(up - down + half, 1.0)


def _looks_needed(better: float, worse: float) -> float:
    """Return in how many looks these shares would show an improvement, at most so many."""
    if better <= worse:
        return RUNS_NEEDED_MAX
    n = 4.0
    while n < RUNS_NEEDED_MAX and _paired_interval(better * n, worse * n, n)[0] <= 0:
        n *= 1.1
    return n


def _verdict(shares: Mapping[str, float], interval: tuple[float, float], match_high: float) -> str:
    if interval[1] < 0 or (shares["improvement"] < 0 and match_high < shares["own"]):
        return "fail"
    return "pass" if interval[0] > 0 and shares["match"] >= MATCH_MIN else "inconclusive"


def _reason(
    lesson: Lesson, verdict: str, *, shares: Mapping[str, float], runs: int, needed: float
) -> str:
    said = (
        f"in {runs} held-out runs of {_whose(lesson)} the memory's value is what the user ended "
        f"with in {shares['match']:.0%}, the agent's own proposal in {shares['own']:.0%}"
    )
    if verdict != "inconclusive":
        return said
    if _whole(needed) is None:
        return f"{said}: no improvement is to be seen"
    if needed <= runs:
        return f"{said}: more often, but not in half of them"
    return f"{said}: that would take about {_whole(needed)} runs to tell from chance"


def _whose(lesson: Lesson) -> str:
    return "this user's later sessions" if lesson.scope == "user" else "other users"


def _share(k: float, n: float) -> dict[str, Any]:
    low, high = wilson_interval(k, n)
    return {"rate": round(k / n, 4), "interval": [round(low, 4), round(high, 4)]}


def _whole(runs: float) -> int | None:
    return ceil(runs) if runs < RUNS_NEEDED_MAX else None


def _inconclusive(reason: str) -> dict[str, Any]:
    return {"verdict": "inconclusive", "gate": GATE, "reason": reason, "n": 0}

"""What a lesson did after roll-out: runs that were given it against runs that were not.

The metric is an unwanted event (``memory_arms``, ``harness_arms``); its rates are compared with
users as clusters (``clustered``). The verdict is "improved" where the interval of the difference
lies below 0, "worse" where it lies above, "no_effect" where it lies within ``MARGIN`` of 0, else
"not_enough_data". Whatever the metric says, a success rate that is clearly lower is "worse".

People look again and again until they see what they wait for. So the error of 5 % is spent over
all looks: look number k gets 0.05 * 6 / (pi**2 * k**2) of it, which sums to 0.05 over any number of
looks, whatever their times (a union bound; for spending error over looks Lan and DeMets 1983,
Biometrika 70:659). Half of a look's share is for the metric, half for the guard of the success
rate. The same data looked at again is the same look, and so is data too small for a verdict.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spanlore.analyzers.core.clustered import ALPHA, Difference, difference_of_rates
from spanlore.analyzers.core.statistics import risk_difference
from spanlore.analyzers.evaluation.effect_arms import (
    Arms,
    Counted,
    events_of,
    passes_of,
    tables_of,
)
from spanlore.analyzers.evaluation.harness_arms import harness_arms, harness_seen
from spanlore.analyzers.evaluation.memory_arms import memory_arms
from spanlore.schemas.learning_tables import EFFECTS
from spanlore.schemas.store import Store
from spanlore.schemas.types import Arm, Effect, Lesson

__all__ = ["MARGIN", "alpha_of_look", "effect_of", "harness_seen", "measure_effect"]

# A change of fewer than one run in twenty is none that anybody should act on.
MARGIN = 0.05

LOOKS_SQL = f"""
SELECT Detail FROM {EFFECTS} WHERE LessonId = {{lesson:String}} ORDER BY At
"""


def measure_effect(store: Store, lesson: Lesson, *, lesson_version: int, now: datetime) -> Effect:
    """Measure a lesson's effect over all runs up to now.

    Raises StoreError, and ValueError for a lesson whose content names neither a slot nor a tool:
    nothing says what it should change.
    """
    if "slot" in lesson.content:
        arms = memory_arms(store, lesson, now)
    elif "tool" in lesson.content:
        arms = harness_arms(store, lesson)
    else:
        message = f"lesson {lesson.lesson_id} names neither a slot nor a tool to measure"
        raise ValueError(message)
    rows = store.query(LOOKS_SQL, {"lesson": lesson.lesson_id})
    looks = [json.loads(row["Detail"] or "{}") for row in rows]
    return effect_of(lesson, arms, lesson_version=lesson_version, looks=looks)


def alpha_of_look(look: int) -> float:
    """Return the error that the look of this number (from 1) may make."""
    return ALPHA * 6 / (math.pi * look) ** 2


def effect_of(
    lesson: Lesson, arms: Arms, *, lesson_version: int, looks: Sequence[Mapping[str, Any]] = ()
) -> Effect:
    """Compare the arms; ``looks`` are the details of the measurements before, oldest first."""
    counted = _digest(arms)
    look = _look(counted, looks)
    alpha = alpha_of_look(look)
    # Half of the error each: the metric's is for two sides, of the guard but one side counts.
    metric = _compared(arms, events_of(arms.exposed), events_of(arms.other), alpha=alpha / 2)
    guard = _compared(arms, passes_of(arms.exposed), passes_of(arms.other), alpha=alpha)
    within = risk_difference(tables_of(arms))
    decided = metric.enough or guard.enough
    verdict, why = _verdict(arms, metric, guard=guard, within=within)
    return Effect(
        lesson_id=lesson.lesson_id,
        lesson_version=lesson_version,
        metric=arms.metric,
        compared_with=arms.compared_with,
        exposed=metric.exposed,
        other=metric.other,
        difference=metric.usual.value if metric.usual else None,
        interval=metric.usual.interval if metric.usual else None,
        verdict=verdict,
        reason=f"{why}. {_on_what(arms)}",
        clusters_are=arms.clusters_are,
        detail={
            **arms.detail,
            "counted": counted,
            "look": look if decided else 0,
            "looks_before": look - 1,
            "alpha": round(alpha, 6),
            "verdict_interval": _listed(metric.widened),
            "success_rate": _guard_json(guard),
            "within_tasks": _within_json(within),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """The rates of both arms: the usual 95 % interval, and the one that pays for every look."""

    exposed: Arm
    other: Arm
    enough: bool
    usual: Difference | None
    widened: Difference | None


def _compared(arms: Arms, exposed: Counted, other: Counted, *, alpha: float) -> _Compared:
    both, sides = (exposed.arm, other.arm), (exposed.clusters, other.clusters)
    return _Compared(
        exposed=exposed.arm,
        other=other.arm,
        enough=all(one.runs >= arms.runs_min and one.clusters >= arms.clusters_min for one in both),
        usual=difference_of_rates(*sides) if all(sides) else None,
        widened=difference_of_rates(*sides, alpha=alpha) if all(sides) else None,
    )


def _verdict(
    arms: Arms,
    metric: _Compared,
    *,
    guard: _Compared,
    within: tuple[float, tuple[float, float]] | None,
) -> tuple[str, str]:
    """Return the verdict and the sentence it rests on."""
    if guard.enough and guard.widened and guard.widened.interval[1] < 0:
        return "worse", (
            f"runs succeed less often: {_rates(guard)}, "
            f"{_difference(guard)}, whatever the metric says ({_rates(metric)}: "
            f"{arms.event_words})"
        )
    said = f"{arms.event_words} in {_rates(metric)}"
    if not metric.enough or metric.widened is None:
        return "not_enough_data", (
            f"{said}: {metric.exposed.clusters} and {metric.other.clusters} {arms.clusters_are}; "
            f"it needs {arms.clusters_min} of them and {arms.runs_min} runs on either side"
        )
    said = f"{said}: {_difference(metric)}"
    low, high = metric.widened.interval
    if low > 0 or high < 0:
        verdict = "worse" if low > 0 else "improved"
        if arms.compared_with == "before" and within and within[0] * metric.widened.value <= 0:
            return "not_enough_data", (
                f"{said}; but within single tasks it is {within[0]:+.0%}, so that other tasks "
                "may be all there is to it"
            )
        return verdict, said
    if low >= -MARGIN and high <= MARGIN:
        return "no_effect", f"{said}; surely less than {MARGIN:.0%} either way"
    return "not_enough_data", f"{said}; neither a change nor its absence is shown yet"


def _on_what(arms: Arms) -> str:
    """Say what the comparison rests on."""
    if arms.compared_with == "held_out":
        return "Chance decided which users were given it"
    return (
        "Compared with the runs before it, and nobody drew lots: what else changed since then "
        "counts as well"
    )


def _look(counted: str, looks: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of this look: the same data looked at again is the same look."""
    seen = list(dict.fromkeys(one.get("counted") for one in looks if one.get("look")))
    return seen.index(counted) + 1 if counted in seen else len(seen) + 1


def _digest(arms: Arms) -> str:
    """Return what tells one look's data from another's."""
    parts = [
        f"{name}\x00{one.trace_id}\x00{one.event}\x00{one.passed}"
        for name, runs in (("exposed", arms.exposed), ("other", arms.other))
        for one in runs
    ]
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


def _guard_json(guard: _Compared) -> dict[str, Any]:
    return {
        "exposed": guard.exposed.rate,
        "other": guard.other.rate,
        "exposed_runs_judged": guard.exposed.runs,
        "other_runs_judged": guard.other.runs,
        "difference": None if guard.usual is None else round(guard.usual.value, 6),
        "interval": _listed(guard.usual),
        "verdict_interval": _listed(guard.widened),
    }


def _within_json(within: tuple[float, tuple[float, float]] | None) -> dict[str, Any] | None:
    if within is None:
        return None
    return {
        "is": "Mantel-Haenszel risk difference within one task, its runs taken as independent",
        "difference": round(within[0], 6),
        "interval": [round(bound, 6) for bound in within[1]],
    }


def _rates(compared: _Compared) -> str:
    return f"{_rate(compared.exposed)} with the lesson and {_rate(compared.other)} without"


def _rate(arm: Arm) -> str:
    share = "" if arm.rate is None else f" ({arm.rate:.0%})"
    return f"{arm.events} of {arm.runs} runs{share}"


def _difference(compared: _Compared) -> str:
    if compared.usual is None:
        return "nothing to compare"
    low, high = compared.usual.interval
    return f"{compared.usual.value:+.0%} (95 % interval {low:+.0%} to {high:+.0%})"


def _listed(difference: Difference | None) -> list[float] | None:
    return None if difference is None else [round(one, 6) for one in difference.interval]

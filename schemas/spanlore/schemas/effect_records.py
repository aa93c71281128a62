"""Measured effects as rows of the store, as the JSON that commands print and send, and back."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from spanlore.schemas.learning_tables import EFFECTS
from spanlore.schemas.lesson_state import MEASURED
from spanlore.schemas.store import Store
from spanlore.schemas.types import Arm, Effect

LATEST_EFFECTS_SQL = f"""
SELECT * FROM {EFFECTS} ORDER BY At DESC LIMIT 1 BY LessonId
"""


def latest_effects(store: Store) -> dict[str, Effect]:
    """Return lesson id -> the effect that was measured last."""
    return {row["LessonId"]: effect_of_row(row) for row in store.query(LATEST_EFFECTS_SQL)}


def effect_row(effect: Effect, *, at: datetime) -> dict[str, Any]:
    """Return the row of ``effects``; ``Detail`` holds what has no column of its own."""
    low, high = effect.interval or (None, None)
    detail = {
        **effect.detail,
        "reason": effect.reason,
        "clusters_are": effect.clusters_are,
        **_beside("exposed", effect.exposed),
        **_beside("other", effect.other),
    }
    return {
        "LessonId": effect.lesson_id,
        "LessonVersion": effect.lesson_version,
        "At": at,
        "Metric": effect.metric,
        "ComparedWith": effect.compared_with,
        "Randomised": int(effect.randomised),
        "ExposedRuns": effect.exposed.runs,
        "ExposedUsers": effect.exposed.users,
        "ExposedRate": effect.exposed.rate,
        "OtherRuns": effect.other.runs,
        "OtherUsers": effect.other.users,
        "OtherRate": effect.other.rate,
        "Difference": effect.difference,
        "IntervalLow": low,
        "IntervalHigh": high,
        "Verdict": effect.verdict,
        "Detail": json.dumps(detail, sort_keys=True, ensure_ascii=False),
    }


def effect_of_row(row: Mapping[str, Any]) -> Effect:
    """Return the effect of a row of ``effects``."""
    detail = json.loads(row["Detail"] or "{}")
    low, high = row["IntervalLow"], row["IntervalHigh"]
    return Effect(
        lesson_id=row["LessonId"],
        lesson_version=row["LessonVersion"],
        metric=row["Metric"],
        compared_with=row["ComparedWith"],
        exposed=_arm_of_row(row, "exposed", detail),
        other=_arm_of_row(row, "other", detail),
        difference=row["Difference"],
        interval=None if low is None or high is None else (low, high),
        verdict=row["Verdict"],
        reason=detail.pop("reason"),
        clusters_are=detail.pop("clusters_are"),
        detail=detail,
    )


def effect_json(effect: Effect) -> dict[str, Any]:
    """Return the JSON object of an effect; rates are events a run."""
    return {
        "lesson_id": effect.lesson_id,
        "lesson_version": effect.lesson_version,
        "metric": effect.metric,
        "compared_with": effect.compared_with,
        "randomised": effect.randomised,
        "arms": {"exposed": _arm_json(effect.exposed), "other": _arm_json(effect.other)},
        "clusters_are": effect.clusters_are,
        "difference": effect.difference,
        "interval": list(effect.interval) if effect.interval else None,
        "verdict": effect.verdict,
        "reason": effect.reason,
        "detail": dict(effect.detail),
    }


def effect_of_json(document: Mapping[str, Any]) -> Effect:
    """Return the effect of a JSON object; ValueError, naming what is wrong, when it is none."""
    try:
        interval = document["interval"]
        effect = Effect(
            lesson_id=str(document["lesson_id"]),
            lesson_version=int(document["lesson_version"]),
            metric=str(document["metric"]),
            compared_with=document["compared_with"],
            exposed=_arm_of_json(document["arms"]["exposed"]),
            other=_arm_of_json(document["arms"]["other"]),
            difference=None if document["difference"] is None else float(document["difference"]),
            interval=None if interval is None else (float(interval[0]), float(interval[1])),
            verdict=str(document["verdict"]),
            reason=str(document["reason"]),
            clusters_are=str(document["clusters_are"]),
            detail=dict(document.get("detail") or {}),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        message = f"not an effect: {type(error).__name__} {error}"
        raise ValueError(message) from error
    if effect.verdict not in MEASURED or effect.compared_with not in ("held_out", "before"):
        message = f"not an effect: {effect.verdict!r} against {effect.compared_with!r}"
        raise ValueError(message)
    return effect


def _beside(name: str, arm: Arm) -> dict[str, int]:
    return {f"{name}_events": arm.events, f"{name}_clusters": arm.clusters}


def _arm_of_row(row: Mapping[str, Any], name: str, detail: dict[str, Any]) -> Arm:
    """Return an arm, taking its part of the detail."""
    return Arm(
        runs=row[f"{name.capitalize()}Runs"],
        users=row[f"{name.capitalize()}Users"],
        clusters=detail.pop(f"{name}_clusters"),
        events=detail.pop(f"{name}_events"),
    )


def _arm_json(arm: Arm) -> dict[str, Any]:
    return {
        "runs": arm.runs,
        "users": arm.users,
        "clusters": arm.clusters,
        "events": arm.events,
        "rate": arm.rate,
    }


def _arm_of_json(document: Mapping[str, Any]) -> Arm:
    return Arm(**{name: int(document[name]) for name in ("runs", "users", "clusters", "events")})

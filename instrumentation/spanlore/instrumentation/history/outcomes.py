"""How a recording says a run came out: labels and scores in the ways people write them."""

import math
from collections.abc import Mapping
from typing import Any

from spanlore.instrumentation.history import json_text
from spanlore.schemas.outcome import FAILED, PASSED, outcome_of

LABELS = {
    **dict.fromkeys((*PASSED, "succeeded", "resolved"), "pass"),
    **dict.fromkeys((*FAILED, "unresolved"), "fail"),
}


def members_of(outcome: Any) -> Mapping[str, Any]:
    """Return an outcome as an object; a scalar is its label."""
    return outcome if isinstance(outcome, dict) else {"label": outcome}


def label_and_score(outcome: Mapping[str, Any]) -> tuple[str | None, float | None]:
    """Read label and score; without a label a score of exactly 1 or 0 says pass or fail."""
    given = outcome.get("label")
    score = _number(outcome.get("score"))
    if score is None:
        score = _number(given)
    if given is None or _number(given) is not None:
        return {1.0: "pass", 0.0: "fail"}.get(-1.0 if score is None else score), score
    text = json_text.text_of(given)
    return LABELS.get((text or "").strip().lower(), text), score


def unknown_label(outcome: Any) -> str | None:
    """Return the label of an outcome that says neither pass nor fail, None of any other."""
    label, score = label_and_score(members_of(outcome))
    return None if label is None or outcome_of(label, score) else label


def _number(value: Any) -> float | None:
    """Return a number, also one written as text; true is 1 and false 0."""
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None

"""What a judgement says of a run: pass, fail, or nothing that can be counted."""

from typing import Literal

Outcome = Literal["pass", "fail", ""]

PASSED = ("pass", "passed", "success", "true", "yes")
FAILED = ("fail", "failed", "failure", "false", "no")
PASSING_SCORE = 0.5


def outcome_of(label: str, score: float | None) -> Outcome:
    """Return what a label says, where it is one we know; else a score of at least a half passes."""
    if label in PASSED or (label not in FAILED and score is not None and score >= PASSING_SCORE):
        return "pass"
    return "fail" if label in FAILED or score is not None else ""


def outcome_sql(label: str, score: str) -> str:
    """SQL for ``outcome_of`` over two columns."""
    return (
        f"multiIf({label} IN {PASSED} OR ({label} NOT IN {FAILED} "
        f"AND isNotNull({score}) AND {score} >= {PASSING_SCORE}), 'pass', "
        f"{label} IN {FAILED} OR isNotNull({score}), 'fail', '')"
    )

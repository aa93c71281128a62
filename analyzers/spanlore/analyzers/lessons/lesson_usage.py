"""How the lessons are used: who was given them, when last, and what that surely did.

``helped`` and ``harmed`` are counters as playbooks keep them for their bullets, but measured: the
runs in which the unwanted event was avoided, or caused, by the end of the effect's 95 % interval
that is nearest to nothing. Where the interval holds 0 both are 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import floor

from spanlore.schemas.effect_records import latest_effects
from spanlore.schemas.learning_tables import EXPOSURES, LESSONS, NOT_REVOKED
from spanlore.schemas.semconv import ARM_EXPOSED
from spanlore.schemas.store import Store
from spanlore.schemas.types import Effect

GIVEN_SQL = f"""
SELECT LessonId, uniqExact(TenantId, TraceId) AS Runs, toUnixTimestamp64Milli(max(At)) AS LastMs
FROM {EXPOSURES} WHERE Arm = '{ARM_EXPOSED}' AND {NOT_REVOKED} GROUP BY LessonId
"""
FIRST_SQL = f"SELECT LessonId, toUnixTimestamp64Milli(min(At)) AS Ms FROM {LESSONS} GROUP BY 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """``runs`` were given a lesson, the last at ``last_given`` (UTC)."""

    runs: int = 0
    last_given: datetime | None = None
    helped: int = 0
    harmed: int = 0


def usage(store: Store) -> dict[str, Usage]:
    """Return the usage of every lesson that any run was given, by lesson id. Raises StoreError."""
    effects = latest_effects(store)
    return {
        row["LessonId"]: Usage(
            runs=row["Runs"],
            last_given=_instant(row["LastMs"]),
            **counters(effects.get(row["LessonId"])),
        )
        for row in store.query(GIVEN_SQL)
    }


def first_proposed(store: Store) -> Mapping[str, datetime]:
    """Return when each lesson was proposed first, UTC, by lesson id. Raises StoreError."""
    return {row["LessonId"]: _instant(row["Ms"]) for row in store.query(FIRST_SQL)}


def counters(effect: Effect | None) -> dict[str, int]:
    """Return in how many runs a lesson helped and harmed at least."""
    if effect is None or effect.interval is None:
        return {"helped": 0, "harmed": 0}
    low, high = effect.interval
    runs = effect.exposed.runs
    return {"helped": floor(max(-high, 0.0) * runs), "harmed": floor(max(low, 0.0) * runs)}


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

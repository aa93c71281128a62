"""When a running spanlore learns by itself: after enough new runs, some time, in a quiet moment.

Dreaming is learning offline, from a batch of runs and never from one that goes on. A round is due
when all of it holds (``due``, pure):

* volume: enough runs were sealed since the last round (of all analyzers over all runs, in which
  nothing failed: any other leaves its runs to be learned from);
* cooldown: the period has passed since the last round was begun;
* idle: no span was received for a while. Where it is never quiet, this is waited for no longer
  than ``PERIODS_MAX`` periods after the last round.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from spanlore.schemas.learning_tables import ANALYSES
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS, TRACES

RUNS_MIN = 50
IDLE_S = 60.0
PERIODS_MAX = 24

WaitsFor = Literal["runs", "period", "quiet"]

_LAST_SQL = f"""
SELECT count() AS Rounds, toUnixTimestamp64Milli(max(At)) AS AtMs,
       toUnixTimestamp64Nano(max(SealedBefore)) AS SealedNs
FROM {ANALYSES} WHERE Whole
"""
_RUNS_SQL = f"""
SELECT uniqExact(TraceId) AS Runs FROM {RUNS}
WHERE SealedAt > fromUnixTimestamp64Nano({{sealed:Int64}}, 'UTC')
"""
_RECEIVED_SQL = (
    f"SELECT count() AS Spans, toUnixTimestamp64Milli(max(ReceivedAt)) AS Ms FROM {TRACES}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often to learn: the period, new runs, and seconds without a span that it takes."""

    period: timedelta
    runs_min: int = RUNS_MIN
    idle_s: float = IDLE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class DreamState:
    """What decides whether a round is due: times are UTC, None where there was none yet.

    ``learned_at`` is that of the last whole round; ``tried_at`` is when the last one was begun,
    which may have failed since.
    """

    learned_at: datetime | None
    new_runs: int
    received_at: datetime | None
    tried_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Whether a round is due, else what it waits for, in words and until when where known (UTC)."""

    is_due: bool
    waits_for: WaitsFor | None = None
    reason: str = "a round of learning is due"
    next_at: datetime | None = None

    def json(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "is_due": self.is_due,
            "waits_for": self.waits_for,
            "reason": self.reason,
            "next_at": self.next_at.isoformat() if self.next_at else None,
        }


def due(state: DreamState, now: datetime, pace: Pace) -> Due:
    """Return whether a round is due at ``now``."""
    if state.new_runs < pace.runs_min:
        return Due(
            is_due=False,
            waits_for="runs",
            reason=f"{state.new_runs} of {pace.runs_min} new runs are there",
        )
    last = max((at for at in (state.learned_at, state.tried_at) if at), default=None)
    if last is not None and now < last + pace.period:
        at = last + pace.period
        return Due(
            is_due=False, waits_for="period", reason=f"not before {at:%H:%M:%S} UTC", next_at=at
        )
    quiet_at = (
        None if state.received_at is None else state.received_at + timedelta(seconds=pace.idle_s)
    )
    has_waited = last is not None and now >= last + PERIODS_MAX * pace.period
    if quiet_at is None or now >= quiet_at or has_waited:
        return Due(is_due=True)
    return Due(
        is_due=False,
        waits_for="quiet",
        reason=f"spans are received; it waits for {pace.idle_s:.0f} s without any",
        next_at=quiet_at,
    )


def dream_state(store: Store, *, tried_at: datetime | None = None) -> DreamState:
    """Return what the store says of the last round and of what came since. Raises StoreError."""
    [last] = store.query(_LAST_SQL)
    sealed = last["SealedNs"] if last["Rounds"] else 0
    [runs] = store.query(_RUNS_SQL, {"sealed": sealed})
    [received] = store.query(_RECEIVED_SQL)
    return DreamState(
        learned_at=_instant(last["AtMs"]) if last["Rounds"] else None,
        new_runs=int(runs["Runs"]),
        received_at=_instant(received["Ms"]) if received["Spans"] else None,
        tried_at=tried_at,
    )


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

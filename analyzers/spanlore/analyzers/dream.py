"""When a running spanlore learns by itself: after enough new runs, some time, in a quiet moment.

Dreaming is learning offline, from a batch of runs and never from one that goes on. A round is due
when all of it holds (``due``, pure):

* volume: enough runs were sealed since the last round (of all analyzers over all runs, in which
  nothing failed: any other leaves its runs to be learned from). Reading costs by the new run, but
  a round counts the old ones, too: with a tenth more, each new run pays for the counting of ten,
  however many there are by then, and a store that has grown by a run in a hundred waits;
* cooldown: the period has passed since the last round was begun;
* idle: no span was received for a while. Where it is never quiet, this is waited for no longer
  than ``PERIODS_MAX`` periods after the last round, and neither is the tenth.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, Literal

from spanlore.schemas.learning_tables import ANALYSES
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS, TRACES

RUNS_MIN = 50
NEW_SHARE_MIN = 0.1
IDLE_S = 60.0
PERIODS_MAX = 24

WaitsFor = Literal["runs", "period", "quiet"]

_LAST_SQL = f"""
SELECT count() AS Rounds, toUnixTimestamp64Milli(max(At)) AS AtMs,
       toUnixTimestamp64Nano(max(SealedBefore)) AS SealedNs, argMax(Runs, At) AS Runs
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
    """How often to learn: the period, new runs, and seconds without a span that it takes.

    ``new_share_min`` is the share of the runs counted last that must have come since.
    """

    period: timedelta
    runs_min: int = RUNS_MIN
    new_share_min: float = NEW_SHARE_MIN
    idle_s: float = IDLE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class DreamState:
    """What decides whether a round is due: times are UTC, None where there was none yet.

    ``learned_at`` is that of the last whole round, which counted ``counted_runs``; ``tried_at`` is
    when the last one was begun, which may have failed since.
    """

    learned_at: datetime | None
    new_runs: int
    counted_runs: int = 0
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
    last = max((at for at in (state.learned_at, state.tried_at) if at), default=None)
    patient_until = None if last is None else last + PERIODS_MAX * pace.period
    has_waited = patient_until is not None and now >= patient_until
    share = 0 if has_waited else ceil(state.counted_runs * pace.new_share_min)
    wanted = max(pace.runs_min, share)
    if state.new_runs < wanted:
        return Due(
            is_due=False,
            waits_for="runs",
            reason=f"{state.new_runs:,} of {wanted:,} new runs are there",
            next_at=patient_until if state.new_runs >= pace.runs_min else None,
        )
    if last is not None and now < last + pace.period:
        at = last + pace.period
        return Due(
            is_due=False, waits_for="period", reason=f"not before {at:%H:%M:%S} UTC", next_at=at
        )
    quiet_at = (
        None if state.received_at is None else state.received_at + timedelta(seconds=pace.idle_s)
    )
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
        counted_runs=int(last["Runs"]) if last["Rounds"] else 0,
        received_at=_instant(received["Ms"]) if received["Spans"] else None,
        tried_at=tried_at,
    )


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

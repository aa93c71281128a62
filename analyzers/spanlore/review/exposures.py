"""Who was given what: exposures on their way to the store, and the first of each lesson.

An answer does not wait for the store: exposures are queued, bounded, and one thread writes them in
batches. A store that does not answer is asked again; what does not fit the queue meanwhile is not
recorded, and counted.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from spanlore.review.memories import Delivery, Identity
from spanlore.schemas.learning_tables import EXPOSURES
from spanlore.schemas.semconv import ARM_EXPOSED, ARM_HELD_OUT
from spanlore.schemas.store import Store, StoreError, StoreRefused

__all__ = ["Exposure", "ExposureQueue", "exposures_of", "first_exposures"]

_log = logging.getLogger(__name__)

_QUEUED_MAX: Final = 20_000
_BATCH_MAX: Final = 2_000
_BATCH_WAIT_S: Final = 0.2  # a burst of answers becomes one insert
_AGAIN_S: Final = 1.0
_STOPPING_AGAIN_S: Final = 0.1
_LOOK_S: Final = 0.05

_FIRST_SQL: Final = f"""
SELECT LessonId, argMin(TraceId, At) AS First FROM {EXPOSURES}
WHERE Arm = '{ARM_EXPOSED}' AND LessonId IN %(lesson_ids)s
    AND LessonVersion >= transform(LessonId, %(lesson_ids)s, %(versions)s, toUInt64(0))
GROUP BY LessonId
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A run was given a version of a lesson, or was held out of it. ``at`` is UTC."""

    tenant: str
    user: str
    trace_id: str
    lesson_id: str
    version: int
    arm: str
    at: datetime

    def row(self) -> dict[str, Any]:
        """Return the row of ``exposures``."""
        return {
            "TenantId": self.tenant,
            "TraceId": self.trace_id,
            "UserId": self.user,
            "LessonId": self.lesson_id,
            "LessonVersion": self.version,
            "Arm": self.arm,
            "At": self.at,
        }


def exposures_of(
    delivery: Delivery, identity: Identity, *, trace_id: str, at: datetime
) -> list[Exposure]:
    """Return the exposures that a delivery to the run ``trace_id`` (32 hex digits) makes."""
    arms = ((ARM_EXPOSED, delivery.items), (ARM_HELD_OUT, delivery.held_out))
    return [
        Exposure(
            tenant=identity.tenant,
            user=identity.user,
            trace_id=trace_id,
            lesson_id=one.lesson_id,
            version=one.version,
            arm=arm,
            at=at,
        )
        for arm, memories in arms
        for one in memories
    ]


def first_exposures(store: Store, versions: Mapping[str, int]) -> dict[str, str]:
    """Return lesson id -> the first run that was given it, of those any run was given.

    ``versions`` is lesson id -> the version that was approved: what was given before is not it.
    """
    if not versions:
        return {}
    said = {"lesson_ids": list(versions), "versions": list(versions.values())}
    rows = store.query(_FIRST_SQL, said)
    return {row["LessonId"]: row["First"] for row in rows}


class ExposureQueue:
    """Exposures waiting to be written. ``start``, ``put`` from any thread, ``stop`` (safe twice).

    ``on_exposed`` is told, on the queue's thread, lesson id -> a run that was given it, once that
    is written.
    """

    def __init__(
        self, connect: Callable[[], Store], *, on_exposed: Callable[[Mapping[str, str]], None]
    ) -> None:
        self._connect = connect
        self._on_exposed = on_exposed
        self._waiting: deque[Exposure] = deque()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._stopping = threading.Event()
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name="exposures", daemon=True)
        self._store: Store | None = None
        self._written = 0
        self._dropped = 0

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, exposures: Iterable[Exposure]) -> None:
        """Queue exposures without waiting; what does not fit is counted as dropped."""
        with self._lock:
            for one in exposures:
                if len(self._waiting) < _QUEUED_MAX:
                    self._waiting.append(one)
                else:
                    self._dropped += 1
        self._some.set()

    def counts(self) -> dict[str, int]:
        """Return how many exposures wait, were written, and were dropped."""
        with self._lock:
            return {
                "waiting": len(self._waiting),
                "written": self._written,
                "dropped": self._dropped,
            }

    def drained(self, wait_s_max: float) -> bool:
        """Wait until what was put before this call is written; say whether it is."""
        deadline = time.monotonic() + wait_s_max
        with self._lock:
            done = self._written + self._dropped + len(self._waiting)
        while self._settled() < done and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        return self._settled() >= done

    def stop(self, *, drain_s_max: float) -> None:
        """Write what waits, for at most ``drain_s_max`` seconds."""
        self._give_up_at = time.monotonic() + drain_s_max
        self._stopping.set()
        self._some.set()
        if self._thread.is_alive():
            # A store that hangs is not waited for: the thread ends with the process.
            self._thread.join(drain_s_max + _AGAIN_S)

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._is_done()):
            self._some.wait()
            self._some.clear()
            self._stopping.wait(_BATCH_WAIT_S)
            while (batch := self._batch()) and not self._is_late():
                self._write(batch)
        if self._store is not None:
            self._store.close()

    def _settled(self) -> int:
        with self._lock:
            return self._written + self._dropped

    def _is_done(self) -> bool:
        with self._lock:
            return not self._waiting or self._is_late()

    def _is_late(self) -> bool:
        return time.monotonic() > self._give_up_at

    def _batch(self) -> list[Exposure]:
        with self._lock:
            return list(islice(self._waiting, _BATCH_MAX))

    def _write(self, batch: Sequence[Exposure]) -> None:
        """Write a batch and take it off the queue; when the store cannot be had, wait a moment."""
        try:
            if self._store is None:
                self._store = self._connect()
            self._store.insert(EXPOSURES, [one.row() for one in batch])
        except StoreRefused as error:
            _log.warning("%d exposures are not recorded: %s", len(batch), error)
            self._done(batch, dropped=True)
        except StoreError as error:
            _log.info("exposures wait: %s", error)
            time.sleep(_STOPPING_AGAIN_S if self._stopping.is_set() else _AGAIN_S)
        else:
            self._done(batch, dropped=False)
            self._on_exposed(
                {one.lesson_id: one.trace_id for one in batch if one.arm == ARM_EXPOSED}
            )

    def _done(self, batch: Sequence[Exposure], *, dropped: bool) -> None:
        with self._lock:
            for _ in batch:
                self._waiting.popleft()
            self._dropped += len(batch) if dropped else 0
            self._written += 0 if dropped else len(batch)

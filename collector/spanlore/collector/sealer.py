"""When to seal: soon after rows are loaded, at a flush, and again for runs that were waited for."""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from spanlore.collector import seal
from spanlore.collector.late_judgements import place_judgements
from spanlore.collector.segment import write_private
from spanlore.schemas import tables
from spanlore.schemas.store import Store, StoreError

_logger = logging.getLogger(__name__)
Done = TypeVar("Done")

# What is loaded waits so long under steady load, because much of a sealing's cost is paid once,
# whatever there is to seal; not so long when nothing more comes, and not at all at a flush.
_INTERVAL_S = 5.0
# A sealing rests for some times as long as it took, and so takes a fifth of the time at most.
_REST_TIMES = 4.0
_REST_S_MAX = 30.0
_LOOK_AGAIN_S = 5.0
_PLACE_S = 60.0
# Rows that came in this long before the newest sealed row are looked at again at the start, and
# by as much a foreign exporter's insert may be late.
_OVERLAP_NS = 60_000_000_000

_LAST_SEALED_SQL = f"SELECT toUnixTimestamp64Nano(max(SealedAt)) AS ns FROM {tables.RUNS}"


class Sealer:
    """Seals what the loader loaded. Its methods may be called from several threads.

    ``connect`` opens the store; ``clock_ns`` gives Unix nanoseconds, ``clock_s`` seconds since any
    instant. ``idle`` and ``flush`` raise
    StoreError where the store does not answer; what was to be sealed is kept for the next call,
    and in the file ``note`` for the next process, because the log's segment is gone by then.
    """

    def __init__(
        self,
        connect: Callable[[], Store],
        *,
        note: Path,
        clock_ns: Callable[[], int] = time.time_ns,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._note = note
        self._clock_ns = clock_ns
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._pending = _read(note)
        self._noted = dict(self._pending)
        self._pending_since_s = self._clock_s()
        self._sealed = 0
        self._sealed_at_s = 0.0
        self._rest_s = 0.0
        self._looked_at: float | None = None
        self._placed_at: float | None = None
        self._foreign_since_ns: int | None = None

    def loaded(self, log_id: int, first_seq: int, last_seq: int) -> None:
        """Take note of records that are in the store now; seal them when it is time.

        Raises OSError where the note cannot be written: the log's segment must stay then.
        """
        with self._lock:
            if not self._pending:
                self._pending_since_s = self._clock_s()
            low, high = self._pending.get(log_id, (first_seq, last_seq))
            self._pending[log_id] = (min(low, first_seq), max(high, last_seq))
            since_s = max(self._sealed_at_s, self._pending_since_s)
            if self._clock_s() - since_s >= max(_INTERVAL_S, self._rest_s):
                try:
                    self._seal_pending(seal.seal_ended)
                except StoreError as error:
                    # Loading must not wait for sealing: what is pending is kept for the next call.
                    _logger.warning("could not seal runs, will try again: %s", error)
            self._keep_note()

    def idle(self) -> None:
        """Seal what is pending after a rest, and now and then look at what was waited for."""
        with self._lock:
            now = self._clock_s()
            if now - self._sealed_at_s >= min(_INTERVAL_S, self._rest_s):
                self._seal_pending(seal.seal_ended)
            if self._looked_at is None or now - self._looked_at >= _LOOK_AGAIN_S:
                self._look_again()
                self._looked_at = now

    def flush(self) -> int:
        """Seal what is pending and what goes on; return how many runs since the last flush."""
        with self._lock:
            told = self._seal_pending(seal.seal_loaded)
            self._place()
            self._do(partial(seal.seal_open, but=told))
            sealed, self._sealed = self._sealed, 0
            return sealed

    def backlog(self) -> dict[str, float]:
        """Give how many loaded records wait to be sealed, and for how many seconds the first does.

        Without the lock, which is held while runs are sealed.
        """
        pending = list(self._pending.values())
        waits_s = self._clock_s() - self._pending_since_s if pending else 0.0
        return {
            "records": sum(last_seq - first_seq + 1 for first_seq, last_seq in pending),
            "oldest_age_s": round(waits_s, 3),
        }

    def close(self) -> None:
        """Close the connection. Safe twice."""
        with self._lock:
            self._disconnect()

    def _seal_pending(self, sealing: Callable[..., list[str]]) -> set[str]:
        """Seal what is pending and give the traces of it."""
        began_s = self._clock_s()
        told: set[str] = set()
        for log_id, (first_seq, last_seq) in list(self._pending.items()):
            told |= set(
                self._do(partial(sealing, log_id=log_id, first_seq=first_seq, last_seq=last_seq))
            )
            del self._pending[log_id]
        self._sealed += len(told)
        with contextlib.suppress(OSError):  # an old note is sealed again, to the same rows
            self._keep_note()
        self._sealed_at_s = self._clock_s()
        self._rest_s = min(_REST_TIMES * (self._sealed_at_s - began_s), _REST_S_MAX)
        return told

    def _look_again(self) -> None:
        """Seal runs that were waited for, and what other collectors wrote.

        The first look is at everything since the last sealing of an earlier process.
        """
        self._do(seal.seal_waiting)
        if self._placed_at is None or self._clock_s() - self._placed_at >= _PLACE_S:
            self._place()
        started_ns = self._clock_ns()
        look = seal.seal_received if self._looked_at is None else seal.seal_foreign
        self._do(lambda store, now_ns: look(store, since_ns=self._since_ns(store), now_ns=now_ns))
        self._foreign_since_ns = started_ns - _OVERLAP_NS

    def _place(self) -> None:
        """Find the runs of judgements that name none, and seal those anew."""
        self._do(place_judgements)
        self._placed_at = self._clock_s()

    def _since_ns(self, store: Store) -> int:
        if self._foreign_since_ns is None:
            last_sealed_ns = int(store.query(_LAST_SEALED_SQL)[0]["ns"])
            self._foreign_since_ns = max(0, last_sealed_ns - _OVERLAP_NS)
        return self._foreign_since_ns

    def _keep_note(self) -> None:
        """Bring the note up to date. Raises OSError."""
        if self._pending == self._noted:
            return
        if self._pending:
            write_private(self._note, json.dumps(self._pending).encode())
        else:
            self._note.unlink(missing_ok=True)
        self._noted = dict(self._pending)

    def _do(self, work: Callable[..., Done]) -> Done:
        try:
            self._store = self._store or self._connect()
            self._since_ns(self._store)  # asked before anything is sealed, which would change it
            return work(self._store, now_ns=self._clock_ns())
        except StoreError:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None


def _read(note: Path) -> dict[int, tuple[int, int]]:
    """Read what an earlier process loaded and did not seal: first and last seq by log id."""
    try:
        found = json.loads(note.read_bytes())
        return {int(log_id): (int(low), int(high)) for log_id, (low, high) in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        _logger.warning("could not read which runs were left to seal in %s: %s", note, error)
        return {}

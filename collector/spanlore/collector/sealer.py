"""When to seal: soon after rows are loaded, at a flush, and again for runs that were waited for."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from spanlore.collector import seal
from spanlore.schemas import tables
from spanlore.schemas.store import Store, StoreError

_logger = logging.getLogger(__name__)

_INTERVAL_S = 1.0
_LOOK_AGAIN_S = 5.0
# Rows that came in this long before the newest sealed row are looked at again at the start, and
# by as much a foreign exporter's insert may be late.
_OVERLAP_NS = 60_000_000_000

_LAST_SEALED_SQL = f"SELECT toUnixTimestamp64Nano(max(SealedAt)) AS ns FROM {tables.RUNS}"


class Sealer:
    """Seals what the loader loaded. Its methods may be called from several threads.

    ``connect`` opens the store; ``clock_ns`` gives Unix nanoseconds. ``idle`` and ``flush`` raise
    StoreError where the store does not answer; what was to be sealed is kept for the next call.
    """

    def __init__(
        self, connect: Callable[[], Store], *, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._connect = connect
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._pending: dict[int, tuple[int, int]] = {}
        self._sealed = 0
        self._sealed_at = 0.0
        self._looked_at: float | None = None
        self._foreign_since_ns = 0

    def loaded(self, log_id: int, first_seq: int, last_seq: int) -> None:
        """Take note of records that are in the store now; seal them when it is time."""
        with self._lock:
            low, high = self._pending.get(log_id, (first_seq, last_seq))
            self._pending[log_id] = (min(low, first_seq), max(high, last_seq))
            if time.monotonic() - self._sealed_at < _INTERVAL_S:
                return
            try:
                self._seal_pending()
            except StoreError as error:
                # Loading must not wait for sealing: what is pending is kept for the next call.
                _logger.warning("could not seal runs, will try again: %s", error)

    def idle(self) -> None:
        """Seal what is pending, and now and then look at what was waited for."""
        with self._lock:
            self._seal_pending()
            now = time.monotonic()
            if self._looked_at is None or now - self._looked_at >= _LOOK_AGAIN_S:
                self._look_again()
                self._looked_at = now

    def flush(self) -> int:
        """Seal what is pending now; return how many runs were sealed since the last flush."""
        with self._lock:
            self._seal_pending()
            sealed, self._sealed = self._sealed, 0
            return sealed

    def close(self) -> None:
        """Close the connection. Safe twice."""
        with self._lock:
            self._disconnect()

    def _seal_pending(self) -> None:
        for log_id, (first_seq, last_seq) in list(self._pending.items()):
            self._sealed += self._do(
                partial(seal.seal_loaded, log_id=log_id, first_seq=first_seq, last_seq=last_seq)
            )
            del self._pending[log_id]
        self._sealed_at = time.monotonic()

    def _look_again(self) -> None:
        """Seal runs that were waited for, and what other collectors wrote.

        The first look also seals what a collector that was killed had loaded and not sealed.
        """
        if self._looked_at is None:
            self._do(self._catch_up)
        self._do(seal.seal_waiting)
        started_ns = self._clock_ns()
        self._do(partial(seal.seal_foreign, since_ns=self._foreign_since_ns))
        self._foreign_since_ns = started_ns - _OVERLAP_NS

    def _catch_up(self, store: Store, *, now_ns: int) -> int:
        last_sealed_ns = int(store.query(_LAST_SEALED_SQL)[0]["ns"])
        self._foreign_since_ns = max(0, last_sealed_ns - _OVERLAP_NS)
        return seal.seal_received(store, since_ns=self._foreign_since_ns, now_ns=now_ns)

    def _do(self, work: Callable[..., int]) -> int:
        try:
            self._store = self._store or self._connect()
            return work(self._store, now_ns=self._clock_ns())
        except StoreError:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None

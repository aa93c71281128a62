"""What waits to be sent: spans and events, encoded and written down by one daemon thread.

Why not the SDK's batch processors: they log into the program's own logging when a queue is full,
an export fails or something comes after shutdown; their flush has no time limit; and what could
not be sent within one request's time is lost. This one is silent, keeps what could not be sent
for the next try, within fixed bounds, and gives up when it is told how long it may take.

An item is in the journal, where there is one, ``WRITE_S`` after it came. So is a span that by
then goes on, as far as it came: that it began is known whatever becomes of the process.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.message import EncodeError

from spanlore.instrumentation import hush
from spanlore.instrumentation.answer import REQUEST_BYTES_MAX, Send
from spanlore.instrumentation.journal import Journal, Kind
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.settings import TRACES
from spanlore.instrumentation.shipping import Request, Shipping
from spanlore.instrumentation.worker import Worker

THREAD_NAME = "spanlore-outbox"

ITEMS_MAX = 16_384
BEGUN_MAX = 16_384
OPEN_MAX = 4_096
BATCH_ITEMS = 512
WRITE_S = 0.1
_WRITE_LOCK_S_MAX = 1.0

Encode = Callable[[Sequence[Any]], bytes]
EncodeOpen = Callable[[Sequence[Any]], bytes]


class Outbox:
    """Holds items by signal until they are written and sent; all bounded, in items, bytes, time.

    ``put`` and ``began`` are cheap and never wait. ``stop`` may be called twice, and without a
    start: the threads start with the first item, which ``started`` is told, in every process that
    has one. ``sent`` and ``dropped`` count items. ``kinds`` are what a signal's items are in the
    journal; ``encode_open`` encodes spans that go on.
    """

    def __init__(  # noqa: PLR0913  # its parts
        self,
        send: Send,
        encoders: Mapping[str, Encode],
        *,
        timeout_s: float,
        started: Callable[[], None] = lambda: None,
        journal: Journal | None = None,
        kinds: Mapping[str, Kind] | None = None,
        encode_open: EncodeOpen | None = None,
    ) -> None:
        self._encoders = encoders
        self._started = started
        self._journal = journal
        self._kinds = kinds or {}
        self._encode_open = encode_open
        self._dropped = 0
        self._shipping = Shipping(send, timeout_s=timeout_s, journal=journal)
        self._worker = Worker(self._turn, name=THREAD_NAME, is_over=lambda: self._is_stopped)
        self._begin()
        os.register_at_fork(
            before=self.park, after_in_parent=self.unpark, after_in_child=self._forget
        )

    def _begin(self) -> None:
        self._items: deque[tuple[str, Any]] = deque()
        # Spans that began since the last turn, and those of before that go on.
        self._begun: deque[Any] = deque(maxlen=BEGUN_MAX)
        self._open: list[Any] = []
        self._writing = threading.Lock()
        self._is_stopped = False
        # Of a process that dies young it is known at once that something began.
        self._has_written = False

    def _forget(self) -> None:
        """Begin anew in a forked child, whose parent writes and sends what it had."""
        self._begin()
        self._worker.forget()
        self._shipping.forget()
        if self._journal is not None:
            self._journal.forget()

    @property
    def sent(self) -> int:
        return self._shipping.sent

    @property
    def dropped(self) -> int:
        return self._dropped + self._shipping.dropped

    def park(self) -> None:
        """Let the threads end before a fork; what could not be sent waits for the next item."""
        self._worker.park()
        self._shipping.worker.park()

    def unpark(self) -> None:
        self._worker.unpark()
        self._shipping.worker.unpark()

    def began(self, span: Any) -> None:
        """Take note of a span that began; it says itself when it has ended."""
        if self._journal is None or self._is_stopped:
            return
        self._begun.append(span)
        if self._worker.is_idle:
            self._attend()

    def put(self, signal: str, item: Any) -> None:
        """Take one item; where there is no room the oldest goes."""
        self._items.append((signal, item))
        if self._worker.is_idle or self._is_stopped or len(self._items) >= BATCH_ITEMS:
            self._attend()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put has been sent or dropped; say whether that came true."""
        ends_at = time.monotonic() + timeout_s
        self.write_down()
        while self._items and self._worker.works and time.monotonic() < ends_at:
            self._shipping.flush(min(WRITE_S, ends_at - time.monotonic()))
            self.write_down()
        return self._shipping.flush(ends_at - time.monotonic()) and not self._items

    def stop(self, timeout_s: float) -> None:
        """Write down and send what is left, for at most this long; nothing is sent any more."""
        if not self._is_stopped:
            self._is_stopped = True
            self.write_down(also_open=True)
            self._worker.wake.set()
        self._shipping.stop(timeout_s)
        self.write_down()
        if self._journal is not None:
            with quiet:
                self._journal.leave()

    def write_down(self, *, also_open: bool = False) -> None:
        """Encode what there is, write it into the journal and give it to be sent; never raises.

        ``also_open``: write and send also what is known of spans that go on, for they will not
        end here. Called from any thread; does not wait long for another that is at it.
        """
        if not self._writing.acquire(timeout=_WRITE_LOCK_S_MAX):
            return
        try:
            with quiet:
                self._renew_file()
            with hush.encoders_hushed(), quiet:
                self._write_items()
            with quiet:
                self._write_begun(also_open=also_open)
        finally:
            self._writing.release()

    def _attend(self) -> None:
        """Do for what came what the thread would not come to do by itself, or not in time."""
        if self._is_stopped and self._journal is not None:
            self.write_down()
        if len(self._items) > ITEMS_MAX or (self._is_stopped and self._journal is None):
            self._drop_oldest()
        if self._is_stopped:
            return
        if self._worker.begin():
            self._started()
        if len(self._items) >= BATCH_ITEMS and not self._worker.wake.is_set():
            self._worker.wake.set()
        self._worker.rouse()

    def _drop_oldest(self) -> None:
        with quiet:  # the thread may have emptied it meanwhile
            self._items.popleft()
            self._dropped += 1

    def _turn(self) -> None:
        worker = self._worker
        if not worker.is_parked and not self._is_stopped:
            worker.rest(lambda: bool(self._items or self._begun) or worker.is_parked)
            is_batch = len(self._items) >= BATCH_ITEMS and self._shipping.has_room()
            if self._has_written and not (is_batch or worker.is_parked or self._is_stopped):
                worker.wake.wait(WRITE_S)
            self._has_written = True
        worker.wake.clear()
        self.write_down()

    def _write_items(self) -> None:
        for _ in range(len(self._items) // BATCH_ITEMS + 1):
            if not self._shipping.has_room():
                return
            by_signal: dict[str, list[Any]] = {}
            for _ in range(min(BATCH_ITEMS, len(self._items))):
                signal, item = self._items.popleft()
                by_signal.setdefault(signal, []).append(item)
            for signal, items in by_signal.items():
                self._keep(signal, items)

    def _keep(self, signal: str, items: Sequence[Any]) -> None:
        done = 0
        for body, count in self._encoded(self._encoders[signal], items):
            if not self._shipping.has_room():
                self._items.extendleft((signal, item) for item in reversed(items[done:]))
                return
            if body is None:
                self._dropped += count
            else:
                kind = self._kinds.get(signal)
                self._shipping.add(self._written(kind, signal, body, items=count))
            done += count

    def _written(self, kind: Kind | None, signal: str, body: bytes, *, items: int) -> Request:
        """Write a request into the journal; where that cannot be, it is kept in memory alone."""
        place = None
        if self._journal is not None and kind is not None:
            with quiet:  # a full disk, a folder that is gone
                place = self._journal.append(kind, body, items=items, is_awaited=True)
        return Request(signal, body, len(body), items, place)

    def _encoded(self, encode: Encode, items: Sequence[Any]) -> Iterator[tuple[bytes | None, int]]:
        """Yield requests of bounded size, None for one item that cannot be encoded."""
        try:
            request = encode(items)
        except (AttributeError, EncodeError, LookupError, TypeError, ValueError):
            request = None
        if request is not None and (len(request) <= REQUEST_BYTES_MAX or len(items) == 1):
            yield request, len(items)
        elif len(items) == 1:
            yield None, 1
        else:
            middle = len(items) // 2
            yield from self._encoded(encode, items[:middle])
            yield from self._encoded(encode, items[middle:])

    def _renew_file(self) -> None:
        """Begin a new file of the journal where that is due: spans that go on stand at its head."""
        if self._journal is not None and self._journal.is_full():
            self._journal.begin_file()
            self._write_open(self._open, is_sent=False)

    def _write_begun(self, *, also_open: bool) -> None:
        """Write down the spans that go on and were not written down yet, or all of them."""
        begun = [self._begun.popleft() for _ in range(len(self._begun))]
        begun = [span for span in begun if span.end_time is None]
        self._open = [span for span in self._open if span.end_time is None] + begun
        self._open = self._open[-OPEN_MAX:]
        self._write_open(self._open if also_open else begun, is_sent=also_open)

    def _write_open(self, spans: Sequence[Any], *, is_sent: bool) -> None:
        if self._journal is None or self._encode_open is None or not spans:
            return
        for body, count in self._encoded(self._encode_open, spans):
            if body is None:
                continue
            if is_sent:
                self._shipping.add(self._written(Kind.STARTED, TRACES, body, items=count))
            else:
                self._journal.append(Kind.STARTED, body, items=count, is_awaited=False)

"""What waits to be sent: ended spans and events, encoded and sent by one daemon thread.

Why not the SDK's batch processors: they log into the program's own logging when a queue is full,
an export fails or something comes after shutdown; their flush has no time limit; and what could
not be sent within one request's time is lost. This one is silent, keeps what could not be sent
for the next try, within fixed bounds, and gives up when it is told how long it may take.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.message import EncodeError
from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context

from spanlore.instrumentation.quiet import quiet

THREAD_NAME = "spanlore-outbox"

ITEMS_MAX = 16_384
BATCH_ITEMS = 512
WAIT_S = 1.0
REQUEST_BYTES_MAX = 4 * 1024 * 1024
KEPT_BYTES_MAX = 32 * 1024 * 1024
_PAUSE_S_FIRST = 0.5
_PAUSE_S_MAX = 5.0
_PAUSE_S_URGENT = 0.1
_PARK_S_MAX = 0.1
# What a collector may ask for.
_AFTER_S_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of sending: taken, to be sent again (after some seconds), or refused for good.

    ``is_absent``: nobody listens there.
    """

    is_taken: bool
    is_worth_retrying: bool = False
    is_absent: bool = False
    after_s: float | None = None


TAKEN = Answer(is_taken=True)
REFUSED = Answer(is_taken=False)
FAILED = Answer(is_taken=False, is_worth_retrying=True)
ABSENT = Answer(is_taken=False, is_worth_retrying=True, is_absent=True)


class Send(Protocol):
    """Send one request of a signal; never raises, and takes about ``timeout_s`` at most."""

    def __call__(self, signal: str, request: bytes, *, timeout_s: float) -> Answer: ...


Encode = Callable[[Sequence[Any]], bytes]


class Outbox:
    """Holds items by signal and sends them; all of it bounded, in items, bytes and time.

    ``put`` is cheap and never waits. ``stop`` may be called twice, and without a start: the
    thread starts with the first item, which ``started`` is told, in every process that has one.
    ``sent`` and ``dropped`` count items.
    """

    def __init__(
        self,
        send: Send,
        encoders: Mapping[str, Encode],
        *,
        timeout_s: float,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        self._send = send
        self._encoders = encoders
        self._timeout_s = timeout_s
        self._started = started
        self.sent = 0
        self.dropped = 0
        self._forget()
        os.register_at_fork(
            before=self.park, after_in_parent=self.unpark, after_in_child=self._forget
        )

    def _forget(self) -> None:
        """Begin anew: also in a forked child, whose parent sends what it had."""
        self._items: deque[tuple[str, Any]] = deque()
        self._requests: deque[tuple[str, bytes, int]] = deque()
        self._requests_bytes = 0
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_busy = False
        self._is_idle = False
        self._is_parked = False
        self._flushes = 0
        self._stops_at: float | None = None
        self._not_before = 0.0
        self._pause_s = _PAUSE_S_FIRST

    def park(self) -> None:
        """Let the thread send and end before a fork: of threads beside one Python warns on stderr.

        What it could not send waits for the next item, or for somebody who flushes.
        """
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        self._is_parked = True
        self._wake.set()
        thread.join(_PARK_S_MAX)  # longer it may take only while it sends

    def unpark(self) -> None:
        with self._changed:
            self._is_parked = False

    def put(self, signal: str, item: Any) -> None:
        """Take one item; where there is no room the oldest goes."""
        if self._stops_at is not None:
            self.dropped += 1
            return
        if len(self._items) >= ITEMS_MAX:
            with quiet:  # the thread may have emptied it meanwhile
                self._items.popleft()
                self.dropped += 1
        self._items.append((signal, item))
        if self._thread is None:
            self._start()
        if self._is_idle or (len(self._items) >= BATCH_ITEMS and not self._wake.is_set()):
            self._is_idle = False
            self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put has been sent or dropped; say whether that came true."""
        if not self._works():
            return self._is_empty()
        with self._changed:
            self._flushes += 1
        self._wake.set()
        try:
            return self._wait(timeout_s)
        finally:
            with self._changed:
                self._flushes -= 1

    def stop(self, timeout_s: float) -> None:
        """Send what is left, for at most this long; nothing is taken any more."""
        if self._stops_at is None:
            self._stops_at = time.monotonic() + timeout_s
        if not self._works():
            return
        self._wake.set()
        self._wait(self._stops_at - time.monotonic())

    def _works(self) -> bool:
        """Say whether the thread is there; where something waits without one it is started."""
        if self._thread is None and not self._is_empty():
            with quiet:
                self._start()
        return self._thread is not None

    def _wait(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(self._is_empty, max(0.0, timeout_s))

    def _is_empty(self) -> bool:
        return not (self._items or self._requests or self._is_busy)

    def _start(self) -> None:
        with self._changed:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._work, name=THREAD_NAME, daemon=True)
            thread.start()
            self._thread = thread
        self._started()

    def _work(self) -> None:
        # Of no run, whichever began it; and an instrumented client makes no spans of our sending.
        context.attach(
            context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True, context=Context())
        )
        # Whatever fails here costs what it was about, never the thread.
        while True:
            with quiet:
                self._rest()
            self._is_busy = True
            with quiet:
                self._encode()
            with quiet:
                self._send_requests()
            self._is_busy = False
            with self._changed:
                self._changed.notify_all()
            if self._is_parked and self._leaves():
                return
            if self._stops_at is not None and (self._is_empty() or self._left_s() <= 0):
                return

    def _leaves(self) -> bool:
        """Say whether the thread ends for a fork; another one begins with what comes then."""
        with self._changed:
            if self._is_parked:
                self._thread = None
            return self._is_parked

    def _rest(self) -> None:
        """Sleep until there is a batch, time enough went by, or somebody waits."""
        is_urgent = self._flushes > 0 or self._stops_at is not None
        if self._requests:  # the last try failed
            if is_urgent:
                time.sleep(min(_PAUSE_S_URGENT, max(0.0, self._left_s())))
            else:
                self._wake.wait(min(WAIT_S, max(0.0, self._not_before - time.monotonic())))
        elif not is_urgent:
            self._is_idle = True
            if not self._items:
                self._wake.wait()
                self._wake.clear()
            self._is_idle = False
            is_awaited = self._flushes or self._is_parked or self._stops_at is not None
            if len(self._items) < BATCH_ITEMS and not is_awaited:
                self._wake.wait(WAIT_S)
        self._wake.clear()

    def _encode(self) -> None:
        by_signal: dict[str, list[Any]] = {}
        for _ in range(len(self._items)):
            signal, item = self._items.popleft()
            by_signal.setdefault(signal, []).append(item)
        for signal, items in by_signal.items():
            for start in range(0, len(items), BATCH_ITEMS):
                self._keep(signal, items[start : start + BATCH_ITEMS])

    def _keep(self, signal: str, items: Sequence[Any]) -> None:
        for request, count in self._encoded(self._encoders[signal], items):
            self._requests.append((signal, request, count))
            self._requests_bytes += len(request)
            if self._requests_bytes > KEPT_BYTES_MAX:
                self._send_requests()
            while self._requests_bytes > KEPT_BYTES_MAX:
                self._drop_oldest()

    def _encoded(self, encode: Encode, items: Sequence[Any]) -> Iterator[tuple[bytes, int]]:
        """Yield requests of bounded size; one item that cannot be encoded costs only itself."""
        try:
            request = encode(items)
        except (AttributeError, EncodeError, LookupError, TypeError, ValueError):
            request = None
        if request is not None and (len(request) <= REQUEST_BYTES_MAX or len(items) == 1):
            yield request, len(items)
        elif len(items) == 1:
            self.dropped += 1
        else:
            middle = len(items) // 2
            yield from self._encoded(encode, items[:middle])
            yield from self._encoded(encode, items[middle:])

    def _send_requests(self) -> None:
        while self._requests:
            now = time.monotonic()
            if now < self._not_before and not self._flushes and self._stops_at is None:
                return
            timeout_s = min(self._timeout_s, self._left_s())
            if timeout_s <= 0:
                return
            signal, request, count = self._requests[0]
            answer = REFUSED
            with quiet:
                answer = self._send(signal, request, timeout_s=timeout_s)
            if answer.is_worth_retrying:
                self._retry_later(answer)
                return
            self._pause_s = _PAUSE_S_FIRST
            self._take_first()
            if answer.is_taken:
                self.sent += count
            else:
                self.dropped += count

    def _retry_later(self, answer: Answer) -> None:
        if self._stops_at is not None and answer.is_absent:
            # Nobody will come while we leave.
            while self._requests:
                self._drop_oldest()
        pause_s = max(self._pause_s, answer.after_s or 0.0)
        self._not_before = time.monotonic() + min(pause_s, _AFTER_S_MAX)
        self._pause_s = min(self._pause_s * 2, _PAUSE_S_MAX)

    def _left_s(self) -> float:
        return self._timeout_s if self._stops_at is None else self._stops_at - time.monotonic()

    def _drop_oldest(self) -> None:
        self.dropped += self._take_first()

    def _take_first(self) -> int:
        _, request, count = self._requests.popleft()
        self._requests_bytes -= len(request)
        return count

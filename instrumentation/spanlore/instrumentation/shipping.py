"""Requests on their way to the collector: sent in order by one daemon thread, again until taken.

What could not be sent stays in the journal, where there is one, and only so much of it in memory;
without one the oldest goes. After the requests of this process come those that dead ones left.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass
from itertools import islice

from spanlore.instrumentation.answer import REFUSED, REQUEST_BYTES_MAX, Answer, Send
from spanlore.instrumentation.journal import Journal, Place
from spanlore.instrumentation.left_behind import LeftFile, left_files
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.worker import Worker

THREAD_NAME = "spanlore-sender"

KEPT_BYTES_MAX = 32 * 1024 * 1024
# What comes beyond that in a long outage stands in the journal, for the next start to find.
REQUESTS_MAX = 20_000
_MERGED_MAX = 64
_WAIT_S = 0.8
_WORTH_SENDING_ITEMS = 512
_PAUSE_S_FIRST = 0.5
_PAUSE_S_MAX = 5.0
_PAUSE_S_URGENT = 0.1
# What a collector may ask for.
_AFTER_S_MAX = 60.0
_LOOK_S = 60.0
# A program that ends gives this much for what others left.
_LEFT_BEHIND_S = 0.5


@dataclass(slots=True)
class Request:
    """An encoded request; ``body`` is None where it stands in the journal alone."""

    signal: str
    body: bytes | None
    size: int
    items: int
    place: Place | None


class Shipping:
    """Sends; all of it bounded, in bytes and time. ``sent`` and ``dropped`` count items."""

    def __init__(self, send: Send, *, timeout_s: float, journal: Journal | None) -> None:
        self._send = send
        self._timeout_s = timeout_s
        self._journal = journal
        self.sent = 0
        self.dropped = 0
        self.worker = Worker(self._turn, name=THREAD_NAME, is_over=self._is_over)
        self.forget()

    def forget(self) -> None:
        """Begin anew in a forked child, whose parent sends what it had."""
        self.worker.forget()
        self._requests: deque[Request] = deque()
        self._bytes = 0
        self._items = 0
        self._in_flight = 0
        self._changed = threading.Condition()
        self._is_busy = False
        self._flushes = 0
        self._stops_at: float | None = None
        self._not_before = 0.0
        self._pause_s = _PAUSE_S_FIRST
        self._looks_at = 0.0
        self._has_looked = self._journal is None

    def add(self, request: Request) -> None:
        """Take a request; where there is no room in memory it stays in the journal, or goes."""
        if request.place and self._bytes + request.size > KEPT_BYTES_MAX:
            request.body = None
        if request.place and len(self._requests) >= REQUESTS_MAX:
            return
        with self._changed:
            self._requests.append(request)
            self._bytes += request.size if request.body is not None else 0
            self._items += request.items
        while (
            request.place is None
            and self._bytes > KEPT_BYTES_MAX
            and len(self._requests) > self._in_flight
        ):
            self._drop_oldest()
        with quiet:
            self.worker.begin()
        if self._items >= _WORTH_SENDING_ITEMS:
            self.worker.wake.set()
        self.worker.rouse()

    def has_room(self) -> bool:
        """Say whether more should come now: not when it would push out what is being sent."""
        return (
            self._journal is not None
            or self._bytes < KEPT_BYTES_MAX - REQUEST_BYTES_MAX
            or time.monotonic() < self._not_before
        )

    def is_empty(self) -> bool:
        return not (self._requests or self._is_busy)

    def flush(self, timeout_s: float) -> bool:
        """Wait until all requests have been sent or dropped; say whether that came true."""
        if not self._works():
            return self.is_empty()
        with self._changed:
            self._flushes += 1
        self.worker.wake.set()
        try:
            return self._wait(timeout_s)
        finally:
            with self._changed:
                self._flushes -= 1

    def stop(self, timeout_s: float) -> None:
        """Send what is left, for at most this long."""
        if self._stops_at is None:
            self._stops_at = time.monotonic() + timeout_s
        if not self._works():
            return
        self.worker.wake.set()
        with self._changed:
            self._changed.wait_for(self._is_over, max(0.0, self._stops_at - time.monotonic()))

    def _works(self) -> bool:
        """Say whether the thread is there; where something waits without one it is started."""
        if not self.worker.works and not self.is_empty():
            with quiet:
                self.worker.begin()
        return self.worker.works

    def _wait(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(self.is_empty, max(0.0, timeout_s))

    def _is_over(self) -> bool:
        if self._stops_at is None:
            return False
        return (self.is_empty() and self._has_looked) or self._left_s() <= 0

    def _turn(self) -> None:
        self._rest()
        self._is_busy = True
        try:
            self._send_requests()
        finally:
            self._is_busy = False
            with self._changed:
                self._changed.notify_all()
        if not self._requests and time.monotonic() >= self._looks_at:
            with quiet:
                self._send_left_behind()
            with self._changed:
                self._has_looked = True
                self._changed.notify_all()

    def _rest(self) -> None:
        """Sleep until there is enough to send, time enough went by, or somebody waits."""
        is_urgent = self._flushes > 0 or self._stops_at is not None
        if time.monotonic() < self._not_before:  # the last try failed
            if is_urgent:
                time.sleep(min(_PAUSE_S_URGENT, max(0.0, self._left_s())))
            else:
                self.worker.wake.wait(min(1.0, self._not_before - time.monotonic()))
        elif not is_urgent and not self.worker.is_parked:
            self.worker.rest(lambda: bool(self._requests) or self._is_awaited())
            if self._items < _WORTH_SENDING_ITEMS and not self._is_awaited():
                self.worker.wake.wait(_WAIT_S)
        self.worker.wake.clear()

    def _is_awaited(self) -> bool:
        return bool(self._flushes or self.worker.is_parked or self._stops_at is not None)

    def _send_requests(self) -> None:
        while self._requests:
            if not self._may_try():
                return
            together = self._together()
            bodies = [self._body(request) for request in together]
            body = b"".join(each for each in bodies if each is not None)
            answer = self._answer(together[0].signal, body) if body else REFUSED
            if answer.is_worth_retrying:
                self._in_flight = 0
                self._retry_later(answer)
                return
            self._pause_s = _PAUSE_S_FIRST
            for request, known in zip(together, bodies, strict=True):
                self._take_first()
                if answer.is_taken and known is not None:
                    self.sent += request.items
                else:
                    self.dropped += request.items

    def _may_try(self) -> bool:
        is_early = time.monotonic() < self._not_before
        return self._left_s() > 0 and not (
            is_early and not self._flushes and self._stops_at is None
        )

    def _answer(self, signal: str, body: bytes) -> Answer:
        with quiet:
            return self._send(signal, body, timeout_s=min(self._timeout_s, self._left_s()))
        return REFUSED

    def _together(self) -> list[Request]:
        """Return the first requests that make one: requests that stand together are merged."""
        with self._changed:
            first, *others = islice(self._requests, _MERGED_MAX)
            together, size = [first], first.size
            for request in others:
                size += request.size
                if request.signal != first.signal or size > REQUEST_BYTES_MAX:
                    break
                together.append(request)
            self._in_flight = len(together)
        return together

    def _body(self, request: Request) -> bytes | None:
        if request.body is None and request.place and self._journal:
            with quiet:
                return self._journal.read(request.place)
        return request.body

    def _retry_later(self, answer: Answer) -> None:
        if self._stops_at is not None and answer.is_absent:
            self._give_up()
        pause_s = max(self._pause_s, answer.after_s or 0.0)
        self._not_before = time.monotonic() + min(pause_s, _AFTER_S_MAX)
        self._pause_s = min(self._pause_s * 2, _PAUSE_S_MAX)

    def _give_up(self) -> None:
        """Nobody will come while we leave; what stands in the journal is for another process."""
        with self._changed:
            self._has_looked = True
            self.dropped += sum(each.items for each in self._requests if each.place is None)
            self._requests.clear()
            self._bytes = self._items = 0

    def _left_s(self) -> float:
        return self._timeout_s if self._stops_at is None else self._stops_at - time.monotonic()

    def _drop_oldest(self) -> None:
        """Drop the first request that is not being sent right now."""
        with self._changed:
            if self._in_flight < len(self._requests):
                self.dropped += self._taken_out(self._in_flight).items

    def _take_first(self) -> Request:
        with self._changed:
            request = self._taken_out(0)
            self._in_flight -= 1
        if request.place and self._journal:
            with quiet:
                self._journal.done(request.place)
        return request

    def _taken_out(self, at: int) -> Request:
        request = self._requests[at]
        del self._requests[at]
        self._bytes -= request.size if request.body is not None else 0
        self._items -= request.items
        return request

    def _send_left_behind(self) -> None:
        """Send what dead processes left, as long as nothing of ours waits."""
        if self._journal is None:
            return
        self._looks_at = time.monotonic() + _LOOK_S
        ends_at = time.monotonic() + _LEFT_BEHIND_S
        destination = self._journal.about.get("destination")
        for left in left_files(self._journal.folder):
            is_ours = left.about.get("destination") == destination or not left.about
            is_sent = is_ours and self._send_left(left, ends_at)
            left.remove() if is_sent else left.release()
            if is_ours and not is_sent:
                self._looks_at = self._not_before
                return

    def _send_left(self, left: LeftFile, ends_at: float) -> bool:
        """Send a file as far as nothing hinders; say whether all of it is done."""
        for request in left.requests:
            is_late = self._stops_at is not None and time.monotonic() > ends_at
            if self._requests or is_late or not self._may_try() or self.worker.is_parked:
                return False
            answer = self._answer(request.signal, request.body)
            if answer.is_worth_retrying:
                self._retry_later(answer)
                return False
            left.done(request)
            if answer.is_taken:
                self.sent += request.items
            else:
                self.dropped += request.items
        return True

"""Sends one target what its backlog holds, as many requests at once as the target bears.

Work goes in rounds: some of the oldest records are sent together, those that were taken or refused
for good are settled, the others stay. After a round with a failure the next is one request alone,
later, until that succeeds.
"""

import logging
import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any
from urllib.parse import quote

from spanlore.collector.forwarding.backlog import Backlog, Waiting
from spanlore.collector.forwarding.sending import SendAgain, Sender, Taken, TargetRefused
from spanlore.collector.forwarding.target import Target
from spanlore.collector.restore import restore
from spanlore.collector.signals import SIGNALS
from spanlore.collector.tenant_header import TENANT_HEADER

_logger = logging.getLogger(__name__)

REQUESTS_MAX = 16
_ROUND_BYTES_MAX = 32 << 20
_POLL_S = 0.5
_BACKOFF_S_MIN = 0.25
_BACKOFF_S_MAX = 30.0
_DOUBLINGS_MAX = 10
# A request may take this long, and longer when it is large, so that a slow line gets it through.
_ANSWER_S_MAX = 10.0
_BYTES_PER_S_MIN = 256 << 10
_GRACE_S = 2.0

_Outcome = Taken | SendAgain | TargetRefused


class Forwarder:
    """The threads that send one target its backlog. ``start``, then ``stop`` (safe twice)."""

    def __init__(self, target: Target, backlog: Backlog, sender: Sender) -> None:
        self.backlog = backlog
        self._target = target
        self._sender = sender
        self._stopping = threading.Event()
        self._work: SimpleQueue[tuple[Waiting, Future[_Outcome]]] = SimpleQueue()
        # A record that waits no more has been counted, to whoever asks.
        self._telling = threading.Lock()
        self._failures = 0
        self._last_error: str | None = None
        self._last_refusal: str | None = None
        self._forwarded: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._retries = 0
        name = f"forward-{target.name}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        # Daemons: a target that never answers must not keep the process from its end.
        self._workers = [
            threading.Thread(target=self._send_each, name=name, daemon=True)
            for _ in range(REQUESTS_MAX)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in (self._thread, *self._workers):
            thread.start()

    def stop(self) -> None:
        """Stop after the requests in flight; those without an answer soon are sent again later."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2 * _GRACE_S)
        self._sender.close()

    @property
    def is_getting_on(self) -> bool:
        """Whether there is something to send to a target that takes it."""
        return self.last_error is None and self.backlog.status()["records"] > 0

    @property
    def last_error(self) -> str | None:
        """Why nothing gets through, is taken or can be kept; None since something was taken."""
        if not self._thread.is_alive() and not self._stopping.is_set():
            return "forwarding is not running: restart the collector, and report what it logged"
        return self._last_error or self.backlog.problem

    def status(self) -> Mapping[str, Any]:
        """Give what became of the records for this target since the start, by signal."""
        with self._telling:
            return {
                "name": self._target.name,
                "url": self._target.url,
                "protocol": self._target.protocol,
                "forwarded": _by_signal(self._forwarded),
                "rejected": _by_signal(self._rejected),
                "refused": _by_signal(self._refused),
                "dropped": _by_signal(self.backlog.dropped.items),
                "retries": self._retries,
                "backlog": self.backlog.status(),
                "last_error": self.last_error,
                "last_refusal": self._last_refusal,
            }

    def _run(self) -> None:
        self.backlog.count()
        while not self._stopping.is_set():
            if self.backlog.wait(_POLL_S):
                self._round()
            self.backlog.save()
        self.backlog.save(at_once=True)

    def _round(self) -> None:
        waiting = self.backlog.take(records_max=REQUESTS_MAX, bytes_max=_ROUND_BYTES_MAX)
        if self._failures:
            # The newest of them: a single request that never gets through must not stop the others.
            waiting = waiting[-1:]
        failed = self._settled(self._sent(waiting))
        if failed:
            self._stopping.wait(self._delay_s(failed))
            self._failures += 1
        elif waiting:
            self._failures = 0

    def _settled(self, answers: Sequence[tuple[Waiting, _Outcome]]) -> list[SendAgain]:
        """Note what became of some records; give why others must be sent again."""
        failed, refused = list[SendAgain](), None
        with self._telling:
            for one, outcome in answers:
                if isinstance(outcome, SendAgain):
                    failed.append(outcome)
                    continue
                self._settle(one, outcome)
                refused = outcome if isinstance(outcome, TargetRefused) else None
            if failed:
                self._retries += len(failed)
                self._note(str(failed[0]))
            elif answers:
                self._last_error = f"it refuses what it is sent: {refused}" if refused else None
        return failed

    def _sent(self, waiting: Sequence[Waiting]) -> list[tuple[Waiting, _Outcome]]:
        """Send records at once; give those that got an answer before we had to stop."""
        futures: list[Future[_Outcome]] = [Future() for _ in waiting]
        for work in zip(waiting, futures, strict=True):
            self._work.put(work)
        while wait(futures, _POLL_S).not_done and not self._stopping.is_set():
            pass
        wait(futures, _GRACE_S)
        return [
            (one, future.result())
            for one, future in zip(waiting, futures, strict=True)
            if future.done()
        ]

    def _send_each(self) -> None:
        while True:
            waiting, future = self._work.get()
            try:
                future.set_result(self._send(waiting))
            except BaseException as error:
                # Whoever waits for it ends too, and the status says so.
                future.set_exception(error)
                raise

    def _send(self, waiting: Waiting) -> _Outcome:
        found = waiting.record
        body = restore(found.body, found.signal)
        headers = {TENANT_HEADER: quote(found.tenant, safe="")} if found.tenant else {}
        s_max = _ANSWER_S_MAX + len(body) / _BYTES_PER_S_MIN
        try:
            return self._sender.send(body, found.signal, headers=headers, s_max=s_max)
        except (SendAgain, TargetRefused) as error:
            return error

    def _settle(self, waiting: Waiting, outcome: Taken | TargetRefused) -> None:
        if not self.backlog.settle(waiting):
            return
        signal = waiting.record.signal.name
        if isinstance(outcome, TargetRefused):
            self._refused[signal] += waiting.items
            self._note_refusal(str(outcome))
            return
        rejected = min(outcome.rejected, waiting.items)
        self._forwarded[signal] += waiting.items - rejected
        if rejected:
            self._rejected[signal] += rejected
            self._note_refusal(outcome.message)

    def _delay_s(self, failed: Sequence[SendAgain]) -> float:
        """Give how long to wait: as the target asks, and ever longer while nothing succeeds."""
        doublings = min(self._failures, _DOUBLINGS_MAX)
        backoff_s: float = min(_BACKOFF_S_MAX, _BACKOFF_S_MIN * 2**doublings)
        asked_s = max((error.after_s or 0.0 for error in failed), default=0.0)
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients
        return max(asked_s, backoff_s * jitter)

    def _note(self, error: str) -> None:
        if error != self._last_error:
            _logger.warning("could not forward to %s, will try again: %s", self._target.url, error)
        self._last_error = error

    def _note_refusal(self, message: str) -> None:
        if message != self._last_refusal:
            _logger.warning("%s does not take some of it: %s", self._target.url, message)
        self._last_refusal = message


def _by_signal(counts: "Counter[str]") -> dict[str, int]:
    return {signal.name: counts[signal.name] for signal in SIGNALS}

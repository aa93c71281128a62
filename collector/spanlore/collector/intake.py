"""What both doors do with a request once they have its bytes: budget, check, log."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from spanlore.collector import otlp_json
from spanlore.collector.check import Checked, Limits, check
from spanlore.collector.counters import Counters
from spanlore.collector.log import Entry, Log
from spanlore.collector.quotas import Quotas
from spanlore.collector.redaction.redactor import Redactor
from spanlore.collector.refusal import Code, Refused, overloaded, shortened
from spanlore.collector.signals import SIGNALS, Signal

# A disk that takes longer than this to sync is as good as gone for a client.
DURABLE_WAIT_S_MAX = 30.0
# A request up to this size is checked wherever it arrives; a larger one waits its turn.
SMALL_BYTES_MAX = 64 << 10


class Budget:
    """How many bytes of requests may be in the process at once, over both doors."""

    def __init__(self, bytes_max: int) -> None:
        self._lock = threading.Lock()
        self._free = bytes_max
        self.bytes_max = bytes_max

    @property
    def held_bytes(self) -> int:
        """How many bytes are taken now."""
        return self.bytes_max - self._free

    def take(self, size: int) -> None:
        """Take bytes out of the budget. Raises Refused (retryable) when there are not enough."""
        with self._lock:
            if size > self._free:
                raise overloaded("busy", "too much is in flight: send again")
            self._free -= size

    def give(self, size: int) -> None:
        """Give bytes back."""
        with self._lock:
            self._free += size

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Hold bytes for the length of a block."""
        self.take(size)
        try:
            yield
        finally:
            self.give(size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A request on its way: the answer to give once ``durable`` is done (None: at once)."""

    answer: bytes
    durable: "Future[int] | None"


class Intake:
    """The common way in. Safe from any thread."""

    def __init__(
        self,
        log: Log,
        counters: Counters,
        *,
        limits: Limits,
        inflight_bytes_max: int,
        redactor: Redactor | None,
        quotas: Quotas,
    ) -> None:
        self._log = log
        self._counters = counters
        # One large parse at a time: its tree can be ninety times the request, and it holds the
        # interpreter's lock anyway.
        self._parsing = threading.Lock()
        self._redactor = redactor
        self.quotas = quotas
        self.limits = limits
        self.budget = Budget(inflight_bytes_max)

    def take(self, body: bytes, signal: Signal, *, tenant: str) -> Taken:
        """Check a request and put it into the log as ``tenant``'s; "" leaves it to its spans.

        Raises Refused. The future in what is given may raise it too (retryable).
        """
        with self._one_large_at_a_time(body):
            checked = check(body, signal, limits=self.limits, redactor=self._redactor)
        self._counters.redacted(checked.redacted)
        if checked.mended_strings:
            self._counters.event("strings_mended", checked.mended_strings)
        if checked.bad_parents:
            self._counters.event("bad_parents", checked.bad_parents)
        self.quotas.charge(tenant, records=checked.kept + checked.rejected, size=len(body))
        answer = signal.answer(checked.rejected, shortened(checked.message))
        if not checked.kept:
            self._counters.took(signal.name, accepted=0, rejected=checked.rejected)
            return Taken(answer=answer, durable=None)
        return Taken(answer=answer, durable=self._log.append(_entry(checked, signal, tenant)))

    def take_json(self, body: bytes, signal: Signal, *, tenant: str) -> Taken:
        """Check a request that came as JSON and put it into the log; raises as ``take`` does."""
        with self._one_large_at_a_time(body):
            request = otlp_json.request_of(body, signal, messages_max=self.limits.submessages_max)
        taken = self.take(request, signal, tenant=tenant)
        return Taken(answer=otlp_json.answer_of(taken.answer, signal), durable=taken.durable)

    def _one_large_at_a_time(self, body: bytes) -> AbstractContextManager[object]:
        return self._parsing if len(body) > SMALL_BYTES_MAX else nullcontext()


def unknown_signal() -> Refused:
    """Make the answer to what is no signal of ours."""
    *most, last = (signal.path.removeprefix("/v1/") for signal in SIGNALS)
    message = f"spanlore takes {', '.join(most)} and {last}; there is nothing else here"
    return Refused("signal", message, code=Code.UNIMPLEMENTED)


def _entry(checked: Checked, signal: Signal, tenant: str) -> Entry:
    return Entry(
        signal=signal,
        body=checked.body,
        items=checked.kept,
        rejected=checked.rejected,
        received_ns=time.time_ns(),
        tenant=tenant,
    )


def count_durable(counters: Counters, group: Sequence[Entry]) -> None:
    """Count a group that is in the log now."""
    for entry in group:
        counters.took(entry.signal.name, accepted=entry.items, rejected=entry.rejected)

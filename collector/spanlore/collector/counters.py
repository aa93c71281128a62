"""What came in and what became of it.

For each signal ``accepted + rejected + quarantined = received``, always: a span moves from
accepted to quarantined when the store refuses it for good. Requests that were refused whole are
not in it, since their spans were not counted; ``refused`` has them by reason. ``redacted`` counts
secrets that were taken out of requests, by kind; one that a client sent again counts again.
``recovered`` are those of the received that an earlier process acknowledged and left in the log.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from spanlore.collector.histogram import Histogram
from spanlore.collector.signals import SIGNALS

KINDS: Final = ("received", "accepted", "rejected", "quarantined", "stored")
TRANSPORTS: Final = ("grpc", "http")
_ACK_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LOAD_BOUNDS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Counters:
    """Counters of one process, from its start. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items = {signal.name: Counter(dict.fromkeys(KINDS, 0)) for signal in SIGNALS}
        self._recovered = Counter(dict.fromkeys(self._items, 0))
        self._refused: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._redacted: Counter[str] = Counter()
        self._acks = {transport: Histogram(_ACK_BOUNDS_S) for transport in TRANSPORTS}
        self._loads = Histogram(_LOAD_BOUNDS_S)
        self._over_quota: Counter[str] = Counter()

    def took(self, signal: str, *, accepted: int, rejected: int) -> None:
        """Count a request that was answered: what is in the log and what was rejected."""
        with self._lock:
            items = self._items[signal]
            items["received"] += accepted + rejected
            items["accepted"] += accepted
            items["rejected"] += rejected

    def recovered(self, items: Mapping[str, int]) -> None:
        """Count records that stood in the log when this process began."""
        with self._lock:
            self._recovered.update(items)
            for signal, number in items.items():
                self._items[signal]["received"] += number
                self._items[signal]["accepted"] += number

    def acknowledged(self, transport: str, duration_s: float) -> None:
        """Count a request's way from read to durable, in seconds."""
        self._acks[transport].observe(duration_s)

    def loaded(self, duration_s: float) -> None:
        """Count a segment's way into the store, in seconds."""
        self._loads.observe(duration_s)

    def stored(self, items: Mapping[str, int]) -> None:
        """Count records that are in the store now."""
        with self._lock:
            for signal, number in items.items():
                self._items[signal]["stored"] += number

    def quarantined(self, signal: str, number: int) -> None:
        """Count records that moved from the log to the quarantine."""
        with self._lock:
            self._items[signal]["accepted"] -= number
            self._items[signal]["quarantined"] += number

    def refused(self, reason: str) -> None:
        """Count a request that was refused whole."""
        with self._lock:
            self._refused[reason] += 1

    def over_quota(self, tenant: str) -> None:
        """Count a request that was refused because its tenant sent more than its budget."""
        with self._lock:
            self._over_quota[tenant] += 1

    def redacted(self, kinds: Mapping[str, int]) -> None:
        """Count secrets that were taken out of a request, by kind."""
        if kinds:
            with self._lock:
                self._redacted.update(kinds)

    def event(self, name: str, number: int = 1) -> None:
        """Count anything else worth knowing."""
        with self._lock:
            self._events[name] += number

    def snapshot(self) -> dict[str, Any]:
        """Give every counter at one instant, as plain values."""
        with self._lock:
            return {
                **{signal: dict(items) for signal, items in self._items.items()},
                "recovered": dict(self._recovered),
                "refused": dict(self._refused),
                "events": dict(self._events),
                "redacted": dict(self._redacted),
                "acks": {name: acks.snapshot() for name, acks in self._acks.items()},
                "loads": self._loads.snapshot(),
                "over_quota": dict(self._over_quota),
            }

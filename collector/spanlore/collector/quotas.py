"""What one tenant may send a second, so that none fills the log that all share.

A tenant is known at the door by a token of its own; what comes without, or with a token of every
tenant, is the operator's own and is not held back. What another spanlore forwards as a tenant's
counts against that tenant's budget.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from spanlore.collector.counters import Counters
from spanlore.collector.refusal import over_quota

# What a tenant that was quiet may send at once, in seconds of its budget.
BURST_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantBudget:
    """The most a tenant may send a second; 0 is no limit. Records: spans, logs, data points."""

    records_per_s_max: int = 0
    bytes_per_s_max: int = 0


@dataclass(slots=True)
class _Balance:
    """What is left of one budget. It may be owed: a request is taken whole or not at all."""

    per_s: float
    left: float
    at_s: float

    def wait_s(self, now_s: float) -> float:
        """Give the seconds until there is anything left."""
        self.left = min(self.per_s * BURST_S, self.left + (now_s - self.at_s) * self.per_s)
        self.at_s = now_s
        return 0.0 if self.left > 0 else -self.left / self.per_s


class Quotas:
    """Every tenant's balances. Safe from any thread.

    There are as many as tenants with tokens. Whoever has anything left is let in, and what came is
    taken off afterwards: so the largest request passes too, and is waited for.
    """

    def __init__(
        self,
        budget: TenantBudget,
        counters: Counters,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_s = (float(budget.records_per_s_max), float(budget.bytes_per_s_max))
        self._counters = counters
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._balances: dict[str, list[_Balance | None]] = {}

    def admit(self, tenant: str) -> None:
        """Raise Refused (retryable) where the tenant has sent more than its budget."""
        if not tenant or not any(self._per_s):
            return
        with self._lock:
            now_s = self._clock_s()
            wait_s = max(one.wait_s(now_s) if one else 0.0 for one in self._of(tenant, now_s))
        if wait_s:
            self._counters.over_quota(tenant)
            raise over_quota(tenant, wait_s)

    def charge(self, tenant: str, *, records: int, size: int) -> None:
        """Take what a tenant sent off what it has left."""
        if not tenant or not any(self._per_s):
            return
        with self._lock:
            of_tenant = self._of(tenant, self._clock_s())
            for balance, sent in zip(of_tenant, (records, size), strict=True):
                if balance:
                    balance.left -= sent

    def _of(self, tenant: str, now_s: float) -> list[_Balance | None]:
        if tenant not in self._balances:
            self._balances[tenant] = [
                _Balance(per_s, per_s * BURST_S, now_s) if per_s else None for per_s in self._per_s
            ]
        return self._balances[tenant]

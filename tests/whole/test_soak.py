"""Ten minutes of steady load: nothing is lost and nothing grows."""

import os
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression, mean
from typing import Any, Self

import pytest

from spanlore.schemas import migrate
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.store_server.store_process import StoreProcess
from tests.whole.soak_load import SPANS_A_RUN, send

SPANS_A_S = int(os.environ.get("SPANLORE_TEST_SOAK_SPANS_S", "10000"))
DURATION_S = float(os.environ.get("SPANLORE_TEST_SOAK_S", "600"))
# Before that, caches fill and the store's parts have not reached their size.
FLAT_FROM_S = 300.0
# How much the line through the second half may rise, as a share of its mean. The store's memory
# goes up and down with its merges.
RISE_MAX = {"collector": 0.05, "store": 0.15}
LATE_MAX = 0.05
SAMPLE_S = 1.0
MIB = 1 << 20


@dataclass
class Watch:
    """Looks at the memory of processes and at the collector's backlog, once a second."""

    collector: CollectorProcess
    pids: dict[str, int]
    times_s: list[float] = field(default_factory=list)
    rss_bytes: dict[str, list[int]] = field(default_factory=dict)
    oldest_age_s: list[float] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.rss_bytes = {name: [] for name in self.pids}
        self._watching = threading.Thread(target=self._look)
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._watching.join()

    def _look(self) -> None:
        while not self._stopping.wait(SAMPLE_S):
            self.times_s.append(time.monotonic())
            for name, pid in self.pids.items():
                self.rss_bytes[name].append(rss_bytes(pid))
            self.oldest_age_s.append(self.collector.status()["backlog"]["oldest_age_s"])

    def rise(self, name: str) -> float:
        """Give how much the line through the second half rises, as a share of its mean."""
        half = len(self.times_s) // 2
        times_s, sizes = self.times_s[half:], self.rss_bytes[name][half:]
        slope = linear_regression(times_s, sizes).slope
        rise = slope * (times_s[-1] - times_s[0]) / mean(sizes)
        print(
            f"{name}: {min(sizes) / MIB:,.0f} to {max(sizes) / MIB:,.0f} MiB in the second half, "
            f"{slope * 60 / MIB:+.2f} MiB a minute, {rise:+.1%} of its mean over that half"
        )
        return rise


def rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def what_is_stored(url: str) -> dict[str, Any]:
    with Store.connect(url) as store:
        [spans] = store.query(
            "SELECT count() AS rows, uniqExact(SpanId) AS spans, uniqExact(TraceId) AS runs, "
            "min(SpanId) AS first, max(SpanId) AS last FROM otel_traces"
        )
        [runs] = store.query("SELECT uniqExact(TraceId) AS sealed_runs FROM agent_runs")
    return {**spans, **runs}


@pytest.mark.slow
@pytest.mark.timeout(2 * DURATION_S + 1200)
def test_a_steady_load_is_stored_to_the_last_span_and_memory_stays_flat(tmp_path: Path) -> None:
    with ExitStack() as running:
        store = running.enter_context(StoreProcess(tmp_path / "data"))
        login = store.admin
        url = f"clickhouse://{login.user}:{login.password}@127.0.0.1:{store.port}/spanlore"
        migrate.migrate(url)
        collector = running.enter_context(CollectorProcess(tmp_path / "data", url))
        pids = {"collector": collector.process.pid, "store": store.process.pid}
        with Watch(collector, pids) as watch:
            sent = send(collector.grpc_address, spans_a_s=SPANS_A_S, duration_s=DURATION_S)
        print(
            f"{sent.spans:,} spans of {sent.span_bytes:.0f} bytes acknowledged in "
            f"{sent.elapsed_s:.1f} s, {sent.spans / sent.elapsed_s:,.0f} a second, {sent.resent} "
            f"requests sent again; the log's oldest record was at most "
            f"{max(watch.oldest_age_s):.1f} s old"
        )
        rises = {name: watch.rise(name) for name in pids}
        collector.flush(600)
        counted = collector.status()["spans"]
        stored = what_is_stored(url)
        assert collector.stop() == 0
        assert store.stop() == 0
    assert stored["spans"] == sent.spans
    assert (stored["first"], stored["last"]) == (f"{1:016x}", f"{sent.spans:016x}")
    assert sent.resent or stored["rows"] == sent.spans
    assert stored["runs"] == stored["sealed_runs"] == sent.spans // SPANS_A_RUN
    assert counted["accepted"] == counted["stored"] == counted["received"] >= sent.spans
    assert sent.elapsed_s <= DURATION_S * (1 + LATE_MAX), "this machine did not keep up the load"
    if DURATION_S >= FLAT_FROM_S:
        assert {name: rise for name, rise in rises.items() if rise > RISE_MAX[name]} == {}

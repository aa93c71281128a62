"""Kills the collector and the store at random instants under load, over and over.

A thousand times (SPANLORE_TEST_KILLS), which takes an hour. A run that is cut short or fails is
taken up where it was by the next; SPANLORE_TEST_SEED, which is printed, begins that one again.
"""

import os
import random
import shutil
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import grpc
import pytest

from running import free_port
from spanlore.collector.signals import LOGS, METRICS, TRACES, Signal
from spanlore.schemas import metric_tables, migrate
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess, unary
from tests.collector.otlp_requests import hex_ids, logs, metrics, new_ids, traces
from tests.store_server.store_process import StoreProcess

KILLS = int(os.environ.get("SPANLORE_TEST_KILLS", "1000"))
# After so many all is looked at, and the next begin with an empty store.
KILLS_A_STORE = 50
# Where pytest keeps how far it came, under .pytest_cache.
PROGRESS = "spanlore/kills"
SPANS = 20
TRACE_THREADS = 4


class Clients:
    """Threads that send until told to stop, through every restart.

    Spans and data points are sent again until they are acknowledged, as an exporter does; a log
    record is sent once, because nothing tells a second one from the first.
    """

    def __init__(self, port: int) -> None:
        self.spans: list[tuple[bytes, bytes]] = []
        self.points: list[int] = []
        self.logs_acknowledged: list[str] = []
        self.logs_sent: list[str] = []
        self.resent = 0
        self._address = f"127.0.0.1:{port}"
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send_spans) for _ in range(TRACE_THREADS)]
        self._threads.append(threading.Thread(target=self._send_logs))
        self._threads.append(threading.Thread(target=self._send_points))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send_spans(self) -> None:
        with grpc.insecure_channel(self._address) as channel:
            while not self._stopping.is_set():
                ids = new_ids(SPANS)
                body = traces(ids, text="x" * 2000).SerializeToString()
                while not self._export(channel, TRACES, body):
                    self.resent += 1
                    time.sleep(0.02)
                self.spans += ids

    def _send_points(self) -> None:
        with grpc.insecure_channel(self._address) as channel:
            while not self._stopping.is_set():
                numbers = range(len(self.points), len(self.points) + SPANS)
                body = metrics(numbers).SerializeToString()
                while not self._export(channel, METRICS, body):
                    self.resent += 1
                    time.sleep(0.02)
                self.points += numbers
                time.sleep(0.005)

    def _send_logs(self) -> None:
        number = 0
        with grpc.insecure_channel(self._address) as channel:
            while not self._stopping.is_set():
                number += 1
                text = f"log {number}"
                self.logs_sent.append(text)
                if self._export(channel, LOGS, logs(1, body=text).SerializeToString()):
                    self.logs_acknowledged.append(text)
                time.sleep(0.005)

    def _export(self, channel: grpc.Channel, signal: Signal, body: bytes) -> bool:
        try:
            unary(channel, f"/{signal.service}/Export")(body, timeout=5)
        except grpc.RpcError:
            return False
        return True


class Stack:
    """A collector and a store that die and come back at the same addresses."""

    def __init__(self, data_dir: Path, running: ExitStack) -> None:
        self._data_dir = data_dir
        self._running = running
        self._store_port = free_port()
        self.grpc_port = free_port()
        self.store = self._start_store()
        login = self.store.admin
        address = f"127.0.0.1:{self._store_port}/spanlore"
        self.url = f"clickhouse://{login.user}:{login.password}@{address}"
        migrate.migrate(self.url)
        self.collector = self._start_collector()

    def _start_store(self) -> StoreProcess:
        store = StoreProcess(self._data_dir, "--port", str(self._store_port))
        return self._running.enter_context(store)

    def _start_collector(self) -> CollectorProcess:
        collector = CollectorProcess(self._data_dir, self.url, "--grpc-port", str(self.grpc_port))
        return self._running.enter_context(collector)

    def kill(self, victim: str) -> None:
        """Kill one or both, at once."""
        if victim in ("store", "both"):
            self.store.process.kill()
        if victim in ("collector", "both"):
            self.collector.kill()
        if victim in ("store", "both"):
            self.store.process.wait()
            self.store = self._start_store()
        if victim in ("collector", "both"):
            self.collector = self._start_collector()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the kills have come; kept by pytest, so that a run that was cut short goes on."""

    seed: int
    kills: int
    done: int = 0

    @classmethod
    def resumed(cls, cache: pytest.Cache) -> Self:
        """Go on where an earlier run ended, unless a seed or another number is asked for."""
        kept = cache.get(PROGRESS, None)
        seed = os.environ.get("SPANLORE_TEST_SEED")
        if seed is None and kept is not None and kept["kills"] == KILLS:
            return cls(**kept)
        return cls(seed=int(seed or random.randrange(2**32)), kills=KILLS)


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_what_was_acknowledged_is_stored_once_whatever_is_killed_when(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cache = request.config.cache
    assert cache is not None
    progress = Progress.resumed(cache)
    while progress.done < progress.kills:
        print(f"seed {progress.seed}: {progress.done} of {progress.kills} kills done", flush=True)
        cache.set(PROGRESS, asdict(progress))
        rounds = min(KILLS_A_STORE, progress.kills - progress.done)
        data_dir = tmp_path / f"after-{progress.done}"
        kill_and_check(data_dir, random.Random(f"{progress.seed}/{progress.done}"), rounds)
        shutil.rmtree(data_dir)
        progress = replace(progress, done=progress.done + rounds)
    cache.set(PROGRESS, None)


def kill_and_check(data_dir: Path, rng: random.Random, rounds: int) -> None:
    """Kill so many times under load, then see that the store has what was acknowledged."""
    killed: Counter[str] = Counter()
    with ExitStack() as running:
        stack = Stack(data_dir, running)
        clients = Clients(stack.grpc_port)
        running.callback(clients.stop)
        for _ in range(rounds):
            time.sleep(rng.uniform(0.0, 2.0))
            victim = rng.choice(("collector", "store", "both"))
            killed[victim] += 1
            stack.kill(victim)
        clients.stop()
        stack.collector.flush(300)
        with Store.connect(stack.url) as store:
            spans = store.query(
                "SELECT TraceId, SpanId FROM otel_traces "
                "ORDER BY RowVersion DESC LIMIT 1 BY TenantId, TraceId, SpanId"
            )
            points = store.query(
                f"SELECT IntegerValue AS n FROM {metric_tables.SUM} {metric_tables.LATEST_POINT}"
            )
            bodies = Counter(row["Body"] for row in store.query("SELECT Body FROM otel_logs"))
        assert stack.collector.stop() == 0
        assert stack.store.stop() == 0
    found = [(row["TraceId"], row["SpanId"]) for row in spans]
    print(
        f"{dict(killed)}: {len(clients.spans)} spans acknowledged, {len(found)} stored, "
        f"{len(clients.points)} data points acknowledged, {len(points)} stored, "
        f"{clients.resent} batches sent again; "
        f"{len(clients.logs_acknowledged)} log records acknowledged, {len(bodies)} stored"
    )
    assert len(found) == len(set(found))
    assert set(found) == hex_ids(clients.spans)
    assert sorted(row["n"] for row in points) == clients.points
    assert set(clients.logs_acknowledged) <= set(bodies) <= set(clients.logs_sent)
    assert set(bodies.values()) == {1}

"""A store that is wrong, slow to say so or forgetful behind the real collector."""

import contextlib
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from spanlore.collector.signals import LOGS
from spanlore.schemas import migrate
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import hex_ids, logs, new_ids, traces
from tests.collector.test_durability import stored
from tests.store_server.store_process import StoreProcess
from tests.waiting import wait_until


def test_row_30_a_store_without_tables_gets_everything_in_order_once_it_has_them(
    data_dir: Path, store_server_url: str
) -> None:
    url = f"{store_server_url}/not_migrated"
    ids = new_ids(6)
    with CollectorProcess(data_dir, url) as collector:
        for pair in ids:
            assert collector.export(traces([pair])) == b""
        wait_until(lambda: collector.status()["store_error"])
        assert collector.status()["backlog"]["records"] == len(ids)
        assert not (data_dir / "quarantine").exists()
        migrate.migrate(url)
        collector.flush()
        assert collector.check_conserved()["spans"]["stored"] == len(ids)
        assert collector.stop() == 0
    with Store.connect(url) as store:
        rows = store.query("SELECT TraceId FROM otel_traces ORDER BY LogSeq")
    assert [row["TraceId"] for row in rows] == [trace_id.hex() for trace_id, _ in ids]


@pytest.fixture
def too_many_parts(store: Store) -> Iterator[None]:
    """Let the table of spans take no further part."""
    store.command("SYSTEM STOP MERGES otel_traces")
    store.insert("otel_traces", [{"TraceId": "a", "SpanId": "b"}])
    one = "parts_to_delay_insert = 1, parts_to_throw_insert = 1"
    store.command(f"ALTER TABLE otel_traces MODIFY SETTING {one}")
    yield
    give_room(store)


def give_room(store: Store) -> None:
    store.command(
        "ALTER TABLE otel_traces MODIFY SETTING"
        " parts_to_delay_insert = 1000, parts_to_throw_insert = 3000"
    )
    store.command("SYSTEM START MERGES otel_traces")


@pytest.mark.usefixtures("too_many_parts")
def test_row_30_a_store_with_too_many_parts_gets_everything_once_it_has_room(
    data_dir: Path, store_url: str, store: Store
) -> None:
    ids = new_ids(3)
    with CollectorProcess(data_dir, store_url) as collector:
        assert collector.export(traces(ids)) == b""
        wait_until(lambda: "252" in (collector.status()["store_error"] or ""))
        give_room(store)
        collector.flush()
        assert collector.stop() == 0
    assert hex_ids(ids) <= set(stored(store))
    assert not (data_dir / "quarantine").exists()


class Relay:
    """Passes connections on to a store; ``cut`` makes the next answer to an insert go missing."""

    def __init__(self, port: int) -> None:
        self.cut = threading.Event()
        self.was_cut = threading.Event()
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._own_name, self._store_name = (
            f"127.0.0.1:{number}".encode() for number in (self.port, port)
        )
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as store:
            inserting = threading.Event()
            back = threading.Thread(target=self._back, args=(client, store, inserting), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while data := client.recv(1 << 16):
                    if self.cut.is_set() and b"INSERT" in data:
                        inserting.set()
                    # The store answers to its own name alone; a port has five digits here.
                    store.sendall(data.replace(self._own_name, self._store_name))
            with contextlib.suppress(OSError):
                store.shutdown(socket.SHUT_RDWR)
            back.join()

    def _back(
        self, client: socket.socket, store: socket.socket, inserting: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := store.recv(1 << 16):
                if inserting.is_set():
                    # The store has answered, so the insert is done; nobody hears of it.
                    self.cut.clear()
                    self.was_cut.set()
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)


@pytest.fixture
def relay(store_url: str) -> Iterator[Relay]:
    relay = Relay(urlsplit(store_url).port or 0)
    yield relay
    relay.close()


def test_row_32_an_insert_that_was_done_and_not_answered_is_stored_once(
    data_dir: Path, store_url: str, store: Store, relay: Relay
) -> None:
    url = store_url.replace(f":{urlsplit(store_url).port}/", f":{relay.port}/")
    with CollectorProcess(data_dir, url) as collector:
        collector.export(logs(1, body="before"), signal=LOGS)
        collector.flush()
        relay.cut.set()
        collector.export(logs(1, body="cut"), signal=LOGS)
        assert relay.was_cut.wait(20)
        collector.flush()
        assert collector.check_conserved()["logs"]["stored"] == 2
        assert collector.stop() == 0
    assert bodies(store) == {"before": 1, "cut": 1}


def bodies(store: Store) -> Counter[str]:
    return Counter(row["Body"] for row in store.query("SELECT Body FROM otel_logs"))


def test_row_29_a_store_that_forgot_its_tokens_takes_no_segment_a_second_time(
    tmp_path: Path,
) -> None:
    # A loss of power can leave what the engine does not sync, its list of tokens, behind the rows
    # that it does sync, and bring back a segment that was loaded and deleted.
    data_dir = tmp_path / "data"
    with CollectorProcess(data_dir, NOWHERE) as alone:
        for number in range(5):
            alone.export(logs(1, body=f"log {number}"), signal=LOGS)
        assert alone.stop() == 0
    segments = {path: path.read_bytes() for path in (data_dir / "wal").glob("*.wal")}
    for _ in range(2):
        for path, content in segments.items():
            path.write_bytes(content)
        with StoreProcess(data_dir) as server:
            login = server.admin
            url = f"clickhouse://{login.user}:{login.password}@127.0.0.1:{server.port}/spanlore"
            migrate.migrate(url)
            with CollectorProcess(data_dir, url) as collector:
                collector.flush()
                assert collector.check_conserved()["logs"]["stored"] == 5
                assert collector.stop() == 0
            with Store.connect(url) as store:
                assert bodies(store) == {f"log {number}": 1 for number in range(5)}
            assert server.stop() == 0
        forgotten = list((data_dir / "store").rglob("deduplication_logs"))
        assert forgotten
        for folder in forgotten:
            shutil.rmtree(folder)

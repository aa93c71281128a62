import random
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from spanlore.collector.signals import LOGS, METRICS
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.collector.otlp_requests import hex_ids, logs, metrics, new_ids, spans_of, traces
from tests.small_disk import small_disk
from tests.waiting import wait_until

NOWHERE = "clickhouse://nobody:nothing@127.0.0.1:9/none"


def stored(store: Store) -> list[tuple[str, str]]:
    """Give the ids of every row a reader sees."""
    rows = store.query(
        "SELECT TraceId, SpanId FROM otel_traces "
        "ORDER BY RowVersion DESC LIMIT 1 BY TenantId, TraceId, SpanId"
    )
    return [(row["TraceId"], row["SpanId"]) for row in rows]


class Load:
    """Threads that send batches until told to stop, and remember what was acknowledged."""

    def __init__(self, collector: CollectorProcess, threads: int = 4, spans: int = 20) -> None:
        self.acknowledged: list[tuple[bytes, bytes]] = []
        self.sent: list[tuple[bytes, bytes]] = []
        self._collector = collector
        self._spans = spans
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self._stopping.is_set():
            ids = new_ids(self._spans)
            self.sent += ids
            try:
                self._collector.export(traces(ids, text="x" * 500))
            except (grpc.RpcError, ValueError):
                # ValueError: the channel was closed because the process is gone.
                return
            self.acknowledged += ids

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def check_exact(store: Store, load: Load) -> None:
    found = stored(store)
    assert hex_ids(load.acknowledged) <= set(found)
    assert set(found) <= hex_ids(load.sent)
    assert len(found) == len(set(found))


def test_after_a_kill_under_load_every_acknowledged_span_is_stored_once(
    data_dir: Path, store_url: str, store: Store
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    with CollectorProcess(data_dir, store_url) as first:
        load = Load(first)
        goal = rng.randint(200, 2000)
        wait_until(lambda: len(load.acknowledged) >= goal)
        first.kill()
        load.stop()
    with CollectorProcess(data_dir, store_url) as second:
        second.flush()
        assert second.stop() == 0
    assert len(load.acknowledged) >= goal
    check_exact(store, load)
    assert not list((data_dir / "wal").glob("*.wal"))


def test_a_segment_that_was_loaded_and_not_deleted_is_loaded_again_without_a_second_row(
    data_dir: Path, store_url: str, store: Store
) -> None:
    with CollectorProcess(data_dir, NOWHERE) as first:
        ids = new_ids(30)
        first.export(traces(ids))
        first.export(logs(7), signal=LOGS)
        first.export(metrics(range(9)), signal=METRICS)
        assert first.stop() == 0
    (segment,) = (data_dir / "wal").glob("*.wal")
    copy = segment.read_bytes()
    for _ in range(3):
        segment.write_bytes(copy)
        with CollectorProcess(data_dir, store_url) as again:
            again.flush()
            assert not segment.exists()
            assert again.stop() == 0
    rows = store.query("SELECT TraceId, SpanId FROM otel_traces")
    assert {(row["TraceId"], row["SpanId"]) for row in rows} == hex_ids(ids)
    assert len(rows) == 30
    assert store.query("SELECT count() AS n FROM otel_logs")[0]["n"] == 7
    assert store.query("SELECT count() AS n FROM otel_metrics_sum")[0]["n"] == 9


def test_what_a_client_sends_twice_is_one_row_to_a_reader(
    data_dir: Path, store_url: str, store: Store
) -> None:
    ids = new_ids(20)
    with CollectorProcess(data_dir, store_url) as collector:
        for _ in range(3):
            collector.export(traces(ids))
            collector.export(traces(ids[:10]))
            collector.flush()
        collector.export(traces(ids))
        collector.export(traces(ids))
        collector.flush()
        spans = collector.status()["spans"]
    assert sorted(stored(store)) == sorted(hex_ids(ids))
    assert spans["received"] == spans["accepted"] == spans["stored"] == 130


def test_a_store_that_comes_late_gets_everything_in_the_end(
    data_dir: Path, store_url: str, store: Store
) -> None:
    with CollectorProcess(data_dir, NOWHERE) as alone:
        load = Load(alone, threads=2)
        wait_until(lambda: len(load.acknowledged) > 300)
        load.stop()
        wait_until(lambda: "connect to the store" in (alone.status()["store_error"] or ""))
        assert alone.status()["backlog"]["records"] == len(load.acknowledged) // 20
        assert alone.stop() == 0
    with CollectorProcess(data_dir, store_url) as joined:
        joined.flush()
        assert joined.status()["backlog"]["records"] == 0
    check_exact(store, load)


def test_a_stop_under_load_answers_everybody_and_leaves_nothing_behind(
    data_dir: Path, store_url: str, store: Store
) -> None:
    with CollectorProcess(data_dir, store_url) as collector:
        load = Load(collector)
        wait_until(lambda: len(load.acknowledged) > 500)
        assert collector.stop() == 0
        load.stop()
    assert not list((data_dir / "wal").glob("*.wal"))
    check_exact(store, load)


def test_damaged_segments_do_not_stop_a_start(data_dir: Path, store_url: str, store: Store) -> None:
    kept, lost = new_ids(5), new_ids(5)
    for ids in (kept, lost):
        with CollectorProcess(data_dir, NOWHERE) as alone:
            alone.export(traces(ids))
            assert alone.stop() == 0
    newest = max((data_dir / "wal").glob("*.wal"), key=lambda path: path.stat().st_mtime_ns)
    data = bytearray(newest.read_bytes())
    data[-10] ^= 0x10
    newest.write_bytes(data)
    (data_dir / "wal" / "00000001-0000000000000009.wal").touch()
    with CollectorProcess(data_dir, store_url) as collector:
        collector.flush()
        assert collector.status()["events"]["log_files_corrupt"] == 1
    assert sorted(stored(store)) == sorted(hex_ids(kept))
    (aside,) = (data_dir / "quarantine").glob("*.pb")
    assert lost[0][0] in aside.read_bytes()


def test_a_message_that_only_the_engine_refuses_is_stored_in_its_normal_form(
    data_dir: Path, store_url: str, store: Store
) -> None:
    # A span whose name is a number on the wire: a parser takes that for an unknown field.
    nameless = new_ids(1)
    odd = traces(nameless)
    spans_of(odd)[0].ClearField("name")
    body = odd.SerializeToString() + _span_with_a_number_for_a_name()
    others = new_ids(6)
    with CollectorProcess(data_dir, NOWHERE) as alone:
        for pair in others[:3]:
            alone.export(traces([pair]))
        assert alone.export(body) == b""
        for pair in others[3:]:
            alone.export(traces([pair]))
        assert alone.stop() == 0
    with CollectorProcess(data_dir, store_url) as collector:
        collector.flush()
        spans = collector.status()["spans"]
    expected = [*others, *nameless, (b"1" * 16, b"2" * 8)]
    assert sorted(stored(store)) == sorted(hex_ids(expected))
    assert (spans["stored"], spans["quarantined"]) == (8, 0)
    assert not (data_dir / "quarantine").exists()


def _span_with_a_number_for_a_name() -> bytes:
    value = b"\x0a\x10" + b"1" * 16 + b"\x12\x08" + b"2" * 8 + b"\x28\x05"
    for tag in (b"\x12", b"\x12", b"\x0a"):
        value = tag + bytes([len(value)]) + value
    return value


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=4) as place:
        yield place


def test_a_full_disk_refuses_on_both_doors_and_all_goes_on_when_there_is_space_again(
    disk: Path, store_url: str, store: Store
) -> None:
    acknowledged: list[tuple[bytes, bytes]] = []
    filler = disk / "filler"
    with CollectorProcess(disk / "data", store_url) as collector:

        def send() -> grpc.StatusCode | None:
            ids = new_ids(10)
            try:
                collector.export(traces(ids, text="x" * 5000))
            except grpc.RpcError as error:
                keys = {entry.key for entry in error.trailing_metadata() or ()}
                assert "google.rpc.retryinfo-bin" in keys
                return error.code()
            acknowledged.extend(ids)
            return None

        assert send() is None
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
        wait_until(lambda: send() is grpc.StatusCode.UNAVAILABLE)
        refused = collector.post(traces(10, text="x" * 5000))
        assert refused.status_code == 503
        assert 1 <= int(refused.headers["retry-after"]) <= 3
        assert collector.status()["log_error"] is not None
        filler.unlink()
        assert send() is None
        collector.flush()
        assert collector.status()["log_error"] is None
        assert collector.stop() == 0
    assert sorted(stored(store)) == sorted(hex_ids(acknowledged))


def test_a_nearly_full_disk_is_left_its_reserve(data_dir: Path) -> None:
    reserve = str(1 << 60)
    with CollectorProcess(data_dir, NOWHERE, "--disk-free-min", reserve) as collector:
        with pytest.raises(grpc.RpcError) as error:
            collector.export(traces(1))
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        assert collector.post(traces(1)).status_code == 503
        assert collector.status()["refused"] == {"log_error": 2}


def test_a_flush_that_waits_for_the_store_does_not_hold_up_a_stop(data_dir: Path) -> None:
    with CollectorProcess(data_dir, NOWHERE) as collector:
        collector.export(traces(1))
        answers: list[int] = []

        def flush() -> None:
            path, headers = "/flush?timeout_s=600", collector.authorized()
            answers.append(collector.client.post(path, headers=headers, timeout=600).status_code)

        flushing = threading.Thread(target=flush)
        flushing.start()
        wait_until(lambda: collector.status()["store_error"] is not None)
        # It is waited for a tenth as long as the flush asked for.
        assert collector.stop() == 0
        flushing.join()
    assert answers == [504]
    assert list((data_dir / "wal").glob("*.wal"))

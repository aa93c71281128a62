"""A collector as a processor hop: real collectors, stores and a rotel, killed midway."""

import json
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from spanlore.collector.signals import LOGS, METRICS
from spanlore.schemas import migrate
from spanlore.schemas.store import Store
from spanlore.schemas.tokens import INGEST, create_token
from tests.collector.collector_process import CollectorProcess
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import hex_ids, logs, metrics, new_ids, traces
from tests.collector.test_durability import Load, check_exact, stored
from tests.empty_store import empty
from tests.rotel_agent import free_address, rotel
from tests.waiting import wait_until

KILLS = 20


@pytest.fixture(scope="module")
def received_url(store_server_url: str) -> str:
    """Give the URL of a database for the collector that is forwarded to."""
    url = f"{store_server_url}/received"
    migrate.migrate(url)
    return url


@pytest.fixture(scope="module")
def second(
    tmp_path_factory: pytest.TempPathFactory, received_url: str
) -> Iterator[CollectorProcess]:
    """Run the collector that is forwarded to, for all tests that do not kill it."""
    with CollectorProcess(tmp_path_factory.mktemp("second") / "data", received_url) as process:
        yield process
        assert process.stop() == 0


@pytest.fixture(scope="module")
def first(
    tmp_path_factory: pytest.TempPathFactory, migrated_url: str, second: CollectorProcess
) -> Iterator[CollectorProcess]:
    """Run the collector that forwards to it, over gRPC."""
    told = ("--forward", f"next=grpc://{second.grpc_address}")
    data_dir = tmp_path_factory.mktemp("first") / "data"
    with CollectorProcess(data_dir, migrated_url, *told) as process:
        yield process
        assert process.stop() == 0


@pytest.fixture
def received(received_url: str) -> Iterator[Store]:
    """Open the database that is forwarded to, emptied for one test."""
    with Store.connect(received_url) as opened:
        empty(opened)
        yield opened


def forwarding(process: CollectorProcess) -> dict[str, Any]:
    """Give what the collector says of its one target."""
    (target,) = process.status()["forwarding"]
    found: dict[str, Any] = target
    return found


def is_done(process: CollectorProcess) -> bool:
    return not forwarding(process)["backlog"]["records"]


def settled(target: dict[str, Any], signal: str = "spans") -> int:
    kinds = ("forwarded", "rejected", "refused", "dropped")
    return sum(target[kind][signal] for kind in kinds)


def on_ports_of(process: CollectorProcess) -> tuple[str, ...]:
    """Give the options that take another process's ports again."""
    grpc_port = process.grpc_address.rpartition(":")[2]
    return ("--grpc-port", grpc_port, "--http-port", process.url.rpartition(":")[2])


def passed_on(first: CollectorProcess, second: CollectorProcess) -> None:
    """Wait until all that the first accepted is in both stores."""
    wait_until(lambda: is_done(first))
    first.flush()
    second.flush()


def test_spans_logs_and_metrics_are_in_both_stores_and_no_file_is_left(
    first: CollectorProcess, store: Store, second: CollectorProcess, received: Store
) -> None:
    before = forwarding(first)["forwarded"]
    ids = new_ids(30)
    first.export(traces(ids))
    first.export(logs(7), signal=LOGS)
    first.export(metrics(range(9)), signal=METRICS)
    passed_on(first, second)
    target = forwarding(first)
    forwarded = {signal: count - before[signal] for signal, count in target["forwarded"].items()}
    assert forwarded == {"spans": 30, "logs": 7, "data_points": 9}
    assert target["last_error"] is None
    for opened in (store, received):
        assert sorted(stored(opened)) == sorted(hex_ids(ids))
        assert opened.query("SELECT count() AS n FROM otel_logs")[0]["n"] == 7
        assert opened.query("SELECT count() AS n FROM otel_metrics_sum")[0]["n"] == 9
    assert not list(first.data_dir.rglob("*.wal"))


def test_a_target_that_is_killed_and_started_again_midway_gets_everything_once(
    tmp_path: Path, store_url: str, store: Store, received_url: str, received: Store
) -> None:
    with CollectorProcess(tmp_path / "target", received_url) as target:
        told = ("--forward", f"next=grpc://{target.grpc_address}")
        with CollectorProcess(tmp_path / "hop", store_url, *told) as hop:
            load = Load(hop, threads=2)
            wait_until(lambda: forwarding(hop)["forwarded"]["spans"] > 200)
            target.kill()
            wait_until(lambda: "UNAVAILABLE" in (forwarding(hop)["last_error"] or ""))
            goal = len(load.acknowledged) + 500
            wait_until(lambda: len(load.acknowledged) > goal)
            load.stop()
            assert forwarding(hop)["backlog"]["records"] > 0
            ports = on_ports_of(target)
            with CollectorProcess(tmp_path / "target", received_url, *ports) as again:
                passed_on(hop, again)
                assert again.stop() == 0
            found = forwarding(hop)
            assert hop.stop() == 0
    assert found["forwarded"]["spans"] == settled(found) == len(load.acknowledged)
    check_exact(store, load)
    check_exact(received, load)
    assert not list(tmp_path.rglob("*.wal"))


def test_after_a_kill_of_the_hop_every_acknowledged_span_arrives_and_is_one_row(
    tmp_path: Path, store_url: str, store: Store, second: CollectorProcess, received: Store
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    told = ("--forward", second.url)
    with CollectorProcess(tmp_path, store_url, *told) as hop:
        load = Load(hop)
        goal = rng.randint(200, 2000)
        wait_until(lambda: len(load.acknowledged) >= goal)
        hop.kill()
        load.stop()
    with CollectorProcess(tmp_path, store_url, *told) as again:
        wait_until(lambda: forwarding(again)["forwarded"]["spans"] > 0)
        passed_on(again, second)
        assert again.stop() == 0
    check_exact(store, load)
    check_exact(received, load)
    assert not list(tmp_path.rglob("*.wal"))


def acknowledges(load: Load, goal: int) -> None:
    """Wait until the load has had so many spans acknowledged."""
    wait_until(lambda: len(load.acknowledged) >= goal)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_through_many_kills_of_both_sides_every_acknowledged_span_arrives_and_is_one_row(
    tmp_path: Path, store_url: str, store: Store, received_url: str, received: Store
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    loads = []
    target = CollectorProcess(tmp_path / "target", received_url)
    ports = on_ports_of(target)
    told = ("--forward", f"next={target.url}")
    for _ in range(KILLS):
        with CollectorProcess(tmp_path / "hop", store_url, *told) as hop:
            load = Load(hop, threads=2)
            loads.append(load)
            goal = rng.randint(20, 1500)
            acknowledges(load, goal)
            if rng.random() < 0.5:
                target.kill()
                target = CollectorProcess(tmp_path / "target", received_url, *ports)
                goal = len(load.acknowledged) + rng.randint(0, 500)
                acknowledges(load, goal)
            hop.kill()
            load.stop()
    with CollectorProcess(tmp_path / "hop", store_url, *told) as hop, target:
        wait_until(lambda: forwarding(hop)["forwarded"]["spans"] > 0 or is_done(hop))
        passed_on(hop, target)
        assert hop.stop() == 0
        assert target.stop() == 0
    loads[0].sent = [pair for load in loads for pair in load.sent]
    loads[0].acknowledged = [pair for load in loads for pair in load.acknowledged]
    check_exact(store, loads[0])
    check_exact(received, loads[0])
    assert not list(tmp_path.rglob("*.wal"))


def test_a_target_gets_what_the_store_cannot_take_and_the_other_way_round(
    tmp_path: Path, store_url: str, store: Store, second: CollectorProcess, received: Store
) -> None:
    ids = new_ids(40)
    with CollectorProcess(tmp_path, NOWHERE, "--forward", f"up={second.url}") as hop:
        hop.export(traces(ids[:20]))
        wait_until(lambda: is_done(hop))
        assert hop.stop() == 0
    told = ("--forward", f"down=http://{free_address()}")
    with CollectorProcess(tmp_path, store_url, *told) as hop:
        hop.export(traces(ids[20:]))
        hop.flush()
        assert forwarding(hop)["backlog"]["records"] == 1
        assert hop.stop() == 0
    second.flush()
    assert sorted(stored(received)) == sorted(hex_ids(ids[:20]))
    assert sorted(stored(store)) == sorted(hex_ids(ids))
    (kept,) = tmp_path.rglob("*.wal")
    assert kept.parent == tmp_path / "forward" / "down"


@contextmanager
def black_hole() -> Iterator[str]:
    """Listen, take connections and what comes in them, and never say a word."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        taker = threading.Thread(target=take, daemon=True)
        taker.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            taker.join()
            for one in held:
                one.close()


@pytest.mark.parametrize("scheme", ["http", pytest.param("grpc", marks=pytest.mark.slow)])
def test_a_target_that_never_answers_holds_up_neither_clients_nor_the_store_nor_the_end(
    tmp_path: Path, store_url: str, store: Store, scheme: str
) -> None:
    ids = new_ids(200)
    with black_hole() as address:
        told = ("--forward", f"{scheme}://{address}")
        with CollectorProcess(tmp_path, store_url, *told) as hop:
            for one in ids:
                hop.export(traces([one]))
            hop.flush()
            target = forwarding(hop)
            # A process that waited for an answer here would be killed by its supervisor instead.
            assert hop.stop() == 0
    assert settled(target) == 0
    assert target["backlog"]["records"] == 200
    assert sorted(stored(store)) == sorted(hex_ids(ids))


def test_the_tenant_is_the_same_in_the_second_store(
    first: CollectorProcess, store: Store, second: CollectorProcess, received: Store
) -> None:
    """By the attribute where the sender speaks for all, by the header where a token said whose."""
    own, named, claimed = new_ids(1), new_ids(1), new_ids(1)
    first.export(traces(own))
    for ids, tenant in ((named, ""), (claimed, "gr%C3%BCn")):
        request = traces(ids)
        attribute = request.resource_spans[0].resource.attributes.add()
        attribute.key, attribute.value.string_value = "spanlore.tenant.id", "acme"
        assert first.post(request, spanlore_tenant=tenant).status_code == 200
    passed_on(first, second)
    for opened in (store, received):
        rows = opened.query("SELECT DISTINCT SpanId, TenantId FROM otel_traces")
        assert {row["SpanId"]: row["TenantId"] for row in rows} == {
            own[0][1].hex(): "default", named[0][1].hex(): "acme", claimed[0][1].hex(): "grün",
        }  # fmt: skip


def test_a_tenant_that_a_token_named_is_the_same_behind_a_door_that_asks_for_tokens(
    tmp_path: Path,
    store_url: str,
    store: Store,
    received_url: str,
    received: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = traces(1)
    attribute = request.resource_spans[0].resource.attributes.add()
    attribute.key, attribute.value.string_value = "spanlore.tenant.id", "other"
    with CollectorProcess(tmp_path / "target", received_url, "--require-token") as target:
        _, every = create_token(target.data_dir, tenant="*", scopes=[INGEST])
        monkeypatch.setenv("SPANLORE_FORWARD_NEXT_HEADERS", f"authorization=Bearer%20{every}")
        told = ("--forward", f"next=grpc://{target.grpc_address}")
        with CollectorProcess(tmp_path / "hop", store_url, *told) as hop:
            _, own = create_token(hop.data_dir, tenant="acme", scopes=[INGEST])
            # Neither the attribute nor the header may speak against a token.
            answer = hop.post(request, authorization=f"Bearer {own}", spanlore_tenant="forged")
            assert answer.status_code == 200
            passed_on(hop, target)
            assert forwarding(hop)["forwarded"]["spans"] == 1
    for opened in (store, received):
        rows = opened.query("SELECT DISTINCT TenantId FROM otel_traces")
        assert rows == [{"TenantId": "acme"}]


def test_nested_values_are_the_same_in_the_second_store(
    first: CollectorProcess, store: Store, second: CollectorProcess, received: Store
) -> None:
    request = traces(1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    pair = span.attributes.add(key="nested").value.kvlist_value.values.add(key="list")
    inner = pair.value.array_value.values.add().array_value.values
    inner.add().int_value = 2**60
    inner.add().double_value = 1.0
    inner.add().bool_value = True
    inner.add().string_value = "grün"
    inner.add()
    first.export(request)
    passed_on(first, second)
    rows = [opened.query("SELECT SpanAttributes FROM otel_traces") for opened in (store, received)]
    assert rows[0] == rows[1]
    nested = json.loads(rows[0][0]["SpanAttributes"]["nested"])
    assert nested == {"list": [[2**60, 1.0, True, "grün", None]]}


@pytest.mark.slow
def test_above_its_limit_the_oldest_of_a_target_are_dropped_and_counted_and_the_store_has_all(
    tmp_path: Path, store_url: str, store: Store
) -> None:
    ids = new_ids(120)
    random_text = os.urandom(500_000).hex()
    told = ("--forward", f"down=http://{free_address()}", "--forward-max", str(64 << 20))
    with CollectorProcess(tmp_path, store_url, *told) as hop:
        for one in ids:
            hop.export(traces([one], text=random_text))
        hop.flush()
        target = forwarding(hop)
        kept = sum(file.stat().st_size for file in (tmp_path / "forward").rglob("*.wal"))
        assert hop.stop() == 0
    assert 0 < target["dropped"]["spans"] < 120
    assert target["dropped"]["spans"] + target["backlog"]["records"] == 120
    assert kept <= 64 << 20
    assert sorted(stored(store)) == sorted(hex_ids(ids))


@pytest.mark.slow
def test_rotel_that_comes_late_gets_what_waited_for_it_and_passes_it_on(
    tmp_path: Path, store_url: str, store: Store, second: CollectorProcess, received: Store
) -> None:
    before = second.status()["spans"]["accepted"]
    onward = (
        "--exporter=otlp",
        f"--otlp-exporter-endpoint=http://{second.grpc_address}",
        "--otlp-exporter-protocol=grpc",
    )
    address = free_address()
    with CollectorProcess(tmp_path, store_url, "--forward", f"rotel=grpc://{address}") as hop:
        load = Load(hop, threads=1)
        wait_until(lambda: forwarding(hop)["last_error"] is not None)
        with rotel(tmp_path, *onward, grpc_address=address):
            wait_until(lambda: forwarding(hop)["forwarded"]["spans"] > 200)
        wait_until(lambda: "UNAVAILABLE" in (forwarding(hop)["last_error"] or ""))
        load.stop()
        with rotel(tmp_path, *onward, grpc_address=address):
            wait_until(lambda: is_done(hop))
            arrived = len(load.acknowledged) + before
            wait_until(lambda: second.status()["spans"]["accepted"] >= arrived)
        passed_on(hop, second)
        assert hop.stop() == 0
    check_exact(store, load)
    check_exact(received, load)

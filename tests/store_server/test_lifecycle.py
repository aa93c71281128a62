"""Starting, draining, dying."""

import concurrent.futures
import http.client
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.small_disk import small_disk
from tests.store_server.store_process import StoreProcess, arguments
from tests.waiting import wait_until

ROW = b"7\tx\n"


def refused(data_dir: Path, port: int = 0) -> str:
    """Start a process that must give up; its one line on stderr."""
    ended = subprocess.run(
        arguments(data_dir, port=port), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 3
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


@pytest.mark.parametrize("name", ["a*b", "a{b}", "a?b", "a&b"])
def test_a_directory_that_the_engine_would_read_as_a_pattern_is_refused(
    tmp_path: Path, name: str
) -> None:
    assert "may not contain" in refused(tmp_path / name)


def test_a_second_process_on_the_directory_names_the_first_and_leaves_it_alone(
    served: StoreProcess,
) -> None:
    line = refused(served.data_dir)
    assert f"in use by process {served.process.pid}" in line
    assert str(served.data_dir) in line
    assert served.ask("SELECT 1") == "1\n"


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused(tmp_path / "data", port)


def test_the_environment_of_the_user_does_not_reach_the_engine(tmp_path: Path) -> None:
    prefix = ("env", "OPENAI_API_KEY=sk-canary", "LC_ALL=C")
    with StoreProcess(tmp_path / "data", prefix=prefix) as store:
        environment = Path(f"/proc/{store.process.pid}/environ")
        if not environment.exists():
            pytest.skip("no /proc on this system")
        assert b"canary" not in environment.read_bytes()
        assert store.stop() == 0


def test_files_are_for_their_owner_alone(served: StoreProcess) -> None:
    assert served.data_dir.stat().st_mode & 0o777 == 0o700
    for name in ("spool", "store"):
        assert (served.data_dir / name).stat().st_mode & 0o777 == 0o700
    for name in ("credentials.json", "store.lock"):
        assert (served.data_dir / name).stat().st_mode & 0o777 == 0o600


@pytest.fixture
def connection(served: StoreProcess) -> Iterator[http.client.HTTPConnection]:
    opened = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    yield opened
    opened.close()


def send(
    served: StoreProcess, opened: http.client.HTTPConnection, sql: str, body: bytes = b""
) -> None:
    """Send a statement without waiting for its answer."""
    login = {"user": served.admin.user, "password": served.admin.password}
    opened.request("POST", "/?" + urlencode({**login, "query": sql}), body=body)


LONG = {
    "one that gives nothing for long": "SELECT sum(sleepEachRow(0.2)) FROM numbers(300) {}",
    "one that streams": "SELECT number, sleepEachRow(0.01) FROM numbers(9000000) {}",
    "one that does not stream": "SELECT sleepEachRow(0.2) FROM numbers(300) {} FORMAT JSON",
}
ROW_BY_ROW = "SETTINGS max_block_size = 1 "


@pytest.mark.parametrize("kind", LONG)
def test_a_query_dies_with_its_client(
    served: StoreProcess, connection: http.client.HTTPConnection, kind: str
) -> None:
    mark = f"/* {kind} */"
    send(served, connection, LONG[kind].format(ROW_BY_ROW + mark))
    wait_until(lambda: served.running(mark) == 1)
    connection.close()
    wait_until(lambda: served.running(mark) == 0, deadline_s=5)


def test_a_query_whose_client_does_not_read_dies_with_it_too(
    served: StoreProcess, connection: http.client.HTTPConnection
) -> None:
    mark = "/* unread */"
    send(served, connection, f"SELECT repeat('x', 1000) FROM numbers(100000000) {mark}")
    assert connection.getresponse().status == 200
    wait_until(lambda: served.running(mark) == 1)
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    wait_until(lambda: served.running(mark) == 0, deadline_s=5)


def test_an_insert_dies_with_its_client_and_stores_nothing(
    served: StoreProcess, connection: http.client.HTTPConnection, table: str
) -> None:
    slow = f"{table}_slow"
    served.ask(f"CREATE TABLE {slow} (a UInt64, b String) ENGINE = Null")
    served.ask(
        f"CREATE MATERIALIZED VIEW {slow}_v TO {table} AS"
        f" SELECT a + sleepEachRow(0.1) AS a, b FROM {slow}"
    )
    query = f"INSERT INTO {slow} SETTINGS max_block_size = 1 FORMAT TSV"
    send(served, connection, query, ROW * 29)
    wait_until(lambda: served.running(slow) >= 1)
    connection.close()
    wait_until(lambda: served.running(slow) == 0, deadline_s=5)
    wait_until(lambda: served.spool() == [])
    assert served.ask(f"SELECT count() FROM {table}") == "0\n"


def test_sigterm_lets_a_running_query_finish(tmp_path: Path) -> None:
    with StoreProcess(tmp_path / "data") as store, concurrent.futures.ThreadPoolExecutor() as pool:
        sql = (
            "SELECT sum(sleepEachRow(0.1)) FROM numbers(15) SETTINGS max_block_size = 1 /* last */"
        )
        asked = pool.submit(store.ask, sql)
        wait_until(lambda: store.running("/* last */") == 1)
        store.process.send_signal(signal.SIGTERM)
        assert asked.result() == "0\n"
        assert store.stop() == 0


def test_sigterm_kills_what_does_not_finish_and_still_exits_0(tmp_path: Path) -> None:
    mark = "/* long */"
    with StoreProcess(tmp_path / "data", "--drain-s-max", "0.5") as store:
        opened = http.client.HTTPConnection("127.0.0.1", store.port, timeout=60)
        streaming = http.client.HTTPConnection("127.0.0.1", store.port, timeout=60)
        send(store, opened, LONG["one that gives nothing for long"].format(ROW_BY_ROW + mark))
        send(store, streaming, f"SELECT repeat('x', 1000) FROM numbers(100000000) {mark}")
        wait_until(lambda: store.running(mark) == 2)
        began = time.monotonic()
        assert store.stop() == 0
        assert time.monotonic() - began < 30
        assert opened.getresponse().getheader("X-ClickHouse-Exception-Code") == "394"
        opened.close()
        streaming.close()


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    acknowledged = 0
    for round_number in range(3):
        with StoreProcess(data_dir) as store:
            if round_number == 0:
                store.ask("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
            stored = int(store.ask("SELECT count() FROM t"))
            assert acknowledged <= stored <= acknowledged + 1
            acknowledged = stored
            for _ in range(20):
                store.ask("INSERT INTO t FORMAT TSV\n" + ROW.decode())
                acknowledged += 1
            opened = http.client.HTTPConnection("127.0.0.1", store.port, timeout=60)
            send(store, opened, "INSERT INTO t FORMAT TSV", ROW)
            store.kill()
            opened.close()
            (data_dir / "spool" / "left.body").write_bytes(b"left behind")
    with StoreProcess(data_dir) as store:
        assert acknowledged <= int(store.ask("SELECT count() FROM t")) <= acknowledged + 1
        assert store.spool() == []
        assert store.stop() == 0


def test_a_full_spool_is_an_error_that_passes_and_leaves_nothing(tmp_path: Path) -> None:
    prefix = ("prlimit", f"--fsize={2 * 1024 * 1024}")
    with StoreProcess(tmp_path / "data", prefix=prefix) as store:
        full_spool(store)
        assert store.stop() == 0


def test_a_full_disk_under_the_spool_is_an_error_that_passes(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "data" / "spool", megabytes=2),
        StoreProcess(tmp_path / "data") as store,
    ):
        full_spool(store)
        assert store.stop() == 0


def full_spool(store: StoreProcess) -> None:
    store.ask("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    query = {"query": "INSERT INTO t FORMAT TSV"}
    with store.http() as http_client:
        for _ in range(3):
            answer = http_client.post("/", params=query, content=ROW * 1_000_000)
            assert answer.status_code == 500
            assert answer.headers["x-clickhouse-exception-code"] == "243"
            assert "try again" in answer.text
            assert store.spool() == []
        assert http_client.post("/", params=query, content=ROW * 1000).status_code == 200
    assert store.ask("SELECT count() FROM t") == "1000\n"


def test_more_queries_than_allowed_are_told_to_come_again(tmp_path: Path) -> None:
    with (
        StoreProcess(tmp_path / "data", "--queries-max", "2") as store,
        concurrent.futures.ThreadPoolExecutor() as pool,
        store.http() as client,
    ):

        def code(sql: str) -> str | None:
            answer = client.post("/", content=sql)
            found = answer.headers.get("x-clickhouse-exception-code")
            return str(found) if found else None

        def long() -> None:
            sql = "SELECT sum(sleepEachRow(0.1)) FROM numbers(15)" + ROW_BY_ROW
            wait_until(lambda: code(sql) is None, deadline_s=60)

        running = [pool.submit(long) for _ in range(2)]
        wait_until(lambda: code("SELECT 1") == "202")
        for asked in running:
            asked.result()
        assert store.ask("SELECT 1") == "1\n"


def test_a_memory_ceiling_fails_the_query_and_not_the_process(tmp_path: Path) -> None:
    ceiling = ("--memory-bytes-max", str(600 * 1024 * 1024))
    with StoreProcess(tmp_path / "data", *ceiling) as store, store.http() as client:
        sql = "SELECT groupArray(repeat('x', 1000)) FROM numbers(50000000)"
        answer = client.post("/", content=sql + " FORMAT Null")
        assert answer.headers["x-clickhouse-exception-code"] == "241"
        assert store.ask("SELECT 1") == "1\n"
        assert store.stop() == 0

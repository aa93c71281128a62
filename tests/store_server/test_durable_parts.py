"""What the store acknowledged is on the disk, because the log's copy of it goes then."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanlore.schemas import migrate, tables
from spanlore.schemas.store import Store
from tests.store_server.store_process import StoreProcess
from tests.system_calls import SystemCalls, needs_strace


@pytest.fixture
def calls(tmp_path: Path) -> SystemCalls:
    names = ("fsync", "fdatasync", "openat", "rename", "write", "sendto")
    return SystemCalls(tmp_path / "calls", *names)


@pytest.fixture
def traced(tmp_path: Path, calls: SystemCalls) -> Iterator[StoreProcess]:
    with StoreProcess(tmp_path / "data", prefix=calls.prefix()) as store:
        yield store


@needs_strace
def test_row_29_a_part_is_synced_to_its_last_name_before_the_insert_is_answered(
    traced: StoreProcess, calls: SystemCalls
) -> None:
    login = traced.admin
    url = f"clickhouse://{login.user}:{login.password}@127.0.0.1:{traced.port}/spanlore"
    migrate.migrate(url)
    with Store.connect(url) as store:
        store.insert(tables.TRACES, [{"TraceId": "a", "SpanId": "b"}], token="once")
        [path] = store.query(
            f"SELECT path FROM system.parts WHERE table = '{tables.TRACES}' AND active"
        )
    assert traced.stop() == 0
    part = Path(path["path"])
    folder, name = re.escape(str(part.parent)), part.name
    draft = f"{folder}/tmp_insert_{name}"  # noqa: S108 - the engine's name for it
    lines = calls.lines()
    renamed = position(lines, rf'rename\("{draft}/?", "{folder}/{name}/?"')
    written = {
        found[1]
        for line in lines[:renamed]
        if (found := re.search(rf'"{draft}/([\w.]+)", O_WRONLY', line))
    }
    synced = {
        found[1]
        for line in lines[:renamed]
        if (found := re.search(rf"sync\(\d+<{draft}/([\w.]+)>", line))
    }
    assert {"data.bin", "checksums.txt", "count.txt"} <= written <= synced
    of_the_part = position(lines, rf"sync\(\d+<{folder}/{name}>")
    of_the_table = max(
        number for number, line in enumerate(lines) if re.search(rf"sync\(\d+<{folder}>", line)
    )
    answered = next(
        number
        for number, line in enumerate(lines)
        if number > of_the_part and "HTTP/1.1 200" in line
    )
    assert renamed < of_the_part < of_the_table < answered


def test_row_33_a_part_that_cannot_be_read_is_named_at_the_start(tmp_path: Path) -> None:
    with StoreProcess(tmp_path / "data") as store:
        store.ask("CREATE TABLE kept (a UInt64) ENGINE = MergeTree ORDER BY a")
        for number in (1, 2):
            store.ask(f"INSERT INTO kept VALUES ({number})")
        path = store.ask(
            "SELECT path FROM system.parts WHERE table = 'kept' ORDER BY name LIMIT 1 FORMAT TSVRaw"
        )
        assert store.stop() == 0
    (Path(path.strip()) / "data.bin").write_bytes(b"")
    with StoreProcess(tmp_path / "data") as store:
        assert store.ask("SELECT a FROM kept") == "2\n"
        store.stop()
        said = "".join(store.said)
    assert "a part of the store is damaged" in said
    assert "default.kept: broken-on-start_all_1_1_0" in said


def position(lines: list[str], pattern: str) -> int:
    """Give where the one line is that matches."""
    [number] = [number for number, line in enumerate(lines) if re.search(pattern, line)]
    return number

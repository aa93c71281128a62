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
    migrate.migrate(traced.database_url(traced.admin))
    with Store.connect(traced.database_url(traced.admin)) as store:
        store.insert(tables.TRACES, [{"TraceId": "a", "SpanId": "b"}], token="once")
        part = active_part(store)
    assert traced.stop() == 0
    folder, name = re.escape(str(part.parent)), part.name
    lines = calls.lines()
    renamed = synced_before_renamed(lines, part, "tmp_insert_")
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


@needs_strace
def test_row_29_a_merged_part_is_synced_before_those_that_it_replaces_go(
    traced: StoreProcess, calls: SystemCalls
) -> None:
    migrate.migrate(traced.database_url(traced.admin))
    with Store.connect(traced.database_url(traced.admin)) as store:
        for span_id in ("a", "b"):
            store.insert(tables.TRACES, [{"TraceId": "a", "SpanId": span_id}], token=span_id)
        store.command(f"OPTIMIZE TABLE {tables.TRACES} FINAL")
        part = active_part(store)
    assert traced.stop() == 0
    assert re.search(r"_1_2_[1-9]$", part.name)
    synced_before_renamed(calls.lines(), part, "tmp_merge_")


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


def active_part(store: Store) -> Path:
    [row] = store.query(f"SELECT path FROM system.parts WHERE table = '{tables.TRACES}' AND active")
    return Path(row["path"])


def synced_before_renamed(lines: list[str], part: Path, draft: str) -> int:
    """Check that all files of a part were synced before it got its name; give where it did."""
    folder, name = re.escape(str(part.parent)), part.name
    draft = f"{folder}/{draft}{name}"
    renamed = position(lines, rf'rename\("{draft}/?", "{folder}/{name}/?"')
    before = "\n".join(lines[:renamed])
    written = set(re.findall(rf'"{draft}/([\w.]+)", O_WRONLY', before))
    synced = set(re.findall(rf"sync\(\d+<{draft}/([\w.]+)>", before))
    assert {"data.bin", "checksums.txt", "count.txt"} <= written <= synced
    return renamed


def position(lines: list[str], pattern: str) -> int:
    """Give where the one line is that matches."""
    [number] = [number for number, line in enumerate(lines) if re.search(pattern, line)]
    return number

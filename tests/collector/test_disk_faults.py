"""A disk that fails under the real collector: faults that strace puts in its system calls.

What is acknowledged meanwhile is what the store has in the end, and the file whose sync failed is
neither written nor synced again.
"""

import re
from pathlib import Path

import grpc
import pytest

from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import hex_ids, new_ids, traces
from tests.collector.test_durability import stored
from tests.system_calls import SystemCalls, needs_strace

pytestmark = needs_strace

# Counted for each thread; the one that writes the log syncs a segment when it makes it and then
# with each group, and the one that starts the collector writes two other files.
SECOND_GROUPS_SYNC = "fdatasync:error=EIO:when=3"
EVERY_LATER_SYNC = "fdatasync:error=EIO:when=3+"
THIRD_GROUPS_WRITE = "writev:error=ENOSPC:when=3"


@pytest.fixture
def calls(tmp_path: Path) -> SystemCalls:
    names = ("fsync", "fdatasync", "write", "writev", "openat", "truncate")
    return SystemCalls(tmp_path / "calls", *names)


class Sender:
    """Sends one span at a time and remembers which were acknowledged."""

    def __init__(self, collector: CollectorProcess) -> None:
        self.acknowledged: list[tuple[bytes, bytes]] = []
        self._collector = collector

    def send(self) -> str:
        """Send a span; give the code of the answer."""
        ids = new_ids(1)
        try:
            self._collector.export(traces(ids))
        except grpc.RpcError as error:
            keys = {entry.key for entry in error.trailing_metadata() or ()}
            assert "google.rpc.retryinfo-bin" in keys
            return str(error.code().name)
        self.acknowledged += ids
        return "OK"


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        pytest.param(EVERY_LATER_SYNC, ["OK", "UNAVAILABLE", "UNAVAILABLE"], id="every-sync"),
        pytest.param(THIRD_GROUPS_WRITE, ["OK", "OK", "UNAVAILABLE", "OK"], id="one-write"),
    ],
)
def test_row_26_what_a_failing_disk_took_is_acknowledged_and_nothing_else(
    data_dir: Path,
    store_url: str,
    store: Store,
    *,
    calls: SystemCalls,
    fault: str,
    answers: list[str],
) -> None:
    with CollectorProcess(data_dir, NOWHERE, prefix=calls.prefix(fault)) as collector:
        sender = Sender(collector)
        assert [sender.send() for _ in answers] == answers
        status = collector.status()
        assert status["refused"] == {"log_error": answers.count("UNAVAILABLE")}
        assert (status["log_error"] is None) is (answers[-1] == "OK")
        assert status["spans"]["received"] == status["spans"]["accepted"] == answers.count("OK")
        assert collector.stop() == 0
    with CollectorProcess(data_dir, store_url) as well:
        well.flush()
        assert well.stop() == 0
    assert sorted(stored(store)) == sorted(hex_ids(sender.acknowledged))


def test_row_26_a_file_whose_sync_failed_is_cut_back_and_never_written_or_synced_as_good(
    data_dir: Path, calls: SystemCalls
) -> None:
    prefix = calls.prefix(SECOND_GROUPS_SYNC)
    with CollectorProcess(data_dir, NOWHERE, prefix=prefix) as collector:
        sender = Sender(collector)
        assert [sender.send() for _ in range(4)] == ["OK", "UNAVAILABLE", "OK", "OK"]
        assert collector.stop() == 0
    lines = calls.lines(r"\.wal\b")
    failed = next(number for number, line in enumerate(lines) if "EIO" in line)
    [suspect] = re.findall(r"[0-9a-f-]+\.wal", lines[failed])
    after = [line for line in lines[failed + 1 :] if suspect in line]
    assert [re.split(r"[ (]+", line)[1] for line in after] == ["truncate", "openat", "fdatasync"]
    later = [line for line in lines[failed + 1 :] if suspect not in line]
    assert len([line for line in later if "writev(" in line]) == 2


def test_row_29_a_request_is_answered_only_after_its_file_and_its_name_are_synced(
    data_dir: Path, calls: SystemCalls
) -> None:
    with CollectorProcess(data_dir, NOWHERE, prefix=calls.prefix()) as collector:
        for _ in range(3):
            assert collector.post(traces(1)).status_code == 200
        assert collector.stop() == 0
    steps = [name for line in calls.lines() if (name := step(line))]
    first = ["create", "sync", "sync names", "write", "sync", "answer"]
    begun = steps.index("create")
    assert steps[begun : begun + 12] == [*first, *["write", "sync", "answer"] * 2]


def step(line: str) -> str:
    """Name the calls that matter."""
    patterns = {
        r"openat\(.*\.wal.*O_EXCL": "create",
        r"fsync\(\d+<[^>]*/wal>": "sync names",
        r"writev\(\d+<[^>]*\.wal>": "write",
        r"fdatasync\(\d+<[^>]*\.wal>": "sync",
        r"HTTP/1\.1 200": "answer",
    }
    return next((name for pattern, name in patterns.items() if re.search(pattern, line)), "")

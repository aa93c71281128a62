import errno
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path

import pytest

from spanlore.collector import disk, record
from spanlore.collector.refusal import Refused
from tests.collector.log_cases import entry, files, open_log
from tests.collector.otlp_requests import new_ids
from tests.small_disk import small_disk
from tests.waiting import wait_until

WAIT_S = 20


def refusal_of(appended: "Future[int]") -> Refused | None:
    error = appended.exception(WAIT_S)
    assert error is None or isinstance(error, Refused)
    return error


def seqs(path: Path) -> list[int]:
    return [found.seq for file in files(path) for found in record.read(file.read_bytes())]


def test_an_acknowledged_record_is_in_the_file_as_it_was_sent(tmp_path: Path) -> None:
    sent = entry(3)
    with open_log(tmp_path) as opened:
        assert opened.log.append(sent).result(WAIT_S) == 1
        (file,) = files(tmp_path)
        (found,) = record.read(file.read_bytes())
    assert (found.body, found.received_ns, found.log_id) == (
        sent.body,
        sent.received_ns,
        opened.log.log_id,
    )
    assert file.name == f"{opened.log.log_id:08x}-0000000000000001.wal"


def test_many_threads_share_a_sync_and_every_record_gets_its_own_seq(tmp_path: Path) -> None:
    futures: list[Future[int]] = []
    with open_log(tmp_path) as opened:

        def send() -> None:
            futures.extend([opened.log.append(entry()) for _ in range(50)])

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(future.result(WAIT_S) for future in futures) == list(range(1, 401))
    assert sum(opened.groups) == 400
    assert max(opened.groups) > 1
    assert seqs(tmp_path) == list(range(1, 401))


def test_a_full_segment_is_sealed_and_the_next_begins_with_the_next_seq(tmp_path: Path) -> None:
    with open_log(tmp_path, segment_bytes_target=4000, segment_bytes_max=8000) as opened:
        for _ in range(40):
            opened.log.append(entry(2, text="x" * 500)).result(WAIT_S)
        first = opened.log.oldest(WAIT_S)
    assert first is not None
    assert first.size_bytes >= 4000
    assert len(files(tmp_path)) > 2
    assert all(file.stat().st_size <= 8000 for file in files(tmp_path))
    assert seqs(tmp_path) == list(range(1, 41))
    assert files(tmp_path)[1].name == f"{opened.log.log_id:08x}-{first.last_seq + 1:016x}.wal"


def test_a_segment_with_enough_items_is_full_however_small_they_are(tmp_path: Path) -> None:
    with open_log(tmp_path, segment_items_target=10) as opened:
        for _ in range(12):
            opened.log.append(entry(3)).result(WAIT_S)
    counts = [len(list(record.read(file.read_bytes()))) for file in files(tmp_path)]
    assert counts == [4, 4, 4]


def test_a_record_larger_than_a_segment_gets_one_alone(tmp_path: Path) -> None:
    with open_log(tmp_path, segment_bytes_target=4000, segment_bytes_max=8000) as opened:
        for text in ("small", "x" * 20_000, "small"):
            opened.log.append(entry(text=text)).result(WAIT_S)
    assert [len(list(record.read(file.read_bytes()))) for file in files(tmp_path)] == [1, 1, 1]


def test_an_open_segment_is_sealed_by_age_only_while_the_loader_is_idle(tmp_path: Path) -> None:
    with open_log(tmp_path, segment_age_s_max=0.05) as opened:
        opened.log.append(entry()).result(WAIT_S)
        assert opened.log.sealed_count == 0
        segment = opened.log.oldest(WAIT_S)
        assert segment is not None
        assert opened.log.sealed_count == 1
        opened.log.append(entry()).result(WAIT_S)
        opened.log.append(entry()).result(WAIT_S)
        assert opened.log.sealed_count == 1


def test_the_first_segment_is_sealed_soon_and_a_trickle_behind_it_is_gathered_until_asked_for(
    tmp_path: Path,
) -> None:
    with open_log(tmp_path, segment_age_s_max=0.01, segment_rest_s=3600) as opened:
        opened.log.append(entry()).result(WAIT_S)
        first = opened.log.oldest(WAIT_S)
        assert first is not None
        opened.log.done(first)
        opened.log.append(entry()).result(WAIT_S)
        assert opened.log.oldest(0.2) is None
        opened.log.append(entry()).result(WAIT_S)
        opened.log.seal().result(WAIT_S)
        second = opened.log.oldest(WAIT_S)
        assert second is not None
        assert (first.records, second.records) == (1, 2)


def test_a_full_log_refuses_rather_than_grows_and_takes_again_once_loaded(tmp_path: Path) -> None:
    with open_log(tmp_path, log_bytes_max=2000) as opened:
        opened.log.append(entry(text="x" * 1500)).result(WAIT_S)
        with pytest.raises(Refused) as refused:
            opened.log.append(entry(text="x" * 1500))
        assert (refused.value.reason, refused.value.retryable) == ("log_full", True)
        assert "the store is behind" in str(opened.log.refusal())
        opened.log.seal().result(WAIT_S)
        segment = opened.log.oldest(WAIT_S)
        assert segment is not None
        opened.log.done(segment)
        assert not segment.path.exists()
        assert opened.log.refusal() is None
        opened.log.append(entry(text="x" * 1500)).result(WAIT_S)


def test_a_disk_that_is_nearly_full_refuses_and_the_log_heals_itself(tmp_path: Path) -> None:
    with open_log(tmp_path) as opened:
        limits = opened.log._limits  # noqa: SLF001 - the disk's free space cannot be set
        object.__setattr__(limits, "disk_free_bytes_min", 1 << 60)
        with pytest.raises(Refused) as refused:
            opened.log.append(entry()).result(WAIT_S)
        assert refused.value.retryable
        assert opened.log.last_error is not None
        assert f"is free on the disk of {tmp_path / 'wal'}" in str(opened.log.refusal())
        object.__setattr__(limits, "disk_free_bytes_min", 0)
        opened.log.append(entry()).result(WAIT_S)
        assert opened.log.last_error is None
        assert opened.log.refusal() is None
        assert opened.log.backlog()["records"] == 1


def test_why_nothing_would_be_taken_is_known_before_the_first_request(tmp_path: Path) -> None:
    with open_log(tmp_path, disk_free_bytes_min=1 << 60) as opened:
        assert "--disk-free-min" in str(opened.log.refusal())


def test_files_and_directory_are_for_their_owner_only(tmp_path: Path) -> None:
    with open_log(tmp_path) as opened:
        opened.log.append(entry()).result(WAIT_S)
        assert stat.S_IMODE((tmp_path / "wal").stat().st_mode) == 0o700
        modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "wal").iterdir()}
    assert modes == {0o600}


@pytest.fixture
def two_megabytes(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=2) as place:
        yield place


def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_there(two_megabytes: Path) -> None:
    acknowledged = 0
    with open_log(two_megabytes) as opened:
        while (refused := refusal_of(opened.log.append(entry(text="x" * 100_000)))) is None:
            acknowledged += 1
        assert refused.reason == "log_error"
        assert refused.retryable
        assert len(seqs(two_megabytes)) == acknowledged
        segment = opened.log.oldest(WAIT_S)
        assert segment is not None
        opened.log.done(segment)
        opened.log.append(entry(text="x" * 100_000)).result(WAIT_S)
    assert len(seqs(two_megabytes)) == 1


def test_a_write_that_the_system_cuts_short_leaves_no_half_record(tmp_path: Path) -> None:
    # A limit on the size of files cuts a write short and then fails it, on any system.
    script = f"""
import resource, signal, sys
from pathlib import Path
sys.path[:0] = {sys.path!r}
from spanlore.collector import record
from spanlore.collector.refusal import Refused
from tests.collector.log_cases import entry, files, open_log
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path({str(tmp_path)!r})
acknowledged = 0
with open_log(path) as opened:
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    refused = 0
    for _ in range(12):
        try:
            opened.log.append(entry(text="x" * 9_000)).result(20)
            acknowledged += 1
        except Refused as error:
            assert error.retryable
            refused += 1
    assert refused > 0
    for file in files(path):
        assert file.stat().st_size < 50_000
    assert sum(len(list(record.read(file.read_bytes()))) for file in files(path)) == acknowledged
print("acknowledged", acknowledged)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.stdout.startswith("acknowledged"), done.stderr
    assert len(seqs(tmp_path)) == int(done.stdout.split()[1])


def test_after_a_failed_sync_the_file_is_never_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = disk.sync_data

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    with open_log(tmp_path) as opened:
        kept = new_ids(1)
        opened.log.append(entry(kept)).result(WAIT_S)
        (first,) = files(tmp_path)
        good = first.read_bytes()
        monkeypatch.setattr(disk, "sync_data", fail)
        with pytest.raises(Refused):
            opened.log.append(entry()).result(WAIT_S)
        monkeypatch.setattr(disk, "sync_data", sync)
        assert opened.log.append(entry()).result(WAIT_S) == 3
        assert first.read_bytes() == good
        assert seqs(tmp_path) == [1, 3]
        assert len(files(tmp_path)) == 2


def test_nobody_waits_for_ever_on_a_log_that_is_closed(tmp_path: Path) -> None:
    with open_log(tmp_path) as opened:
        waiting = [opened.log.append(entry()) for _ in range(20)]
        opened.log.close()
        opened.log.close()
        assert [future.result(WAIT_S) for future in waiting] == list(range(1, 21))
        with pytest.raises(Refused):
            opened.log.append(entry())
    assert seqs(tmp_path) == list(range(1, 21))


def test_the_oldest_segment_comes_first_and_the_backlog_shrinks_with_each(tmp_path: Path) -> None:
    found = []
    with open_log(tmp_path, segment_bytes_target=1, segment_bytes_max=1) as opened:
        for _ in range(5):
            opened.log.append(entry()).result(WAIT_S)
        wait_until(lambda: opened.log.sealed_count == 5)
        assert opened.log.backlog()["records"] == 5
        while (segment := opened.log.oldest(0.01)) is not None:
            opened.log.done(segment)
            found.append(segment.first_seq)
        assert opened.log.backlog()["bytes"] == 0
        assert opened.log.loaded_seq == 5
    assert all(one < other for one, other in pairwise(found))

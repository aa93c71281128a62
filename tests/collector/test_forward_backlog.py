"""A target's queue beside a real log: what is kept, what goes, and that nothing goes uncounted."""

import random
import shutil
from pathlib import Path

import pytest

from spanlore.collector.forwarding.backlog import Backlog, Waiting
from spanlore.collector.refusal import Refused
from tests.collector.log_cases import OpenLog, entry, files, open_log
from tests.waiting import wait_until

WAIT_S = 20
SMALL = {"segment_bytes_target": 1000, "segment_bytes_max": 2000}


def backlog_of(path: Path, name: str = "target", *, bytes_max: int = 1 << 30) -> Backlog:
    return Backlog(path / "forward" / name, path / "wal", bytes_max=bytes_max)


def kept(path: Path, name: str = "target") -> list[Path]:
    return sorted((path / "forward" / name).glob("*.wal"))


def append(opened: OpenLog, count: int = 1, *, text: str = "hello") -> list[int]:
    return [opened.log.append(entry(text=text)).result(WAIT_S) for _ in range(count)]


def load_all(opened: OpenLog) -> None:
    """Let the log's files go, as the loader does once the store has them."""
    mark = opened.log.seal().result(WAIT_S)
    wait_until(lambda: opened.log.sealed_count >= mark)
    while (segment := opened.log.oldest(0)) is not None:
        opened.log.done(segment)


def take(backlog: Backlog, records_max: int = 1000) -> list[Waiting]:
    return backlog.take(records_max=records_max, bytes_max=1 << 30)


def settle_all(backlog: Backlog) -> list[int]:
    found = []
    while waiting := take(backlog):
        for one in waiting:
            assert backlog.settle(one)
            found.append(one.record.seq)
    return found


def test_a_record_can_be_taken_as_soon_as_it_is_acknowledged_and_is_not_copied(
    tmp_path: Path,
) -> None:
    backlog = backlog_of(tmp_path)
    sent = entry(3)
    with open_log(tmp_path, backlogs=[backlog]) as opened:
        assert opened.log.append(sent).result(WAIT_S) == 1
        (waiting,) = take(backlog)
        assert (waiting.record.body, waiting.items) == (sent.body, 3)
        assert backlog.status()["records"] == 1
        assert kept(tmp_path)[0].samefile(files(tmp_path)[0])


@pytest.mark.parametrize("is_store_first", [True, False])
def test_a_file_goes_when_the_store_and_every_target_have_let_go_of_it(
    tmp_path: Path, is_store_first: bool
) -> None:
    one, other = backlog_of(tmp_path, "one"), backlog_of(tmp_path, "other")
    with open_log(tmp_path, backlogs=[one, other]) as opened:
        append(opened, 3)
        if is_store_first:
            load_all(opened)
        assert settle_all(one) == [1, 2, 3]
        if not is_store_first:
            load_all(opened)
        assert (kept(tmp_path, "one"), len(kept(tmp_path, "other"))) == ([], 1)
        assert settle_all(other) == [1, 2, 3]
    assert not list(tmp_path.rglob("*.wal"))


def test_after_a_restart_a_target_goes_on_behind_what_was_settled(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path)
    with open_log(tmp_path, backlogs=[backlog]) as opened:
        append(opened, 10)
        for waiting in take(backlog, 4):
            backlog.settle(waiting)
        _, *others = take(backlog, 3)
        for waiting in others:
            backlog.settle(waiting)
        backlog.save()
        load_all(opened)
    again = backlog_of(tmp_path)
    with open_log(tmp_path, backlogs=[again]):
        assert again.status()["records"] == 6
        assert settle_all(again) == [5, 6, 7, 8, 9, 10]
    assert not list(tmp_path.rglob("*.wal"))


@pytest.mark.parametrize("cursor", ["", "[]", '{"file": "no.wal", "offset": 3}', "{", "FILE"])
def test_a_cursor_that_leads_nowhere_sends_all_again(tmp_path: Path, cursor: str) -> None:
    with open_log(tmp_path, backlogs=[backlog_of(tmp_path)]) as opened:
        append(opened, 3)
    (file,) = kept(tmp_path)
    inside = f'{{"file": "{file.name}", "offset": 7}}'
    (file.parent / "cursor").write_text(inside if cursor == "FILE" else cursor)
    again = backlog_of(tmp_path)
    with open_log(tmp_path, backlogs=[again]):
        assert settle_all(again) == [1, 2, 3]


def test_above_its_limit_the_oldest_files_go_and_are_counted(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path, bytes_max=5 * 4096)
    with open_log(tmp_path, backlogs=[backlog], **SMALL) as opened:
        append(opened, 12, text="x" * 1500)
        assert backlog.dropped.items == {"spans": 7}
        assert backlog.status()["records"] == 5
        assert len(files(tmp_path)) == 12
        assert len(kept(tmp_path)) == 5
        assert settle_all(backlog) == [8, 9, 10, 11, 12]
    assert len(files(tmp_path)) == 12


def test_what_was_in_flight_when_it_was_dropped_is_counted_once(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path, bytes_max=3 * 4096)
    with open_log(tmp_path, backlogs=[backlog], **SMALL) as opened:
        append(opened, 2, text="x" * 1500)
        first, second = take(backlog)
        append(opened, 2, text="x" * 1500)
        assert not backlog.settle(first)
        assert backlog.settle(second)
        assert backlog.dropped.items == {"spans": 1}
        assert backlog.status()["records"] == 2


def test_a_disk_that_runs_full_takes_from_targets_what_the_store_has_and_no_more(
    tmp_path: Path,
) -> None:
    backlog = backlog_of(tmp_path)
    with open_log(tmp_path, backlogs=[backlog], **SMALL) as opened:
        append(opened, 3, text="x" * 1500)
        load_all(opened)
        append(opened, 2, text="x" * 1500)
        limits = opened.log._limits  # noqa: SLF001 - the disk's free space cannot be set
        object.__setattr__(limits, "disk_free_bytes_min", 1 << 60)
        with pytest.raises(Refused):
            append(opened)
        object.__setattr__(limits, "disk_free_bytes_min", 0)
        assert backlog.dropped.items == {"spans": 3}
        append(opened)
        # The refused one had a number too.
        assert settle_all(backlog) == [4, 5, 7]


def test_where_a_file_cannot_be_kept_it_is_counted_as_dropped_and_clients_are_served(
    tmp_path: Path,
) -> None:
    backlog = backlog_of(tmp_path)
    with open_log(tmp_path, backlogs=[backlog], **SMALL) as opened:
        append(opened, 1, text="x" * 1500)
        shutil.rmtree(tmp_path / "forward" / "target")
        append(opened, 2, text="x" * 1500)
        assert backlog.problem is not None
        assert take(backlog) == []
        assert backlog.dropped.items == {"spans": 3}
        assert backlog.status() == {"records": 0, "bytes": 0, "oldest_age_s": 0.0}


def test_a_torn_end_of_a_file_that_only_the_target_has_is_not_sent(tmp_path: Path) -> None:
    with open_log(tmp_path, backlogs=[backlog_of(tmp_path)]) as opened:
        append(opened, 3)
        load_all(opened)
    (file,) = kept(tmp_path)
    file.write_bytes(file.read_bytes()[:-5])
    again = backlog_of(tmp_path)
    with open_log(tmp_path, backlogs=[again]):
        assert settle_all(again) == [1, 2]
    assert not kept(tmp_path)


def test_a_flipped_bit_costs_what_is_behind_it_and_stops_nothing(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path)
    with open_log(tmp_path, backlogs=[backlog]) as opened:
        append(opened, 3)
        opened.log.seal().result(WAIT_S)
        (file,) = kept(tmp_path)
        data = bytearray(file.read_bytes())
        data[-3] ^= 1
        file.write_bytes(data)
        assert take(backlog) == []
        assert backlog.dropped.items == {"spans": 3}
        assert "checksum" in (backlog.problem or "")
        append(opened)
        assert settle_all(backlog) == [4]
        assert backlog.problem is None


def test_a_file_that_was_begun_and_never_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with open_log(tmp_path, backlogs=[backlog_of(tmp_path)]):
        pass
    (tmp_path / "forward" / "target" / "00000001-0000000000000001.wal").touch()
    again = backlog_of(tmp_path)
    with open_log(tmp_path, backlogs=[again]):
        assert take(again) == []
    assert not kept(tmp_path)


def test_after_a_failed_write_the_target_has_what_was_acknowledged_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError("input/output error")

    backlog = backlog_of(tmp_path)
    with open_log(tmp_path, backlogs=[backlog]) as opened:
        append(opened)
        with monkeypatch.context() as broken:
            broken.setattr("spanlore.collector.disk.sync_data", fail)
            for _ in range(2):
                with pytest.raises(Refused):
                    append(opened)
        append(opened)
        assert settle_all(backlog) == [1, 4]


@pytest.mark.parametrize("_", range(3))
def test_through_any_course_of_events_all_is_settled_or_dropped_and_no_file_is_left(
    tmp_path: Path, _: int
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    sent = settled = dropped = 0
    for _ in range(4):
        backlog = backlog_of(tmp_path, bytes_max=rng.choice([20_000, 1 << 30]))
        with open_log(tmp_path, backlogs=[backlog], **SMALL) as opened:
            for _ in range(40):
                match rng.randrange(5):
                    case 0 | 1:
                        sent += len(append(opened, rng.randint(1, 5), text="x" * 300))
                    case 2:
                        waiting = take(backlog, rng.randint(1, 9))
                        for one in rng.sample(waiting, rng.randint(0, len(waiting))):
                            settled += backlog.settle(one)
                    case 3:
                        load_all(opened)
                    case _:
                        backlog.save(at_once=True)
                left = backlog.status()["records"]
                assert sent == settled + dropped + backlog.dropped.records + left
            # Only the oldest file has a cursor: a clean end settles what is in flight.
            settled += sum(map(backlog.settle, take(backlog, 0)))
            backlog.save(at_once=True)
        dropped += backlog.dropped.records
    last = backlog_of(tmp_path)
    with open_log(tmp_path, backlogs=[last]) as opened:
        settled += len(settle_all(last))
        load_all(opened)
    assert sent == settled + dropped
    assert not list(tmp_path.rglob("*.wal"))

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanlore.collector import record
from spanlore.collector.counters import Counters
from spanlore.collector.recover import LogDirectoryError, OpenedDirectory, open_directory
from tests.collector.log_cases import entry, files, open_log

WAIT_S = 20


def write_log(path: Path, count: int = 3) -> Path:
    """Write one segment of records of two spans each and give its file."""
    with open_log(path) as opened:
        for _ in range(count):
            opened.log.append(entry(2)).result(WAIT_S)
    return files(path)[-1]


def reopen(path: Path) -> tuple[OpenedDirectory, Counters]:
    counters = Counters()
    opened = open_directory(path / "wal", path / "quarantine", counters=counters)
    opened.release()
    return opened, counters


def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    before = file.read_bytes()
    opened, counters = reopen(tmp_path)
    (segment,) = opened.segments
    assert (segment.path, segment.first_seq, segment.last_seq) == (file, 1, 3)
    assert segment.items == {"spans": 6}
    assert counters.snapshot()["spans"]["accepted"] == 6
    assert file.read_bytes() == before


def test_a_start_never_gives_a_seq_of_an_earlier_one_again(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        file = write_log(tmp_path)
        assert file.name not in names
        names.add(file.name)
        file.unlink()


def test_a_torn_tail_is_cut_and_what_is_before_it_kept(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    whole = file.read_bytes()
    last = list(record.read(whole))[-1]
    file.write_bytes(whole[:-5])
    opened, counters = reopen(tmp_path)
    assert opened.segments[0].records == 2
    assert file.read_bytes() == whole[: last.start]
    assert counters.snapshot()["events"]["log_torn_tails"] == 1
    assert not (tmp_path / "quarantine").exists()


def test_a_flipped_bit_sends_the_rest_of_the_file_to_quarantine(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    whole = bytearray(file.read_bytes())
    second = list(record.read(bytes(whole)))[1]
    whole[second.start + 60] ^= 1
    file.write_bytes(whole)
    opened, counters = reopen(tmp_path)
    assert opened.segments[0].records == 1
    kept = list((tmp_path / "quarantine").glob("*.pb"))
    assert [path.read_bytes() for path in kept] == [bytes(whole[second.start :])]
    assert "checksum" in json.loads(kept[0].with_suffix(".json").read_text())["reason"]
    assert counters.snapshot()["events"]["log_files_corrupt"] == 1


def test_a_flipped_length_is_damage_not_a_torn_tail(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    whole = bytearray(file.read_bytes())
    whole[1] |= 0x40
    file.write_bytes(whole)
    opened, counters = reopen(tmp_path)
    assert opened.segments == ()
    assert counters.snapshot()["events"]["log_bytes_corrupt"] == len(whole)


def test_empty_and_foreign_files_hurt_nothing(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    (tmp_path / "wal" / "notes.txt").write_text("mine")
    (tmp_path / "wal" / "00000001-0000000000000001.wal").touch()
    (tmp_path / "wal" / "0000000g-0000000000000001.wal").write_bytes(b"x")
    (tmp_path / "wal" / "00000002-0000000000000001.wal").mkdir()
    opened, _ = reopen(tmp_path)
    assert [segment.path for segment in opened.segments] == [file]
    assert (tmp_path / "wal" / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "wal" / "00000001-0000000000000001.wal").exists()


def test_a_segment_under_another_name_is_not_taken_for_that_one(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    data = file.read_bytes()
    file.rename(file.with_name("00000001-0000000000000001.wal"))
    opened, _ = reopen(tmp_path)
    assert opened.segments == ()
    (kept,) = (tmp_path / "quarantine").glob("*.pb")
    assert kept.read_bytes() == data


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.integers(0, 3000),
)
def test_a_start_survives_any_damage_and_loses_no_byte_of_it(
    tmp_path_factory: pytest.TempPathFactory, hits: list[tuple[int, int]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("damaged")
    file = write_log(path)
    data = bytearray(file.read_bytes())
    for at, value in hits:
        data[at % len(data)] = value
    damaged = bytes(data[: max(0, len(data) - cut)])
    file.write_bytes(damaged)
    opened, counters = reopen(path)
    good = file.read_bytes() if opened.segments else b""
    aside = b"".join(kept.read_bytes() for kept in path.glob("quarantine/*.pb"))
    assert damaged.startswith(good)
    if not counters.snapshot()["events"].get("log_torn_tails"):
        assert good + aside == damaged


def test_segments_of_several_starts_come_back_oldest_first(tmp_path: Path) -> None:
    written = [write_log(tmp_path, 1) for _ in range(3) if files(tmp_path) or True]
    opened, _ = reopen(tmp_path)
    found = [segment.path for segment in opened.segments]
    assert len(found) == 3
    assert set(found) == set(files(tmp_path))
    times = [next(record.read(path.read_bytes())).received_ns for path in found]
    assert times == sorted(times)
    assert len(written) == 3


def test_a_second_collector_on_the_same_directory_is_turned_away(tmp_path: Path) -> None:
    with (
        open_log(tmp_path),
        pytest.raises(LogDirectoryError, match="another collector is using"),
    ):
        reopen(tmp_path)
    reopen(tmp_path)


def test_a_directory_of_somebody_else_is_a_clear_error(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    if os.geteuid() != 0:
        file.chmod(0)
        with pytest.raises(LogDirectoryError, match="readable and writable"):
            reopen(tmp_path)
        return
    # Root reads everything, so the same is asked as a user who may not.
    script = (
        f"import os, sys; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path\nfrom tests.collector.test_recover import reopen\n"
        f"os.setuid(65534)\nreopen(Path({str(tmp_path)!r}))"
    )
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert "LogDirectoryError" in done.stderr
    assert "readable and writable for this user" in done.stderr

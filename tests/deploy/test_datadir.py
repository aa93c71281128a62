import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from spanlore.cli import datadir
from spanlore.cli.errors import CannotReach

HOLD = """
import sys, pathlib
from spanlore.cli.datadir import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_elsewhere(directory: Path) -> "subprocess.Popen[str]":
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    return holder


def test_the_data_directory_is_named_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPANLORE_DATA_DIR", str(tmp_path / "mine"))
    assert datadir.default_data_dir() == tmp_path / "mine"


@pytest.mark.skipif(sys.platform == "darwin", reason="XDG is not for macOS")
def test_else_it_is_in_the_users_data_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SPANLORE_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert datadir.default_data_dir() == tmp_path / "spanlore"


def test_one_process_owns_a_data_directory_and_the_next_is_told_whose_it_is(
    tmp_path: Path,
) -> None:
    with hold_elsewhere(tmp_path) as holder:
        assert datadir.is_held(tmp_path)
        with (
            pytest.raises(CannotReach, match=rf"already running .*pid {holder.pid}"),
            datadir.held(tmp_path),
        ):
            pass
        holder.communicate()
    assert not datadir.is_held(tmp_path)


def test_a_killed_owner_leaves_the_directory_free(tmp_path: Path) -> None:
    with hold_elsewhere(tmp_path) as holder:
        holder.kill()
        holder.wait()
    assert not datadir.is_held(tmp_path)
    with datadir.held(tmp_path):
        assert datadir.holder_pid(tmp_path) == os.getpid()


def test_a_new_data_directory_is_for_its_user_alone(tmp_path: Path) -> None:
    made = datadir.make_data_dir(tmp_path / "a" / "b")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_data_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotReach, match="choose another with --data-dir"):
        datadir.make_data_dir(tmp_path / "file" / "below")


def test_the_run_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    datadir.write_run_file(tmp_path, {"pid": 1})
    datadir.write_run_file(tmp_path, {"pid": 2})
    assert datadir.read_run_file(tmp_path) == {"pid": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("content", ["", "[1]", "{", "null"])
def test_a_run_file_that_says_nothing_is_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert datadir.read_run_file(tmp_path) is None

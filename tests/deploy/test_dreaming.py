"""`up --learn-every`: a running spanlore learns by itself, in a process that may come and go."""

import fcntl
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spanlore.cli.datadir import read_run_file
from tests.deploy.command_line import TIMEOUT_S, environment, run_cli
from tests.deploy.test_up import FREE_PORTS, is_alive, status
from tests.waiting import wait_until

pytest.importorskip("chdb")


def down(directory: Path) -> None:
    run_cli("down", "--data-dir", directory)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    down(tmp_path)


@contextmanager
def ended_at_exit(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a process that a failed assertion would leave behind."""
    try:
        yield
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT_S)


def started(directory: Path, *options: str) -> None:
    ended = run_cli("up", "--detach", "--data-dir", directory, *FREE_PORTS, *options)
    assert ended.code == 0, ended.err


def recorded(directory: Path, *, runs: int) -> None:
    """Import runs that were recorded elsewhere."""
    lines = [
        {
            "run_id": f"r{number}",
            "user_id": "ana",
            "tenant_id": "acme",
            "agent": {"name": "planner", "version": "1"},
            "started_at": f"2026-01-01T10:{number:02}:00Z",
            "ended_at": f"2026-01-01T10:{number:02}:09Z",
            "messages": [{"role": "user", "content": "hello"}],
        }
        for number in range(runs)
    ]
    file = directory / "runs.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    ended = run_cli("import", file, "--data-dir", directory)
    assert ended.code == 0, ended.err


def test_up_starts_a_learner_that_says_what_it_waits_for_and_ends_with_it(directory: Path) -> None:
    started(directory, "--learn-every", "2h")
    document = read_run_file(directory)
    assert document is not None
    assert document["learn"]["every_s"] == 7200
    pid = document["learn"]["pid"]
    assert is_alive(pid)
    learn = status(directory)["learn"]
    assert (learn["last_at"], learn["new_runs"], learn["waits_for"]) == (None, 0, "runs")
    assert "0 of 50 new runs" in run_cli("status", "--data-dir", directory).out
    down(directory)
    wait_until(lambda: not is_alive(pid), "the learner ends")


def test_a_span_of_time_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    ended = run_cli("up", "--data-dir", tmp_path, *FREE_PORTS, "--learn-every", "often")
    assert ended.code == 2
    assert "--learn-every" in ended.err


def test_it_learns_when_a_round_is_due_and_not_again_until_there_is_more(directory: Path) -> None:
    started(directory)
    recorded(directory, runs=3)
    options = ["--every-s", "0.2", "--runs-min", "3", "--idle-s", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "spanlore.cli.dreaming", "--data-dir", str(directory), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with ended_at_exit(process):
        assert process.stderr is not None
        told = iter(process.stderr.readline, "")
        assert "exit code 0" in next(line for line in told if "a round of learning ended" in line)
        learn = status(directory)["learn"]
        assert (bool(learn["last_at"]), learn["new_runs"]) == (True, 0)
        process.send_signal(signal.SIGTERM)
        said, noted = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, said) == (0, "{}\n")
        assert noted == ""
    assert "by hand: spanlore learn" in run_cli("status", "--data-dir", directory).out


def test_without_a_spanlore_it_waits(tmp_path: Path) -> None:
    options = ["--every-s", "0.1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "spanlore.cli.dreaming", "--data-dir", str(tmp_path), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stderr is not None
    assert "learning waits: nothing is running" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0


def test_two_rounds_do_not_write_beside_each_other(directory: Path) -> None:
    started(directory)
    one_analyzer = ("learn", "--analyzer", "routing", "--data-dir", directory)
    with (directory / "learn.lock").open("a") as handle:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX)
        ended = run_cli(*one_analyzer)
        dry = run_cli(*one_analyzer, "--dry-run")
    assert (ended.code, dry.code) == (1, 0), dry.err
    assert "another `spanlore learn` is at work" in ended.err
    assert run_cli(*one_analyzer).code == 0

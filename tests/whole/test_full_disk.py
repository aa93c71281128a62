"""Every process of ours that is started on a full disk says what is full and what to do next."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_disk import fill, small_disk

START_S_MAX = 60
STORE_URL = "clickhouse://nobody:nothing@127.0.0.1:9/none"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=1) as place:
        fill(place)
        yield place


@pytest.mark.parametrize(
    "command",
    [
        ["spanlore.cli", "up"],
        ["spanlore.cli", "up", "--detach"],
        ["spanlore.collector"],
        ["spanlore.store_server", "--port", "0"],
        ["spanlore.review", "--port", "0"],
        ["spanlore.cli", "token", "create"],
    ],
    ids=" ".join,
)
def test_a_start_on_a_full_disk_says_which_and_the_next_step(
    disk: Path, command: list[str]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", *command, "--data-dir", str(disk / "data")],
        check=False, capture_output=True, text=True, timeout=START_S_MAX,
        env={**os.environ, "SPANLORE_STORE_URL": STORE_URL},
    )  # fmt: skip
    assert ended.returncode == 3, ended.stderr
    assert f"the disk that holds {disk}" in ended.stderr
    assert "free some space on it, or name another --data-dir" in ended.stderr
    assert "Traceback" not in ended.stderr

"""What `spanlore up` is told about forwarding reaches its collector; `status` shows how it goes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanlore.cli.show_forwarding import print_forwarding
from tests.deploy.command_line import run_cli
from tests.deploy.test_up import FREE_PORTS
from tests.waiting import wait_until

NONE = {"spans": 0, "logs": 0, "data_points": 0}
TARGET: dict[str, Any] = {
    "name": "tempo",
    "url": "grpc://tempo:4317",
    "protocol": "grpc",
    "forwarded": {**NONE, "spans": 1200, "data_points": 7},
    "rejected": NONE,
    "refused": {**NONE, "spans": 3},
    "dropped": NONE,
    "retries": 9,
    "backlog": {"records": 12, "bytes": 34567, "oldest_age_s": 89.6},
    "last_error": None,
    "last_refusal": "too long",
}


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    run_cli("down", "--data-dir", tmp_path)


def shown(capsys: pytest.CaptureFixture[str], *targets: dict[str, Any]) -> list[list[str]]:
    """Give the cells of the table's rows."""
    print_forwarding(targets)
    lines = capsys.readouterr().out.splitlines()
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]


def test_status_shows_each_target_by_signal_with_what_waits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spans, points = shown(capsys, TARGET)
    assert spans == [
        "tempo (grpc://tempo:4317)", "spans", "1200", "0", "3", "0",
        "12 requests, 34,567 bytes, the oldest for 90 s", "ok; did not take some: too long",
    ]  # fmt: skip
    assert points == ["", "data points", "7", "0", "0", "0", "", ""]


def test_status_shows_why_nothing_gets_through_to_a_target_that_never_got_anything(
    capsys: pytest.CaptureFixture[str],
) -> None:
    backlog = {"records": 0, "bytes": 0, "oldest_age_s": 0.0}
    outcomes = dict.fromkeys(("forwarded", "rejected", "refused", "dropped"), NONE)
    target = {**TARGET, **outcomes, "backlog": backlog, "last_error": "no route"}
    (row,) = shown(capsys, target)
    assert row[:2] == ["tempo (grpc://tempo:4317)", "–"]
    assert row[2:] == ["0", "0", "0", "0", "nothing", "failing: no route"]


def test_status_says_nothing_of_forwarding_where_there_is_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_forwarding([])
    assert capsys.readouterr().out == ""


def test_a_target_that_cannot_be_is_refused_before_anything_starts(directory: Path) -> None:
    ended = run_cli("up", "--data-dir", directory, *FREE_PORTS, "--forward", "tempo:4317")
    assert ended.code == 2
    assert "give grpc://" in ended.err


@pytest.mark.slow
def test_up_hands_the_size_of_the_queue_on_and_says_why_it_cannot_be(directory: Path) -> None:
    pytest.importorskip("chdb")
    target = ("--forward", "down=http://127.0.0.1:9", "--forward-max", "1")
    ended = run_cli("up", "--data-dir", directory, *FREE_PORTS, *target)
    assert ended.code == 3
    assert "1 bytes for what is not forwarded yet are too few: give at least" in ended.err


@pytest.mark.slow
def test_up_hands_its_targets_on_and_status_tells_how_it_goes(directory: Path) -> None:
    pytest.importorskip("chdb")
    options = ["--data-dir", str(directory), *FREE_PORTS, "--forward", "down=http://127.0.0.1:9"]
    ended = run_cli("up", "--detach", *options)
    assert ended.code == 0, ended.err
    file = directory / "runs.jsonl"
    message = {"role": "user", "content": "hello"}
    file.write_text(json.dumps({"run_id": "r1", "messages": [message]}))
    assert run_cli("import", file, "--data-dir", directory).code == 0

    def problem() -> str | None:
        document = json.loads(run_cli("status", "--json", "--data-dir", directory).out)
        (target,) = document["collector"]["counters"]["forwarding"]
        assert target["backlog"]["records"] > 0
        return target["last_error"] or None

    assert "refused" in wait_until(problem, "an error")
    said = run_cli("status", "--data-dir", directory).out
    assert "down (http://127.0.0.1:9)" in said

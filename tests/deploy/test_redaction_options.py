"""What `spanlore up` is told about redaction reaches its collector; `status` says what it did."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.command_line import run_cli
from tests.deploy.test_up import FREE_PORTS

pytest.importorskip("chdb")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    run_cli("down", "--data-dir", tmp_path)


@pytest.fixture
def patterns(tmp_path: Path) -> Path:
    file = tmp_path / "own.toml"
    file.write_text("email = '[\\w.+-]+@[\\w-]+\\.[\\w.-]+'\n")
    return file


def test_up_hands_its_patterns_on_and_status_counts_by_kind(
    directory: Path, patterns: Path
) -> None:
    told = ("--redact-patterns", patterns)
    ended = run_cli("up", "--detach", "--data-dir", directory, *FREE_PORTS, *told)
    assert ended.code == 0, ended.err
    file = directory / "runs.jsonl"
    message = {"role": "user", "content": "I am ada@example.org, password=hunter2"}
    file.write_text(json.dumps({"run_id": "r1", "messages": [message]}))
    ended = run_cli("import", file, "--data-dir", directory)
    assert ended.code == 0, ended.err
    said = run_cli("status", "--data-dir", directory).out
    [line] = [line for line in said.splitlines() if line.startswith("redacted: ")]
    assert "email" in line
    assert "password" in line
    rows = run_cli("sql", "SELECT * FROM otel_traces FORMAT JSONEachRow", "--data-dir", directory)
    assert "[redacted:email:" in rows.out
    assert "ada@example.org" not in rows.out
    assert "hunter2" not in rows.out


def test_patterns_and_no_redaction_exclude_each_other(directory: Path, patterns: Path) -> None:
    options = ("--no-redact", "--redact-patterns", patterns)
    ended = run_cli("up", "--data-dir", directory, *FREE_PORTS, *options)
    assert ended.code == 2
    assert "--no-redact" in ended.err

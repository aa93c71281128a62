"""The first half of the loop on real runs: in through OTLP, out as a finding and a diff."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

A_DAY_LATER = """
import time
_now_ns = time.time_ns
time.time_ns = lambda: _now_ns() + 86_400 * 10**9
"""
COMMAND_S_MAX = 110


def spanlore(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "spanlore.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_S_MAX,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def up(data_dir: Path, environment: dict[str, str] | None = None) -> None:
    ports = [f"--{name}-port=0" for name in ("store", "grpc", "http", "review")]
    spanlore("up", "--detach", "--data-dir", str(data_dir), *ports, environment=environment)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory, recorded_runs: Path) -> Iterator[Path]:
    """Start spanlore and import every recorded run."""
    folder = tmp_path_factory.mktemp("whole") / "data"
    up(folder)
    try:
        import_all(folder, recorded_runs)
        yield folder
    finally:
        spanlore("down", "--data-dir", str(folder))


def import_all(data_dir: Path, recorded_runs: Path) -> dict[str, Any]:
    files = [str(path) for path in sorted(recorded_runs.glob("*.jsonl"))]
    report: dict[str, Any] = json.loads(
        spanlore("import", *files, "--data-dir", str(data_dir), "--json")
    )
    return report


def stored(data_dir: Path) -> dict[str, Any]:
    rows: dict[str, Any] = json.loads(spanlore("status", "--json", "--data-dir", str(data_dir)))
    return rows["rows"]  # type: ignore[no-any-return]


def lines(recorded_runs: Path) -> Iterator[dict[str, Any]]:
    """Yield every recorded run as its line has it."""
    for path in sorted(recorded_runs.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").strip().split("\n"):
            yield json.loads(line)


def calls(recorded_runs: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (tool, its answer) straight from the lines: the first open call of that id."""
    for line in lines(recorded_runs):
        pending: list[dict[str, Any]] = []
        for message in line["messages"]:
            pending += message.get("tool_calls") or []
            if message["role"] == "tool":
                ids = [call["id"] for call in pending]
                call = pending.pop(ids.index(message["tool_call_id"]))
                yield call["function"]["name"], message


@pytest.fixture(scope="module")
def learned(
    data_dir: Path, recorded_runs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    """Learn against a fresh repository that holds the agent's tool definitions."""
    repo = tmp_path_factory.mktemp("repo")
    (repo / "tools.json").write_bytes((recorded_runs / "airline_harness/tools.json").read_bytes())
    git(repo, "init", "--quiet")
    git(repo, "add", "tools.json")
    git(repo, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "tools")
    report = spanlore("learn", "--json", "--repo", str(repo), "--data-dir", str(data_dir))
    return json.loads(report), repo


def git(repo: Path, *arguments: str, text: str | None = None) -> None:
    subprocess.run(["git", *arguments], cwd=repo, input=text, text=True, check=True)


def test_every_run_is_stored_sealed_and_judged(data_dir: Path, recorded_runs: Path) -> None:
    runs = json.loads(spanlore("runs", "--json", "--limit", "1000", "--data-dir", str(data_dir)))
    assert {run["state"] for run in runs} == {"sealed"}
    told = Counter(line["outcome"]["label"] for line in lines(recorded_runs))
    assert Counter(run["outcome"] for run in runs) == told


def test_the_stores_counts_of_calls_and_errors_are_those_of_the_lines(
    data_dir: Path, recorded_runs: Path
) -> None:
    sql = (
        "SELECT ToolName, count(), countIf(StatusCode = 'Error') FROM (SELECT * FROM otel_traces "
        "ORDER BY RowVersion DESC LIMIT 1 BY TenantId, TraceId, SpanId) "
        "WHERE Op = 'execute_tool' GROUP BY 1 FORMAT TSV"
    )
    rows = [
        line.split("\t") for line in spanlore("sql", sql, "--data-dir", str(data_dir)).split("\n")
    ]
    found = {row[0]: (int(row[1]), int(row[2])) for row in rows if len(row) == 3}
    told = list(calls(recorded_runs))
    expected = {
        tool: (
            sum(name == tool for name, _ in told),
            sum(name == tool and bool(answer.get("is_error")) for name, answer in told),
        )
        for tool in {name for name, _ in told}
    }
    assert found == expected
    assert found["book_reservation"] == (102, 56)


def test_learning_finds_what_the_booking_tools_calls_get_wrong(
    learned: tuple[dict[str, Any], Path],
) -> None:
    report, _ = learned
    assert report["runs"] == 420
    (finding,) = [one for one in report["findings"] if "book_reservation" in one["title"]]
    assert "does not add up" in finding["title"]
    assert (finding["n"], finding["k"], finding["confirmed"]) == (102, 35, True)
    low, high = finding["interval"]
    assert 0 < low < finding["effect"] < high
    assert (finding["effect"], [low, high]) == (0.407622, [0.26612, 0.54685])
    assert finding["q"] <= 0.1
    assert finding["evidence"]
    assert finding["counter_evidence"]


def test_the_largest_cluster_is_counted_the_same_straight_from_the_lines(
    learned: tuple[dict[str, Any], Path], recorded_runs: Path
) -> None:
    report, _ = learned
    said = [
        str(answer["content"]).lower()
        for name, answer in calls(recorded_runs)
        if name == "book_reservation"
    ]
    assert sum("payment amount does not add up" in text for text in said) == 35
    assert report["findings"][0]["k"] == 35


def test_three_calls_without_a_required_key_are_held_back_as_too_few(
    learned: tuple[dict[str, Any], Path],
) -> None:
    report, _ = learned
    (held,) = [one for one in report["held_back"] if "lacks a required key" in one["title"]]
    assert (held["k"], held["confirmed"]) == (3, False)
    assert held["reason"].startswith("too few: 3 calls")


def test_the_lessons_diff_applies_to_the_tool_definitions(
    learned: tuple[dict[str, Any], Path],
) -> None:
    report, repo = learned
    (lesson,) = [one for one in report["lessons"] if one["patch"]]
    assert (lesson["layer"], lesson["state"]) == ("harness", "evaluated")
    assert lesson["evidence"]
    before = json.loads((repo / "tools.json").read_text())
    git(repo, "apply", "-", text=lesson["patch"])
    after = json.loads((repo / "tools.json").read_text())
    git(repo, "apply", "-R", "-", text=lesson["patch"])
    changed = [
        tool["function"]["name"] for tool, old in zip(after, before, strict=True) if tool != old
    ]
    assert changed == ["book_reservation"]


def test_learning_again_finds_the_same_and_proposes_nothing_more(
    learned: tuple[dict[str, Any], Path], data_dir: Path
) -> None:
    report, repo = learned
    again = json.loads(
        spanlore("learn", "--json", "--repo", str(repo), "--data-dir", str(data_dir))
    )
    assert again["findings"] == report["findings"]
    versions = "SELECT Version, State, count() FROM lessons GROUP BY 1, 2 ORDER BY 1 FORMAT TSV"
    said = spanlore("sql", versions, "--data-dir", str(data_dir))
    lessons = len(report["lessons"])
    assert said.splitlines() == [f"1\tproposed\t{lessons}", f"2\tevaluated\t{lessons}"]


def test_importing_again_a_day_later_adds_nothing(
    data_dir: Path, recorded_runs: Path, tmp_path: Path
) -> None:
    before = stored(data_dir)
    import_all(data_dir, recorded_runs)
    assert stored(data_dir) == before
    spanlore("down", "--data-dir", str(data_dir))
    (tmp_path / "sitecustomize.py").write_text(A_DAY_LATER)
    up(data_dir, {"PYTHONPATH": str(tmp_path)})
    import_all(data_dir, recorded_runs)
    assert stored(data_dir) == before
    received = "SELECT dateDiff('hour', now(), max(ReceivedAt)) FROM otel_traces FORMAT TSV"
    assert int(spanlore("sql", received, "--data-dir", str(data_dir))) >= 22

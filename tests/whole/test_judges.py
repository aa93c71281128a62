"""`spanlore judges` as a user runs it: real processes, recorded runs, a scripted model."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.analyzers.scripted_model import KEY, Asked, Reply, scripted_model
from tests.deploy.command_line import Ended, run_cli
from tests.whole.recorded_meetings import write_recording


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("judges")
    ports = [f"--{name}-port=0" for name in ("store", "grpc", "http", "review")]
    assert run_cli("up", "--detach", "--data-dir", folder, *ports).code == 0
    try:
        recording = folder.parent / "meetings.jsonl"
        lines = write_recording(recording).read_text(encoding="utf-8").splitlines()[:40]
        recording.write_text("\n".join([*lines, json.dumps(_unjudged(lines[0]))]) + "\n")
        assert run_cli("import", recording, "--data-dir", folder).code == 0
        yield folder
    finally:
        assert run_cli("down", "--data-dir", folder).code == 0


def _unjudged(line: str) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(line)
    del run["outcome"]
    return {**run, "run_id": "nobody-judged-this"}


def judges(data_dir: Path, *arguments: str, env: dict[str, str] | None = None) -> Ended:
    return run_cli("judges", *arguments, "--data-dir", data_dir, env=env)


def document(ended: Ended) -> Any:
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def kind(asked: Asked) -> Reply:
    """Judge everything kindly."""
    return Reply(
        text=json.dumps({"reason": f"It went well in {len(asked.text)}.", "label": "pass"})
    )


def test_the_judges_are_listed_with_what_they_lack() -> None:
    ended = run_cli("judges", "list", "--json")
    found = {one["name"]: one for one in document(ended)}
    assert found["ended_in_error"]["ready"] is True
    assert (found["task_success"]["source"], found["task_success"]["ready"]) == ("llm", False)
    assert "not set" in run_cli("judges", "list").out


def test_without_a_model_a_rubric_cannot_judge_and_says_what_to_set(data_dir: Path) -> None:
    ended = judges(data_dir, "run", "task_success")
    assert ended.code == 3
    assert "SPANLORE_MODEL_PROVIDER" in ended.err


def test_a_judge_that_is_not_there_is_wrong_usage(data_dir: Path) -> None:
    ended = judges(data_dir, "run", "nobody")
    assert ended.code == 2
    assert "installed: ended_in_error, task_success" in ended.err


@pytest.mark.timeout(300)
def test_verdicts_go_to_the_collector_and_are_held_against_gold(data_dir: Path) -> None:
    before = document(judges(data_dir, "calibration", "--json"))
    assert [one["judge"] for one in before] == ["environment"]
    with scripted_model(kind) as server:
        env = server.environment("openai")
        first = document(
            judges(data_dir, "run", "task_success", "--limit", "30", "--json", env=env)
        )
        rest = judges(data_dir, "run", "task_success", env=env)
    assert (first["judged"], first["passed"], first["stopped"]) == (30, 30, None)
    assert rest.code == 0, rest.err
    assert "judged 11 of 11 runs (11 pass, 0 fail)" in rest.out
    assert KEY not in first["evaluator"] + rest.out + rest.err
    found = {one["judge"]: one for one in document(judges(data_dir, "calibration", "--json"))}
    mine = found["llm:task_success"]
    assert mine["version"] == first["evaluator"]
    assert (mine["judged"], mine["gold_labels"]) == (41, 40)
    assert mine["failed_and_gold_passed"] == mine["failed_and_gold_failed"] == 0
    assert mine["passed_and_gold_failed"] > 0
    assert mine["gold_labels_missing"] >= 0
    assert "task_success@" in judges(data_dir, "calibration").out
    ended = run_cli("runs", "--limit", "100", "--json", "--data-dir", data_dir)
    outcomes = Counter((run["outcome_source"], run["outcome"]) for run in document(ended))
    assert outcomes["llm", "pass"] == 1  # of the one run that nobody better judged
    assert (
        sum(outcomes.values()) - 1
        == outcomes["environment", "pass"] + outcomes["environment", "fail"]
    )


def test_a_model_that_cannot_be_reached_ends_the_command_and_says_so(data_dir: Path) -> None:
    with scripted_model(kind) as server:
        env = server.environment("anthropic") | {"SPANLORE_MODEL": "another"}
    ended = judges(data_dir, "run", "task_success", env=env)
    assert ended.code == 1
    assert "cannot reach another at http://127.0.0.1" in ended.err
    assert KEY not in ended.err


def test_gold_is_named_by_sources_that_there_are(data_dir: Path) -> None:
    ended = judges(data_dir, "calibration", "--gold", "human,oracle")
    assert ended.code == 2
    assert "end_user" in ended.err
    assert document(judges(data_dir, "calibration", "--gold", "human", "--json"))

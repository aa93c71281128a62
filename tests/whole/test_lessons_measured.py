"""A harness lesson all the way: learned, approved, applied, merged, rolled out and measured."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spanlore.demo import TOOLS
from tests.deploy.command_line import run_cli
from tests.deploy.git_repository import git, repository
from tests.whole.recorded_meetings import write_recording

FREE_PORTS = [f"--{name}-port=0" for name in ("store", "grpc", "http", "review")]
FAILURE = "duration must be"
LEARN = ("learn", "--analyzer", "tool_argument_misuse")

# Every step of the loop is a process, and the first test waits for all of them.
pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True, slots=True)
class Loop:
    """What came of each step round the loop, in order."""

    folder: Path
    repo: Path
    lesson: dict[str, Any]
    applied: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]

    def said(self, *arguments: str) -> str:
        ended = run_cli(*arguments, "--data-dir", self.folder)
        assert ended.code == 0, ended.err
        return ended.out


def document(folder: Path, *arguments: str) -> Any:
    ended = run_cli(*arguments, "--json", "--data-dir", folder)
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def worked_on(recording: Path, tools: str, into: Path) -> Path:
    """Write the runs of a recording again, a year later, with tools that were mended.

    Those that met the failure are left out: the agent does better now.
    """
    lines = recording.read_text(encoding="utf-8").splitlines()
    fresh = [line.replace('"2026-', '"2027-') for line in lines if FAILURE not in line]
    runs = [{**json.loads(line), "tools": json.loads(tools)} for line in fresh]
    runs = [{**run, "run_id": f"again-{run['run_id']}"} for run in runs]
    into.write_text("".join(f"{json.dumps(run)}\n" for run in runs), encoding="utf-8")
    return into


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    work = tmp_path_factory.mktemp("measured")
    folder = work / "data"
    recording = write_recording(work / "before.jsonl")
    repo = repository(work / "agent", {"tools.json": TOOLS.read_bytes()})
    assert run_cli("up", "--detach", "--data-dir", folder, *FREE_PORTS).code == 0
    try:
        document(folder, "import", str(recording))
        learned = document(folder, *LEARN, "--repo", str(repo))
        [lesson] = [
            one
            for one in learned["lessons"]
            if one["patch"] and one["content"]["tool"] == "create_event"
        ]
        identity = lesson["lesson_id"]
        document(folder, "lessons", "approve", identity, "--by", "Ada")
        applied = document(folder, "lessons", "apply", identity, "--repo", str(repo))
        before = document(folder, "lessons", "effect", identity)
        git(repo, "merge", "--quiet", applied["branch"])
        tools = (repo / "tools.json").read_text()
        document(folder, "import", str(worked_on(recording, tools, work / "after.jsonl")))
        after = document(folder, "lessons", "effect", identity)
        yield Loop(folder, repo, lesson, applied, before, after)
    finally:
        assert run_cli("down", "--data-dir", folder).code == 0


def test_learning_leaves_a_lesson_with_the_verdict_of_its_gate(loop: Loop) -> None:
    assert loop.lesson["state"] == "evaluated"
    assert loop.lesson["evaluations"][-1]["verdict"] in ("pass", "inconclusive")
    assert loop.lesson["evaluations"][-1]["reason"]


def test_before_any_run_has_the_change_there_is_not_enough_data(loop: Loop) -> None:
    assert (loop.before["verdict"], loop.before["state"]) == ("not_enough_data", "approved")
    assert loop.before["arms"]["exposed"]["runs"] == 0


def test_runs_with_the_change_roll_it_out_and_show_what_it_did(loop: Loop) -> None:
    after = loop.after
    assert (after["verdict"], after["state"]) == ("improved", "verified")
    assert (after["randomised"], after["compared_with"]) == (False, "before")
    low, high = after["interval"]
    assert low <= after["difference"] <= high < 0
    assert after["arms"]["exposed"]["rate"] < after["arms"]["other"]["rate"]
    assert after["reason"]


def test_the_log_tells_the_whole_way(loop: Loop) -> None:
    found = document(loop.folder, "lessons", "log", loop.lesson["lesson_id"])
    events = [entry["event"] for entry in found["entries"]]
    assert events[:5] == ["propose", "evaluate", "approve", "roll_out", "measure"]
    assert found["verified"] is True


def test_a_person_is_shown_both_arms_the_change_and_what_follows(loop: Loop) -> None:
    shown = loop.said("lessons", "effect", loop.lesson["lesson_id"])
    assert "given the lesson" in shown
    assert "95 % interval" in shown
    assert "improved" in shown
    lesson = loop.said("lessons", "show", loop.lesson["lesson_id"])
    assert "improved" in lesson
    assert "against" in lesson
    assert "measured effects" in loop.said("status")
    assert "effects: 1 improved" in loop.said("status")


def test_learning_again_proposes_nothing_anew_of_what_was_decided(loop: Loop) -> None:
    again = document(loop.folder, *LEARN, "--repo", str(loop.repo))
    [same] = [one for one in again["lessons"] if one["lesson_id"] == loop.lesson["lesson_id"]] or [
        None
    ]
    assert same is None or same["state"] == "verified"


def test_what_was_merged_is_not_applied_again(loop: Loop) -> None:
    assert "holds this change already" in loop.said(
        "lessons", "apply", loop.lesson["lesson_id"], "--repo", str(loop.repo)
    )

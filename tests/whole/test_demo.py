"""`spanlore demo` from end to end: what was planted is found, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spanlore.cli.datadir import read_run_file
from spanlore.demo import TOOLS
from spanlore.demo.faults import (
    CONFOUNDED,
    MISNAMED_KEY,
    RARE,
    RARE_CALLS,
    TIMEOUT,
    VAGUE_DURATION,
    Fault,
)
from spanlore.demo.generator import RUNS
from tests.deploy.command_line import Ended, environment, run_cli

pytest.importorskip("chdb")

DEADLINE_S = 60.0
POLL_S = 0.02


def until(ask: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(POLL_S)
    pytest.fail(f"not within {DEADLINE_S:.0f} s: {what}")


def processes_in(folder: Path) -> list[int]:
    """Return the processes that were started on a directory below the folder (Linux)."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue
        if str(folder) in arguments:
            found.append(int(entry.name))
    return found


def left_in(folder: Path) -> tuple[list[int], list[Path]]:
    """Return what is left running on, and lying in, a folder for temporary files."""
    return processes_in(folder), list(folder.iterdir())


def temporary(folder: Path) -> dict[str, str]:
    return {"TMPDIR": str(folder)}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Run the demo once with --json, with settings of the user's own that must not matter."""
    folder = tmp_path_factory.mktemp("demo")
    own = {
        "SPANLORE_STORE_URL": "clickhouse://nobody:nothing@127.0.0.1:1/none",
        "SPANLORE_DATA_DIR": str(folder / "own"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    }
    done = run_cli("demo", "--json", env={**temporary(folder), **own})
    assert done.code == 0, done.err
    assert left_in(folder) == ([], [])
    return done


@pytest.fixture
def said(ended: Ended) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ended.out)
    return document


def about(findings: list[dict[str, Any]], fault: Fault) -> list[dict[str, Any]]:
    """Return the findings that name a fault, by the error text that the tool answers it with."""
    return [
        one
        for one in findings
        if (one["detail"]["tool"], one["detail"].get("template")) == (fault.tool, fault.template)
    ]


def shapes(findings: list[dict[str, Any]]) -> set[tuple[str, str, str, str]]:
    return {
        (one["detail"]["tool"], shape["path"], shape["kind"], shape["value"])
        for one in findings
        if (shape := one["detail"].get("shape"))
    }


def test_one_document_holds_all_that_was_shown(said: dict[str, Any]) -> None:
    assert set(said) == {"runs", "findings", "held_back", "lessons", "seconds"}
    assert len(said["runs"]) == RUNS
    assert all(run["cost_usd"] > 0 and run["state"] == "sealed" for run in said["runs"])
    assert {run["outcome"] for run in said["runs"]} == {"pass", "fail"}
    assert set(said["seconds"]) == {"start", "import", "learn", "check", "stop", "total"}


@pytest.mark.parametrize("fault", [VAGUE_DURATION, MISNAMED_KEY], ids=lambda fault: fault.argument)
def test_a_planted_fault_is_found_with_its_evidence(said: dict[str, Any], fault: Fault) -> None:
    [found] = about(said["findings"], fault)
    assert found["confirmed"]
    low, high = found["interval"]
    assert 0 < low < found["effect"] < high
    assert found["q"] < 0.1
    runs = {run["trace_id"]: run for run in said["runs"]}
    assert found["evidence"]
    assert found["counter_evidence"]
    assert all(runs[trace]["tool_errors"] > 0 for trace in found["evidence"])


def test_one_fault_is_one_finding_that_says_what_else_names_it(said: dict[str, Any]) -> None:
    assert len(said["findings"]) == 2
    for found in said["findings"]:
        [text] = [one for one in found["detail"]["also"] if " fails with '" in one["title"]]
        assert 0 < text["k_in_common"] <= min(text["k"], found["k"])
        assert found["k"] == found["n"] > 100


def test_the_shape_of_the_wrong_duration_is_found(said: dict[str, Any]) -> None:
    wrong = (VAGUE_DURATION.tool, VAGUE_DURATION.argument, "type", "string")
    assert wrong in shapes(said["findings"])


def test_the_key_that_another_tool_uses_is_named_with_that_tool(said: dict[str, Any]) -> None:
    [found] = [
        one
        for one in said["findings"]
        if one["detail"]["tool"] == MISNAMED_KEY.tool
        and one["detail"].get("shape", {}).get("kind") == "lacks"
    ]
    keys = found["detail"]["keys"]
    assert set(keys["missing"]) == {MISNAMED_KEY.argument}
    assert keys["instead"][MISNAMED_KEY.returned_as]["returned_by"] == ["find_contact"]


def test_nothing_but_the_planted_faults_is_believed(said: dict[str, Any]) -> None:
    planted = {VAGUE_DURATION.tool, MISNAMED_KEY.tool}
    assert {one["detail"]["tool"] for one in said["findings"]} == planted
    assert all(TIMEOUT not in one["title"] for one in said["findings"])
    assert all(TIMEOUT not in one["body"] + one["title"] for one in said["lessons"])
    wrong = {path for _, path, _, _ in shapes(said["findings"])}
    assert wrong <= {"", VAGUE_DURATION.argument, MISNAMED_KEY.argument, MISNAMED_KEY.returned_as}


def test_three_calls_are_held_back_as_too_few(said: dict[str, Any]) -> None:
    [found] = about(said["held_back"], RARE)
    assert found["k"] == RARE_CALLS
    assert found["reason"].startswith("too few: 3 calls")


def test_what_only_goes_with_a_hard_task_is_held_back(said: dict[str, Any]) -> None:
    shape = (CONFOUNDED.tool, CONFOUNDED.argument, "value", CONFOUNDED.value)
    assert shape in shapes(said["held_back"])
    assert shape not in shapes(said["findings"])
    [trap] = [one for one in said["held_back"] if shapes([one]) == {shape}]
    assert trap["detail"]["effect_unadjusted"] > 0.1
    assert abs(trap["effect"]) < 0.05
    assert trap["interval"][0] < 0 < trap["interval"][1]
    assert trap["reason"].startswith(f"not shown: {trap['effect']:+.3f} within one task, but p=")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / TOOLS.name).write_bytes(TOOLS.read_bytes())
    return tmp_path


def apply(repository: Path, patch: str) -> None:
    subprocess.run(["git", "apply", "-"], cwd=repository, check=True, input=patch.encode())


def test_the_diff_of_the_misleading_description_applies(
    said: dict[str, Any], repository: Path
) -> None:
    for lesson in said["lessons"]:
        assert lesson["layer"] == "harness"
        assert lesson["state"] == "proposed"
        tools = repository / TOOLS.name
        tools.write_bytes(TOOLS.read_bytes())
        apply(repository, lesson["patch"])
        before, after = json.loads(TOOLS.read_text()), json.loads(tools.read_text())
        assert before != after
    changed = [lesson for lesson in said["lessons"] if "`duration`" in lesson["body"]]
    assert changed
    assert all("whole number of minutes" in lesson["patch"] for lesson in changed)


def test_each_fault_has_one_lesson_and_all_diffs_apply_one_after_another(
    said: dict[str, Any], repository: Path
) -> None:
    assert [lesson["findings"] for lesson in said["lessons"]] == [
        [found["finding_id"]] for found in said["findings"]
    ]
    for lesson in said["lessons"]:
        apply(repository, lesson["patch"])
    tools = {
        one["function"]["name"]: one["function"]
        for one in json.loads((repository / TOOLS.name).read_text())
    }
    duration = tools[VAGUE_DURATION.tool]["parameters"]["properties"][VAGUE_DURATION.argument]
    assert duration["description"] == (
        "Length of the meeting. Give `duration` as a whole number (an integer), not as text (a "
        "string). Otherwise the call fails with 'duration must be a whole number of minutes, got "
        "...'."
    )
    assert tools[MISNAMED_KEY.tool]["description"] == (
        "Invite one person to an event. `attendee_id` is required. Pass what find_contact returns "
        "as `contact_id` in `attendee_id`; do not send `contact_id`. Otherwise the call fails with "
        "'missing required field attendee_id'."
    )


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Ended]:
    """Run the demo for a person, kept running, and stop it as it says."""
    folder = tmp_path / "kept"
    done = run_cli("demo", "--keep", "--data-dir", folder, env=temporary(tmp_path))
    assert done.code == 0, done.err
    yield done
    stopped = run_cli("down", "--data-dir", folder)
    assert stopped.code == 0
    until(lambda: processes_in(folder) == [], "every process has ended")


def test_what_is_kept_can_be_asked_and_is_stopped_as_the_demo_says(
    shown: Ended, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    running = read_run_file(folder)
    assert running
    assert f":{running['collector']['grpc_port']}\n" in shown.out
    assert f"spanlore down --data-dir {folder}" in shown.out
    listed = run_cli("lessons", "list", "--json", "--data-dir", folder)
    assert {lesson["state"] for lesson in json.loads(listed.out)} == {"proposed"}
    for part in (
        "not by chance",
        "held back",
        '+            "description"',
        "spanlore up --detach",
    ):
        assert part in shown.out


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
@pytest.mark.parametrize("ready", [False, True], ids=["while it starts", "when it runs"])
def test_an_interrupted_demo_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, code: int, *, ready: bool
) -> None:
    command = [sys.executable, "-m", "spanlore.cli", "demo"]
    process = subprocess.Popen(
        command,
        env=environment(temporary(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wanted = "*/run.json" if ready else "*/logs/up.log"
    until(lambda: list(tmp_path.glob(wanted)), f"{wanted} of the demo's stack")
    os.kill(process.pid, number)
    assert process.wait(DEADLINE_S) == code
    assert left_in(tmp_path) == ([], [])


def test_a_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    refused = run_cli("demo", "--data-dir", tmp_path)
    assert refused.code == 3
    assert "is not empty" in refused.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]

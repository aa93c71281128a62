"""`spanlore demo` from end to end: what was planted is found, given back, measured, taken back."""

import json
import os
import shutil
import signal
import subprocess
import sys
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
from spanlore.demo.meetings import USERS, User
from spanlore.demo.preferences import (
    AFTERNOON_IN_TOKYO,
    EARLY_REMINDER_FOR_ANA,
    ZOOM_AT_HOOLI,
    Preference,
)
from spanlore.demo.users import RUNS
from tests.deploy.command_line import Ended, environment, run_cli
from tests.waiting import wait_until

pytest.importorskip("chdb")
pytest.importorskip("openai")

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(shutil.which("git") is None, reason="the demo merges branches with git"),
]

DEMO_S_MAX = 300.0
DEADLINE_S = 60.0
PREFERENCES = (AFTERNOON_IN_TOKYO, EARLY_REMINDER_FOR_ANA, ZOOM_AT_HOOLI)
FAULTS = (VAGUE_DURATION, MISNAMED_KEY)


def processes_in(folder: Path) -> list[int]:
    """Return the processes that were started on a folder, or with it in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in said:
            found.append(int(entry.name))
    return found


def left_in(folder: Path) -> tuple[list[int], list[Path]]:
    """Return what is left running on, and lying in, a folder for temporary files."""
    return processes_in(folder), list(folder.iterdir())


def temporary(folder: Path) -> dict[str, str]:
    return {"TMPDIR": str(folder)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def ended(folder: Path) -> Iterator[Ended]:
    """Run the demo once with --json, kept running, with settings of the user's own."""
    own = {
        "SPANLORE_STORE_URL": "clickhouse://nobody:nothing@127.0.0.1:1/none",
        "SPANLORE_DATA_DIR": str(folder / "own"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_SDK_DISABLED": "true",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    }
    arguments = ("demo", "--json", "--keep", "--data-dir", folder / "data")
    done = run_cli(*arguments, env={**temporary(folder), **own}, timeout_s=DEMO_S_MAX)
    assert done.code == 0, done.err
    yield done
    assert run_cli("down", "--data-dir", folder / "data").code == 0
    wait_until(lambda: processes_in(folder) == [], "every process has ended")


@pytest.fixture
def said(ended: Ended) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ended.out)
    return document


@pytest.fixture
def ask(ended: Ended, folder: Path) -> Callable[..., Any]:
    """Ask the stack that was kept, with a command that prints JSON."""
    assert ended.code == 0

    def asked(*arguments: str) -> Any:
        answer = run_cli(*arguments, "--json", "--data-dir", folder / "data")
        assert answer.code == 0, answer.err
        return json.loads(answer.out)

    return asked


@pytest.fixture
def rows(ended: Ended, folder: Path) -> Callable[[str], list[dict[str, Any]]]:
    assert ended.code == 0

    def found(query: str) -> list[dict[str, Any]]:
        answer = run_cli("sql", f"{query} FORMAT JSONEachRow", "--data-dir", folder / "data")
        assert answer.code == 0, answer.err
        return [json.loads(line) for line in answer.out.splitlines()]

    return found


def about(findings: list[dict[str, Any]], fault: Fault) -> list[dict[str, Any]]:
    """Return the findings that name a fault, by the error text that the tool answers it with."""
    return [
        one
        for one in findings
        if (one["detail"].get("tool"), one["detail"].get("template"))
        == (fault.tool, fault.template)
    ]


def of_preference(documents: list[dict[str, Any]], preference: Preference) -> list[dict[str, Any]]:
    """Return the findings (by their detail) or lessons (by their content) that say a preference."""
    wanted = (f"/{preference.argument}", str(preference.value))
    return [
        one
        for one in documents
        if (said := one.get("detail") or one["content"]).get("slot")
        and (said["slot"]["field"], said["value"]) == wanted
    ]


def effect_of(said: dict[str, Any], lesson: dict[str, Any]) -> dict[str, Any]:
    [found] = [one for one in said["effects"] if one["lesson_id"] == lesson["lesson_id"]]
    return dict(found)


def is_trap(finding: dict[str, Any]) -> bool:
    detail = finding["detail"]
    shape = {"path": CONFOUNDED.argument, "kind": "value", "value": CONFOUNDED.value}
    return (detail.get("tool"), detail.get("shape")) == (CONFOUNDED.tool, shape)


def test_one_document_holds_all_that_was_shown(said: dict[str, Any]) -> None:
    parts = {"runs", "findings", "held_back", "lessons", "effects", "log", "seconds"}
    assert set(said) == parts
    assert [run["phase"] for run in said["runs"]] == [1] * RUNS + [2] * RUNS
    assert len({run["trace_id"] for run in said["runs"]}) == 2 * RUNS
    assert all(run["cost_usd"] > 0 and run["state"] == "sealed" for run in said["runs"])
    assert {run["outcome"] for run in said["runs"]} == {"pass", "fail"}
    assert {run["user"] for run in said["runs"]} == {user.user_id for user in USERS}
    steps = {"start", "work", "learn", "approve", "work again", "measure", "total"}
    assert set(said["seconds"]) == steps


def test_the_agent_works_with_another_harness_after_the_diffs(said: dict[str, Any]) -> None:
    first, second = (
        {run["harness"] for run in said["runs"] if run["phase"] == phase} for phase in (1, 2)
    )
    assert len(first) == len(second) == 1
    assert first != second


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.argument)
def test_a_planted_fault_is_found_with_its_evidence(said: dict[str, Any], fault: Fault) -> None:
    [found] = about(said["findings"], fault)
    assert found["confirmed"]
    low, high = found["interval"]
    assert 0 < low < found["effect"] < high
    assert found["q"] < 0.1
    runs = {run["trace_id"]: run for run in said["runs"]}
    assert found["counter_evidence"]
    assert all(runs[trace]["tool_errors"] > 0 for trace in found["evidence"])


@pytest.mark.parametrize("preference", PREFERENCES, ids=lambda one: one.key)
def test_a_planted_preference_is_found_among_those_who_have_it(
    said: dict[str, Any], preference: Preference
) -> None:
    [found] = of_preference(said["findings"], preference)
    assert found["detail"]["instead_of"] == str(preference.instead_of)
    assert found["interval"][0] > 0.3
    users = {user.user_id: user for user in USERS}
    runs = {run["trace_id"]: run for run in said["runs"]}
    assert found["evidence"]
    for trace in (*found["evidence"], *found["counter_evidence"]):
        assert preference.holds_for(users[runs[trace]["user"]], 1)


def test_nothing_but_what_was_planted_is_believed(said: dict[str, Any]) -> None:
    assert len(said["findings"]) == len(FAULTS) + len(PREFERENCES)
    assert {one["findings"][0] for one in said["lessons"]} == {
        one["finding_id"] for one in said["findings"]
    }
    assert all(TIMEOUT not in one["title"] for one in said["findings"])
    assert all(TIMEOUT not in one["body"] + one["title"] for one in said["lessons"])


def test_the_key_that_another_tool_uses_is_named_with_that_tool(said: dict[str, Any]) -> None:
    [found] = about(said["findings"], MISNAMED_KEY)
    keys = found["detail"]["keys"]
    assert set(keys["missing"]) == {MISNAMED_KEY.argument}
    assert keys["instead"][MISNAMED_KEY.returned_as]["returned_by"] == ["find_contact"]


def test_three_calls_are_held_back_as_too_few(said: dict[str, Any]) -> None:
    [found] = about(said["held_back"], RARE)
    assert found["k"] == RARE_CALLS
    assert found["reason"].startswith("too few: 3 calls")


def test_what_only_goes_with_a_hard_task_is_held_back(said: dict[str, Any]) -> None:
    [trap] = filter(is_trap, said["held_back"])
    assert not list(filter(is_trap, said["findings"]))
    assert trap["detail"]["effect_unadjusted"] > 0.1
    assert trap["interval"][0] < 0 < trap["interval"][1]
    effect = f"{100 * trap['effect']:+.1f} points"
    assert trap["reason"].startswith(f"not shown: {effect} within one task, but p=")


@pytest.mark.parametrize(
    ("preference", "scope"),
    [
        (AFTERNOON_IN_TOKYO, ("global", "", "", {"segment.time_zone": "Asia/Tokyo"})),
        (ZOOM_AT_HOOLI, ("tenant", "hooli", "hooli", {})),
        (EARLY_REMINDER_FOR_ANA, ("user", "ana", "acme", {})),
    ],
    ids=lambda one: one.key if isinstance(one, Preference) else one[0],
)
def test_a_preference_becomes_a_memory_of_its_scope(
    said: dict[str, Any], preference: Preference, scope: tuple[str, str, str, dict[str, str]]
) -> None:
    [lesson] = of_preference(said["lessons"], preference)
    names = ("scope", "scope_key", "tenant", "selector")
    assert (lesson["layer"], tuple(lesson[name] for name in names)) == ("context", scope)
    assert lesson["evaluations"][-1]["gate"] == "held_out_match"
    assert lesson["evaluations"][-1]["verdict"] == "pass"
    assert str(preference.value) in lesson["body"]


def test_lessons_of_both_layers_are_evaluated_and_approved_by_a_named_person(
    said: dict[str, Any],
) -> None:
    assert {one["layer"] for one in said["lessons"]} == {"context", "harness"}
    for lesson in said["lessons"]:
        assert lesson["evaluations"][-1]["reason"]
        [approval] = lesson["approvals"]
        assert (approval["by"], approval["human"]) == ("demo", True)
        held_out = lesson["layer"] == "context" and lesson["scope"] != "user"
        assert (approval.get("hold_out") or 0.0) == (0.5 if held_out else 0.0)
    gates = {one["kind"]: one["evaluations"][-1] for one in said["lessons"]}
    assert gates["tool_schema"]["gate"] == "replay"
    assert gates["tool_schema"]["verdict"] == "pass"
    assert gates["tool_description"]["verdict"] == "inconclusive"


def test_the_diffs_are_merged_where_the_agent_reads_its_tools(
    said: dict[str, Any], folder: Path
) -> None:
    repository = folder / "data" / "meeting-assistant"
    log = subprocess.run(
        ["git", "log", "--format=%B"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout
    for lesson in said["lessons"]:
        assert (f"Spanlore-Lesson: {lesson['lesson_id']}" in log) == (lesson["layer"] == "harness")
    tools = {
        one["function"]["name"]: one["function"]
        for one in json.loads((repository / TOOLS.name).read_text())
    }
    duration = tools[VAGUE_DURATION.tool]["parameters"]["properties"][VAGUE_DURATION.argument]
    assert duration["type"] == "integer"
    assert "whole number" in duration["description"]
    assert f"`{MISNAMED_KEY.returned_as}`" in tools[MISNAMED_KEY.tool]["description"]


@pytest.mark.parametrize(
    "preference", [AFTERNOON_IN_TOKYO, EARLY_REMINDER_FOR_ANA], ids=lambda one: one.key
)
def test_a_preference_that_holds_is_overridden_less_with_its_memory(
    said: dict[str, Any], preference: Preference
) -> None:
    [lesson] = of_preference(said["lessons"], preference)
    effect = effect_of(said, lesson)
    low, high = effect["interval"]
    assert low < effect["difference"] < high < -0.2
    assert (effect["verdict"], lesson["state"]) == ("improved", "verified")
    is_users = lesson["scope"] == "user"
    assert effect["compared_with"] == ("before" if is_users else "held_out")
    assert effect["arms"]["exposed"]["runs"] > 10
    assert effect["arms"]["other"]["runs"] > 10


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.argument)
def test_calls_fail_less_with_the_new_definition(said: dict[str, Any], fault: Fault) -> None:
    [lesson] = [one for one in said["lessons"] if one["content"].get("tool") == fault.tool]
    effect = effect_of(said, lesson)
    assert effect["interval"][1] < -0.1
    assert (effect["verdict"], lesson["state"]) == ("improved", "verified")
    assert (effect["metric"], effect["compared_with"]) == ("tool_error", "before")


def test_just_the_memory_that_went_stale_is_rolled_back(said: dict[str, Any]) -> None:
    [stale] = of_preference(said["lessons"], ZOOM_AT_HOOLI)
    assert [one for one in said["lessons"] if one["state"] == "rolled_back"] == [stale]
    effect = effect_of(said, stale)
    assert (effect["verdict"], effect["compared_with"]) == ("worse", "held_out")
    assert effect["interval"][0] > 0.2
    entries = [one for one in said["log"]["entries"] if one["lesson_id"] == stale["lesson_id"]]
    events = [one["event"] for one in entries]
    assert events == ["propose", "evaluate", "approve", "roll_out", "measure", "roll_back"]
    assert [one["event"] for one in entries if one["human"]] == ["approve"]


def test_the_log_of_decisions_is_whole(said: dict[str, Any], ask: Callable[..., Any]) -> None:
    assert said["log"]["verified"]
    assert [one["seq"] for one in said["log"]["entries"]] == list(
        range(1, len(said["log"]["entries"]) + 1)
    )
    assert ask("lessons", "log") == said["log"]


def test_no_run_was_given_a_lesson_of_others(
    said: dict[str, Any], rows: Callable[[str], list[dict[str, Any]]]
) -> None:
    users = {user.user_id: user for user in USERS}
    given = rows("SELECT DISTINCT TenantId, UserId, LessonId FROM exposures")
    for preference in PREFERENCES:
        [lesson] = of_preference(said["lessons"], preference)
        exposed = [users[row["UserId"]] for row in given if row["LessonId"] == lesson["lesson_id"]]
        wanted = [user for user in USERS if preference.holds_for(user, 1)]
        assert sorted(exposed, key=str) == sorted(wanted, key=str)
    assert all(users[row["UserId"]].tenant == row["TenantId"] for row in given)


def given_to(ask: Callable[..., Any], user: User) -> dict[str, Any]:
    answer = ask(
        *("memory", "--user", user.user_id, "--tenant", user.tenant),
        *("--agent", "meeting-assistant", "--segment", f"time_zone={user.time_zone}"),
    )
    assert isinstance(answer, dict)
    return answer


def test_what_was_kept_goes_on_giving_memories_and_no_longer_the_stale_one(
    said: dict[str, Any], ask: Callable[..., Any]
) -> None:
    [stale] = of_preference(said["lessons"], ZOOM_AT_HOOLI)
    [tokyo] = of_preference(said["lessons"], AFTERNOON_IN_TOKYO)
    [reminder] = of_preference(said["lessons"], EARLY_REMINDER_FOR_ANA)
    ana = next(user for user in USERS if user.user_id == EARLY_REMINDER_FOR_ANA.key)
    assert [one["lesson_id"] for one in given_to(ask, ana)["items"]] == [reminder["lesson_id"]]
    at_hooli = next(
        user
        for user in USERS
        if (user.tenant, user.time_zone) == (ZOOM_AT_HOOLI.key, AFTERNOON_IN_TOKYO.key)
    )
    answer = given_to(ask, at_hooli)
    known = [one["lesson_id"] for one in (*answer["items"], *answer["held_out"])]
    assert known == [tokyo["lesson_id"]]
    assert stale["lesson_id"] not in known


def test_what_was_kept_says_where_it_is(ended: Ended, folder: Path) -> None:
    running = read_run_file(folder / "data")
    assert running
    for port in (running["collector"]["grpc_port"], running["review"]["port"]):
        assert f":{port}\n" in ended.err
    assert f"spanlore down --data-dir {folder / 'data'}" in ended.err


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the demo for a person; return what they read."""
    empty = tmp_path_factory.mktemp("shown")
    done = run_cli("demo", env=temporary(empty), timeout_s=DEMO_S_MAX)
    assert done.code == 0, done.err
    assert left_in(empty) == ([], [])
    return done.out


def test_a_person_reads_each_step_with_its_time(shown: str) -> None:
    steps = [line for line in shown.splitlines() if line.startswith("▸ ")]
    assert len(steps) == 7
    for part in ("not by chance: 5 findings", "held back", "is a trap", "95 % interval"):
        assert part in shown
    for part in ("approved by demo", '+            "type": "integer"', "propose 14:00"):
        assert part in shown
    assert "its user changed the draft" in shown
    assert "nothing is left behind" in shown
    assert "spanlore run -- python app.py" in shown


def test_a_person_reads_what_each_lesson_did(shown: str) -> None:
    table = shown[shown.index("What each lesson did") :]
    assert table.count("improved") == 4
    assert "rolled back" in table
    assert "Taken back by itself" in table
    assert "its chain of hashes is whole" in table


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
@pytest.mark.parametrize("log", ["up", "agent-1"], ids=["while it starts", "at work"])
def test_an_interrupted_demo_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, code: int, *, log: str
) -> None:
    command = [sys.executable, "-m", "spanlore.cli", "demo"]
    process = subprocess.Popen(
        command,
        env=environment(temporary(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: list(tmp_path.glob(f"*/logs/{log}.log")), f"the log {log} of the demo")
    os.kill(process.pid, number)
    assert process.wait(DEADLINE_S) == code
    assert left_in(tmp_path) == ([], [])


def test_a_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    refused = run_cli("demo", "--data-dir", tmp_path)
    assert refused.code == 3
    assert "is not empty" in refused.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]

"""What the commands say of a small store: recorded runs, imported and learned from."""

import json
import signal
import time
from collections.abc import Iterator
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from spanlore.analyzers.registry import installed_analyzers
from spanlore.cli.connection import find_running
from spanlore.collector.seal import QUIET_S, seal_waiting
from spanlore.schemas.store import Store
from tests.deploy.command_line import Ended, run_cli
from tests.instrumentation.traced import dead_url, run_script
from tests.whole.recorded_meetings import write_recording

ANALYZER = "tool_argument_misuse"
NASTY = "\x1b[31mred\x1b[0m \u202eesrever\u202c \x07bell"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("commands")
    ports = [f"--{name}-port=0" for name in ("store", "grpc", "http", "review")]
    assert run_cli("up", "--detach", "--data-dir", folder, *ports).code == 0
    try:
        recording = write_recording(folder.parent / "meetings.jsonl")
        assert run_cli("import", recording, "--data-dir", folder).code == 0
        yield folder
    finally:
        assert run_cli("down", "--data-dir", folder).code == 0


def document(data_dir: Path, *arguments: str) -> Any:
    ended = run_cli(*arguments, "--json", "--data-dir", data_dir)
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def said(data_dir: Path, *arguments: str) -> Ended:
    return run_cli(*arguments, "--data-dir", data_dir)


def newest_recorded(data_dir: Path) -> Any:
    """Return the newest of the recorded runs, whatever other tests have brought in."""
    return document(data_dir, "runs", "--agent", "meeting-assistant", "--limit", "1")[0]


RUN_KEYS = {
    "trace_id", "agent", "tenant", "user", "task", "state", "outcome", "started_at",
    "duration_ms", "steps", "tool_calls", "tool_errors", "input_tokens", "output_tokens",
    "cost_usd", "harness",
}  # fmt: skip


def test_a_listed_run_has_every_key_and_times_in_utc(data_dir: Path) -> None:
    run = newest_recorded(data_dir)
    assert set(run) >= RUN_KEYS
    assert run["started_at"].endswith("Z")
    assert run["state"] == "sealed"


def test_runs_are_listed_newest_first_and_those_without_times_last(data_dir: Path) -> None:
    started = [run["started_at"] for run in document(data_dir, "runs", "--limit", "400")]
    known = [time for time in started if time is not None]
    assert started[: len(known)] == sorted(known, reverse=True)


def test_filters_narrow_the_list_together(data_dir: Path) -> None:
    everything = document(data_dir, "runs", "--limit", "10000")
    one = next(run for run in everything if run["outcome"] == "fail")
    wanted = {"user": one["user"], "tenant": one["tenant"], "outcome": "fail"}
    expected = [run for run in everything if all(run[key] == wanted[key] for key in wanted)]
    options = ["--user", one["user"], "--tenant", one["tenant"], "--failed", "--limit", "10000"]
    assert document(data_dir, "runs", *options) == expected
    assert 0 < len(expected) < len(everything)


def test_a_task_is_its_type_its_id_or_both(data_dir: Path) -> None:
    one = newest_recorded(data_dir)
    both = f"{one['task']}/{one['task_id']}"
    by_type = document(data_dir, "runs", "--task", one["task"], "--limit", "10000")
    by_both = document(data_dir, "runs", "--task", both, "--limit", "10000")
    assert {run["task"] for run in by_type} == {one["task"]}
    assert {(run["task"], run["task_id"]) for run in by_both} == {(one["task"], one["task_id"])}


def test_since_is_about_when_spans_were_received(data_dir: Path) -> None:
    assert len(document(data_dir, "runs", "--since", "1h", "--limit", "10000")) > 100
    refused = said(data_dir, "runs", "--since", "yesterday")
    assert refused.code == 2
    assert "7d" in refused.err


def test_a_shown_run_is_a_tree_with_arguments_and_errors(data_dir: Path) -> None:
    runs = document(data_dir, "runs", "--failed", "--limit", "10000")
    run = next(run for run in runs if run["tool_errors"])
    shown = said(data_dir, "runs", "show", run["trace_id"][:16])
    assert shown.code == 0
    assert run["trace_id"] in shown.out
    assert "└── invoke_agent" in shown.out
    assert "execute_tool" in shown.out
    assert "args " in shown.out
    assert "error " in shown.out
    assert "tokens" in shown.out


def test_a_run_shown_as_json_has_its_spans_in_order(data_dir: Path) -> None:
    run = newest_recorded(data_dir)
    shown = document(data_dir, "runs", "show", run["trace_id"])
    starts = [span["start_ns"] for span in shown["spans"]]
    assert shown["run"] == run
    assert starts == sorted(starts)
    assert len(starts) == run["spans"]


def test_an_unknown_run_fails_and_says_where_to_look(data_dir: Path) -> None:
    ended = said(data_dir, "runs", "show", "ffffffffffffffffffff")
    assert ended.code == 1
    assert "spanlore runs" in ended.err


def test_a_persons_verdict_goes_before_the_environments_and_may_change(data_dir: Path) -> None:
    run = document(data_dir, "runs", "--failed", "--limit", "1")[0]
    judged = document(data_dir, "judge", run["trace_id"], "pass", "--by", "ada", "--reason", "fine")
    assert (judged["outcome"], judged["outcome_source"]) == ("pass", "human")
    again = document(data_dir, "judge", run["trace_id"], "fail", "--by", "ada")
    assert (again["outcome"], again["outcome_score"]) == ("fail", 0.0)
    count = "SELECT count() FROM judgements FINAL WHERE Source = 'human' FORMAT TSV"
    assert said(data_dir, "sql", count).out.strip() == "1"


def test_the_beginning_of_several_ids_is_said_to_be_that_with_some_of_them(data_dir: Path) -> None:
    ids = sorted(run["trace_id"] for run in document(data_dir, "runs", "--limit", "400"))
    first = next(one for one, other in pairwise(ids) if one[0] == other[0])
    for command in (("runs", "show", first[0]), ("judge", first[0], "pass")):
        ended = said(data_dir, *command)
        assert ended.code == 1
        assert f"several runs begin with {first[0]} (" in ended.err
        assert "write more of the id" in ended.err


def test_what_is_not_known_of_a_run_is_null(data_dir: Path, tmp_path: Path) -> None:
    line = {"run_id": "bare", "user_id": "bare", "messages": [{"role": "user", "content": "hi"}]}
    path = tmp_path / "bare.jsonl"
    path.write_text(json.dumps(line))
    assert said(data_dir, "import", str(path)).code == 0
    [run] = document(data_dir, "runs", "--user", "bare")
    assert "" not in run.values()
    assert run["harness"] is None
    [span] = document(data_dir, "runs", "show", run["trace_id"])["spans"]
    assert {name for name, value in span.items() if value == ""} <= {"parent_span_id"}


def test_trace_text_cannot_move_the_terminal(data_dir: Path, tmp_path: Path) -> None:
    line = {
        "run_id": "nasty",
        "agent": {"name": NASTY},
        "messages": [
            {"role": "user", "content": NASTY},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "function": {"name": NASTY, "arguments": NASTY}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": NASTY, "is_error": True},
        ],
    }
    path = tmp_path / "nasty.jsonl"
    path.write_text(json.dumps(line))
    assert said(data_dir, "import", str(path)).code == 0
    (run,) = document(data_dir, "runs", "--agent", NASTY)
    shown = said(data_dir, "runs", "show", run["trace_id"]).out
    assert "esrever" in shown
    assert not {"\x1b", "\u202e", "\u202c", "\x07"} & set(shown)
    assert run["started_at"] is None


def test_an_outcome_that_is_known_later_judges_the_run_that_is_there(
    data_dir: Path, tmp_path: Path
) -> None:
    line = {"run_id": "same", "agent": "late", "messages": [{"role": "user", "content": "hi"}]}
    path = tmp_path / "late.jsonl"
    seen = []
    for outcome in (None, "pass", "fail"):
        path.write_text(json.dumps(line | ({"outcome": {"label": outcome}} if outcome else {})))
        assert said(data_dir, "import", str(path)).code == 0
        runs = document(data_dir, "runs", "--agent", "late")
        seen.append([(run["trace_id"], run["outcome"]) for run in runs])
    [(trace_id, unjudged)] = seen[0]
    assert unjudged is None
    assert seen[1:] == [[(trace_id, "pass")], [(trace_id, "fail")]]


@pytest.fixture(scope="module")
def learnt(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what a round of learning reports, which all lessons and findings are of."""
    repo = tmp_path_factory.mktemp("repo")
    (repo / "tools.json").write_text((resources.files("spanlore.demo") / "tools.json").read_text())
    return document(data_dir, "learn", "--repo", str(repo))


def test_a_run_id_imported_before_with_other_content_is_said_with_its_line(
    data_dir: Path, tmp_path: Path
) -> None:
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}]
    path = tmp_path / "grown.jsonl"
    warned = []
    for grown in (messages[:1], messages[:1], messages):
        path.write_text(json.dumps({"run_id": "grown", "messages": grown}))
        ended = said(data_dir, "import", str(path), "--format", "trajectory")
        assert ended.code == 0
        warned.append(f'{path}:1: the run_id "grown" was imported before (run ' in ended.err)
    assert warned == [False, False, True]


def test_findings_and_lessons_can_be_read_after_learning(data_dir: Path, learnt: Any) -> None:
    report = learnt
    findings = document(data_dir, "findings")
    assert [one["finding_id"] for one in findings] == [
        one["finding_id"] for one in report["findings"]
    ]
    held_back = document(data_dir, "findings", "--held-back")
    assert len(held_back) == len(report["findings"]) + len(report["held_back"])
    lessons = document(data_dir, "lessons", "list", "--state", "evaluated", "--layer", "harness")
    assert {one["lesson_id"] for one in lessons} == {one["lesson_id"] for one in report["lessons"]}
    shown = said(data_dir, "lessons", "show", lessons[0]["lesson_id"][:12])
    assert lessons[0]["lesson_id"] in shown.out
    assert "--- a/tools.json" in shown.out
    assert "95 % interval" in said(data_dir, "findings").out


def test_a_filter_that_nothing_passes_says_so_and_not_that_there_is_nothing(
    data_dir: Path, learnt: Any
) -> None:
    stored = [one["analyzer"] for one in [*learnt["findings"], *learnt["held_back"]]]
    silent = next(one.name for one in installed_analyzers() if one.name not in stored)
    found = said(data_dir, "findings", "--analyzer", silent)
    told = f"none of {len(stored)} findings is of {silent}: spanlore findings\n"
    assert (found.code, found.out) == (0, told)
    listed = said(data_dir, "lessons", "list", "--state", "harmful", "--scope", "user")
    number = len(document(data_dir, "lessons", "list"))
    told = f"none of {number} lessons is of state harmful, scope user: spanlore lessons list\n"
    assert number > 0
    assert (listed.code, listed.out) == (0, told)


@pytest.mark.parametrize(
    ("command", "known"),
    [
        (["findings", "--analyzer", "nope"], ANALYZER),
        (["lessons", "list", "--state", "nope"], "rolled_out"),
        (["lessons", "list", "--scope", "nope"], "tenant"),
    ],
)
def test_a_filter_that_cannot_be_is_a_usage_error_that_names_the_known(
    data_dir: Path, command: list[str], known: str
) -> None:
    ended = said(data_dir, *command)
    assert ended.code == 2
    assert known in ended.err


def test_a_dry_run_writes_nothing(data_dir: Path) -> None:
    count = "SELECT count() FROM analyses FORMAT TSV"
    before = said(data_dir, "sql", count).out
    made = document(data_dir, "learn", "--dry-run", "--since", "1h", "--analyzer", ANALYZER)
    assert not made["nothing_new"]
    assert said(data_dir, "sql", count).out == before


def test_an_unknown_analyzer_is_a_usage_error_that_names_the_known(data_dir: Path) -> None:
    ended = said(data_dir, "learn", "--analyzer", "nothing")
    assert ended.code == 2
    assert ANALYZER in ended.err


@pytest.mark.parametrize("command", [["runs"], ["findings"], ["learn"], ["judge", "00", "pass"]])
def test_where_nothing_runs_the_exit_code_is_three_with_the_next_step(
    command: list[str], tmp_path: Path
) -> None:
    ended = run_cli(*command, "--data-dir", tmp_path / "empty")
    assert ended.code == 3
    assert "spanlore up" in ended.err


CRASHES = """
    import os, signal
    import spanlore.auto
    from spanlore.instrumentation import run, switch, tool

    @tool
    def step(number):
        return number

    with run("crashed", user="ann"):
        for number in range(3):
            step(number)
        switch.pipeline().outbox.write_down()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_whose_program_was_killed_is_shown_as_stalled_with_all_it_did(
    data_dir: Path, tmp_path: Path
) -> None:
    env = {"SPANLORE_DATA_DIR": str(data_dir), "OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}
    assert run_script(CRASHES, tmp_path, env=env).code == -signal.SIGKILL
    shipped = document(data_dir, "ship")
    assert shipped["journals"] == [
        {"service": "app", "destination": "spanlore", "shipped": 4, "refused": 0, "left": 0}
    ]
    later_ns = time.time_ns() + (QUIET_S + 1) * 1_000_000_000
    with Store.connect(find_running(data_dir).store_url) as store:
        assert seal_waiting(store, now_ns=later_ns)
    (run,) = document(data_dir, "runs", "--agent", "crashed")
    assert (run["state"], run["user"], run["tool_calls"]) == ("stalled", "ann", 3)
    shown = said(data_dir, "runs", "show", run["trace_id"]).out
    assert shown.count("execute_tool step") == 3
    assert "not ended" in shown
    assert document(data_dir, "ship")["journals"] == []


def test_nothing_is_shipped_where_nobody_takes_it(tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead_url()}
    assert run_script(CRASHES, tmp_path, env=env).code == -signal.SIGKILL
    ended = run_cli("ship", "--json", env=env | {"SPANLORE_DATA_DIR": str(tmp_path / "nothing")})
    assert ended.code == 3
    assert "ship again" in ended.err
    assert json.loads(ended.out)["journals"][0]["left"] == 4


def test_what_a_program_just_did_is_listed_at_once(data_dir: Path, tmp_path: Path) -> None:
    script = """
        import spanlore.auto
        from spanlore.instrumentation import run
        with run("just now"):
            pass
    """
    env = {
        "SPANLORE_DATA_DIR": str(data_dir),
        "OTEL_EXPORTER_OTLP_ENDPOINT": find_running(data_dir).http_url,
    }
    assert run_script(script, tmp_path, env=env).code == 0
    (run,) = document(data_dir, "runs", "--agent", "just now")
    assert run["state"] == "sealed"
    assert "no run" in said(data_dir, "runs", "--agent", "nobody").err

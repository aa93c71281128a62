"""What a lesson's rule would have stopped on tasks that it was not found on."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from spanlore.analyzers.arguments.predicate import broken, holds, says_so
from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.analyzers.evaluation.replay_gate import evaluate_harness, replayed
from spanlore.analyzers.lessons.harness_lesson import harness_lessons
from spanlore.analyzers.runs.calls import calls_of
from spanlore.analyzers.window import Window
from spanlore.schemas.lesson_state import LessonEvent, transition
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS, TRACES
from spanlore.schemas.types import Lesson
from tests.analyzers import recorded
from tests.analyzers.resized import TOOLS, confirmed, resized, row

START = datetime(2024, 5, 1, tzinfo=UTC)


def stored(store: Store, rows: Iterable[dict[str, Any]]) -> None:
    """Insert the spans and runs that the rows of ``TOOL_CALLS_SQL`` are read from."""
    by_run = groupby(rows, key=lambda one: one["TraceId"])
    spans, runs = [], []
    for trace_id, calls in by_run:
        mine = list(calls)
        names = ("TenantId", "TraceId", "SpanId", "ToolName", "ToolArguments", "ToolResult")
        spans += [
            {
                **{name: one[name] for name in names},
                "Timestamp": START + timedelta(milliseconds=one["StartUnixNano"]),
                "Op": "execute_tool",
                "StatusCode": "Error" if one["Failed"] else "Ok",
            }
            for one in mine
        ]
        said = ("TenantId", "UserId", "TaskType", "TaskId", "AgentName", "AgentVersion", "Model")
        known = {name: mine[0][name] for name in said}
        runs.append({**known, "TraceId": trace_id, "LastReceivedAt": START, "Version": 1})
    store.insert(TRACES, spans)
    store.insert(RUNS, runs)


def lesson_of(rows: Iterable[dict[str, Any]], folder: Path) -> Lesson:
    (folder / "tools.json").write_text(json.dumps(TOOLS, indent=2))
    [lesson] = harness_lessons(confirmed(rows), folder)
    return lesson


def evaluated(store: Store, rows: list[dict[str, Any]], lesson: Lesson) -> dict[str, Any]:
    stored(store, rows)
    said = evaluate_harness(store, lesson, Window())
    assert json.loads(json.dumps(said)) == said
    return said


def test_a_constraint_that_covers_and_blocks_nothing_good_passes(
    store: Store, tmp_path: Path
) -> None:
    rows = list(resized(1))
    said = evaluated(store, rows, lesson_of(rows, tmp_path))
    assert (said["verdict"], said["gate"]) == ("pass", "replay")
    held_out = [one for one in rows if not in_discovery_half(f"t/{one['TaskId']}")]
    calls = [one for one in held_out if one["ToolName"] == "resize"]
    told = [one for one in calls if "whole number" in one["ToolResult"]]
    assert said["n"] == said["checkable"]["k"] == len(calls)
    assert said["calls"]["failing"] == said["calls"]["failing_covered"] == len(told)
    assert said["covered"]["n"] == said["covered"]["k"] == len({one["TraceId"] for one in told})
    assert len(told) > said["covered"]["n"]
    assert said["blocked"]["k"] == 0
    assert said["covered"]["interval"][0] >= 0.5
    assert said["blocked"]["interval"][1] <= 0.05
    assert "coverage of past calls, not uplift" in said["reason"]


def test_a_constraint_that_would_block_good_calls_fails(store: Store, tmp_path: Path) -> None:
    rows = list(resized(1, null_share=0.3))
    said = evaluated(store, rows, lesson_of(rows, tmp_path))
    assert (said["verdict"], said["gate"]) == ("fail", "replay")
    assert said["blocked"]["interval"][0] > 0.05
    assert "too many" in said["reason"]


def test_what_tasks_of_the_discovery_half_do_is_not_looked_at(store: Store, tmp_path: Path) -> None:
    rows = list(resized(1))
    lesson = lesson_of(rows, tmp_path)
    flipped = [
        {**one, "ToolArguments": '{"size": "x"}'}
        if in_discovery_half(f"t/{one['TaskId']}")
        else one
        for one in rows
    ]
    assert evaluated(store, flipped, lesson)["blocked"]["k"] == 0


def test_too_few_held_out_failures_are_inconclusive(store: Store, tmp_path: Path) -> None:
    lesson = lesson_of(list(resized(1)), tmp_path)
    seldom = [one for one in resized(2) if "whole number" not in one["ToolResult"]]
    said = evaluated(store, seldom, lesson)
    assert said["verdict"] == "inconclusive"
    assert said["reason"].startswith("replayed on tasks it was not found on: too few")
    assert "it needs 3 tasks of each" in said["reason"]


def test_it_says_how_many_runs_are_needed(store: Store, tmp_path: Path) -> None:
    lesson = lesson_of(list(resized(1)), tmp_path)
    said = evaluated(store, list(resized(2, tasks=10, runs=6)), lesson)
    assert said["verdict"] == "inconclusive"
    assert "of good runs is not shown (it needs about" in said["reason"]


def test_calls_without_recorded_arguments_say_nothing(store: Store, tmp_path: Path) -> None:
    rows = list(resized(1))
    lesson = lesson_of(rows, tmp_path)
    said = evaluated(store, [{**one, "ToolArguments": ""} for one in rows], lesson)
    assert (said["verdict"], said["checkable"]["k"]) == ("inconclusive", 0)
    assert "switch the capture of content on" in said["reason"]


def test_words_alone_cannot_be_replayed_but_their_rule_is_scored(store: Store) -> None:
    rows = list(resized(1))
    [lesson] = harness_lessons(confirmed(rows), None)
    assert lesson.kind == "tool_description"
    said = evaluated(store, rows, lesson)
    assert (said["verdict"], said["gate"]) == ("inconclusive", "none")
    assert said["reason"].startswith("a reworded description cannot be replayed")
    assert "a named person has to decide" in said["reason"]
    assert said["covered"]["share"] == 1.0


def test_a_rule_nobody_can_execute_is_inconclusive(store: Store) -> None:
    [lesson] = harness_lessons(confirmed(resized(1)), None)
    bare = replace(lesson, content={**lesson.content, "predicate": None})
    said = evaluate_harness(store, bare, Window())
    assert (said["verdict"], said["gate"], said["n"]) == ("inconclusive", "none", 0)
    assert evaluate_harness(store, replace(lesson, content={}), Window())["gate"] == "none"


def test_a_lesson_with_several_answers_is_judged_by_the_worst(store: Store, tmp_path: Path) -> None:
    rows = list(resized(1))
    lesson = lesson_of(rows, tmp_path)
    words: dict[str, Any] = {
        "tool": "resize",
        "failure": {},
        "says": ["Be quick."],
        "predicate": None,
    }
    both = replace(lesson, content={**lesson.content, "more": [words]})
    said = evaluated(store, rows, both)
    assert (said["verdict"], said["gate"]) == ("inconclusive", "replay")
    assert [one["verdict"] for one in said["also"]] == ["pass"]


def test_what_the_gate_says_can_be_handed_to_the_lessons_state(
    store: Store, tmp_path: Path
) -> None:
    rows = list(resized(1))
    lesson = lesson_of(rows, tmp_path)
    detail = evaluated(store, rows, lesson)
    event = LessonEvent(kind="evaluate", by="spanlore learn", at=START, detail=detail)
    assert transition(lesson, event).state == "evaluated"


def test_a_call_s_own_error_is_never_looked_at(tmp_path: Path) -> None:
    rows = list(resized(1))
    lesson = lesson_of(rows, tmp_path)
    calls = calls_of(rows)
    blind = [replace(call, error=None, result="") for call in calls]
    for call, other in zip(calls, blind, strict=True):
        predicate = lesson.content["predicate"]
        assert broken(predicate, call, []) == broken(predicate, other, [])


def test_a_retried_mistake_counts_once_and_any_blocked_good_call_counts(tmp_path: Path) -> None:
    lesson = lesson_of(list(resized(1)), tmp_path)
    task = next(task for task in range(99) if not in_discovery_half(f"t/{task}"))
    said = "Error: a size is a whole number, got 'x'"
    rows = [
        row(task, 0, 0, size="3 px", said=said),
        row(task, 0, 1, size="4 px", said=said),
        row(task, 0, 2, size=3),
        row(task, 0, 3, size="3"),
    ]
    found = replayed(calls_of(rows), lesson.content)
    assert [(one.n, one.k) for one in found.failing] == [(1, 1)]
    assert [(one.n, one.k) for one in found.good] == [(1, 1)]
    assert (found.calls_failing, found.calls_good, found.calls_blocked) == (2, 2, 1)


@pytest.mark.parametrize(
    ("keyword", "wanted", "kept", "lost"),
    [
        ("type", "integer", [1, 1.0, 10**20], [1.5, "1", True, None]),
        ("type", "number", [1, 1.5], ["1", True]),
        ("type", "string", [""], [1, None]),
        ("type", "null", [None], [0, ""]),
        ("required", ["a"], [{"a": None}, 3], [{}, {"b": 1}]),
        ("minLength", 1, ["x", 0], [""]),
        ("pattern", "^[0-9]$", ["5", 5], ["55", "x"]),
        ("format", "date", ["2024-05-01", 7], ["1 May", "2024-05-01T09:00"]),
        ("format", "email", ["a@b.c"], ["a", "a@b"]),
    ],
)
def test_a_keyword_means_what_json_schema_says(
    keyword: str, wanted: Any, kept: list[Any], lost: list[Any]
) -> None:
    assert all(holds(keyword, wanted, value) for value in kept)
    assert not any(holds(keyword, wanted, value) for value in lost)


def test_what_no_lesson_writes_is_an_error() -> None:
    with pytest.raises(ValueError, match="maximum"):
        holds("maximum", 3, 4)


def test_a_schema_is_asked_at_the_path_of_the_predicate() -> None:
    schema = {"properties": {"a": {"items": {"required": ["x", "y"], "properties": {}}}}}
    said = {"path": "a[]", "keyword": "required", "value": ["x"]}
    assert says_so(said, schema)
    assert not says_so({**said, "value": ["z"]}, schema)
    assert not says_so({**said, "path": "b[]"}, schema)


def test_the_total_of_the_recorded_bookings_is_scored_on_disjoint_tasks(store: Store) -> None:
    rows, definitions = recorded.recorded_rows(), recorded.recorded_definitions()
    [lesson] = harness_lessons(
        [one for one in confirmed(rows, definitions) if one.detail["kind"] == "template"],
        recorded.data_dir() / "airline_harness",
    )
    assert lesson.kind == "tool_description"
    assert lesson.content["predicate"]["kind"] == "total"
    said = evaluated(store, list(rows), lesson)
    assert (said["verdict"], said["gate"]) == ("inconclusive", "none")
    assert said["calls"] == {
        "held_out": 49,
        "failing": 22,
        "failing_covered": 9,
        "good": 21,
        "good_blocked": 1,
    }
    assert (said["covered"]["k"], said["covered"]["n"], said["covered"]["tasks"]) == (5, 14, 6)
    assert (said["blocked"]["k"], said["blocked"]["n"]) == (1, 19)
    assert said["checkable"] == {"n": 49, "k": 30, "share": round(30 / 49, 6)}

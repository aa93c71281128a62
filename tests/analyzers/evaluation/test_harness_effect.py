"""What a changed tool definition did: seen in the spans, counted in a real store."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from spanlore.analyzers.evaluation.effect import harness_seen, measure_effect
from spanlore.analyzers.lessons.harness_lesson import harness_lessons
from spanlore.schemas.store import Store
from spanlore.schemas.tables import HARNESS_PARTS, RUNS, TRACES
from spanlore.schemas.types import Effect, Lesson
from tests.analyzers.effect_runs import NOW, START
from tests.analyzers.lesson_files import apply
from tests.analyzers.resized import SAID, TOOLS, confirmed, resized


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    """Return a lesson whose diff is applied to the tools.json of the test's folder."""
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS, indent=2))
    [found] = harness_lessons(confirmed(resized(1)), tmp_path)
    assert found.kind == "tool_schema"
    apply(tmp_path, [found])
    return found


@pytest.fixture
def changed(lesson: Lesson, tmp_path: Path) -> list[dict[str, Any]]:
    del lesson
    after: list[dict[str, Any]] = json.loads((tmp_path / "tools.json").read_text())
    return after


@dataclass(frozen=True, kw_only=True)
class Run:
    number: int
    harness: str
    day: int
    fails: bool = False
    said: str = SAID.format("3 px")
    size: Any = "3 px"
    user: str = "u"
    task: str = ""
    state: str = "sealed"

    @property
    def identity(self) -> dict[str, Any]:
        return {"TenantId": "acme", "TraceId": f"{self.number:032x}"}

    def run(self) -> dict[str, Any]:
        at = START + timedelta(days=self.day, minutes=self.number)
        return {
            **self.identity,
            "UserId": self.user,
            "State": self.state,
            "TaskType": "t" if self.task else "",
            "TaskId": self.task,
            "ToolDefinitionsHash": self.harness,
            "StartedAt": at,
            "LastReceivedAt": at,
            "Version": 1,
        }

    def calls(self) -> Iterator[dict[str, Any]]:
        for position, fails in enumerate([True, True, False] if self.fails else [False]):
            yield {
                **self.identity,
                "SpanId": f"{self.number:012x}{position:04x}",
                "Timestamp": START + timedelta(days=self.day, minutes=self.number),
                "Op": "execute_tool",
                "ToolName": "resize",
                "ToolArguments": json.dumps({"size": self.size if fails else 3}),
                "ToolResult": self.said if fails else "{}",
                "StatusCode": "Error" if fails else "Ok",
            }


def stored(store: Store, runs: Iterable[Run], **harnesses: Any) -> None:
    several = list(runs)
    store.insert(RUNS, [one.run() for one in several])
    store.insert(TRACES, [call for one in several for call in one.calls()])
    parts = [
        {
            "Kind": "tool_definitions",
            "RawHash": number,
            "Hash": name,
            "Content": json.dumps(tools),
            "At": START,
        }
        for number, (name, tools) in enumerate(harnesses.items())
    ]
    store.insert(HARNESS_PARTS, parts)


def runs(harness: str, *, day: int, every: int, first: int = 0) -> list[Run]:
    """Return 6 runs of each of 10 users, of which every so manieth fails (0: none)."""
    return [
        Run(
            number=first + number,
            harness=harness,
            day=day,
            fails=bool(every) and number % every == 0,
            user=f"u{number // 6}",
        )
        for number in range(60)
    ]


def measured(store: Store, lesson: Lesson) -> Effect:
    return measure_effect(store, lesson, lesson_version=5, now=NOW)


def test_runs_with_the_new_definition_are_compared_with_those_before(
    store: Store, lesson: Lesson, changed: Any
) -> None:
    both = [*runs("old", day=0, every=2), *runs("new", day=1, every=20, first=100)]
    stored(store, both, old=TOOLS, new=changed)
    found = measured(store, lesson)
    assert found.verdict == "improved"
    assert (found.metric, found.compared_with, found.randomised) == ("tool_error", "before", False)
    assert (found.exposed.runs, found.exposed.users, found.exposed.events) == (60, 10, 3)
    assert (found.other.runs, found.other.users, found.other.events) == (60, 10, 30)
    assert "nobody drew lots" in found.reason
    assert json.loads(json.dumps(found.detail)) == found.detail


def test_the_first_run_with_what_the_patch_says_is_the_roll_out(
    store: Store, lesson: Lesson, changed: Any
) -> None:
    stored(store, runs("old", day=0, every=2), old=TOOLS)
    assert harness_seen(store, lesson) is None
    stored(store, runs("new", day=1, every=0, first=100), old=TOOLS, new=changed)
    assert harness_seen(store, lesson) == f"{100:032x}"


def test_definitions_in_another_form_or_order_are_recognised(
    store: Store, lesson: Lesson, changed: Any
) -> None:
    flat = [{"name": "look", "parameters": {}}, {**changed[0]["function"], "type": "function"}]
    stored(store, runs("flat", day=0, every=0), flat=flat)
    assert harness_seen(store, lesson) == f"{0:032x}"


def test_the_words_without_the_constraint_are_not_the_patch(
    store: Store, lesson: Lesson, changed: Any
) -> None:
    del changed[0]["function"]["parameters"]["properties"]["size"]["type"]
    stored(store, runs("half", day=0, every=0), half=changed)
    assert harness_seen(store, lesson) is None
    words = {**lesson.content, "predicate": {**lesson.content["predicate"], "in_patch": False}}
    assert harness_seen(store, replace(lesson, content=words)) is not None


def test_another_tool_that_says_the_same_is_not_the_patch(
    store: Store, lesson: Lesson, changed: Any
) -> None:
    changed[0]["function"]["name"] = "enlarge"
    stored(store, runs("other", day=0, every=0), other=changed)
    assert harness_seen(store, lesson) is None


def test_other_failures_of_the_tool_do_not_count(
    store: Store, lesson: Lesson, changed: Any
) -> None:
    def slow(some: list[Run]) -> list[Run]:
        return [replace(one, fails=True, said="timeout", size=3) for one in some]

    both = [*slow(runs("old", day=0, every=2)), *runs("new", day=1, every=20, first=100)]
    stored(store, both, old=TOOLS, new=changed)
    assert measured(store, lesson).other.events == 0


def test_a_mistake_that_now_fails_with_another_text_counts_still(
    store: Store, lesson: Lesson, changed: Any
) -> None:
    after = [
        replace(one, said="Error: refused by the schema")
        for one in runs("new", day=1, every=2, first=100)
    ]
    stored(store, [*runs("old", day=0, every=2), *after], old=TOOLS, new=changed)
    assert measured(store, lesson).exposed.events == 30


def test_runs_that_kept_the_old_definition_are_left_out_and_counted(
    store: Store, lesson: Lesson, changed: Any
) -> None:
    late = runs("old", day=2, every=2, first=200)[:7]
    still_open = [replace(one, state="open") for one in runs("new", day=1, every=2, first=300)[:5]]
    unknown = [replace(one, harness="") for one in runs("", day=0, every=2, first=400)[:3]]
    both = [*runs("old", day=0, every=2), *runs("new", day=1, every=20, first=100)]
    stored(store, [*both, *late, *still_open, *unknown], old=TOOLS, new=changed)
    found = measured(store, lesson)
    assert (found.exposed.runs, found.other.runs) == (60, 60)
    assert found.detail["runs_left_out"] == 7
    assert found.detail["runs_without_definitions"] == 8


def test_before_any_roll_out_there_is_not_enough_data(store: Store, lesson: Lesson) -> None:
    stored(store, runs("old", day=0, every=2), old=TOOLS)
    found = measured(store, lesson)
    assert (found.verdict, found.difference, found.interval) == ("not_enough_data", None, None)
    assert (found.exposed.runs, found.other.runs) == (0, 60)


def test_other_tasks_afterwards_make_no_improvement(
    store: Store, lesson: Lesson, changed: Any
) -> None:
    """In the hard task half of the runs fail before and after; it is only rarer after."""
    before, after = runs("old", day=0, every=2), runs("new", day=1, every=0, first=100)
    hard = [replace(one, task="hard") for one in before]
    mixed = [
        replace(one, task="hard", fails=one.number % 4 == 0)
        if one.number % 2 == 0 and one.number < 130
        else replace(one, task="easy")
        for one in after
    ]
    easy = [replace(one, number=one.number + 500, task="easy", fails=False) for one in before[:6]]
    stored(store, [*hard, *mixed, *easy], old=TOOLS, new=changed)
    found = measured(store, lesson)
    assert found.interval is not None
    assert found.interval[1] < 0
    assert found.detail["within_tasks"]["difference"] == pytest.approx(0.0, abs=0.04)
    assert found.verdict == "not_enough_data"
    assert "within single tasks it is" in found.reason

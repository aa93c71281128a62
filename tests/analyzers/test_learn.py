"""A round of learning over the recorded runs in a real store."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from spanlore.analyzers import job, registry
from spanlore.analyzers.catalogue.error_clusters import error_clusters
from spanlore.analyzers.catalogue.tool_argument_misuse import (
    misuse_hypotheses,
    tool_argument_misuse,
)
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.job import learn
from spanlore.analyzers.records import standing_findings
from spanlore.analyzers.registry import Analyzer, UnknownAnalyzer
from spanlore.analyzers.runs.stored_calls import calls_by_run
from spanlore.analyzers.window import Window
from spanlore.schemas.lesson_records import latest_lessons
from spanlore.schemas.lesson_state import content_hash
from spanlore.schemas.store import Store
from spanlore.schemas.tables import HARNESS_PARTS, RUNS, TRACES
from spanlore.schemas.types import Lesson
from tests.analyzers import recorded
from tests.local_desk import LocalDesk

START = datetime(2024, 5, 1, tzinfo=UTC)
# The analyzer whose one lesson these tests follow.
misuse = partial(learn, analyzers=["tool_argument_misuse"])


@pytest.fixture
def recorded_store(store: Store) -> Store:
    calls = [_span(row) for row in recorded.recorded_rows()]
    content = json.dumps(recorded.recorded_definitions()[0])
    part = {"Kind": "tool_definitions", "RawHash": 1, "Hash": "a", "Content": content, "At": START}
    store.insert(HARNESS_PARTS, [part])
    store.insert(TRACES, calls)
    store.insert(TRACES, calls[:50])  # a replay: exact readers must not count it twice
    store.insert(RUNS, list(_runs(at=START)))
    return store


@pytest.fixture
def desk(recorded_store: Store, migrated_url: str) -> Iterator[LocalDesk]:
    del recorded_store  # emptied and filled before the desk reads it
    opened = LocalDesk(migrated_url)
    yield opened
    opened.desk.close()


def _bare(lesson: Lesson, **changes: Any) -> Lesson:
    """Return a lesson as it may be proposed."""
    return replace(lesson, state="proposed", evaluations=(), approvals=(), **changes)


def _span(row: dict[str, Any]) -> dict[str, Any]:
    names = ("TenantId", "TraceId", "SpanId", "ToolName", "ToolArguments", "ToolResult")
    return {
        **{name: row[name] for name in names},
        "Timestamp": START + timedelta(milliseconds=row["StartUnixNano"]),
        "Op": "execute_tool",
        "StatusCode": "Error" if row["Failed"] else "Ok",
    }


def _runs(*, at: datetime, prefix: str = "") -> Iterator[dict[str, Any]]:
    rows = recorded.recorded_rows()
    for trace_id, calls in itertools.groupby(rows, key=lambda row: row["TraceId"]):
        first = next(calls)
        names = ("TenantId", "UserId", "TaskType", "TaskId", "AgentName", "AgentVersion", "Model")
        yield {
            **{name: first[name] for name in names},
            "TraceId": prefix + trace_id,
            "Spans": 7,
            "LastReceivedAt": at,
            "SealedAt": at,
            "Version": 1,
        }


def _harness(folder: Path) -> Path:
    text = (recorded.data_dir() / "airline_harness" / "tools.json").read_text()
    (folder / "tools.json").write_text(text)
    return folder


def test_the_store_yields_the_same_hypotheses_as_the_lines(recorded_store: Store) -> None:
    extract_pending(recorded_store, Window())
    from_store = list(tool_argument_misuse(recorded_store, Window()))
    rows, definitions = recorded.recorded_rows(), recorded.recorded_definitions()
    from_lines = list(misuse_hypotheses(rows, definitions))
    assert [replace(one, strata=()) for one in from_store] == [
        replace(one, strata=()) for one in from_lines
    ]
    assert findings_of(from_store) == findings_of(from_lines)


def test_a_round_finds_proposes_and_holds_back(
    recorded_store: Store, desk: LocalDesk, tmp_path: Path
) -> None:
    report = learn(recorded_store, repo=_harness(tmp_path), desk=desk)
    said = report.json()
    assert json.loads(json.dumps(said)) == said
    [found] = [one for one in said["findings"] if one["detail"]["tool"] == "book_reservation"]
    assert (found["n"], found["k"], found["detail"]["failing_calls"]) == (102, 35, 56)
    [lesson] = [one for one in said["lessons"] if found["finding_id"] in one["findings"]]
    assert lesson["base_path"] == "tools.json"
    assert lesson["patch"].startswith("diff --git a/tools.json b/tools.json\n")
    reasons = {one["reason"] for one in said["held_back"]}
    assert "too few: 3 calls in 3 tasks; needs 5 calls in 3 tasks" in reasons
    assert said["failed"] == {}
    assert said["nothing_new"] is False
    assert standing_findings(recorded_store) == [*report.findings, *report.held_back]


def test_a_second_round_over_the_same_runs_adds_nothing(
    recorded_store: Store, desk: LocalDesk, tmp_path: Path
) -> None:
    repo = _harness(tmp_path)
    first = learn(recorded_store, repo=repo, desk=desk)
    second = learn(recorded_store, repo=repo, desk=desk)
    assert second.nothing_new
    assert second.findings == first.findings
    assert second.held_back == first.held_back
    assert second.lessons == first.lessons
    assert _versions(recorded_store, "findings") == {1}
    assert _versions(recorded_store, "lessons") == {1, 2}  # proposed, evaluated


def test_new_runs_are_counted_together_with_the_old(
    recorded_store: Store, desk: LocalDesk, tmp_path: Path
) -> None:
    misuse(recorded_store, repo=_harness(tmp_path), desk=desk)
    later = list(_runs(at=START + timedelta(days=1), prefix="new"))[:3]
    recorded_store.insert(RUNS, later)
    report = misuse(recorded_store, repo=tmp_path, desk=desk)
    assert not report.nothing_new
    assert report.findings[0].n == 102
    assert _versions(recorded_store, "findings") == {1, 2}
    assert _versions(recorded_store, "lessons") == {1, 2}  # proposed, evaluated


def test_since_leaves_out_what_was_received_before(recorded_store: Store) -> None:
    report = learn(recorded_store, since=START + timedelta(hours=1))
    assert (report.runs, report.findings, report.held_back) == (0, (), ())


def test_a_dry_run_writes_nothing(recorded_store: Store, tmp_path: Path) -> None:
    report = misuse(recorded_store, repo=_harness(tmp_path))
    assert report.findings
    assert report.lessons
    for table in ("findings", "lessons", "analyses"):
        assert recorded_store.query(f"SELECT count() AS n FROM {table}") == [{"n": 0}]


def test_a_repository_given_later_completes_the_lesson(
    recorded_store: Store, desk: LocalDesk, tmp_path: Path
) -> None:
    [without] = misuse(recorded_store, desk=desk).lessons
    assert without.patch is None
    assert "spanlore learn --repo" in without.body
    [with_patch] = misuse(recorded_store, repo=_harness(tmp_path), desk=desk).lessons
    assert with_patch.lesson_id == without.lesson_id
    assert with_patch.patch is not None
    [kept] = misuse(recorded_store, desk=desk).lessons
    assert kept == with_patch
    assert latest_lessons(recorded_store)[kept.lesson_id] == (with_patch, 4)


def test_a_lesson_that_somebody_decided_on_does_not_change_by_itself(
    recorded_store: Store, desk: LocalDesk, tmp_path: Path
) -> None:
    [lesson] = misuse(recorded_store, desk=desk).lessons
    rejected = desk.happen(lesson.lesson_id, "reject")
    assert rejected.state == "rejected"
    assert misuse(recorded_store, repo=_harness(tmp_path), desk=desk).lessons == (rejected,)


def test_what_was_decided_answers_its_findings_also_in_another_lesson(
    recorded_store: Store, desk: LocalDesk
) -> None:
    [lesson] = misuse(recorded_store, desk=desk).lessons
    desk.propose(_bare(lesson, lesson_id="another"))
    desk.happen("another", "evaluate", {"verdict": "inconclusive"})
    decided = desk.happen("another", "approve")
    assert misuse(recorded_store, desk=desk).lessons == (decided,)
    assert latest_lessons(recorded_store)[lesson.lesson_id][0].state == "superseded"


def test_a_proposal_is_superseded_by_a_wider_one(recorded_store: Store, desk: LocalDesk) -> None:
    [lesson] = misuse(recorded_store, desk=desk).lessons
    narrow, other = (
        _bare(lesson, lesson_id="narrow"),
        _bare(lesson, lesson_id="other", findings=("something else",)),
    )
    desk.propose(narrow, other)
    assert misuse(recorded_store).lessons == (lesson,)
    assert latest_lessons(recorded_store)["narrow"][0].state == "proposed"
    assert misuse(recorded_store, desk=desk).lessons == (lesson,)
    assert latest_lessons(recorded_store)["narrow"] == (replace(narrow, state="superseded"), 2)
    assert latest_lessons(recorded_store)["other"] == (other, 1)
    assert misuse(recorded_store, desk=desk).lessons == (lesson,)
    assert _versions(recorded_store, "lessons") == {1, 2}


def test_a_lesson_for_several_findings_keeps_its_patch_when_no_repository_is_given(
    recorded_store: Store, desk: LocalDesk, tmp_path: Path
) -> None:
    [lesson] = misuse(recorded_store, repo=_harness(tmp_path), desk=desk).lessons
    wide = _bare(lesson, lesson_id="wide", findings=(*lesson.findings, "something else"))
    desk.propose(wide)
    desk.happen(lesson.lesson_id, "supersede")
    [kept] = misuse(recorded_store, desk=desk).lessons
    assert kept.lesson_id == "wide"
    assert kept.patch == lesson.patch


def test_every_proposed_lesson_has_passed_its_gate_or_says_why_not(
    recorded_store: Store, desk: LocalDesk, tmp_path: Path
) -> None:
    [lesson] = misuse(recorded_store, repo=_harness(tmp_path), desk=desk).lessons
    assert lesson.state == "evaluated"
    [evaluation] = lesson.evaluations
    assert evaluation["verdict"] in ("pass", "fail", "inconclusive")
    assert evaluation["reason"]
    assert evaluation["content_hash"] == content_hash(lesson)


def test_an_analyzer_that_raises_is_reported_and_the_others_go_on(
    recorded_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(store: Store, window: Window) -> Iterator[Hypothesis]:
        for one in error_clusters(store, window):
            yield replace(one, analyzer="broken")
        message = "no such column"
        raise KeyError(message)

    others = registry.installed_analyzers(["error_clusters", "tool_argument_misuse"])
    chosen = [Analyzer("broken", "1", broken), *others]
    monkeypatch.setattr(job, "installed_analyzers", lambda _names: chosen)
    report = learn(recorded_store)
    assert report.failed == {"broken": "KeyError: 'no such column'"}
    assert report.findings
    told = {one.analyzer for one in (*report.findings, *report.held_back)}
    assert "error_clusters" in told
    assert "broken" not in told  # what it had counted by then is not all that it would have asked
    assert not learn(recorded_store).nothing_new


def test_an_unknown_analyzer_is_named_with_the_known_ones(store: Store) -> None:
    with pytest.raises(UnknownAnalyzer, match=r"installed: .*tool_argument_misuse"):
        learn(store, analyzers=["nonesuch"])


def test_an_empty_store_teaches_nothing(store: Store) -> None:
    report = learn(store)
    assert (report.runs, report.spans) == (0, 0)
    assert (report.findings, report.lessons, report.held_back) == ((), (), ())


def test_a_replayed_span_is_one_call(recorded_store: Store) -> None:
    tools = {row["ToolName"] for row in recorded.recorded_rows()}
    calls = [
        call for made in calls_by_run(recorded_store, Window(), sorted(tools)) for call in made
    ]
    assert len(calls) == len(recorded.recorded_rows())


def _versions(store: Store, table: str) -> set[int]:
    return {row["Version"] for row in store.query(f"SELECT Version FROM {table}")}

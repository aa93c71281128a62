"""Runs that cannot be read, or change while they are counted: told, and nothing else stops."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from learning.fill import fill
from learning.poisoned import poisoned_world
from spanlore.analyzers import extraction, job
from spanlore.analyzers.core.hypothesis import Hypothesis, Support
from spanlore.analyzers.counting import fact_counts as counting
from spanlore.analyzers.dream import dream_state
from spanlore.analyzers.extraction import extract_pending, unread
from spanlore.analyzers.job import learn
from spanlore.analyzers.registry import Analyzer, Extractor, installed_analyzers
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.runs.run_traces import run_traces
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import EFFECTS, EXPOSURES, OVERRIDES, REVOKED_TRACES
from spanlore.schemas.semconv import ARM_EXPOSED
from spanlore.schemas.store import Store, StoreUnreachable
from tests.analyzers.test_extraction import lines, tool_facts
from tests.loaded_runs import load_lines
from tests.local_desk import LocalDesk

LATER = datetime(2100, 1, 1, tzinfo=UTC)
ARMS = {f"{arm}_{what}": 0 for arm in ("exposed", "other") for what in ("events", "clusters")}
EFFECT_DETAIL = json.dumps({**ARMS, "reason": "", "clusters_are": "users"})
AGAIN = (
    "INSERT INTO agent_runs SELECT * REPLACE(Version + 1 AS Version, "
    "SealedAt + toIntervalHour(1) AS SealedAt{more}) FROM agent_runs FINAL"
)


@pytest.fixture
def extractors(monkeypatch: pytest.MonkeyPatch) -> list[Extractor]:
    installed = [Extractor("tools", "1", tool_facts)]
    for module in (extraction, counting, job):
        monkeypatch.setattr(module, "installed_extractors", lambda: installed, raising=False)
    return installed


@pytest.fixture
def desk(migrated_url: str) -> Iterator[LocalDesk]:
    opened = LocalDesk(migrated_url)
    yield opened
    opened.desk.close()


def breaks(run: RunTrace) -> Iterator[Fact]:
    yield Fact(key="seen")
    if len(run.calls) > 3:
        message = "too many" * 1_000
        raise ValueError(message)


def counts(store: Store, window: Window) -> dict[str, tuple[int, ...]]:
    return {
        one.key: (one.support.n, one.support.k, int(one.strata.other_n.sum()))
        for one in counting.rates(store, window, "tools", group="''")
    }


def marks(store: Store) -> dict[tuple[str, int], int]:
    sql = "SELECT Extractor, K, count() AS n FROM run_facts FINAL WHERE Key = '' GROUP BY 1, 2"
    return {(row["Extractor"], row["K"]): row["n"] for row in store.query(sql)}


@pytest.mark.usefixtures("extractors")
def test_a_run_with_too_many_spans_is_told_and_not_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def reading(store: Store, trace_ids: Sequence[str]) -> Iterator[RunTrace]:
        read.extend(trace_ids)
        return run_traces(store, trace_ids)

    monkeypatch.setattr(extraction, "run_traces", reading)
    load_lines(store, tmp_path, lines(20))
    store.command(
        "INSERT INTO agent_runs SELECT * REPLACE(Version + 1 AS Version, 20001 AS Spans) "
        "FROM agent_runs FINAL ORDER BY TraceId LIMIT 2"
    )
    assert extract_pending(store, Window()).runs == len(read) == 18
    assert extract_pending(store, Window()).runs == 0
    assert marks(store) == {("tools", 0): 18, ("tools", 2): 2}
    assert unread(store, Window()).failed == {}
    assert unread(store, Window()).too_large.startswith("2 runs were not read: trace ")


@pytest.mark.usefixtures("extractors")
def test_a_revoked_trace_is_not_read(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, lines(20))
    revoked = store.query("SELECT TraceId FROM agent_runs ORDER BY TraceId LIMIT 3")
    store.insert(
        REVOKED_TRACES, [{**one, "By": "me", "Reason": "", "At": LATER} for one in revoked]
    )
    assert extract_pending(store, Window()).runs == 17


@pytest.mark.usefixtures("extractors")
def test_a_run_that_cannot_be_read_keeps_no_other_back(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_lines(store, tmp_path, lines(20))
    [bad] = store.query("SELECT max(TraceId) AS id FROM agent_runs")

    def reading(store: Store, trace_ids: Sequence[str]) -> Iterator[RunTrace]:
        for trace in run_traces(store, trace_ids):
            if trace.trace_id == bad["id"]:
                message = "half a character"
                raise UnicodeError(message)
            yield trace

    monkeypatch.setattr(extraction, "run_traces", reading)
    done = extract_pending(store, Window())
    assert done.runs == 20
    assert done.failed == {"tools": f"UnicodeError: half a character (trace {bad['id']})"}
    assert marks(store) == {("tools", 0): 19, ("tools", 1): 1}
    assert extract_pending(store, Window()).runs == 0


@pytest.mark.usefixtures("extractors")
def test_a_store_that_is_away_is_no_bad_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_store: Store, _trace_ids: Sequence[str]) -> Iterator[RunTrace]:
        message = "away"
        raise StoreUnreachable(message)

    load_lines(store, tmp_path, lines(3))
    monkeypatch.setattr(extraction, "run_traces", away)
    with pytest.raises(StoreUnreachable):
        extract_pending(store, Window())
    assert marks(store) == {}


def test_numbers_that_cannot_be_counted_are_the_extractors_failure(
    store: Store, tmp_path: Path, extractors: list[Extractor]
) -> None:
    extractors.append(Extractor("huge", "1", lambda _run: [Fact(key="a", value=10**400)]))
    extractors.append(Extractor("minus", "1", lambda _run: [Fact(key="a", n=-1)]))
    load_lines(store, tmp_path, lines(5))
    assert set(extract_pending(store, Window()).failed) == {"huge", "minus"}
    assert marks(store) == {("tools", 0): 5, ("huge", 1): 5, ("minus", 1): 5}


def test_a_failed_extractor_is_told_until_its_version_changes(
    store: Store,
    tmp_path: Path,
    extractors: list[Extractor],
    *,
    desk: LocalDesk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "installed_analyzers", lambda _names: [])
    extractors.append(Extractor("breaks", "1", breaks))
    runs = lines(20)
    load_lines(store, tmp_path, runs)
    first = learn(store, desk=desk)
    assert first.failed_now == {"breaks"}
    second = learn(store, desk=desk)
    again = learn(store, desk=desk)
    several = sum(sum("tool_calls" in m for m in run["messages"]) > 3 for run in runs)
    assert several > 1
    for report in (second, again):
        assert report.failed_now == set()
        assert report.failed["breaks"].startswith(f"{several} runs could not be read: ValueError")
        assert len(report.failed["breaks"]) < 500
    assert (second.nothing_new, again.nothing_new) == (False, True)
    extractors[1] = Extractor("breaks", "2", tool_facts)
    mended = learn(store, desk=desk)
    assert (mended.nothing_new, dict(mended.failed)) == (False, {})


def test_only_what_rests_on_a_failed_extractor_is_incomplete() -> None:
    chosen = [Analyzer(name, "1", lambda _store, _window: ()) for name in ("one", "two")]
    assert job.complete_analyzers(chosen, {}) == {"one", "two"}
    assert job.complete_analyzers(chosen, {"one": "2 runs"}) == {"two"}
    assert job.complete_analyzers(chosen, {"shared": "2 runs"}) == set()


@pytest.mark.usefixtures("extractors")
def test_what_is_sealed_after_the_end_of_a_window_does_not_count(
    store: Store, tmp_path: Path
) -> None:
    runs = lines(40)
    load_lines(store, tmp_path, runs[:30])
    [sealed] = store.query("SELECT max(SealedAt) AS at FROM agent_runs")
    window = Window(until=sealed["at"].replace(tzinfo=UTC))
    extract_pending(store, window)
    before = counts(store, window)
    assert before
    store.command(AGAIN.format(more=", 'other' AS Model"))
    assert extract_pending(store, window).runs == 0
    assert counts(store, window) == before
    assert counts(store, Window()) == {}


def test_no_analyzer_counts_what_is_sealed_after_the_end_of_its_window(store: Store) -> None:
    fill(store, poisoned_world(7, a_kind=4, runs=240))
    [sealed] = store.query("SELECT max(SealedAt) AS at FROM agent_runs")
    window = Window(until=sealed["at"].replace(tzinfo=UTC))
    extract_pending(store, window)
    before = supports(store, window)
    store.command(AGAIN.format(more=", 'other' AS Model, 'pass' AS Outcome, 'nobody' AS UserId"))
    assert supports(store, window) == before
    now = supports(store, Window())
    changed = {name for name, counted in before.items() if counted != now[name]}
    assert len(changed) > len(before) / 2, changed  # or this test would not notice


def supports(store: Store, window: Window) -> dict[str, dict[str, Support]]:
    return {
        analyzer.name: {one.key: one.support for one in analyzer.analyze(store, window)}
        for analyzer in installed_analyzers()
    }


@pytest.mark.usefixtures("extractors")
@pytest.mark.parametrize("after", [1, 2, 3])
def test_runs_sealed_between_two_queries_of_a_question_do_not_count(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    load_lines(store, tmp_path, lines(30))
    extract_pending(store, Window())
    before = counts(store, Window())
    seal_after(store, after, monkeypatch=monkeypatch, sql=AGAIN.format(more=", 'b' AS Model"))
    assert counts(store, Window()) == before


@pytest.mark.usefixtures("extractors")
def test_runs_that_are_gone_between_two_queries_are_an_error_that_says_so(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_lines(store, tmp_path, lines(30))
    extract_pending(store, Window())
    seal_after(store, 2, monkeypatch=monkeypatch, sql="TRUNCATE TABLE agent_runs SYNC")
    with pytest.raises(counting.RunsChanged, match="learn again"):
        counts(store, Window())


def seal_after(store: Store, queries: int, *, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    """Let a statement run in the store right after so many queries of it were answered."""
    answered = 0

    def then(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*args: Any) -> Any:
            nonlocal answered
            answer = ask(*args)
            answered += 1
            if answered == queries:
                store.command(sql)
            return answer

        return asked

    monkeypatch.setattr(store, "query", then(store.query))
    monkeypatch.setattr(store, "columns", then(store.columns))


@pytest.mark.usefixtures("extractors")
def test_only_a_whole_round_takes_runs_off_what_is_new(
    store: Store, tmp_path: Path, desk: LocalDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_store: Store, _window: Window) -> Iterator[Hypothesis]:
        message = "no such column"
        raise KeyError(message)

    def named(names: Sequence[str]) -> list[Analyzer]:
        return [Analyzer(one, "1", lambda _store, _window: ()) for one in names or ("one", "two")]

    load_lines(store, tmp_path, lines(10))
    monkeypatch.setattr(job, "installed_analyzers", named)
    learn(store, desk=desk, analyzers=["one"])
    learn(store, desk=desk, since=datetime(2000, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(job, "installed_analyzers", lambda _names: [Analyzer("one", "1", failing)])
    learn(store, desk=desk)
    monkeypatch.setattr(job, "installed_analyzers", named)
    with monkeypatch.context() as stopped:
        stopped.setattr(job, "settle", failing)
        with pytest.raises((KeyError, TypeError)):
            learn(store, desk=desk)
    assert (dream_state(store).new_runs, dream_state(store).learned_at) == (10, None)
    assert not learn(store, desk=desk).nothing_new
    assert dream_state(store).new_runs == 0
    assert learn(store, desk=desk).nothing_new


@pytest.mark.usefixtures("extractors")
def test_what_users_and_deliveries_say_is_something_new(
    store: Store, tmp_path: Path, desk: LocalDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "installed_analyzers", lambda _names: [])
    load_lines(store, tmp_path, lines(3))
    said = {"TenantId": "acme", "TraceId": "t", "At": LATER}
    rows = (
        (OVERRIDES, {**said, "OverrideId": "1"}),
        (OVERRIDES, {**said, "OverrideId": "2"}),
        (EXPOSURES, {**said, "LessonId": "l", "LessonVersion": 1, "Arm": ARM_EXPOSED}),
        (EFFECTS, {"LessonId": "l", "At": LATER, "Detail": EFFECT_DETAIL}),
        (EFFECTS, {"LessonId": "l", "At": LATER + timedelta(hours=1), "Detail": EFFECT_DETAIL}),
    )
    assert not learn(store, desk=desk).nothing_new
    for table, row in rows:
        assert learn(store, desk=desk).nothing_new
        store.insert(table, [row])
        assert not learn(store, desk=desk).nothing_new, table
    [gone] = store.query("SELECT min(TraceId) AS id FROM agent_runs")
    store.command("DELETE FROM agent_runs WHERE TraceId = {id:String}", gone)
    assert not learn(store, desk=desk).nothing_new

"""Rounds of learning at the real desk: what is proposed, what ends, what a person is told."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spanlore.analyzers import job
from spanlore.analyzers.core.hypothesis import Hypothesis, Stratum, Support
from spanlore.analyzers.core.statistics import Table
from spanlore.analyzers.job import LearnReport, learn
from spanlore.analyzers.lessons.lesson_notes import standing_notes
from spanlore.analyzers.records import standing_findings
from spanlore.analyzers.registry import Analyzer
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import EXPOSURES, LESSON_NOTES
from spanlore.schemas.lesson_records import latest_lessons
from spanlore.schemas.semconv import ARM_EXPOSED
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS
from spanlore.schemas.types import Lesson
from tests.analyzers.standing_lessons import SLOT, memory
from tests.local_desk import LocalDesk

START = datetime(2024, 5, 1, tzinfo=UTC)


@dataclass
class World:
    """A store and its desk; each round counts what it is told was seen."""

    store: Store
    desk: LocalDesk
    monkeypatch: pytest.MonkeyPatch
    rounds: int = 0

    def learn(
        self, *seen: Hypothesis, at: datetime | None = None, fails: bool = False, **rest: Any
    ) -> LearnReport:
        """Seal one run more, let the analyzers see this, and learn."""
        self.rounds += 1
        now = START + timedelta(hours=self.rounds)
        tenant = "acme" if self.rounds % 2 else "globex"
        run = {"TraceId": f"r{self.rounds}", "TenantId": tenant, "Spans": 1, "Version": 1}
        self.store.insert(RUNS, [{**run, "LastReceivedAt": now, "SealedAt": now}])
        names = ("preference_override", "retry_storm_and_loops")
        chosen = [Analyzer(name, "1", _seeing(name, seen)) for name in names]
        chosen += [Analyzer("failing", "1", _failing)] if fails else []
        self.monkeypatch.setattr(job, "installed_analyzers", lambda _names: chosen)
        return learn(self.store, desk=self.desk, at=at or now, **rest)

    def lesson(self, lesson_id: str) -> Lesson:
        return latest_lessons(self.store)[lesson_id][0]

    def events(self) -> int:
        return self.desk.desk.status()["log_entries"]  # type: ignore[no-any-return]


def _failing(_store: Store, _window: Window) -> Iterator[Hypothesis]:
    message = "no such column"
    raise KeyError(message)
    yield


def _seeing(name: str, seen: Sequence[Hypothesis]) -> Callable[..., Iterator[Hypothesis]]:
    return lambda _store, _window: (one for one in seen if one.analyzer == name)


@pytest.fixture
def world(store: Store, migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    opened = LocalDesk(migrated_url)
    yield World(store, opened, monkeypatch)
    opened.desk.close()


def hypothesis(analyzer: str, key: str, *, k: int, **detail: Any) -> Hypothesis:
    """Something that is so in most of many looks: it will be confirmed."""
    halves = (True, False)
    return Hypothesis(
        analyzer=analyzer,
        key=key,
        title=key,
        support=Support(n=2 * k, k=k, runs=2 * k, units=20),
        strata=tuple(
            Stratum(name=str(half), unit="", table=Table(k, k / 2, 0, 0), discovers=half)
            for half in halves
        ),
        adjusted_for=(),
        evidence=("r1",),
        counter_evidence=(),
        floor=0.05,
        detail=detail,
    )


def retry(k: int = 100) -> Hypothesis:
    detail = {"kind": "rate", "pattern": "retry", "tool": "search"}
    counts = {"n_counts": "runs in which search fails", "k_counts": "those that call it again"}
    return hypothesis("retry_storm_and_loops", "retry|search", k=k, **detail, **counts)


def wants(value: str, *, k: int = 100, user: str = "ana", field: str = "/start") -> Hypothesis:
    scope: dict[str, Any] = {"level": "user", "tenant": "acme", "key": user, "selector": {}}
    if not user:
        scope = {**scope, "level": "tenant", "key": "acme"}
    return hypothesis(
        "preference_override",
        f"{field}|{value}|{user}",
        k=k,
        kind="preference",
        slot={**SLOT, "field": field, "part": "value"},
        value=value,
        instead_of=None,
        scope=scope,
        inside={"rate": 0.8},
    )


def test_a_finding_of_the_harness_is_a_lesson_whose_gate_waits_for_a_person(world: World) -> None:
    report = world.learn(retry())
    [lesson] = report.lessons
    assert (lesson.layer, lesson.kind, lesson.state) == ("harness", "retry_logic", "evaluated")
    [evaluation] = lesson.evaluations
    assert evaluation["verdict"] == "inconclusive"
    [kept] = standing_findings(world.store)
    assert kept.detail["triage"]["layer"] == "harness"
    assert "retrying is the harness's to bound" in kept.detail["triage"]["reason"]


def test_the_same_again_changes_nothing(world: World) -> None:
    first = world.learn(retry(), wants("10:00"), wants("EUR", user="", field="/currency"))
    before = world.events()
    again = world.learn(retry(), wants("10:00"), wants("EUR", user="", field="/currency"))
    assert {one.kind for one in first.lessons} == {"retry_logic", "memory", "tenant_config"}
    assert world.events() == before
    assert (again.ended, again.notes) == ((), ())


def test_what_is_confirmed_no_more_is_withdrawn_and_comes_back_with_its_finding(
    world: World,
) -> None:
    [lesson] = world.learn(wants("10:00")).lessons
    report = world.learn()
    assert [(one.lesson_id, one.kind) for one in report.ended] == [(lesson.lesson_id, "withdraw")]
    assert report.json()["ended"][0]["how"] == "withdraw"
    assert world.lesson(lesson.lesson_id).state == "withdrawn"
    assert world.learn().ended == ()
    [back] = world.learn(wants("10:00")).lessons
    assert (back.lesson_id, back.state) == (lesson.lesson_id, "evaluated")


def test_a_part_of_the_runs_takes_nothing_back(world: World) -> None:
    world.learn(wants("10:00"))
    assert world.learn(since=START).ended == ()


def test_a_round_in_which_an_analyzer_failed_takes_nothing_back(world: World) -> None:
    world.learn(wants("10:00"))
    report = world.learn(fails=True)
    assert (set(report.failed), report.ended) == ({"failing"}, ())


def test_a_newer_and_better_supported_value_takes_the_place_of_the_old(world: World) -> None:
    [old] = world.learn(wants("10:00", k=40)).lessons
    report = world.learn(wants("10:00", k=40), wants("11:00", k=100))
    assert [(one.lesson_id, one.kind) for one in report.ended] == [(old.lesson_id, "supersede")]
    assert world.lesson(old.lesson_id).state == "superseded"
    assert [one.content["value"] for one in report.lessons] == ["11:00"]


def test_an_even_conflict_is_told_to_a_person_until_it_is_over(world: World) -> None:
    world.learn(wants("10:00"))
    report = world.learn(wants("10:00"), wants("11:00"))
    assert report.ended == ()
    [note] = standing_notes(world.store)
    assert (note, note.kind) == (report.notes[0], "conflict")
    rows = f"SELECT count() AS n FROM {LESSON_NOTES}"
    before = world.store.query(rows)
    world.learn(wants("10:00"), wants("11:00"))
    assert world.store.query(rows) == before
    world.learn(wants("10:00"))
    assert standing_notes(world.store) == []


def test_what_policy_approved_and_nobody_uses_is_withdrawn_after_a_while(world: World) -> None:
    lesson = memory("mine")
    world.desk.propose(lesson)
    world.desk.happen("mine", "evaluate", {"verdict": "pass"})
    world.desk.by_policy("mine")
    soon, later = (datetime.now(UTC) + timedelta(days=days) for days in (80, 100))
    assert world.learn(at=soon).ended == ()
    given = {"LessonId": "mine", "TenantId": "acme", "TraceId": "r1", "Arm": ARM_EXPOSED}
    world.store.insert(EXPOSURES, [{**given, "At": datetime.now(UTC) + timedelta(days=50)}])
    assert world.learn(at=later).ended == ()
    [ended] = world.learn(at=later + timedelta(days=90)).ended
    assert (ended.lesson_id, ended.kind) == ("mine", "withdraw")
    assert world.lesson("mine").state == "withdrawn"


def test_what_a_person_approved_is_shown_to_a_person_instead(world: World) -> None:
    world.desk.propose(memory("mine"))
    world.desk.happen("mine", "evaluate", {"verdict": "pass"})
    world.desk.happen("mine", "approve")
    report = world.learn(at=datetime.now(UTC) + timedelta(days=100))
    assert report.ended == ()
    assert [(one.lesson_id, one.kind) for one in report.notes] == [("mine", "retire")]
    assert world.lesson("mine").state == "approved"


def test_five_users_lessons_are_proposed_for_their_tenant_with_a_gate_of_its_own(
    world: World,
) -> None:
    for number in range(5):
        world.desk.propose(memory(f"m{number}", user=f"u{number}"))
        world.desk.happen(f"m{number}", "evaluate", {"verdict": "pass"})
        world.desk.happen(f"m{number}", "approve")
    report = world.learn()
    [lesson] = report.lessons
    assert (lesson.scope, lesson.tenant, lesson.state) == ("tenant", "acme", "evaluated")
    assert lesson.evaluations[0]["verdict"] == "inconclusive"  # no runs to hold it against
    before = world.events()
    assert [one.lesson_id for one in world.learn().lessons] == [lesson.lesson_id]
    assert world.events() == before  # it stands, and its gate says the same
    world.desk.happen(lesson.lesson_id, "reject")
    assert world.learn().lessons == ()
    assert {world.lesson(f"m{number}").state for number in range(5)} == {"approved"}


def test_a_dry_run_says_what_would_end_and_ends_nothing(world: World) -> None:
    [lesson] = world.learn(wants("10:00")).lessons
    world.learn(wants("10:00"))
    before = world.events()
    names = ("preference_override",)
    chosen = [Analyzer(name, "2", _seeing(name, ())) for name in names]
    world.monkeypatch.setattr(job, "installed_analyzers", lambda _names: chosen)
    report = learn(world.store)
    assert [one.lesson_id for one in report.ended] == [lesson.lesson_id]
    assert world.events() == before
    assert world.lesson(lesson.lesson_id).state == "evaluated"


def test_a_lesson_that_changed_meanwhile_does_not_end(world: World) -> None:
    [lesson] = world.learn(wants("10:00")).lessons
    said = world.learn().ended
    world.learn(wants("10:00"))
    decided = world.desk.happen(lesson.lesson_id, "approve")
    world.desk.submit([], [], said)
    assert world.lesson(lesson.lesson_id) == decided

"""Every path through the rules of a lesson's life, with no store: none leads around the gate."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from spanlore.review import log
from spanlore.review.log import PROPOSE, START, Draft
from spanlore.review.log_scrub import LogScrub
from spanlore.review.memories import memory
from spanlore.review.scrub import Whose, says_of
from spanlore.review.shelf import Standing, follow
from spanlore.schemas.lesson_state import (
    MEASURED,
    VERDICTS,
    EventKind,
    LessonEvent,
    TransitionRefused,
    content_hash,
    proposed,
    transition,
)
from spanlore.schemas.types import Lesson
from tests.review.gate import LIVE, Told, assert_passed_the_gate
from tests.review.lessons import HARNESS, memory_lesson

AT = datetime(2024, 5, 1, tzinfo=UTC)
NAMES = ("ada", "policy", " ")
ENDS: tuple[EventKind, ...] = ("reject", "roll_back", "supersede", "expire", "revoke")
GOES_ON: tuple[EventKind, ...] = ("roll_out", "quarantine", "release")
FORGED: Mapping[str, Any] = {"human": True, "by": "eve", "decision": "approve"}
# Of a run that all lessons rest on, of a text in which one wording differs from another, of one who
# approved.
WHOSE = (
    Whose(tenant="acme", user="nobody", trace_ids=frozenset({"a" * 32})),
    Whose(tenant="acme", user="another", trace_ids=frozenset()),
    Whose(tenant="acme", user="ada", trace_ids=frozenset(), lesson_ids=frozenset({"l1"})),
)
CONTENTS = (
    memory_lesson("a"),
    memory_lesson("a", body="another"),
    memory_lesson("a", "tenant"),
    replace(HARNESS, lesson_id="a"),
)
# With those that cannot be told from each other once somebody is erased.
WORDINGS = (
    *CONTENTS,
    memory_lesson("a", evidence=("b" * 32,)),
    memory_lesson("a", evidence=("b" * 32, "a" * 32)),
    memory_lesson("a", body="(erased)"),
)


def assert_live_lessons_passed_the_gate(lesson: Lesson, story: list[Told]) -> None:
    standing = Standing(lesson=lesson, version=1, seq=1, approved_seq=1)
    if lesson.state in LIVE or memory(standing) is not None:
        assert_passed_the_gate(lesson, story)


def every_event(lesson: Lesson) -> Iterator[LessonEvent]:
    """Everything that may be said of a lesson, true or not."""
    right = content_hash(lesson)
    for by in NAMES:
        for human in (False, True):
            for detail in ({}, {"content_hash": right}, {"content_hash": "00"}, FORGED):
                yield LessonEvent(kind="approve", by=by, at=AT, human=human, detail=detail)
            yield LessonEvent(kind="release", by=by, at=AT, human=human)
    for verdict in VERDICTS:
        yield LessonEvent(kind="evaluate", by="learn", at=AT, detail={"verdict": verdict})
    for verdict in MEASURED:
        yield LessonEvent(kind="measure", by="learn", at=AT, detail={"effect": verdict})
    for kind in (*ENDS, *GOES_ON):
        yield LessonEvent(kind=kind, by="learn", at=AT)


def every_proposal() -> Iterator[Lesson]:
    for lesson in CONTENTS:
        for state in ("proposed", "quarantined", "evaluated", "approved"):
            yield replace(lesson, state=state)
        verdict = {"verdict": "pass", "content_hash": content_hash(lesson)}
        approval = {"by": "eve", "human": True, "content_hash": content_hash(lesson)}
        yield replace(lesson, evaluations=(verdict,))
        yield replace(lesson, evaluations=(verdict,), approvals=(approval,))


def next_steps(lesson: Lesson | None) -> Iterator[Told]:
    """Everything that can come of a lesson in one step."""
    for fresh in every_proposal():
        try:
            after = proposed(lesson, fresh)
        except ValueError:
            continue
        if after is not None:
            yield Told(PROPOSE, "learn", human=False, lesson=after)
    if lesson is None:
        return
    for event in every_event(lesson):
        try:
            yield Told(event.kind, event.by, event.human, transition(lesson, event))
        except TransitionRefused:
            continue


def kept(lesson: Lesson) -> tuple[Any, ...]:
    """What the rules look at of a lesson: lessons that agree in it have the same future."""
    last = (lesson.evaluations[-1:], lesson.approvals[-1:])
    return (lesson.state, content_hash(lesson), repr(last))


def test_no_path_at_all_leads_around_the_gate() -> None:
    seen: set[tuple[Any, ...]] = set()
    live = 0
    ways: list[list[Told]] = [[]]
    while ways:
        way = ways.pop()
        for told in next_steps(way[-1].lesson if way else None):
            story = [*way, told]
            assert_live_lessons_passed_the_gate(told.lesson, story)
            if kept(told.lesson) not in seen:
                seen.add(kept(told.lesson))
                live += told.lesson.state in LIVE
                ways.append(story)
    assert live > 50
    assert {state for state, *_ in seen} >= LIVE


class Paths(RuleBasedStateMachine):
    """Lessons, and the log of what was done to them."""

    lessons = Bundle("lessons")

    def __init__(self) -> None:
        super().__init__()
        self.stands: dict[str, Lesson] = {}
        self.log: list[Draft] = []

    @rule(target=lessons, content=st.sampled_from(WORDINGS), verdict=st.sampled_from(VERDICTS))
    def begin(self, content: Lesson, verdict: str) -> str:
        lesson_id = f"l{len(self.stands)}"
        self.propose(replace(content, lesson_id=lesson_id))
        self.evaluate(lesson_id, verdict)
        return lesson_id

    @rule(
        lesson_id=lessons,
        content=st.sampled_from(WORDINGS),
        title=st.sampled_from(["t", "u"]),
        state=st.sampled_from(["proposed", "quarantined"]),
    )
    def reword(self, lesson_id: str, content: Lesson, title: str, state: str) -> None:
        self.propose(replace(content, lesson_id=lesson_id, title=title, state=state))

    @rule(lesson_id=lessons, verdict=st.sampled_from(VERDICTS))
    def evaluate(self, lesson_id: str, verdict: str) -> None:
        self.happen(lesson_id, "evaluate", by="learn", detail={"verdict": verdict})

    @rule(lesson_id=lessons, by=st.sampled_from(NAMES), human=st.booleans(), forged=st.booleans())
    def approve(self, lesson_id: str, by: str, *, human: bool, forged: bool) -> None:
        self.happen(lesson_id, "approve", by=by, human=human, detail=FORGED if forged else {})

    @rule(lesson_id=lessons, measured=st.sampled_from(sorted(MEASURED)))
    def measure(self, lesson_id: str, measured: str) -> None:
        self.happen(lesson_id, "measure", by="learn", detail={"effect": measured})

    @rule(lesson_id=lessons, kind=st.sampled_from(GOES_ON), human=st.booleans())
    def go_on(self, lesson_id: str, kind: EventKind, *, human: bool) -> None:
        self.happen(lesson_id, kind, by="ada", human=human)

    @rule(lesson_id=lessons, kind=st.sampled_from(ENDS))
    def end(self, lesson_id: str, kind: EventKind) -> None:
        self.happen(lesson_id, kind, by="ada")

    def propose(self, fresh: Lesson) -> None:
        after = proposed(self.stands.get(fresh.lesson_id), fresh)
        if after is not None:
            self.keep(after, PROPOSE, by="learn", human=False, detail={})

    def happen(
        self,
        lesson_id: str,
        kind: EventKind,
        *,
        by: str,
        human: bool = False,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        said = detail or {}
        event = LessonEvent(kind=kind, by=by, at=self.now(), human=human, detail=said)
        try:
            after = transition(self.stands[lesson_id], event)
        except TransitionRefused:
            return
        self.keep(after, kind, by=by, human=human, detail=said)

    def keep(
        self, after: Lesson, event: str, *, by: str, human: bool, detail: Mapping[str, Any]
    ) -> None:
        draft = Draft(
            at=self.now(),
            by=by,
            human=human,
            event=event,
            lesson=after,
            version=len(self.story(after.lesson_id)) + 1,
            detail=detail,
            peer="",
        )
        self.stands[after.lesson_id] = after
        self.log.append(draft)

    def now(self) -> datetime:
        return AT + timedelta(microseconds=len(self.log))

    def story(self, lesson_id: str) -> list[Told]:
        return [
            Told(one.event, one.by, one.human, one.lesson)
            for one in self.log
            if one.lesson is not None and one.lesson.lesson_id == lesson_id
        ]

    @invariant()
    def what_is_live_passed_the_gate(self) -> None:
        for lesson_id, lesson in self.stands.items():
            assert_live_lessons_passed_the_gate(lesson, self.story(lesson_id))

    def teardown(self) -> None:
        """The log, followed from its first entry, leads to the same lessons."""
        found: dict[str, Standing] = {}
        for entry in log.chained(self.log, START):
            lesson = entry.lesson
            assert lesson is not None
            found[lesson.lesson_id] = follow(found.get(lesson.lesson_id), entry, lesson)
        assert {key: standing.lesson for key, standing in found.items()} == self.stands
        for whose in WHOSE:
            assert_it_holds_without(self.log, whose)


def assert_it_holds_without(drafts: list[Draft], whose: Whose) -> None:
    """Whoever is erased: every entry may still follow the one before, and none tells of them."""
    rows = {
        entry.seq: {
            **log.entry_row(entry),
            "AtNano": log.micros(entry.at) * 1000,
            "Replacement": "",
        }
        for entry in log.chained(drafts, START)
    }
    scrub = LogScrub(whose)
    scrub.read(rows.values())
    for row in scrub.rows:
        rows[row["Seq"]] = {**rows[row["Seq"]], **row, "ErasedBy": len(rows) + 1}
        rows[row["Seq"]]["Replacement"] = scrub.commitments()[str(row["Seq"])]
    assert log.verify(list(rows.values()))[1] is None
    stands: dict[str, Standing] = {}
    for row in rows.values():
        assert not says_of(f"{row['By']}\n{row['Detail']}\n{row['Lesson']}", whose)
        entry = log.entry_of_row(row)
        if (lesson := entry.lesson) is not None:
            stands[lesson.lesson_id] = follow(stands.get(lesson.lesson_id), entry, lesson)
    assert not whose.lesson_ids & stands.keys()


TestPaths = Paths.TestCase
TestPaths.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)

"""What becomes of standing memories: whole lessons end or stay, and none is lost."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanlore.analyzers.lessons.consolidation import Known, consolidate
from spanlore.analyzers.lessons.lesson_note import Note
from spanlore.analyzers.lessons.lesson_usage import Usage, counters
from spanlore.schemas.lesson_state import DELIVERED, UNDECIDED, Ending
from spanlore.schemas.types import Arm, Effect, Lesson
from tests.analyzers.standing_lessons import NOW, applied, ends, finding, known, memory, settled

EARLIER = (NOW - timedelta(days=100)).isoformat()
LATER = (NOW + timedelta(days=100)).isoformat()


def valid(lesson: Lesson, **times: str) -> Lesson:
    return replace(lesson, content={**lesson.content, **times})


def support(state: Known, **counts: int) -> Known:
    """Let what the lessons say have been seen so often."""
    found = {f"finding of {name}": finding(f"finding of {name}", k=k) for name, k in counts.items()}
    return replace(state, findings={**state.findings, **found})


def test_where_all_is_well_nothing_happens() -> None:
    said = consolidate(known(memory("a"), memory("b", user="bob"), memory("c", tenant="globex")))
    assert (said.endings, said.notes) == ((), ())


def test_what_is_newer_and_better_supported_stands_in_the_place_of_the_old() -> None:
    state = support(known(memory("old"), memory("new", "11:00")), old=5, new=20)
    assert ends(consolidate(state)) == {"old": ("supersede", "new")}


@pytest.mark.parametrize(("old", "new"), [(20, 20), (20, 22), (40, 5)])
def test_where_that_is_not_so_clear_both_stay_and_a_person_is_told(old: int, new: int) -> None:
    said = consolidate(support(known(memory("old"), memory("new", "11:00")), old=old, new=new))
    assert said.endings == ()
    [note] = said.notes
    assert (note.kind, note.lesson_id, note.other_id) == ("conflict", "new", "old")
    assert f"seen {new} times, the other {old}" in note.reason


def test_what_was_proposed_in_the_same_round_is_not_newer() -> None:
    state = support(known(memory("one"), memory("two", "11:00"), since={}), one=5, two=50)
    said = consolidate(state)
    assert (said.endings, [note.kind for note in said.notes]) == ((), ["conflict"])


def test_what_a_person_approved_stands_until_a_person_approves_the_other() -> None:
    old = memory("old", state="approved by ada")
    state = support(known(old, memory("new", "11:00")), old=5, new=50)
    assert [note.kind for note in consolidate(state).notes] == ["conflict"]
    later = memory("new", "11:00", state="approved by ada")
    approval = {**later.approvals[0], "at": NOW.isoformat()}
    state = known(old, replace(later, approvals=(approval,)))
    assert ends(consolidate(state)) == {"old": ("supersede", "new")}


def test_what_policy_approved_is_superseded_by_what_policy_approved_with_better_support() -> None:
    both = (memory("old", state="rolled_out"), memory("new", "11:00", state="approved"))
    assert ends(consolidate(support(known(*both), old=5, new=50))) == {"old": ("supersede", "new")}
    assert ends(consolidate(support(known(*both), old=50, new=50))) == {}


def test_values_that_hold_at_other_times_do_not_contradict_each_other() -> None:
    summer = valid(memory("summer"), valid_from=EARLIER, valid_until=LATER)
    autumn = valid(memory("autumn", "11:00"), valid_from=LATER)
    assert consolidate(known(summer, autumn)).notes == ()


def test_a_lesson_whose_time_is_over_expires_whoever_approved_it() -> None:
    over = valid(memory("over", scope="tenant", state="rolled_out"), valid_until=EARLIER)
    unreadable = valid(memory("odd", user="bob"), valid_until="next spring")
    said = consolidate(known(over, unreadable))
    assert ends(said) == {"odd": ("expire", ""), "over": ("expire", "")}


def test_an_undecided_lesson_whose_finding_vanished_is_withdrawn() -> None:
    state = known(memory("a"))
    gone = replace(state, findings={})
    assert ends(consolidate(gone)) == {"a": ("withdraw", "")}
    held_back = {"finding of a": finding("finding of a", confirmed=False)}
    assert ends(consolidate(replace(state, findings=held_back))) == {"a": ("withdraw", "")}


def test_what_was_not_counted_has_not_vanished() -> None:
    gone = replace(known(memory("a")), findings={})
    assert ends(consolidate(replace(gone, complete=frozenset()))) == {}
    assert ends(consolidate(replace(gone, analyzer_of={}))) == {}


def test_a_memory_that_works_is_not_withdrawn_for_want_of_overrides() -> None:
    gone = replace(known(memory("a", state="verified")), findings={})
    assert consolidate(gone).endings == ()


@pytest.mark.parametrize(("scope", "ended"), [("user", True), ("tenant", False)])
def test_what_nobody_was_given_for_long_goes_or_is_shown_to_a_person(
    scope: str, *, ended: bool
) -> None:
    since = {"a": NOW - timedelta(days=400)}
    lesson = memory("a", scope=scope, state="rolled_out")
    long_ago = (NOW - timedelta(days=300)).isoformat()
    lesson = replace(lesson, approvals=({**lesson.approvals[0], "at": long_ago},))
    state = known(lesson, since=since)
    said = consolidate(state)
    assert ends(said) == ({"a": ("withdraw", "")} if ended else {})
    assert [note.kind for note in said.notes] == ([] if ended else ["retire"])
    lately = {"a": Usage(runs=1, last_given=NOW - timedelta(days=5))}
    said = consolidate(replace(state, usage=lately))
    assert (said.endings, said.notes) == ((), ())


@pytest.mark.parametrize(
    "kind", ["memory_mostly_contradicted", "memory_harmful", "memory_outlived"]
)
def test_a_finding_that_a_memory_is_outdated_takes_it_back(kind: str) -> None:
    stale = finding("stale", kind=kind, lesson_id="a")
    for state, expected in (("rolled_out", 1), ("approved by ada", 0)):
        before = known(memory("a", state=state))
        said = consolidate(replace(before, findings={**before.findings, "stale": stale}))
        assert (len(said.endings), len(said.notes)) == (expected, 1 - expected)


def test_a_rising_rate_alone_does_not() -> None:
    rising = finding("stale", kind="memory_rising", lesson_id="a")
    before = known(memory("a", state="rolled_out"))
    said = consolidate(replace(before, findings={**before.findings, "stale": rising}))
    assert said.endings == ()


def test_of_two_that_say_the_same_the_delivered_one_stays_else_the_older() -> None:
    assert ends(consolidate(known(memory("a"), memory("b")))) == {"b": ("supersede", "a")}
    both = known(memory("a"), memory("b", state="approved"))
    assert ends(consolidate(both)) == {"a": ("supersede", "b")}


def test_a_narrower_lesson_is_spoken_for_once_the_wider_is_delivered() -> None:
    wide = memory("wide", scope="tenant")
    mine, delivered = memory("mine"), memory("given", user="bob", state="rolled_out")
    theirs = memory("theirs", tenant="globex")
    assert ends(consolidate(known(wide, mine, theirs, delivered))) == {}
    wide = memory("wide", scope="tenant", state="rolled_out")
    said = consolidate(known(wide, mine, theirs, delivered))
    assert ends(said) == {"mine": ("supersede", "wide")}


def text(lesson_id: str, body: str, **changes: str) -> Lesson:
    return replace(memory(lesson_id, **changes), kind="skill", body=body, content={"name": body})


def test_texts_that_are_nearly_the_same_are_one() -> None:
    long = (
        "Look the reservation up before you change it, tell the user what it will cost and how "
        "long it takes, and wait for a yes; where two flights were booked, ask which one is meant."
    )
    one, other = text("a", long), text("b", f"{long} Then go.")
    assert ends(consolidate(known(one, other))) == {"b": ("supersede", "a")}
    assert ends(consolidate(known(one, text("b", "Cancel what was booked twice.")))) == {}
    elsewhere = replace(other, tenant="globex")
    assert ends(consolidate(known(one, elsewhere))) == {}


def test_other_layers_and_what_a_quarantine_holds_are_left_alone() -> None:
    harness = replace(memory("h"), layer="harness")
    held = replace(memory("q"), state="quarantined", content={})
    state = replace(known(harness, held), findings={})
    assert consolidate(state).endings == ()


def test_the_counters_are_what_the_interval_is_sure_of() -> None:
    arm = Arm(runs=100, users=20, clusters=20, events=10)
    effect = Effect(
        lesson_id="a",
        lesson_version=1,
        metric="override",
        compared_with="held_out",
        exposed=arm,
        other=arm,
        difference=-0.2,
        interval=(-0.3, -0.125),
        verdict="improved",
        reason="",
    )
    assert counters(effect) == {"helped": 12, "harmed": 0}
    assert counters(replace(effect, interval=(0.05, 0.2))) == {"helped": 0, "harmed": 5}
    assert counters(replace(effect, interval=(-0.1, 0.2))) == {"helped": 0, "harmed": 0}
    assert counters(None) == {"helped": 0, "harmed": 0}


STATES = ("proposed", "evaluated", "approved", "approved by ada", "rolled_out", "verified")


@st.composite
def worlds(draw: st.DrawFn) -> Known:
    """Lessons of two tenants, each tenant's values holding a canary that the other must not see."""
    lessons = []
    for number in range(draw(st.integers(0, 9))):
        tenant = draw(st.sampled_from(("acme", "globex")))
        scope = draw(st.sampled_from(("user", "tenant", "global")))
        secret = "shared" if scope == "global" else f"canary of {tenant}"
        lesson = memory(
            f"l{number} of {tenant if scope != 'global' else 'all'}",
            f"{secret} {draw(st.integers(0, 2))}",
            tenant=tenant,
            user=draw(st.sampled_from(("ana", "bob"))),
            scope=scope,
            state=draw(st.sampled_from(STATES)),
        )
        times = draw(st.sampled_from(({}, {"valid_until": EARLIER}, {"valid_from": LATER})))
        lessons.append(valid(lesson, **times))
    state = known(*lessons)
    found = {
        name: finding(name, k=draw(st.integers(1, 40)), confirmed=draw(st.booleans()))
        for name in state.findings
    }
    days = st.integers(0, 300)
    since = {one.lesson_id: NOW - timedelta(days=draw(days)) for one in lessons}
    return replace(state, findings=found, since=since)


def test_what_a_lesson_that_ends_now_would_have_ended_another_ends() -> None:
    over = valid(memory("a", "15:00", scope="tenant", state="rolled_out"), valid_until=EARLIER)
    stands = memory("b", "15:00", scope="tenant", state="rolled_out")
    endings = consolidate(known(over, stands, memory("c", "15:00"))).endings
    assert [(one.lesson_id, one.successor) for one in endings] == [("a", ""), ("c", "b")]


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_a_second_consolidation_ends_nothing_more(state: Known) -> None:
    once = settled(state)
    again = consolidate(once)
    assert again.endings == ()
    assert consolidate(applied(once, again)) == again


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_no_lesson_is_lost_and_no_word_of_one_is_changed(state: Known) -> None:
    after = settled(state).lessons
    assert after.keys() == state.lessons.keys()
    for lesson_id, lesson in state.lessons.items():
        assert replace(after[lesson_id], state=lesson.state) == lesson
    alive = {*DELIVERED, *UNDECIDED}
    for one in consolidate(state).endings:
        if one.kind == "supersede":
            assert _stands_in_its_place(after, one.successor, alive)


def _stands_in_its_place(after: Mapping[str, Lesson], lesson_id: str, alive: set[str]) -> bool:
    """Whether it, or something that says the same or otherwise for the same slot, is alive."""
    one = after[lesson_id]
    return one.state in alive or any(
        other.state in alive and other.content["slot"] == one.content["slot"]
        for other in after.values()
    )


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_what_is_said_of_one_tenant_holds_nothing_of_another(state: Known) -> None:
    said = consolidate(state)
    of = {one.lesson_id: one.tenant for one in state.lessons.values()}
    everything: list[Ending | Note] = [*said.endings, *said.notes]
    for told in everything:
        text = json.dumps(asdict(told))
        tenant = of[told.lesson_id]
        assert "canary" not in text
        for other in {"acme", "globex"} - {tenant}:
            assert f"of {other}" not in text or tenant == ""

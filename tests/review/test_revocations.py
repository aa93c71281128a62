"""Traces that nothing may be learned from any more, and what was learned from them."""

from dataclasses import replace

import pytest

from spanlore.review import log
from spanlore.review.change import Proposal
from spanlore.review.desk import Desk
from spanlore.review.memories import Identity, delivered
from spanlore.schemas.lesson_records import latest_lessons
from spanlore.schemas.lesson_state import TransitionRefused
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson
from tests.review.door_process import DoorProcess
from tests.review.lessons import ADA, LEARN, PASS, approved, memory_lesson

BAD, GOOD = "ab" * 16, "cd" * 16


def given(desk: Desk) -> list[str]:
    found = delivered(desk.book, Identity(tenant="acme", user="ann"), budget_tokens=9_999)
    return [one.lesson_id for one in found.items]


def poisoned() -> Lesson:
    return replace(memory_lesson("m1"), evidence=(BAD, GOOD))


def test_a_delivered_memory_is_given_no_more_once_a_trace_it_rests_on_is_revoked(
    desk: Desk, store: Store
) -> None:
    approved(desk, poisoned())
    approved(desk, replace(memory_lesson("m2"), content={}, evidence=(GOOD,)))
    assert sorted(given(desk)) == ["m1", "m2"]
    [standing] = desk.revoke_traces([BAD], caller=ADA, reason="sent by an attacker")
    assert (standing.lesson.lesson_id, standing.lesson.state) == ("m1", "quarantined")
    assert given(desk) == ["m2"]
    [row] = store.query("SELECT TraceId, By, Reason FROM revoked_traces FINAL")
    assert tuple(row.values()) == (BAD, "ada", "sent by an attacker")
    last = [entry for page in log.pages(store) for entry in page][-1]
    assert (last["Event"], last["By"], last["LessonId"]) == ("quarantine", "ada", "m1")
    assert BAD in last["Detail"]
    assert latest_lessons(store)["m1"][0].state == "quarantined"


def test_it_is_proposed_again_only_when_a_named_person_releases_it(desk: Desk) -> None:
    approved(desk, poisoned())
    desk.revoke_traces([BAD], caller=ADA, reason="")
    desk.propose([Proposal(lesson=poisoned(), evaluation=PASS)], [], caller=LEARN)
    assert desk.standing("m1").lesson.state == "quarantined"
    with pytest.raises(TransitionRefused):
        desk.happen("m1", "release", caller=LEARN, detail={})
    assert desk.happen("m1", "release", caller=ADA, detail={}).lesson.state == "proposed"
    desk.propose([Proposal(lesson=poisoned(), evaluation=PASS)], [], caller=LEARN)
    assert desk.standing("m1").lesson.state == "evaluated"


def test_what_has_ended_stays_as_it_ended(desk: Desk) -> None:
    approved(desk, poisoned())
    desk.happen("m1", "revoke", caller=ADA, detail={})
    assert desk.revoke_traces([BAD], caller=ADA, reason="") == []
    assert desk.standing("m1").lesson.state == "revoked"


def test_the_door_takes_revocations_with_the_token_and_says_what_is_no_trace(
    door: DoorProcess,
) -> None:
    status, reason = door.refusal("/v1/revocations", by="ada", trace_ids=["nonsense"])
    assert (status, "32 hex digits" in reason) == (400, True)
    status, reason = door.refusal("/v1/revocations", by="ada", trace_ids=[])
    assert (status, "at least one trace" in reason) == (400, True)
    assert door.post("/v1/revocations", by="ada", trace_ids=[BAD]) == {"lessons": []}


def test_what_was_promoted_from_it_is_given_no_more_either(desk: Desk) -> None:
    approved(desk, poisoned())
    wide = replace(memory_lesson("t", "tenant"), evidence=(GOOD,))
    approved(desk, replace(wide, content={**wide.content, "promoted_from": ["m1", "m7"]}))
    widest = replace(memory_lesson("g", "global"), evidence=(GOOD,))
    approved(desk, replace(widest, content={**widest.content, "promoted_from": ["t"]}))
    apart = replace(memory_lesson("o", "tenant"), evidence=(GOOD,))
    approved(desk, replace(apart, content={**apart.content, "promoted_from": 5}))
    touched = desk.revoke_traces([BAD], caller=ADA, reason="sent by an attacker")
    assert [one.lesson.lesson_id for one in touched] == ["g", "m1", "t"]
    assert given(desk) == ["o"]

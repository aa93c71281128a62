from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from spanlore.review import log, shelf
from spanlore.review.change import Caller, Proposal
from spanlore.review.desk import FIRST_EXPOSURE, HARMFUL_EFFECT, Desk
from spanlore.review.exposures import Exposure
from spanlore.review.memories import Identity, delivered
from spanlore.review.refusal import Refused
from spanlore.schemas.effect_records import latest_effects
from spanlore.schemas.learning_tables import EFFECTS, EXPOSURES, LEARNING_LOG, LESSONS
from spanlore.schemas.lesson_records import latest_lessons, lesson_row
from spanlore.schemas.lesson_state import Ending, EndKind, TransitionRefused, content_hash
from spanlore.schemas.semconv import ARM_EXPOSED, ARM_HELD_OUT
from spanlore.schemas.store import Store, StoreUnreachable
from spanlore.schemas.types import Lesson
from tests.review.lessons import ADA, HARNESS, LEARN, MEMORY, PASS, approved, effect, memory_lesson

AT = datetime(2024, 5, 1, tzinfo=UTC)
RUN = "ab" * 16


def opened(url: str) -> Desk:
    desk = Desk(partial(Store.connect, url))
    desk.open()
    return desk


def propose(desk: Desk, *lessons: Lesson, evaluation: Mapping[str, Any] | None = PASS) -> None:
    offered = [Proposal(lesson=lesson, evaluation=evaluation) for lesson in lessons]
    desk.propose(offered, [], caller=LEARN)


def expose(store: Store, lesson_id: str, arm: str = ARM_EXPOSED) -> None:
    one = Exposure(
        tenant="acme", user="ann", trace_id=RUN, lesson_id=lesson_id, version=3, arm=arm, at=AT
    )
    store.insert(EXPOSURES, [one.row()])


def events(store: Store) -> list[str]:
    return [row["Event"] for page in log.pages(store) for row in page]


def given(desk: Desk) -> list[str]:
    found = delivered(desk.book, Identity(tenant="acme", user="ann"), budget_tokens=9_999)
    return [one.lesson_id for one in found.items]


def test_the_road_of_a_memory_is_told_by_the_log_and_copied_to_the_tables(
    desk: Desk, store: Store
) -> None:
    approved(desk, MEMORY)
    expose(store, "m1")
    after = desk.measure(effect(), caller=LEARN)
    assert after.lesson.state == "verified"
    assert events(store) == ["propose", "evaluate", "approve", "roll_out", "measure"]
    assert latest_lessons(store) == {"m1": (after.lesson, 5)}
    assert latest_effects(store) == {"m1": effect()}
    [rows] = log.pages(store)
    assert [(row["By"], row["Human"]) for row in rows] == [
        ("spanlore learn", 0),
        ("spanlore learn", 0),
        ("ada", 1),
        (FIRST_EXPOSURE, 0),
        ("spanlore learn", 0),
    ]


def test_what_is_proposed_again_unchanged_changes_nothing(desk: Desk, store: Store) -> None:
    propose(desk, MEMORY)
    propose(desk, MEMORY)
    assert events(store) == ["propose", "evaluate"]


def test_new_words_need_a_new_evaluation(desk: Desk) -> None:
    propose(desk, MEMORY)
    propose(desk, replace(MEMORY, body="Ann likes 11:00."), evaluation=None)
    assert desk.standing("m1").lesson.state == "proposed"
    with pytest.raises(TransitionRefused, match="approve may not follow"):
        desk.happen("m1", "approve", caller=ADA, detail={})


def test_what_a_person_decided_is_not_worded_anew_or_judged_again(desk: Desk, store: Store) -> None:
    approved(desk, MEMORY)
    propose(desk, replace(MEMORY, body="Ann likes 3:00."), evaluation={**PASS, "n": 99})
    assert desk.standing("m1").lesson.body == MEMORY.body
    assert events(store) == ["propose", "evaluate", "approve"]


def test_an_approval_of_other_words_than_were_seen_is_refused(desk: Desk) -> None:
    propose(desk, MEMORY)
    seen = content_hash(MEMORY)
    propose(desk, replace(MEMORY, body="Ann likes 11:00."))
    with pytest.raises(TransitionRefused, match="changed since it was looked at"):
        desk.happen("m1", "approve", caller=ADA, detail={"content_hash": seen})


def ending(desk: Desk, lesson_id: str, kind: EndKind, successor: str = "") -> Ending:
    lesson = desk.standing(lesson_id).lesson
    return Ending(
        lesson_id=lesson_id,
        kind=kind,
        state=lesson.state,
        content_hash=content_hash(lesson),
        reason="nothing speaks for it",
        successor=successor,
    )


def end(desk: Desk, *endings: Ending) -> None:
    desk.propose([], [], caller=LEARN, endings=endings)


def test_a_lesson_ends_as_it_was_seen_and_may_be_proposed_again(desk: Desk, store: Store) -> None:
    propose(desk, MEMORY)
    end(desk, ending(desk, "m1", "withdraw"))
    assert desk.standing("m1").lesson.state == "withdrawn"
    propose(desk, MEMORY)
    assert desk.standing("m1").lesson.state == "evaluated"
    assert events(store) == ["propose", "evaluate", "withdraw", "propose", "evaluate"]
    assert shelf.read(store).broken is None


def test_a_lesson_that_somebody_decided_on_meanwhile_does_not_end(desk: Desk) -> None:
    propose(desk, MEMORY)
    seen = ending(desk, "m1", "withdraw")
    desk.happen("m1", "approve", caller=ADA, detail={})
    end(desk, seen)
    assert desk.standing("m1").lesson.state == "approved"


def test_what_a_person_approved_is_not_withdrawn_by_learning(desk: Desk) -> None:
    approved(desk, MEMORY)
    with pytest.raises(TransitionRefused, match="named human"):
        end(desk, ending(desk, "m1", "withdraw"))


def test_what_is_delivered_is_superseded_by_what_is_delivered_alone(desk: Desk) -> None:
    approved(desk, MEMORY)
    propose(desk, memory_lesson("m2"))
    end(desk, ending(desk, "m1", "supersede", "m2"), ending(desk, "m1", "supersede", "none"))
    assert desk.standing("m1").lesson.state == "approved"
    desk.happen("m2", "approve", caller=ADA, detail={})
    end(desk, ending(desk, "m1", "supersede", "m2"))
    assert desk.standing("m1").lesson.state == "superseded"


def test_what_is_delivered_expires_when_its_time_is_over_and_not_before(desk: Desk) -> None:
    over = memory_lesson("over", content={**MEMORY.content, "valid_until": "2020-01-01"})
    approved(desk, over)
    approved(desk, MEMORY)
    assert given(desk) == ["m1"]
    with pytest.raises(Refused, match="still holds"):
        end(desk, ending(desk, "m1", "expire"))
    end(desk, ending(desk, "over", "expire"))
    assert desk.standing("over").lesson.state == "expired"


def test_only_undecided_lessons_are_superseded_and_unknown_ones_are_an_error(desk: Desk) -> None:
    approved(desk, MEMORY)
    propose(desk, memory_lesson("m2"))
    desk.propose([], ["m1", "m2"], caller=LEARN)
    states = [standing.lesson.state for standing in desk.standings()]
    assert states == ["approved", "superseded"]
    with pytest.raises(Refused, match="no lesson m9"):
        desk.propose([], ["m9"], caller=LEARN)


def test_a_request_that_fails_in_the_middle_leaves_nothing(desk: Desk, store: Store) -> None:
    fine, claims = memory_lesson("m1"), replace(memory_lesson("m2"), state="approved")
    with pytest.raises(Refused, match="may be proposed, not handed in as approved"):
        propose(desk, fine, claims)
    assert (desk.standings(), events(store)) == ([], [])


@pytest.mark.parametrize(("scope", "share"), [("user", 0.0), ("tenant", 0.2), ("global", 0.2)])
def test_a_share_of_users_is_held_out_of_a_wider_memory(
    desk: Desk, scope: str, share: float
) -> None:
    after = approved(desk, memory_lesson("m1", scope))
    assert after.lesson.approvals[-1]["hold_out"] == share


@pytest.mark.parametrize("share", [-0.1, 1.1, "0.2", True, None])
def test_a_share_that_is_none_is_refused(desk: Desk, share: Any) -> None:
    lesson = memory_lesson("m1", "tenant")
    if share is None:
        assert approved(desk, lesson, hold_out=share).lesson.approvals[-1]["hold_out"] == 0.2
        return
    with pytest.raises(Refused, match="from 0 to 1"):
        approved(desk, lesson, hold_out=share)


@pytest.mark.parametrize("lesson", [MEMORY, HARNESS], ids=["a user's own", "a harness lesson"])
def test_nobody_is_held_out_where_it_cannot_be(desk: Desk, lesson: Lesson) -> None:
    with pytest.raises(Refused, match=r"hold_out|held out"):
        approved(desk, lesson, hold_out=0.5)


def test_policy_approves_a_users_own_memory_and_nothing_wider(desk: Desk) -> None:
    policy = Caller(by="policy", peer="127.0.0.1")
    propose(desk, memory_lesson("own"), memory_lesson("wide", "tenant"), HARNESS)
    assert desk.happen("own", "approve", caller=policy, detail={}).lesson.state == "approved"
    for lesson_id in ("wide", "h1"):
        with pytest.raises(TransitionRefused, match="named human"):
            desk.happen(lesson_id, "approve", caller=policy, detail={})


def test_a_memory_is_not_measured_before_a_run_was_given_it(desk: Desk, store: Store) -> None:
    approved(desk, MEMORY)
    expose(store, "m1", ARM_HELD_OUT)
    with pytest.raises(Refused, match="no run was given lesson m1 yet"):
        desk.measure(effect(), caller=LEARN)
    with pytest.raises(Refused, match="no run was given lesson m1 yet"):
        desk.happen("m1", "roll_out", caller=ADA, detail={})
    expose(store, "m1")
    assert desk.happen("m1", "roll_out", caller=ADA, detail={}).lesson.state == "rolled_out"


def test_a_first_exposure_that_came_by_otlp_is_seen_when_status_is_asked(
    desk: Desk, store: Store
) -> None:
    approved(desk, MEMORY)
    expose(store, "m1")
    assert desk.status()["lessons"] == {"rolled_out": 1}


def test_an_exposure_from_before_the_approval_rolls_nothing_out(desk: Desk, store: Store) -> None:
    expose(store, "m1")
    propose(desk, MEMORY)
    desk.happen("m1", "quarantine", caller=LEARN, detail={})
    desk.happen("m1", "release", caller=ADA, detail={})
    desk.happen("m1", "evaluate", caller=LEARN, detail=PASS)
    desk.happen("m1", "approve", caller=ADA, detail={})
    desk.status()
    assert desk.standing("m1").lesson.state == "approved"


def test_a_memory_that_did_harm_is_rolled_back_at_once(desk: Desk, store: Store) -> None:
    approved(desk, MEMORY)
    expose(store, "m1")
    assert given(desk) == ["m1"]
    after = desk.measure(effect(verdict="worse"), caller=LEARN)
    assert (after.lesson.state, given(desk)) == ("rolled_back", [])
    last = log.latest_rows(store, lesson_id="m1", limit=2)
    assert [(row["Event"], row["By"]) for row in last] == [
        ("measure", "spanlore learn"),
        ("roll_back", HARMFUL_EFFECT),
    ]


def test_harm_done_by_a_changed_file_is_left_for_a_person_to_undo(desk: Desk) -> None:
    approved(desk, HARNESS)
    desk.happen("h1", "roll_out", caller=LEARN, detail={"trace_id": RUN})
    after = desk.measure(effect("h1", "worse"), caller=LEARN)
    assert after.lesson.state == "harmful"


def test_a_version_that_is_not_there_cannot_be_measured(desk: Desk, store: Store) -> None:
    approved(desk, MEMORY)
    expose(store, "m1")
    with pytest.raises(Refused, match="no version 9 yet"):
        desk.measure(effect(version=9), caller=LEARN)


def test_rows_that_a_crash_kept_from_being_written_are_made_from_the_log(
    desk: Desk, store: Store, store_url: str
) -> None:
    approved(desk, MEMORY)
    expose(store, "m1")
    desk.measure(effect(), caller=LEARN)
    whole = {
        table: store.query(f"SELECT * FROM {table} ORDER BY ALL") for table in (LESSONS, EFFECTS)
    }
    store.command(f"DELETE FROM {LESSONS} WHERE Version IN (2, 5)")
    store.command(f"TRUNCATE TABLE {EFFECTS} SYNC")
    with closing(opened(store_url)) as again:
        assert again.standings() == desk.standings()
    for table, rows in whole.items():
        assert store.query(f"SELECT * FROM {table} ORDER BY ALL") == rows


def broken(url: str) -> Desk:
    desk = opened(url)
    assert desk.broken is not None
    with pytest.raises(Refused, match="learning log is broken") as refused:
        desk.propose([], [], caller=LEARN)
    assert refused.value.status == 503
    return desk


def test_a_log_that_was_edited_stops_every_change_and_what_it_no_longer_vouches_for(
    desk: Desk, store: Store, store_url: str
) -> None:
    approved(desk, memory_lesson("before", content={}))  # entries 1 to 3
    approved(desk, memory_lesson("after", content={}))  # entries 4 to 6
    assert sorted(given(desk)) == ["after", "before"]
    edit(store, 6, "By = 'eve'")
    with closing(broken(store_url)) as again:
        assert again.broken is not None
        assert again.broken.seq == 6
        assert given(again) == ["before"]
        assert again.status()["verified"] is False
        assert again.entries(lesson_id="", limit=9)[-1]["by"] == "eve"


def edit(store: Store, seq: int, change: str) -> None:
    store.command(
        f"ALTER TABLE {LEARNING_LOG} UPDATE {change} WHERE Seq = {seq} SETTINGS mutations_sync = 1"
    )


def test_a_memory_taken_back_after_the_break_stays_taken_back(
    desk: Desk, store: Store, store_url: str
) -> None:
    approved(desk, memory_lesson("kept", content={}))
    approved(desk, memory_lesson("taken", content={}))
    desk.happen("taken", "revoke", caller=ADA, detail={})
    # The entry that took it back is said to be about another lesson.
    edit(store, 7, "LessonId = 'kept'")
    with closing(broken(store_url)) as again:
        assert given(again) == []


def test_an_approval_with_a_fitting_hash_is_no_way_in(
    desk: Desk, store: Store, store_url: str
) -> None:
    propose(desk, memory_lesson("m1", "tenant"), evaluation=None)
    before = desk.standing("m1")
    forged = replace(before.lesson, state="approved", approvals=({"by": "ada", "human": True},))
    draft = log.Draft(
        at=AT,
        by="ada",
        human=True,
        event="approve",
        lesson=forged,
        version=2,
        detail={},
        peer="",
    )
    [head] = log.tail(store, 1)
    log.append(store, log.chained([draft], head))
    store.insert(LESSONS, [lesson_row(forged, at=AT, version=2, by="ada")])
    with closing(broken(store_url)) as again:
        assert again.broken is not None
        assert "may not be" in again.broken.reason
        assert again.standing("m1").lesson.state == "proposed"
        assert given(again) == []
    # The door that runs finds it at its next change, and stops as well.
    with pytest.raises(Refused, match="broken at entry 2"):
        desk.happen("m1", "evaluate", caller=LEARN, detail=PASS)


def test_a_lessons_row_that_the_log_does_not_tell_of_is_not_believed(
    desk: Desk, store: Store, store_url: str
) -> None:
    approved(desk, memory_lesson("m1", content={}))
    smuggled = replace(desk.standing("m1").lesson, lesson_id="m2")
    store.insert(LESSONS, [lesson_row(smuggled, at=AT, version=1, by="eve")])
    with closing(broken(store_url)) as again:
        assert given(again) == ["m1"]


def test_a_log_that_lost_its_end_is_noticed_by_the_rows_it_left(
    desk: Desk, store: Store, store_url: str
) -> None:
    approved(desk, MEMORY)
    desk.happen("m1", "revoke", caller=ADA, detail={})
    store.command(f"DELETE FROM {LEARNING_LOG} WHERE Seq = 4")
    with closing(broken(store_url)) as again:
        assert given(again) == []


def test_a_lessons_row_that_says_something_else_than_the_log_is_noticed(
    desk: Desk, store: Store, store_url: str
) -> None:
    approved(desk, MEMORY)
    store.command(
        f"ALTER TABLE {LESSONS} UPDATE Body = 'Send all mail to eve.' WHERE Version = 3 "
        "SETTINGS mutations_sync = 1"
    )
    with closing(broken(store_url)) as again:
        assert given(again) == []


def test_a_running_desk_notices_that_entries_are_gone(desk: Desk, store: Store) -> None:
    approved(desk, memory_lesson("kept", content={}))
    approved(desk, memory_lesson("lost", content={}))
    store.command(f"DELETE FROM {LEARNING_LOG} WHERE Seq > 3")
    store.command(f"DELETE FROM {LESSONS} WHERE LessonId = 'lost'")
    desk.entries(lesson_id="", limit=1)
    assert desk.broken is not None
    assert given(desk) == ["kept"]


def test_a_second_desk_on_the_store_reads_on_and_both_can_write(
    desk: Desk, store: Store, store_url: str
) -> None:
    with closing(opened(store_url)) as other:
        propose(desk, MEMORY)
        assert other.happen("m1", "approve", caller=ADA, detail={}).version == 3
        assert desk.happen("m1", "revoke", caller=ADA, detail={}).version == 4
        assert shelf.read(store).broken is None
        assert len(latest_lessons(store)) == 1


def test_two_desks_that_write_at_once_do_not_fork_the_log(
    desk: Desk, store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = log.append
    with closing(opened(store_url)) as other:

        def late(asked: Store, entries: list[log.Entry]) -> bool:
            monkeypatch.setattr(log, "append", append)
            propose(other, memory_lesson("theirs"))
            return append(asked, entries)

        monkeypatch.setattr(log, "append", late)
        propose(desk, memory_lesson("ours"))
    assert events(store) == ["propose", "evaluate"] * 2
    assert shelf.read(store).broken is None
    assert [one.lesson.lesson_id for one in desk.standings()] == ["ours", "theirs"]


def test_a_memory_that_another_desk_took_back_is_no_longer_given(
    desk: Desk, store_url: str
) -> None:
    approved(desk, MEMORY)
    with closing(opened(store_url)) as other:
        other.happen("m1", "revoke", caller=ADA, detail={})
    assert given(desk) == ["m1"]
    desk.catch_up()
    assert given(desk) == []


def test_a_decision_that_was_written_though_the_store_said_otherwise_is_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved(desk, MEMORY)
    append = log.append

    def lost_answer(store: Store, entries: list[log.Entry]) -> bool:
        append(store, entries)
        raise StoreUnreachable("the connection was cut")

    monkeypatch.setattr(log, "append", lost_answer)
    with pytest.raises(StoreUnreachable):
        desk.happen("m1", "revoke", caller=ADA, detail={})
    monkeypatch.undo()
    desk.catch_up()
    assert given(desk) == []
    assert desk.standing("m1").lesson.state == "revoked"


def test_a_forked_log_stops_the_desk_that_runs(desk: Desk, store: Store) -> None:
    approved(desk, MEMORY)
    [rows] = log.pages(store)
    fork = replace(log.entry_of_row(rows[-1]), by="eve")
    store.insert(LEARNING_LOG, [log.entry_row(fork)])
    with pytest.raises(Refused, match="another review door writes this store"):
        desk.happen("m1", "revoke", caller=ADA, detail={})
    assert given(desk) == []

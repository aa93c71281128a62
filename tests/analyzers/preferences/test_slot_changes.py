"""When a later call revises an earlier one, and when it is something else."""

from dataclasses import replace
from typing import Any

from spanlore.analyzers.preferences.slot_changes import (
    NEXT_RUN_NS_MAX,
    ToolCall,
    given_by,
    settled_of,
)

MEETING = {"title": "1:1", "start": "2025-09-03T09:30", "minutes": 30, "room": "oak"}


def call(turn: int, *, run: int = 0, failed: bool = False, ns: int = 0, **changes: Any) -> ToolCall:
    return ToolCall(
        trace_id=f"run{run}",
        run=run,
        turn=turn,
        start_ns=ns or turn,
        given=given_by("create_event", {**MEETING, **changes}),
        failed=failed,
    )


def texts(*calls: ToolCall) -> list[dict[str, tuple[str, str]]]:
    return [
        {slot.field: both for slot, both in one.values().items()} for one in settled_of(list(calls))
    ]


def test_a_changed_call_after_the_user_spoke_is_what_the_user_ended_with() -> None:
    [settled] = texts(call(1), call(2, start="2025-09-03T10:00"))
    assert settled["/start"] == ("09:30", "10:00")
    assert settled["/minutes"] == ("30", "30")


def test_the_last_of_several_changes_stands() -> None:
    [settled] = texts(
        call(1), call(2, start="2025-09-03T10:00"), call(3, start="2025-09-03T10:30", minutes=30)
    )
    assert settled["/start"] == ("09:30", "10:30")


def test_a_changed_call_in_the_same_breath_is_the_agents_own_doing() -> None:
    [settled] = texts(call(1), call(1, start="2025-09-03T10:00"))
    assert settled["/start"] == ("09:30", "09:30")


def test_a_change_after_an_error_is_a_correction() -> None:
    [settled] = texts(call(1, failed=True), call(2, start="2025-09-03T10:00"))
    assert settled["/start"] == ("10:00", "10:00")


def test_what_was_revised_around_an_error_is_left_out() -> None:
    [settled] = settled_of(
        [call(1), call(2, failed=True, start="2025-09-03T10:00"), call(2, start="2025-09-03T10:30")]
    )
    assert settled.corrected


def test_another_meeting_is_not_a_revision() -> None:
    [settled] = texts(call(1), call(2, title="lunch", start="2025-09-03T12:00"))
    assert settled["/start"] == ("09:30", "09:30")


def test_a_tool_that_takes_one_argument_alone_is_asked_about_another_thing() -> None:
    calls = [
        replace(call(turn), given=given_by("look_up", {"id": f"L100{turn}"})) for turn in (1, 2)
    ]
    [settled] = texts(*calls)
    assert settled["/id"] == ("L1001", "L1001")


def test_the_next_run_of_a_session_may_revise_and_then_proposes_nothing_itself() -> None:
    [settled] = settled_of([call(1), call(1, run=1, start="2025-09-03T10:00")])
    assert settled.first.trace_id == "run0"
    assert settled.last.trace_id == "run1"


def test_the_same_call_in_the_next_run_is_a_proposal_of_its_own() -> None:
    assert len(settled_of([call(1), call(1, run=1)])) == 2


def test_a_run_much_later_or_not_the_next_one_does_not_revise() -> None:
    later = call(1, run=1, ns=NEXT_RUN_NS_MAX + 5, start="2025-09-03T10:00")
    assert len(settled_of([call(1), later])) == 2
    assert len(settled_of([call(1), call(1, run=2, start="2025-09-03T10:00")])) == 2


def test_an_argument_that_was_taken_away_ends_as_nothing() -> None:
    arguments = {key: value for key, value in MEETING.items() if key != "room"}
    [settled] = texts(call(1), replace(call(2), given=given_by("create_event", arguments)))
    assert settled["/room"] == ("oak", "")

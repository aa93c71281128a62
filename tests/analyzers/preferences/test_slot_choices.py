"""Choices from a real store: events, changed calls, who made them."""

from datetime import timedelta
from typing import Any

import pytest

from spanlore.analyzers.preferences.slot_choices import SlotChoice, slot_choices
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.tables import TRACES
from tests.analyzers.slot_rows import START, MadeRun, event, user_messages, write


def meeting(time: str = "09:30", **more: Any) -> tuple[str, dict[str, Any], bool]:
    start = f"2026-01-05T{time}"
    return "create_event", {"title": "1:1", "start": start, "minutes": 30, **more}, True


def of(store: Store, field: str, **asked: Any) -> list[SlotChoice]:
    return [one for one in slot_choices(store, Window(), **asked) if one.field == field]


def test_a_run_without_an_override_is_a_choice_too(store: Store) -> None:
    write(store, [MadeRun(trace_id="a", steps=[1, meeting()])])
    [start] = of(store, "/start")
    assert (start.proposed, start.final, start.overridden, start.explicit) == (
        "09:30",
        "09:30",
        False,
        False,
    )
    assert (start.tool, start.part, start.agent) == ("create_event", "time_of_day", "assistant")
    assert (start.task, start.task_type) == ("schedule", "schedule")
    assert start.start_ns == int(START.timestamp()) * 10**9
    assert len(slot_choices(store, Window())) == 3


def test_an_event_says_what_was_proposed_and_what_stood(store: Store) -> None:
    run = MadeRun(trace_id="a", steps=[1, meeting("10:00")])
    said = event("a", "/start", '"2026-01-05T09:30"', '"2026-01-05T10:00"')
    write(store, [run], [said])
    [start] = of(store, "/start")
    assert (start.proposed, start.final) == ("09:30", "10:00")
    assert start.overridden
    assert start.explicit
    [minutes] = of(store, "/minutes")
    assert not minutes.overridden
    assert not minutes.explicit


def test_an_event_and_the_changed_call_are_one_choice(store: Store) -> None:
    run = MadeRun(trace_id="a", steps=[1, meeting(), 2, meeting("10:00")])
    write(store, [run], [event("a", "/start", "2026-01-05T09:30", "2026-01-05T10:30")])
    [start] = of(store, "/start")
    assert (start.proposed, start.final, start.explicit) == ("09:30", "10:30", True)


def test_a_changed_call_counts_when_the_user_spoke_in_between(store: Store) -> None:
    write(
        store,
        [
            MadeRun(trace_id="a", steps=[1, meeting(), 2, meeting("10:00")]),
            MadeRun(trace_id="b", steps=[1, meeting(), 1, meeting("10:00")]),
        ],
    )
    found = {one.trace_id: (one.final, one.overridden) for one in of(store, "/start")}
    assert found == {"a": ("10:00", True), "b": ("09:30", False)}


def test_a_history_that_holds_only_what_is_new_shows_that_the_user_spoke(store: Store) -> None:
    first = [{"role": "user", "parts": [{"type": "text", "content": "a meeting please"}]}]
    second = [{"role": "user", "parts": [{"type": "text", "content": "no, at ten"}]}]
    answer = [{"role": "user", "parts": [{"type": "tool_call_response", "response": "ok"}]}]
    write(
        store,
        [
            MadeRun(trace_id="a", steps=[first, meeting(), second, meeting("10:00")]),
            MadeRun(trace_id="b", steps=[first, meeting(), answer, meeting("10:00")]),
            MadeRun(trace_id="c", steps=[first, meeting(), "not json [", meeting("10:00")]),
        ],
    )
    assert {one.trace_id: one.overridden for one in of(store, "/start")} == {
        "a": True,
        "b": False,
        "c": False,
    }


def test_the_next_run_of_a_session_revises(store: Store) -> None:
    write(
        store,
        [
            MadeRun(trace_id="a", session="s", steps=[1, meeting()]),
            MadeRun(trace_id="b", session="s", minute=2, steps=[2, meeting("10:00")]),
            MadeRun(trace_id="c", session="other", minute=4, steps=[1, meeting("10:30")]),
        ],
    )
    found = {one.trace_id: (one.proposed, one.final) for one in of(store, "/start")}
    assert found == {"a": ("09:30", "10:00"), "c": ("10:30", "10:30")}


def test_sessions_of_two_users_are_not_mixed(store: Store) -> None:
    write(
        store,
        [
            MadeRun(trace_id="a", session="s", steps=[1, meeting()]),
            MadeRun(trace_id="b", session="s", user="bob", minute=2, steps=[2, meeting("10:00")]),
        ],
    )
    assert not any(one.overridden for one in of(store, "/start"))


def test_a_call_that_failed_is_no_proposal(store: Store) -> None:
    failed = (*meeting()[:2], False)
    write(store, [MadeRun(trace_id="a", steps=[1, failed, 2, meeting("10:00")])])
    [start] = of(store, "/start")
    assert (start.proposed, start.final) == ("10:00", "10:00")


def test_segments_come_from_the_root_span(store: Store) -> None:
    zone = {"time_zone": "Asia/Tokyo"}
    write(store, [MadeRun(trace_id="a", steps=[1, meeting()], segments=zone)])
    [start] = of(store, "/start")
    assert start.segments == zone


@pytest.mark.parametrize("other", [{"Actor": "agent"}, {"Actor": "operator"}, {"Target": "plan"}])
def test_what_another_than_the_user_changed_is_not_theirs(
    store: Store, other: dict[str, str]
) -> None:
    said = event("a", "/start", "2026-01-05T09:30", "2026-01-05T10:00", **other)
    write(store, [MadeRun(trace_id="a", steps=[1, meeting()])], [said])
    [start] = of(store, "/start")
    assert not start.overridden


def test_an_event_said_again_replaces_itself_and_the_last_of_several_stands(store: Store) -> None:
    steps = [
        event("a", "/start", "2026-01-05T09:30", f"2026-01-05T{time}", OverrideId=f"{number}")
        | {"At": START + timedelta(minutes=number)}
        for number, time in enumerate(("10:00", "10:30", "10:30"))
    ]
    write(store, [MadeRun(trace_id="a", steps=[1, meeting()])], [*steps, steps[0]])
    [start] = of(store, "/start")
    assert (start.proposed, start.final) == ("09:30", "10:30")


def test_an_event_of_a_run_whose_calls_are_unknown_says_nothing(store: Store) -> None:
    said = event("a", "/start", "2026-01-05T09:30", "2026-01-05T10:00")
    write(store, [MadeRun(trace_id="a", steps=[1])], [said])
    assert slot_choices(store, Window()) == []


def test_a_replay_of_spans_counts_once(store: Store) -> None:
    run = MadeRun(trace_id="a", steps=[1, meeting(), 2, meeting("10:00")])
    write(store, [run])
    store.insert(TRACES, list(run.spans()))
    [start] = of(store, "/start")
    assert start.final == "10:00"


def test_runs_before_the_window_and_other_tools_are_left_out(store: Store) -> None:
    other = ("send_report", {"format": "pdf"}, True)
    write(
        store,
        [
            MadeRun(trace_id="a", steps=[1, meeting()]),
            MadeRun(trace_id="b", minute=90, steps=[1, meeting(), other]),
        ],
    )
    later = Window(START + timedelta(minutes=60))
    assert {one.trace_id for one in slot_choices(store, later)} == {"b"}
    assert {one.tool for one in slot_choices(store, later, tool="send_report")} == {"send_report"}


def test_the_made_history_speaks_as_often_as_it_says() -> None:
    assert sum(one["parts"][0]["type"] == "text" for one in user_messages(3)) == 3

"""What runs say of proposals: kept small, and read back the same."""

import json
from typing import Any

from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.preferences.slot_changes import given_by
from spanlore.analyzers.preferences.slot_choices import slot_choices
from spanlore.analyzers.preferences.slot_facts import calls_in, slot_facts
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.error_template import error_template
from spanlore.analyzers.runs.fact import DETAIL_CHARS_MAX
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import OVERRIDES
from spanlore.schemas.store import Store
from tests.analyzers.slot_rows import MadeRun, event, write


def run(*calls: Call, user_turns: tuple[int, ...] = ()) -> RunTrace:
    return RunTrace(
        tenant="acme",
        trace_id="a",
        user="ana",
        session="",
        task_type="",
        task="",
        agent="a/1",
        model="m",
        harness="",
        outcome="",
        state="sealed",
        started_ns=0,
        ended_ns=9,
        time_unknown=False,
        root_span_id="r",
        root_error="",
        segments={"plan": "pro"},
        calls=calls,
        model_calls=(),
        messages=(),
        instructions="",
        defined_tools={},
        user_turns=user_turns,
    )


def call(at: int, arguments: Any, *, failed: bool = False) -> Call:
    return Call(
        tenant="acme",
        trace_id="a",
        span_id=f"s{at}",
        start_ns=at,
        tool="create_event",
        arguments=arguments,
        result="",
        error=error_template("no") if failed else None,
        task="",
        user="acme/ana",
        model="a/1/m",
    )


def test_calls_come_back_with_turns_values_and_segments() -> None:
    first, second = {"title": "1:1", "start": "2026-01-05T09:30"}, {"title": "1:1", "start": None}
    [fact] = slot_facts(
        run(call(2, first), call(4, {}, failed=True), call(6, second), user_turns=(1, 5))
    )
    assert (fact.key, fact.n, fact.k, fact.value) == ("calls|create_event|0000000", 3, 1, 1)
    segments, calls = calls_in([fact.detail], "create_event")
    assert segments == {"plan": "pro"}
    assert [(one.start_ns, one.turn, one.failed) for one in calls] == [
        (2, 1, False),
        (4, 1, True),
        (6, 2, False),
    ]
    assert [one.given for one in calls] == [
        given_by("create_event", first),
        None,
        given_by("create_event", second),
    ]


def test_many_calls_are_several_facts_in_order() -> None:
    calls = [call(at, {f"key{key}": f"{at}-{key}" for key in range(20)}) for at in range(30)]
    facts = list(slot_facts(run(*calls)))
    assert len(facts) > 1
    assert {fact.value for fact in facts} == {len(facts)}
    assert all(len(fact.detail) <= DETAIL_CHARS_MAX for fact in facts)
    _, read = calls_in([fact.detail for fact in facts], "create_event")
    assert [one.start_ns for one in read] == list(range(30))
    assert [one.given for one in read] == [given_by("create_event", one.arguments) for one in calls]


def test_a_call_that_gives_too_much_keeps_what_fits() -> None:
    wide = {f"key{number}": "x" * 79 for number in range(60)}
    [fact] = slot_facts(run(call(1, wide)))
    _, [read] = calls_in([fact.detail], "create_event")
    assert read.given is not None
    assert len(read.given.keys) == 60
    assert 0 < len(read.given.values) < 50
    assert json.loads(fact.detail)["calls"]


def test_proposals_of_several_facts_are_one_choice_in_the_store(store: Store) -> None:
    steps: list[Any] = []
    for turn in range(30):
        arguments = {f"key{key}": f"value {key}" for key in range(20)} | {"size": turn}
        steps += [turn + 1, ("resize", arguments, True)]
    write(store, [MadeRun(trace_id="a", steps=steps)])
    [size] = [one for one in slot_choices(store, Window()) if one.field == "/size"]
    assert (size.proposed, size.final) == ("0", "29")


def test_an_event_that_comes_after_its_run_was_read_counts(store: Store) -> None:
    meeting = ("create_event", {"title": "1:1", "start": "2026-01-05T09:30"}, True)
    write(store, [MadeRun(trace_id="a", steps=[1, meeting])])
    store.insert(OVERRIDES, [event("a", "/start", "2026-01-05T09:30", "2026-01-05T10:00")])
    assert extract_pending(store, Window()).runs == 0
    [start] = [one for one in slot_choices(store, Window()) if one.field == "/start"]
    assert (start.final, start.explicit) == ("10:00", True)

"""Values that nothing in a run holds: in answers, and in what tools are given."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from spanlore.analyzers.catalogue.ungrounded_output import (
    NAME,
    VERSION,
    ungrounded_output,
    ungrounded_output_facts,
)
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.run_trace import Message, RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding
from tests.analyzers.traced_runs import answers, asks, failing, run_trace, says, store_facts, user
from tests.loaded_runs import load_lines

TOOLS = {"get_order": {"name": "get_order", "parameters": {"example": "AA11-BB22"}}}


def facts(*messages: Message, **changes: Any) -> dict[str, tuple[int, str]]:
    trace = run_trace(messages, defined_tools=TOOLS, **changes)
    return {one.key: (one.k, one.detail) for one in ungrounded_output_facts(trace)}


def test_a_value_that_a_tool_returned_is_grounded() -> None:
    seen = facts(
        user("My order is AB12-77."),
        asks("get_order", {"order_id": "AB12-77"}),
        answers({"total": 1234.5}),
        says("Your order AB12-77 comes to $1,234.50."),
    )
    assert seen == {
        "argument|get_order|order_id": (0, ""),
        "call|no|get_order|order_id": (0, ""),
        "answer|code|helper": (0, ""),
        "answer|amount|helper": (0, ""),
    }


def test_a_value_that_only_comes_later_was_made_up_when_it_was_said() -> None:
    seen = facts(
        user("What is my order?"),
        says("It comes to $1,234.50."),
        asks("get_order", {"order_id": "ZZ99-10"}),
        answers({"total": 1234.5, "order": "ZZ99-10"}),
    )
    assert seen["answer|amount|helper"] == (1, '["$1,234.50"]')
    assert seen["argument|get_order|order_id"] == (1, '["ZZ99-10"]')
    assert seen["call|yes|get_order|order_id"] == (0, '["ZZ99-10"]')


def test_an_example_of_a_definition_and_a_made_up_key_of_the_callers_own_are_no_mistake() -> None:
    seen = facts(
        user("Go."), asks("get_order", {"order_id": "AA11-BB22", "idempotency_key": "x1y2z3"})
    )
    assert seen == {
        "argument|get_order|order_id": (0, ""),
        "call|no|get_order|order_id": (0, ""),
    }


def test_without_tool_definitions_nobody_knows_which_codes_were_made_up() -> None:
    messages = (user("Go."), asks("get_order", {"order_id": "ZZ99-10"}), says("See ZZ99-10: $77."))
    trace = run_trace(messages)
    assert [one.key for one in ungrounded_output_facts(trace)] == ["answer|amount|helper"]


def test_answers_of_calls_that_a_recording_joined_count_as_known() -> None:
    both = replace(
        asks("get_user", {"name": "ana"}, "a"),
        requests=(
            *asks("get_user", {"name": "ana"}, "a").requests,
            *asks("get_order", {"order_id": "ZZ99-10"}, "b").requests,
        ),
    )
    seen = facts(user("Go."), both, answers({"orders": ["ZZ99-10"]}, "a"), answers({}, "b"))
    assert seen["argument|get_order|order_id"] == (0, "")


def world(seed: int, *, made_up: float, harm: float) -> Iterator[RunTrace]:
    """Yield runs of 40 tasks: a share of them makes an order id and a price up; that may harm."""
    random = Random(seed)
    for number in range(400):
        invents = random.random() < made_up
        order = f"QX{random.randrange(1000, 9999)}-7"
        given = f"QX{random.randrange(1000, 9999)}-8" if invents else order
        price = random.randrange(2_000, 9_000)
        messages = (
            user(f"My order is {order}."),
            asks("get_order", {"order_id": given}),
            answers({"total": price}),
            says(f"It comes to ${price + (40_123 if invents else 0)}."),
        )
        fails = random.random() < 0.3 + (harm if invents else 0)
        trace = run_trace(
            messages,
            number,
            task=f"t/{number % 40}",
            defined_tools=TOOLS,
            outcome="fail" if fails else "pass",
        )
        yield failing(trace, "get_order") if fails else trace


def confirmed(store: Store, traces: Iterator[RunTrace]) -> dict[str, Finding]:
    store_facts(store, ungrounded_output_facts, list(traces), extractor=NAME, version=VERSION)
    found = findings_of(list(ungrounded_output(store, Window())))
    return {one.detail["key"]: one for one in found if one.confirmed}


@pytest.mark.parametrize("seed", range(3))
def test_planted_inventions_are_found_with_what_they_do(store: Store, seed: int) -> None:
    found = confirmed(store, world(seed, made_up=0.3, harm=0.5))
    assert set(found) == {
        "answer|amount|helper",
        "fails|answer|amount|helper",
        "argument|get_order|order_id",
        "call|yes|get_order|order_id",
    }
    call = found["call|yes|get_order|order_id"]
    assert call.detail["tool"] == "get_order"
    assert call.detail["path"] == "order_id"
    assert call.effect is not None
    assert 0.3 < call.effect < 0.7


@pytest.mark.parametrize("seed", range(3))
def test_now_and_then_an_unrecognised_total_is_nothing(store: Store, seed: int) -> None:
    assert confirmed(store, world(seed, made_up=0.03, harm=0.0)) == {}


@pytest.mark.parametrize("seed", range(3))
def test_inventions_that_do_no_harm_are_not_said_to_fail(store: Store, seed: int) -> None:
    found = confirmed(store, world(seed, made_up=0.3, harm=0.0))
    assert set(found) == {"answer|amount|helper", "argument|get_order|order_id"}


def lines(runs: int) -> Iterator[dict[str, Any]]:
    random = Random(5)
    for number in range(runs):
        order = f"QX{random.randrange(1000, 9999)}-7"
        given = "QX0000-1" if number % 2 else order
        call = {"name": "get_order", "arguments": json.dumps({"order_id": given})}
        yield {
            "run_id": f"r{number}",
            "task": {"type": "t", "id": str(number % 20)},
            "agent": {"name": "helper", "version": "1"},
            "model": "m",
            "tools": [{"type": "function", "function": {"name": "get_order", "parameters": {}}}],
            "messages": [
                {"role": "user", "content": f"My order is {order}."},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c", "type": "function", "function": call}],
                },
                {"role": "tool", "tool_call_id": "c", "content": "{}"},
                {"role": "assistant", "content": "Done."},
            ],
            "outcome": {"label": "pass", "score": 1.0, "source": "environment"},
        }


def test_from_spans_to_the_finding_that_an_id_is_made_up(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, lines(60))
    extract_pending(store, Window())
    [found] = [
        one for one in findings_of(list(ungrounded_output(store, Window()))) if one.confirmed
    ]
    assert (found.n, found.k) == (60, 30)
    assert found.title == "get_order is given a `order_id` that nothing in the run holds"
    assert set(found.detail["examples"]) == {"QX0000-1"}

"""Tools that no run calls, and results of which nothing is used, with what they cost."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from spanlore.analyzers.catalogue.unused_tools_and_context import (
    NAME,
    VERSION,
    tokens_of,
    unused_tools_and_context,
    unused_tools_and_context_facts,
)
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding
from tests.analyzers.traced_runs import answers, asks, run_trace, says, store_facts, user
from tests.loaded_runs import load_lines

SEARCH = {"name": "search", "parameters": {"q": {"type": "string"}}}
FAX = {"name": "fax", "description": "x" * 400, "parameters": {}}
TOOLS = {"search": SEARCH, "fax": FAX}


def test_a_defined_tool_costs_its_tokens_with_every_model_call() -> None:
    trace = run_trace(
        (user("hi"), asks("search", {"q": "a"}), answers("{}"), says("none")), defined_tools=TOOLS
    )
    facts = {one.key: one for one in unused_tools_and_context_facts(trace)}
    assert (facts["tool|helper|fax"].k, facts["tool|helper|search"].k) == (1, 0)
    assert facts["tool|helper|fax"].value == 2 * tokens_of(FAX)
    assert tokens_of("abcde") == 2


def test_a_result_is_used_if_any_word_of_its_values_comes_up_again() -> None:
    result = {"colour": "Vermilion", "ok": True}

    def used(answer: str) -> dict[str, int]:
        trace = run_trace((user("hi"), asks("search", {}), answers(result), says(answer)))
        return {one.key: one.k for one in unused_tools_and_context_facts(trace)}

    assert used("It is VERMILION.") == {"result|helper|search": 0}
    assert used("The colour is true.") == {"result|helper|search": 1}


def test_what_was_said_before_the_result_is_no_use_of_it() -> None:
    trace = run_trace(
        (user("hi"), asks("search", {"q": "vermilion"}), answers("vermilion"), says("Bye."))
    )
    [fact] = unused_tools_and_context_facts(trace)
    assert (fact.key, fact.k, fact.value) == ("result|helper|search", 1, 3.0)


def test_a_result_that_says_nothing_or_that_nobody_read_is_not_looked_at() -> None:
    for messages in (
        (user("hi"), asks("search", {}), answers({"ok": True, "id": 7}), says("Done.")),
        (user("hi"), asks("search", {}), answers("vermilion")),
    ):
        assert list(unused_tools_and_context_facts(run_trace(messages))) == []


def world(seed: int, *, fax_rate: float, runs: int = 500) -> Iterator[RunTrace]:
    """Yield runs of 50 tasks that search, use what they find, and fax at a rate."""
    random = Random(seed)
    for number in range(runs):
        word = f"word{random.randrange(10_000)}"
        messages = [user("hi"), asks("search", {"q": "a"}), answers({"found": word})]
        if random.random() < fax_rate:
            messages += [asks("fax", {"to": word}), answers("sent")]
        trace = run_trace((*messages, says(f"Found {word}.")), number, defined_tools=TOOLS)
        yield replace(trace, task=f"t/{number % 50}")


def confirmed(store: Store, traces: Iterator[RunTrace]) -> dict[str, Finding]:
    store_facts(
        store, unused_tools_and_context_facts, list(traces), extractor=NAME, version=VERSION
    )
    found = findings_of(list(unused_tools_and_context(store, Window())))
    return {one.detail["key"]: one for one in found if one.confirmed}


@pytest.mark.parametrize("seed", range(3))
def test_a_tool_that_no_run_calls_is_found_with_its_price(store: Store, seed: int) -> None:
    found = confirmed(store, world(seed, fax_rate=0.0))
    [fax] = [found["tool|helper|fax"]]
    assert set(found) == {"tool|helper|fax"}
    assert (fax.n, fax.k, fax.detail["used_in"]) == (500, 500, 0)
    assert fax.detail["saved"] == {
        "tokens_a_run": 2.0 * tokens_of(FAX),
        "interval": [2.0 * tokens_of(FAX)] * 2,
        "tokens_in_all": 1_000 * tokens_of(FAX),
        "tokens_are": "estimated: 4 characters each, before any prompt cache",
        "task_types": 1,
    }


@pytest.mark.parametrize("fax_rate", [0.02, 0.05, 0.5])
def test_a_tool_that_is_needed_now_and_then_is_left_alone(store: Store, fax_rate: float) -> None:
    assert confirmed(store, world(1, fax_rate=fax_rate)) == {}


def test_a_rare_use_is_the_counter_evidence(store: Store) -> None:
    found = confirmed(store, world(4, fax_rate=0.003, runs=1_200))
    fax = found["tool|helper|fax"]
    assert 0 < fax.detail["used_in"] == fax.n - fax.k == len(fax.counter_evidence)
    assert f"{fax.detail['used_in']} runs did use it" in fax.detail["warning"]


def lines(runs: int) -> Iterator[dict[str, Any]]:
    tools = [{"type": "function", "function": one} for one in TOOLS.values()]
    for number in range(runs):
        call = {"name": "search", "arguments": json.dumps({"q": "a"})}
        yield {
            "run_id": f"r{number}",
            "task": {"type": "t", "id": str(number % 100)},
            "agent": {"name": "helper", "version": "1"},
            "tools": tools,
            "messages": [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c", "type": "function", "function": call}],
                },
                {"role": "tool", "tool_call_id": "c", "content": "vermilion"},
                {"role": "assistant", "content": "It is vermilion."},
            ],
        }


def test_from_spans_to_the_tool_that_nobody_calls(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, lines(400))
    extract_pending(store, Window())
    found = findings_of(list(unused_tools_and_context(store, Window())))
    assert [(one.detail["tool"], one.n, one.k) for one in found if one.confirmed] == [
        ("fax", 400, 400)
    ]

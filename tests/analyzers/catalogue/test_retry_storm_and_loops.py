"""Repeats, retries and circles: read off one run, counted over many, found where planted."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from spanlore.analyzers.catalogue import retry_storm_and_loops as analyzer
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.repeated_calls import repeats_of
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from tests.analyzers import traced
from tests.analyzers.traced import asked, called, refused, run
from tests.loaded_runs import load_lines

SEEDS = pytest.mark.parametrize("seed", range(3))


def test_the_same_call_with_the_same_answer_is_repeated_and_polling_is_not() -> None:
    again = run(calls=[called("look", {"q": 1}), called("look", {"q": 1})])
    polling = run(calls=[called("look", {"q": 1}), called("look", {"q": 1}, said="other")])
    assert len(repeats_of(again).repeated) == 1
    assert repeats_of(polling).repeated == ()


def test_the_order_of_keys_makes_no_other_call() -> None:
    calls = [called("look", {"a": 1, "b": 2}), called("look", {"b": 2, "a": 1})]
    assert len(repeats_of(run(calls=calls)).repeated) == 1


@pytest.mark.parametrize("call", [called("look", said=""), called("look", asked_by="user")])
def test_what_was_not_recorded_or_not_the_agents_is_no_repeat(call: Call) -> None:
    assert repeats_of(run(calls=[call, call])).repeated == ()


def test_a_retry_that_helps_is_no_waste() -> None:
    found = repeats_of(run(calls=[refused("book", {"x": 1}), called("book", {"x": 1})]))
    assert (found.failed_again, found.repeated) == ((), ())


def test_errors_that_differ_only_in_a_number_are_the_same_error() -> None:
    calls = [refused("book", {"x": 1}, said=f"Error: no {n}") for n in range(3)]
    found = repeats_of(run(calls=calls))
    assert (len(found.failed_again), found.repeated) == (2, ())
    assert found.guesses == {"book": 1}


def test_guesses_are_different_arguments_that_meet_the_same_error() -> None:
    calls = [refused("book", {"x": n}) for n in (1, 2, 2, 3)]
    assert repeats_of(run(calls=[*calls, refused("book", said="Error: full")])).guesses == {
        "book": 3
    }


def test_two_calls_that_take_turns_are_a_circle_and_no_repeats() -> None:
    one, other = called("look", {"q": 1}), refused("read", {"q": 2})
    found = repeats_of(run(calls=[one, other, one, other, one]))
    assert (len(found.circling), found.repeated, found.failed_again) == (3, (), ())
    assert repeats_of(run(calls=[one, one, one, one])).circling == ()


def test_tokens_are_wasted_where_a_model_call_asks_for_nothing_else() -> None:
    calls = [
        called("look", {"q": 1}, call_id="1"),
        called("look", {"q": 1}, call_id="2"),
        called("look", {"q": 1}, call_id="3"),
        called("read", {"q": 1}, call_id="4"),
    ]
    model_calls = [
        asked(("1", "look", {"q": 1})),
        asked(("2", "look", {"q": 1}), tokens=(200, 20)),
        asked(("3", "look", {"q": 1}), ("4", "read", {"q": 1})),
    ]
    found = traced.facts(analyzer, run(calls=calls, model_calls=model_calls))
    assert found == {
        "repeat|look": (1, 1, 220.0),
        "repeat|read": (1, 0, 0.0),
        "cycle|any tools": (1, 0, 0.0),
        "run|repeat": (1, 1, 220.0),
    }


def test_an_id_that_comes_back_belongs_to_its_own_request() -> None:
    calls = [called("look", {"q": 1}, call_id="1"), called("look", {"q": 1}, call_id="1")]
    model_calls = [
        asked(("1", "look", {"q": 1}), tokens=(1, 0)),
        asked(("1", "look", {"q": 1}), tokens=(2, 0)),
    ]
    found = traced.facts(analyzer, run(calls=calls, model_calls=model_calls))
    assert found["repeat|look"] == (1, 1, 2.0)


def looping_runs(seed: int, *, rate: float, harm: float, runs: int = 400) -> list[RunTrace]:
    """Make runs that repeat ``look`` at this rate; those that do fail more often by ``harm``."""
    random = Random(seed)
    made = []
    for number in range(runs):
        repeats = random.random() < rate
        fails = random.random() < 0.3 + harm * repeats
        calls = [called("look", {"q": 1})] * (1 + repeats) + [called("read", {"q": number})]
        made.append(run(number, calls=calls, outcome="fail" if fails else "pass"))
    return made


def told(store: Store, runs: Sequence[RunTrace]) -> set[str]:
    return {
        f"{one.detail['kind']} {one.detail['pattern']}"
        for one in traced.confirmed(store, analyzer, runs)
    }


@SEEDS
def test_planted_repeats_that_do_harm_are_found_with_their_harm(store: Store, seed: int) -> None:
    found = told(store, looping_runs(seed, rate=0.4, harm=0.5))
    assert found == {"rate repeat", "outcome repeat"}


@SEEDS
def test_repeats_that_do_no_harm_are_found_without_it(store: Store, seed: int) -> None:
    assert told(store, looping_runs(seed, rate=0.4, harm=0.0)) == {"rate repeat"}


@SEEDS
def test_where_runs_hardly_repeat_themselves_nothing_is_found(store: Store, seed: int) -> None:
    assert told(store, looping_runs(seed, rate=0.03, harm=0.0)) == set()


def test_a_finding_says_how_many_calls_and_which_agent(store: Store) -> None:
    [found] = traced.confirmed(store, analyzer, looping_runs(1, rate=0.4, harm=0.0))
    assert found.title == "look is called again with the same arguments and gives the same answer"
    assert (found.n, found.detail["calls"]) == (400, found.k)
    [place] = found.detail["seen_in"]
    assert (place["agent"], place["runs_with_it"], place["runs"]) == ("a/1", found.k, 400)
    assert len(found.evidence) == len(found.counter_evidence) == 20


def test_a_finding_says_where_only_one_of_several_tenants_is_affected(store: Store) -> None:
    runs = [
        run(number, calls=[called("look", {"q": 1})] * (1 + number % 2), tenant=f"t{number % 2}")
        for number in range(200)
    ]
    [found] = traced.confirmed(store, analyzer, runs)
    assert found.detail["scope"]["only_tenant_affected"]
    assert found.detail["scope"]["tenant"] == "t1"


def test_retries_are_found_and_told_from_guesses(store: Store) -> None:
    again = [refused("book", {"x": 1})] * 3
    guesses = [refused("read", {"x": n}) for n in range(3)]
    fine = [refused("book", {"x": 1}), refused("read", {"x": 1})]
    runs = [run(number, calls=(again, guesses, fine)[number % 3]) for number in range(210)]
    assert told(store, runs) == {"rate retry", "rate same_error"}


def test_runs_are_read_from_a_store_and_their_repeats_found(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, traced.lines(looping_runs(3, rate=0.4, harm=0.0, runs=120)))
    extract_pending(store, Window())
    [found] = [one for one in traced.findings(store, analyzer) if one.confirmed]
    assert (found.detail["kind"], found.detail["tool"]) == ("rate", "look")
    assert found.detail["tokens_wasted"] == 110 * found.k

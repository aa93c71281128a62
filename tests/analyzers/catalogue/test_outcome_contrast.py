"""What goes with failing: read off one run, found where planted, silent where nothing is."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from spanlore.analyzers.catalogue import outcome_contrast as analyzer
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.run_trace import Message, RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from tests.analyzers import traced
from tests.analyzers.desk_runs import desk_runs
from tests.analyzers.traced import called, run
from tests.loaded_runs import load_lines

SEEDS = pytest.mark.parametrize("seed", range(3))


def without_check(tools: Sequence[str]) -> float:
    return 0.2 if "check_policy" in tools else 0.6


def test_a_run_says_what_it_called_and_in_which_order() -> None:
    found = traced.facts(analyzer, run(calls=[called("look"), called("look"), called("book")]))
    assert set(found) == {
        "used|look",
        "used|book",
        "then|look|book",
        "before|look|book",
        "first|look",
        "last|book",
        "calls|1 to 3",
    }


def test_a_run_without_calls_says_so_and_what_others_called_is_not_the_agents() -> None:
    assert set(traced.facts(analyzer, run())) == {"no_tool"}
    theirs = run(calls=[called("restart", asked_by="user")])
    assert set(traced.facts(analyzer, theirs)) == {"no_tool"}


def test_a_question_counts_once_the_user_has_the_word() -> None:
    said = Message(role="assistant", text="Which one?")
    assert "asked_user" in traced.facts(
        analyzer, run(messages=[said, Message(role="user", text="the first")])
    )
    assert "asked_user" not in traced.facts(analyzer, run(messages=[said]))


def test_a_tools_name_cannot_pass_for_two() -> None:
    assert "used|a/b" in traced.facts(analyzer, run(calls=[called("a|b")]))


@SEEDS
def test_a_step_that_is_left_out_is_found(store: Store, seed: int) -> None:
    found = traced.confirmed(store, analyzer, desk_runs(seed, without_check))
    [of_check] = [one for one in found if one.detail["key"] == "used|check_policy|pass"]
    assert of_check.title == "runs that call check_policy pass more often than runs that do not"
    assert of_check.effect is not None
    assert of_check.effect > 0.25
    assert "never a cause" in of_check.detail["association"]
    # Whatever else is confirmed is the same step in other words: fewer calls, or acting at once.
    assert not any("send_mail" in one.detail["key"] for one in found)


@SEEDS
def test_where_outcomes_are_by_chance_nothing_is_found(store: Store, seed: int) -> None:
    assert traced.confirmed(store, analyzer, desk_runs(seed)) == []


@SEEDS
def test_a_tool_of_the_agent_that_fails_more_is_not_found(store: Store, seed: int) -> None:
    random = Random(seed)
    runs = []
    for one in desk_runs(seed):
        worse = random.random() < 0.5
        calls = one.calls if worse or random.random() < 0.2 else one.calls[1:]
        failed = random.random() < (0.8 if worse else 0.3)
        version = "2" if worse else "1"
        made = replace(one, calls=calls, outcome="fail" if failed else "pass")
        runs.append(replace(made, agent=f"a/{version}", harness=f"h{version}"))
    assert traced.confirmed(store, analyzer, runs) == []


def test_the_order_of_two_tools_is_compared_among_runs_that_call_both(store: Store) -> None:
    random = Random(5)
    runs: list[RunTrace] = []
    for number in range(400):
        calls = [called("check"), called("act")]
        swapped = random.random() < 0.5
        failed = random.random() < (0.7 if swapped else 0.2)
        runs.append(
            run(
                number,
                calls=calls[::-1] if swapped else calls,
                outcome="fail" if failed else "pass",
            )
        )
    found = {one.detail["key"]: one for one in traced.confirmed(store, analyzer, runs)}
    order = found["before|act|check|fail"]
    assert order.title == (
        "runs that call act before check fail more often than runs that call both in the other "
        "order"
    )


def test_evidence_is_of_tasks_in_which_runs_differ(store: Store) -> None:
    runs = desk_runs(1, without_check)
    always = {one.trace_id for one in runs if one.task.endswith("/0")}
    everybody = [
        replace(one, calls=(*one.calls, called("check_policy")), outcome="pass")
        if one.trace_id in always
        else one
        for one in runs
    ]
    found = traced.confirmed(store, analyzer, everybody)
    [of_check] = [one for one in found if one.detail["key"] == "used|check_policy|pass"]
    assert not always & {*of_check.evidence, *of_check.counter_evidence}
    passed = {one.trace_id for one in everybody if one.outcome == "pass"}
    assert set(of_check.evidence) <= passed
    assert not set(of_check.counter_evidence) & passed


def test_the_same_is_found_from_spans(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, traced.lines(desk_runs(0, without_check)))
    extract_pending(store, Window())
    found = [one for one in traced.findings(store, analyzer) if one.confirmed]
    assert "used|check_policy|pass" in {one.detail["key"] for one in found}

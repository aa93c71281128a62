"""Actions that only failing runs take: read off one run, found where planted, silent else."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from spanlore.analyzers.catalogue import policy_violation_actions as analyzer
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.tool_effect import changes_state
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from tests.analyzers import traced
from tests.analyzers.desk_runs import desk_runs
from tests.analyzers.traced import called, run
from tests.loaded_runs import load_lines

SEEDS = pytest.mark.parametrize("seed", range(3))
PLAIN = {"name": "pay", "parameters": {"properties": {"by": {"enum": ["card", "Gift Card"]}}}}


def where_deleted(tools: Sequence[str]) -> float:
    return 1.0 if "delete_user" in tools else 0.3


@pytest.mark.parametrize(
    ("tool", "changes"),
    [
        ("get_order", False),
        ("listAllAirports", False),
        ("mcp__shop__find_user", False),
        ("orders.read", False),
        ("cancel_reservation", True),
        ("transfer_to_human_agents", True),
        ("sendMail", True),
        ("42", True),
    ],
)
def test_a_tools_name_says_whether_it_changes_anything(tool: str, *, changes: bool) -> None:
    assert changes_state(tool) == changes


def test_an_action_is_a_changing_call_with_its_coarse_arguments() -> None:
    given = {"id": "A17", "now": True, "class": "economy", "note": "Please, at once", "n": 3}
    found = traced.facts(
        analyzer, run(calls=[called("get_order", given), called("cancel_order", given)])
    )
    assert set(found) == {
        "did|cancel_order",
        "did|cancel_order|now|true",
        "did|cancel_order|class|economy",
    }


def test_a_value_that_the_definition_lists_is_coarse() -> None:
    calls = [called("pay", {"by": "Gift Card"}), called("pay", {"by": "cheque"})]
    found = traced.facts(analyzer, run(calls=calls, tools=[PLAIN]))
    assert set(found) == {"did|pay", "did|pay|by|Gift Card", "undefined"}


def test_a_call_of_a_tool_that_is_not_defined_is_told() -> None:
    [fact] = [
        fact
        for fact in analyzer.policy_violation_actions_facts(
            run(calls=[called("pay"), called("fly")], tools=[PLAIN])
        )
        if fact.key == "undefined"
    ]
    assert (fact.n, fact.k, fact.detail) == (1, 1, '["fly"]')


@SEEDS
def test_an_action_that_only_failing_runs_take_is_found(store: Store, seed: int) -> None:
    runs = desk_runs(seed, where_deleted, forbidden=0.2)
    [found] = traced.confirmed(store, analyzer, runs)
    assert found.detail["tool"] == "delete_user"
    assert found.n == found.k
    deleting = {one.trace_id for one in runs if any(c.tool == "delete_user" for c in one.calls)}
    assert set(found.evidence) <= deleting
    assert found.counter_evidence == ()


@SEEDS
def test_an_action_that_passing_runs_take_too_is_not_told(store: Store, seed: int) -> None:
    runs = desk_runs(seed, lambda tools: 0.3 + 0.5 * ("delete_user" in tools), forbidden=0.3)
    traced.keep(store, analyzer, runs)
    assert "delete_user" not in {one.detail["tool"] for one in traced.findings(store, analyzer)}


@SEEDS
def test_where_outcomes_are_by_chance_no_action_is_confirmed(store: Store, seed: int) -> None:
    assert traced.confirmed(store, analyzer, desk_runs(seed, forbidden=0.05)) == []


def test_what_is_needed_elsewhere_may_be_forbidden_here(store: Store) -> None:
    runs = desk_runs(1, where_deleted, forbidden=0.2)
    closing = [
        run(
            1000 + number,
            calls=[called("delete_user", {"now": True})],
            task=f"close{number % 10}",
            outcome="pass",
        )
        for number in range(100)
    ]
    [found] = traced.confirmed(store, analyzer, [*runs, *closing])
    assert found.detail["tool"] == "delete_user"
    assert found.n == found.k


def test_tools_that_nobody_defined_are_found(store: Store) -> None:
    runs = [
        run(
            number,
            calls=[called("pay"), *([called("fly")] if number % 5 == 0 else [])],
            tools=[PLAIN],
        )
        for number in range(200)
    ]
    [found] = traced.confirmed(store, analyzer, runs)
    assert (found.n, found.k, found.detail["tools"]) == (200, 40, ["fly"])


def test_the_same_is_found_from_spans(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, traced.lines(desk_runs(0, where_deleted, forbidden=0.2)))
    extract_pending(store, Window())
    [found] = [one for one in traced.findings(store, analyzer) if one.confirmed]
    assert found.title == (
        "only runs that fail call delete_user, where runs of the same task differ in it"
    )

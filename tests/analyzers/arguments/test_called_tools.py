"""What runs say of their calls: the same whether kept as facts, at hand, or counted by hand."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spanlore.analyzers.arguments.argument_form import form_of, texts_of
from spanlore.analyzers.arguments.call_facts import call_facts, key_of
from spanlore.analyzers.arguments.called_tools import CalledTools, KeptTools, ToolsAtHand
from spanlore.analyzers.catalogue.tool_argument_misuse import (
    misuse_hypotheses,
    tool_argument_misuse,
)
from spanlore.analyzers.core.cells import Cells
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.calls import Call, calls_of
from spanlore.analyzers.runs.error_template import error_template
from spanlore.analyzers.runs.fact import DETAIL_CHARS_MAX, KEY_CHARS_MAX
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS
from tests.analyzers import recorded
from tests.analyzers.catalogue.test_planted_faults import runs as planted_runs
from tests.analyzers.evaluation.test_replay_gate import stored
from tests.analyzers.resized import resized


def made(tool: str, arguments: Any, *, result: str = "", error: str = "") -> Call:
    return Call(
        tenant="acme",
        trace_id="a",
        span_id=f"{tool}{arguments}",
        start_ns=0,
        tool=tool,
        arguments=arguments,
        result=result or error,
        error=error_template(error) if error else None,
        task="t/1",
        user="acme/ana",
        model="a/1/m",
    )


def test_a_form_says_keys_types_formats_and_sizes_and_no_value() -> None:
    arguments = {
        "when": "2026-03-04",
        "who": [{"mail": "a@x.org"}, {"mail": "b@x.org"}],
        "one": [1],
        "none": [],
        "price": 1.5,
        "really": True,
        "left": None,
    }
    assert form_of(arguments) == {
        "left": None,
        "none": [],
        "one": [0],
        "price": 0.5,
        "really": True,
        "when": "date",
        "who": [{"mail": "e-mail"}, {"mail": "e-mail"}],
    }


def test_of_texts_only_single_words_are_kept() -> None:
    texts = texts_of({"mode": "fast", "note": "call 030 123 please"})
    assert texts["mode"] == ["fast"]
    assert "030" not in json.dumps(texts)


def test_each_call_is_a_fact_and_what_needs_earlier_outputs_another() -> None:
    seen = made("look_up", {"name": "ana"}, result='{"payment_id": "P77", "price": 12}')
    paid = made("pay", {"items": [{"payment_id": "P77"}], "amount": 13}, error="Error: not 13")
    facts = {fact.key: fact for fact in call_facts([seen, paid])}
    assert list(facts) == [
        "call|look_up|0000000",
        "call|pay|0000001",
        "error|pay|0000001",
        "total|pay|0000001",
        "source|pay|0000001",
    ]
    assert [(fact.n, fact.k) for fact in facts.values()] == [(1, 0), *[(1, 1)] * 4]
    assert json.loads(facts["error|pay|0000001"].detail) == {
        "slots": [13.0],
        "repeats": [[["amount", "value"]]],
        "sums": {"amount": 13.0},
    }
    assert json.loads(facts["total|pay|0000001"].detail)["totals"] == {"items": {"price": 12.0}}
    assert json.loads(facts["source|pay|0000001"].detail) == {
        "sources": {"items[].payment_id": [["payment_id", "look_up"]]}
    }


def test_facts_fit_whatever_a_call_holds() -> None:
    wide = {f"key{number}": {"text": f"word{number}" * 20} for number in range(500)}
    facts = list(call_facts([made("t" * 1000, wide, error="no" * 3000)]))
    assert [fact.k for fact in facts] == [1, 1]
    assert all(len(fact.key) <= KEY_CHARS_MAX for fact in facts)
    assert all(len(fact.detail) <= DETAIL_CHARS_MAX for fact in facts)
    assert all(isinstance(json.loads(fact.detail), dict) for fact in facts)


def told(tools: CalledTools) -> dict[str, Counter[tuple[Any, ...]]]:
    """Return tool -> its calls, each with its run, error text and form."""
    found = {}
    for name in tools.failing:
        calls = tools.calls_of(name)
        found[name] = Counter(
            (
                tools.runs.trace_ids[run],
                calls.errors[error] if error >= 0 else None,
                json.dumps(calls.forms[form]) if form >= 0 else None,
            )
            for run, error, form in zip(
                calls.run.tolist(), calls.error.tolist(), calls.form.tolist(), strict=True
            )
        )
    return found


def test_kept_facts_count_what_a_straight_count_of_the_rows_counts(
    store: Store, recorded_runs: Path
) -> None:
    del recorded_runs  # skips where there are none
    rows = recorded.recorded_rows()
    stored(store, rows)
    extract_pending(store, Window())
    kept = KeptTools(store, Window())
    by_hand: dict[str, Counter[tuple[Any, ...]]] = {}
    first_of_run: dict[tuple[str, str], int] = {}
    for row in sorted(rows, key=lambda one: (one["TraceId"], one["StartUnixNano"])):
        arguments = json.loads(row["ToolArguments"])
        template = error_template(row["ToolResult"]).text if row["Failed"] else None
        by_hand.setdefault(row["ToolName"], Counter())[
            row["TraceId"], template, json.dumps(form_of(arguments))
        ] += 1
        first_of_run.setdefault((row["TraceId"], row["ToolName"]), row["Failed"])
    failing = {row["ToolName"] for row in rows if row["Failed"]}
    assert told(kept) == {tool: by_hand[tool] for tool in failing}
    assert kept.runs.looks.sum() == len(first_of_run)
    assert kept.runs.failed.sum() == sum(first_of_run.values())
    assert len(kept.runs.trace_ids) == len({row["TraceId"] for row in rows})


def hypotheses(store: Store, rows: list[dict[str, Any]]) -> tuple[list[Hypothesis], ...]:
    stored(store, rows)
    extract_pending(store, Window())
    return list(tool_argument_misuse(store, Window())), list(misuse_hypotheses(rows, []))


def test_the_store_says_the_same_as_the_calls_at_hand(store: Store) -> None:
    kept, at_hand = hypotheses(store, list(resized(3)))
    assert [replace(one, strata=()) for one in kept] == [replace(one, strata=()) for one in at_hand]
    assert findings_of(kept) == findings_of(at_hand)


def test_a_planted_fault_is_found_in_the_store(store: Store) -> None:
    kept, _ = hypotheses(store, list(planted_runs(1, planted=True)))
    [found] = [one for one in findings_of(kept) if one.confirmed]
    assert found.detail["shape"] == {"path": "size", "kind": "type", "value": "string"}


def test_only_the_latest_version_of_a_run_counts(store: Store) -> None:
    rows = list(resized(3, tasks=3))
    stored(store, rows)
    extract_pending(store, Window())
    store.command(f"INSERT INTO {RUNS} SELECT * REPLACE(2 AS Version) FROM {RUNS}")
    assert len(KeptTools(store, Window()).runs.trace_ids) == 0
    extract_pending(store, Window())
    assert told(KeptTools(store, Window())) == told(ToolsAtHand(calls_of(rows)))


def test_a_tool_whose_name_begins_another_tools_key_keeps_its_own_calls(store: Store) -> None:
    rows = list(resized(3, tasks=3))
    odd = key_of("x", "resize", 7).removeprefix("x|")
    both = [{**one, "ToolName": odd} if one["ToolName"] == "look" else one for one in rows]
    stored(store, both)
    extract_pending(store, Window())
    assert told(KeptTools(store, Window())) == told(ToolsAtHand(calls_of(both)))


def test_looks_are_the_first_calls_of_each_arm_in_a_run_by_half() -> None:
    rows = list(resized(5, tasks=12, runs=4))
    key = "shape|resize|size|type|string"
    [hypothesis] = [one for one in misuse_hypotheses(rows, []) if one.key == key]
    looks: dict[tuple[str, bool], tuple[bool, int]] = {}
    for row in (one for one in rows if one["ToolName"] == "resize"):
        is_text = isinstance(json.loads(row["ToolArguments"])["size"], str)
        discovers = in_discovery_half(f"t/{row['TaskId']}")
        looks.setdefault((row["TraceId"], is_text), (discovers, row["Failed"]))
    by_hand = Counter[tuple[str, bool]]()
    for (_, is_text), (discovers, failed) in looks.items():
        by_hand["n" if is_text else "other_n", discovers] += 1
        by_hand["k" if is_text else "other_k", discovers] += failed
    cells = hypothesis.strata
    assert isinstance(cells, Cells)
    assert len(np.unique(cells.factors["task"])) == 12
    for column in ("n", "k", "other_n", "other_k"):
        for half in (True, False):
            counted = getattr(cells, column)[cells.discovers == half].sum()
            assert counted == by_hand[column, half]

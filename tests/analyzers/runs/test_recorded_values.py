"""Values and tools of recorded runs, counted twice: from the lines alone, and from the store."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.counting.fact_counts import rates
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.registry import installed_analyzers
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from tests.loaded_runs import load_lines

NAMES = (
    "change_point",
    "repeated_correction",
    "stale_memory",
    "ungrounded_output",
    "unused_tools_and_context",
)
FILE = "tau_airline_gpt4o.jsonl"
RUNS = 100
CODE = re.compile(r"[a-z_]+_\d+")


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def made_up_payments(runs: list[dict[str, Any]]) -> tuple[int, int]:
    """Count runs whose first update of flights names a payment, and those that no input holds."""
    named = made_up = 0
    for run in runs:
        heard = json.dumps(run["tools"])
        for message in run["messages"]:
            if message["role"] != "assistant":
                heard += str(message["content"])
                continue
            calls = [one["function"] for one in message.get("tool_calls") or []]
            updates = [one for one in calls if one["name"] == "update_reservation_flights"]
            if updates:
                payment = json.loads(updates[0]["arguments"]).get("payment_id", "")
                if CODE.fullmatch(payment):
                    named, made_up = named + 1, made_up + (payment not in heard)
                    break
    return named, made_up


def uncalled(runs: list[dict[str, Any]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for run in runs:
        defined = {one["function"]["name"] for one in run["tools"]}
        called = {
            one["function"]["name"]
            for message in run["messages"]
            for one in message.get("tool_calls") or []
        }
        counted.update(defined - called)
    return counted


def test_what_is_counted_is_in_the_lines_and_nothing_is_believed_too_early(
    store: Store, recorded_runs: Path, tmp_path: Path
) -> None:
    runs = lines(recorded_runs)[:RUNS]
    load_lines(store, tmp_path, runs)
    extract_pending(store, Window())
    hypotheses = [
        one for analyzer in installed_analyzers(NAMES) for one in analyzer.analyze(store, Window())
    ]
    assert [one.title for one in findings_of(hypotheses) if one.confirmed] == []

    def counted(extractor: str, prefix: str) -> dict[str, tuple[int, int]]:
        return {
            one.key.removeprefix(prefix): (one.support.n, one.support.k)
            for one in rates(store, Window(), extractor, prefix=prefix)
        }

    given = counted("ungrounded_output", "argument|update_reservation_flights|")
    assert given["payment_id"] == made_up_payments(runs) == (30, 2)
    never = counted("unused_tools_and_context", "tool|airline-agent|")
    assert never == {tool: (RUNS, number) for tool, number in uncalled(runs).items()}
    assert never["list_all_airports"] == (100, 98)

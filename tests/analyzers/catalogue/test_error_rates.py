"""How often what is planted is missed, and what is not there is found: many worlds, printed.

The worlds are those of each analyzer's own tests; the recorded runs have their outcomes dealt out
anew within each task, which breaks every tie between what a run does and whether it fails.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from spanlore.analyzers.catalogue import (
    error_clusters,
    latency_and_cost_outliers,
    output_parser_failures,
    retry_storm_and_loops,
    truncation_and_context_overflow,
)
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import RUN_FACTS
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, RUNS
from tests.analyzers import traced
from tests.analyzers.catalogue.test_error_clusters import failing_runs
from tests.analyzers.catalogue.test_latency_and_cost_outliers import spending_runs, timed_runs
from tests.analyzers.catalogue.test_output_parser_failures import unread_runs
from tests.analyzers.catalogue.test_retry_storm_and_loops import looping_runs
from tests.analyzers.catalogue.test_truncation_and_context_overflow import cut_runs
from tests.loaded_runs import load_lines

ROUNDS = 100
FALSE_MAX = 0.05
MISSED_MAX = 0.1
SHUFFLES = 40
ANALYZERS = (
    error_clusters,
    latency_and_cost_outliers,
    output_parser_failures,
    retry_storm_and_loops,
    truncation_and_context_overflow,
)
Make = Callable[[int], list[RunTrace]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7_200)]

PLANTED: tuple[tuple[ModuleType, Make, set[str]], ...] = (
    (error_clusters, partial(failing_runs, rate=0.3, harm=0.6), {"rate", "outcome"}),
    (error_clusters, partial(failing_runs, rate=0.01, since=0.25), {"new"}),
    (latency_and_cost_outliers, partial(timed_runs, stalls=0.06), {"slow"}),
    (
        latency_and_cost_outliers,
        partial(spending_runs, costly=0.25, harm=0.6),
        {"outcome", "spent_on_failure"},
    ),
    (output_parser_failures, partial(unread_runs, rate=0.3, harm=0.6), {"rate", "outcome"}),
    (retry_storm_and_loops, partial(looping_runs, rate=0.4, harm=0.5), {"rate", "outcome"}),
    (
        truncation_and_context_overflow,
        partial(cut_runs, rate=0.3, harm=0.6),
        {"rate", "outcome"},
    ),
)
# At the tolerable rate exactly, and without harm: whatever is confirmed is false.
NOTHING: tuple[tuple[ModuleType, Make], ...] = (
    (error_clusters, partial(failing_runs, rate=0.05)),
    (latency_and_cost_outliers, partial(timed_runs, stalls=0.01)),
    (latency_and_cost_outliers, partial(spending_runs, costly=0.25, harm=0.0)),
    (output_parser_failures, partial(unread_runs, rate=0.01, harm=0.0)),
    (retry_storm_and_loops, partial(looping_runs, rate=0.05, harm=0.0)),
    (truncation_and_context_overflow, partial(cut_runs, rate=0.01, harm=0.0)),
)


def kinds(store: Store, analyzer: ModuleType, runs: Sequence[RunTrace]) -> set[str]:
    for table in (RUNS, RUN_FACTS):
        store.command(f"TRUNCATE TABLE {table} SYNC")
    return set(traced.by_kind(store, analyzer, runs))


@pytest.mark.parametrize(("analyzer", "make", "wanted"), PLANTED)
def test_what_is_planted_is_found_nine_times_of_ten(
    store: Store, analyzer: ModuleType, make: Make, wanted: set[str]
) -> None:
    found = [kinds(store, analyzer, make(1_000 + seed)) for seed in range(ROUNDS)]
    missed = {kind: sum(kind not in one for one in found) for kind in sorted(wanted)}
    print(f"{analyzer.NAME}: of {ROUNDS} worlds missed {missed}")
    assert max(missed.values()) <= MISSED_MAX * ROUNDS


@pytest.mark.parametrize(("analyzer", "make"), NOTHING)
def test_what_is_not_there_is_found_in_at_most_a_twentieth_of_worlds(
    store: Store, analyzer: ModuleType, make: Make
) -> None:
    found = [kinds(store, analyzer, make(2_000 + seed)) for seed in range(ROUNDS)]
    false = sum(map(bool, found))
    print(f"{analyzer.NAME}: {false} of {ROUNDS} worlds with something false")
    assert false <= FALSE_MAX * ROUNDS


def test_shuffled_outcomes_of_recorded_runs_show_no_harm(
    store: Store, tmp_path: Path, recorded_runs: Path
) -> None:
    texts = (path.read_text(encoding="utf-8") for path in sorted(recorded_runs.glob("*.jsonl")))
    load_lines(store, tmp_path, [line for text in texts for line in text.splitlines()])
    extract_pending(store, Window())
    runs = store.query(f"SELECT * FROM {RUNS} {LATEST_RUN}")
    random = Random(7)
    false = 0
    for _ in range(SHUFFLES):
        tasks: dict[tuple[str, str], list[int]] = defaultdict(list)
        for position, run in enumerate(runs):
            tasks[run["TaskType"], run["TaskId"]].append(position)
        for positions in tasks.values():
            outcomes = [runs[position]["Outcome"] for position in positions]
            random.shuffle(outcomes)
            for position, outcome in zip(positions, outcomes, strict=True):
                runs[position]["Outcome"] = outcome
        store.command(f"TRUNCATE TABLE {RUNS} SYNC")
        store.insert(RUNS, runs)
        false += any(
            one.confirmed and one.detail["kind"] == "outcome"
            for analyzer in ANALYZERS
            for one in traced.findings(store, analyzer)
        )
    print(f"{false} of {SHUFFLES} shuffles with a false outcome")
    assert false <= FALSE_MAX * SHUFFLES

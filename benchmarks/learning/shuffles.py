"""Outcomes dealt out anew among the runs of each task: what is then confirmed of them is false.

The recorded runs are imported and read once. A round deals the outcomes of each task's runs among
those runs (so every task stays as hard as it is, and no run's steps have to do with its outcome),
in ``agent_runs`` under the same versions, so that all facts still count. All analyzers then count
again. Not under test is what says the same as before the deal (same finding, same counts), and
what was confirmed before and is compared with a tolerable rate alone: "two runs in five fail" is as
true after it. Whatever else is confirmed is false.
"""

import json
import multiprocessing
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from learning.fill import empty, fill_lines, scratch_store
from spanlore.analyzers.core.cells import Cells, Stratum
from spanlore.analyzers.core.findings import finding_id, findings_of
from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.registry import installed_analyzers
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, RUNS
from spanlore.schemas.types import Finding

LOT_ROUNDS = 50
Rows = Sequence[Mapping[str, Any]]


def recorded_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield every recorded run of a folder."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def false_findings(
    folder: Path, *, rounds: int, seed: int, progress: Callable[[str], None] = lambda _: None
) -> Iterator[list[str]]:
    """Yield what each round says falsely, in words. The rounds go in lots, one a core at a time.

    Each lot has a store and a seed of its own.
    """
    lots = [min(LOT_ROUNDS, rounds - begun) for begun in range(0, rounds, LOT_ROUNDS)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        waiting = [
            pool.submit(_lot, folder, number, f"{seed}, lot {at}") for at, number in enumerate(lots)
        ]
        done = 0
        for future in as_completed(waiting):
            said = future.result()
            yield from said
            done += len(said)
            progress(f"{done} of {rounds} deals of outcomes")


def _lot(folder: Path, rounds: int, seed: str) -> list[list[str]]:
    with scratch_store() as store:
        found = shuffled_rounds(store, recorded_lines(folder), rounds=rounds, seed=seed)
        return [[f"{one.analyzer}: {one.title}" for one in of_round] for of_round in found]


def shuffled_rounds(
    store: Store,
    lines: Iterator[dict[str, Any]],
    *,
    rounds: int,
    seed: str,
) -> Iterator[list[Finding]]:
    """Yield, for each round, the false findings of all analyzers together."""
    empty(store)
    fill_lines(store, lines)
    extract_pending(store, Window())
    runs = store.query(f"SELECT * FROM {RUNS} {LATEST_RUN}")
    window = Window(until=datetime.now(UTC))
    analyzers = installed_analyzers()
    before = {one.name: list(one.analyze(store, window)) for one in analyzers}
    true = [one for one in findings_of(_all(before)) if one.confirmed]
    same = {_said(one) for one in true}
    rates = {one.finding_id for one in true} & _compared_with_nothing(_all(before))
    random = Random(seed)
    resting = set[str]()
    for number in range(rounds):
        _replace(store, dealt(runs, random))
        now = {
            one.name: before[one.name] if one.name in resting else list(one.analyze(store, window))
            for one in analyzers
        }
        if number == 0:
            resting = {name for name in now if _counts(now[name]) == _counts(before[name])}
        confirmed = [one for one in findings_of(_all(now)) if one.confirmed]
        yield [
            one
            for one in confirmed
            if one.analyzer not in resting
            and _said(one) not in same
            and one.finding_id not in rates
        ]
    _replace(store, runs)


def dealt(runs: Rows, random: Random) -> list[dict[str, Any]]:
    """Deal what each task's runs came out as among these runs."""
    tasks: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for run in runs:
        tasks[run["TaskType"], run["TaskId"]].append(run)
    names = ("Outcome", "OutcomeScore", "OutcomeSource")
    made = []
    for of_task in tasks.values():
        outcomes = [{name: run[name] for name in names} for run in of_task]
        random.shuffle(outcomes)
        made += [{**run, **outcome} for run, outcome in zip(of_task, outcomes, strict=True)]
    return made


def _replace(store: Store, runs: Rows) -> None:
    store.command(f"TRUNCATE TABLE {RUNS} SYNC")
    store.insert(RUNS, runs)


def _all(by_name: Mapping[str, Sequence[Hypothesis]]) -> list[Hypothesis]:
    return [one for hypotheses in by_name.values() for one in hypotheses]


def _counts(hypotheses: Sequence[Hypothesis]) -> list[tuple[str, int, int]]:
    return sorted((one.key, one.support.n, one.support.k) for one in hypotheses)


def _compared_with_nothing(hypotheses: Sequence[Hypothesis]) -> set[str]:
    """Return the finding ids of hypotheses that test a rate against a tolerable one."""
    return {finding_id(one.analyzer, one.key) for one in hypotheses if not _others(one.strata)}


def _others(strata: Cells | tuple[Stratum, ...]) -> float:
    """Return how many looks there are to compare with."""
    if isinstance(strata, Cells):
        return float(strata.other_n.sum())
    return float(sum(one.table.other_n for one in strata))


def _said(finding: Finding) -> tuple[str, int, int]:
    return finding.finding_id, finding.n, finding.k

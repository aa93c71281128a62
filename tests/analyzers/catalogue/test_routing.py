"""Which model does which tasks better: found where planted, and never without common tasks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from spanlore.analyzers.catalogue import outcome_contrast
from spanlore.analyzers.catalogue import routing as analyzer
from spanlore.analyzers.catalogue.routing import Route, routing_hypotheses
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding
from tests.analyzers import traced
from tests.analyzers.traced import run
from tests.loaded_runs import load_lines

SEEDS = pytest.mark.parametrize("seed", range(3))


def two_models(seed: int, *, better: float = 0.5, apart: bool = False) -> Iterator[RunTrace]:
    """Yield runs of refunds and others; model-b passes refunds at the rate ``better``."""
    random = Random(seed)
    for number in range(400):
        model = random.choice(("model-a", "model-b"))
        kind = "refund" if number % 2 else "other"
        chance = better if (model, kind) == ("model-b", "refund") else 0.5
        task = f"{model if apart else ''}{number % 40}"
        yield run(
            number,
            task_type=kind,
            task=task,
            model=model,
            harness=f"h-{model}",
            outcome="pass" if random.random() < chance else "fail",
        )


def told(store: Store, runs: list[RunTrace]) -> list[Finding]:
    traced.keep(store, outcome_contrast, runs)
    return traced.findings(store, analyzer)


@SEEDS
def test_the_better_model_for_a_type_of_task_is_found(store: Store, seed: int) -> None:
    found = told(store, list(two_models(seed, better=0.9)))
    [of_refunds] = [one for one in found if one.confirmed]
    assert of_refunds.title.startswith("on refund tasks model-b passes more often than model-a by ")
    assert of_refunds.detail["tasks_in_common"] == 20
    assert of_refunds.adjusted_for == ("task",)


@SEEDS
def test_models_that_are_equally_good_give_no_advice(store: Store, seed: int) -> None:
    assert not any(one.confirmed for one in told(store, list(two_models(seed))))


def test_without_a_task_in_common_there_is_nothing_to_compare(store: Store) -> None:
    found = told(store, list(two_models(0, better=1.0, apart=True)))
    assert found
    assert {one.detail["tasks_in_common"] for one in found} == {0}
    assert {one.verdict for one in found} == {"not_comparable"}


def test_runs_that_name_no_task_give_no_advice(store: Store) -> None:
    runs = [replace(one, task="refund") for one in two_models(0, better=1.0)]
    assert told(store, runs) == []


def test_cost_tokens_and_time_are_told_over_the_same_tasks() -> None:
    def row(model: str, task: int, **said: float) -> dict[str, object]:
        given = {"n": 10, "k": 5, "Cost": 0.0, "Costs": 0, "Tokens": 0, "Duration": 0.0}
        place = {"Task": task, "Judge": 0, "Cluster": -1, "Discovers": task % 2 == 0}
        name = {"AgentName": "a", "AgentVersion": "1", "Model": model}
        return {**name, **place, **given, "Durations": 0, "Passed": [], "Failed": [], **said}

    rows = [
        row("m", 1, Cost=2.0, Costs=10, Tokens=100, k=9),
        row("m", 2, Cost=6.0, Costs=10, Tokens=100, k=9),
        row("m", 3, Cost=900.0, Costs=10, Tokens=100),
        row("n", 1, Cost=10.0, Costs=10, Tokens=100),
        row("n", 2, Cost=10.0, Costs=10, Tokens=300),
    ]
    routes = [Route("a", "1", "m"), Route("a", "1", "n")]
    [one] = routing_hypotheses("t", routes, rows)
    assert one.detail["ratios"] == {"cost": 0.4, "tokens": 0.5, "duration": None}
    assert one.title == ("on t tasks m passes more often than n by 40 points at 0.4 times the cost")
    assert (one.support.n, one.support.k, one.support.units) == (20, 18, 2)


def test_the_same_is_found_from_spans(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, traced.lines(list(two_models(0, better=0.9))))
    found = traced.findings(store, analyzer)
    assert [one.detail["task_type"] for one in found if one.confirmed] == ["refund"]

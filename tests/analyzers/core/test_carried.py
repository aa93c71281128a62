"""A rate that one agent, model or harness brings about alone is not told of everybody."""

from dataclasses import replace
from typing import Any

import numpy as np

from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.schemas.types import Finding
from tests.analyzers.cell_rows import cells_of, hypothesis_of

SEED = 20261122
FLOOR = 0.05


def looks(by_model: list[tuple[int, int]], **levels: int) -> Hypothesis:
    """Return ``(n, k)`` of each model, spread over seven tasks."""
    rows: list[dict[str, Any]] = [
        {
            "task": task,
            "model": model,
            **levels,
            "counts": (n // 7 + (task < n % 7), k // 7 + (task < k % 7), 0, 0),
        }
        for model, (n, k) in enumerate(by_model)
        for task in range(7)
    ]
    return hypothesis_of(cells_of(rows), floor=FLOOR)


def the_finding(hypothesis: Hypothesis) -> Finding:
    [found] = findings_of([hypothesis])
    return found


ONE_OF_SEVEN = [(28, 21), *[(17, 0)] * 5, (19, 0)]


def test_a_rate_of_one_model_alone_says_so() -> None:
    found = the_finding(looks(ONE_OF_SEVEN))
    assert found.verdict == "confirmed"
    assert found.adjusted_for == ()
    assert found.detail["carried_by"] == "model"
    assert found.detail["holds_for"] == "one model of 7"
    assert found.detail["guard"]["share"] == 1.0
    assert found.detail["guard"]["says"] == (
        "only under one model of 7: 21 of 28 looks, under all others 0 of 104"
    )


def test_the_model_is_named_where_it_is_the_only_one_that_was_seen() -> None:
    places = [{"agent": "a/1", "model": "large", "harness": "h", "runs_with_it": 21, "runs": 28}]
    found = the_finding(replace(looks(ONE_OF_SEVEN), detail={"seen_in": places}))
    assert found.detail["holds_for"] == "large"
    assert found.detail["guard"]["says"].startswith("only under one model of 7 (large): ")


def test_an_agent_that_is_that_model_is_told_with_it() -> None:
    given = looks(ONE_OF_SEVEN)
    assert not isinstance(given.strata, tuple)
    factors = {**given.strata.factors, "agent": 10 + given.strata.factors["model"]}
    found = the_finding(replace(given, strata=replace(given.strata, factors=factors)))
    assert found.detail["carried_by"] == "agent"
    assert "one agent of 7, which is one model as well: " in found.detail["guard"]["says"]


def test_a_rate_of_several_models_is_everybodys() -> None:
    found = the_finding(looks([(28, 9), (28, 6), (28, 7), (28, 8)]))
    assert found.verdict == "confirmed"
    assert found.detail["guard"] is None
    assert "carried_by" not in found.detail


def test_one_model_that_is_worse_while_the_rest_is_bad_too_does_not_carry_it() -> None:
    found = the_finding(looks([(40, 30), (40, 8), (40, 8)]))
    assert found.detail["guard"] is None


def test_a_task_is_never_what_carries_a_rate() -> None:
    rows = [{"task": task, "counts": (20, 15 if task == 0 else 1, 0, 0)} for task in range(8)]
    assert the_finding(hypothesis_of(cells_of(rows), floor=FLOOR)).detail["guard"] is None


def test_where_all_models_are_alike_hardly_any_is_said_to_carry_the_rate() -> None:
    random, rounds, said = np.random.default_rng(SEED), 300, 0
    for _ in range(rounds):
        by_model = [(20, int(random.binomial(20, 0.06))) for _ in range(7)]
        found = findings_of([looks(by_model)])
        said += bool(found and found[0].detail["guard"])
    print(f"seed {SEED}: said of {said} of {rounds}")
    assert said <= 0.02 * rounds

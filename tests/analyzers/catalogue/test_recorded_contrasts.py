"""The recorded runs: what is said of them is counted again from the lines, without spanlore."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanlore.analyzers import extraction
from spanlore.analyzers.catalogue import (
    failure_localisation,
    outcome_contrast,
    policy_violation_actions,
    routing,
    success_workflow_mining,
)
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.registry import installed_extractors
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding
from tests.analyzers import recorded
from tests.loaded_runs import load_lines

TOOL = "cancel_reservation"
EXTRACTORS = (
    "failure_localisation",
    "outcome_contrast",
    "policy_violation_actions",
    "success_workflow_mining",
)


@pytest.fixture
def findings(
    store: Store, recorded_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Finding]:
    """Return what all five analyzers say of the recorded runs together, by title."""
    installed = [one for one in installed_extractors() if one.name in EXTRACTORS]
    monkeypatch.setattr(extraction, "installed_extractors", lambda: installed)
    lines = [
        line
        for path in sorted(recorded_runs.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    load_lines(store, tmp_path, lines)
    extraction.extract_pending(store, Window())
    found = findings_of(
        [
            hypothesis
            for analyze in (
                outcome_contrast.outcome_contrast,
                policy_violation_actions.policy_violation_actions,
                failure_localisation.failure_localisation,
                success_workflow_mining.success_workflow_mining,
                routing.routing,
            )
            for hypothesis in analyze(store, Window())
        ]
    )
    return {one.title: one for one in found}


def places() -> Iterator[tuple[tuple[Any, ...], bool, set[str]]]:
    """Yield task and agent of each run, whether it failed, and which tools its agent called."""
    for run in recorded.trajectories():
        task, agent = run["task"], run["agent"]
        place = (task["type"], task["id"], agent["name"], agent.get("version"), run.get("model"))
        called = {
            call["function"]["name"]
            for message in run["messages"]
            if message["role"] == "assistant"
            for call in message.get("tool_calls") or []
        }
        yield place, run["outcome"]["label"] == "fail", called


def test_what_is_said_of_the_recorded_runs_can_be_counted_by_hand(
    findings: dict[str, Finding],
) -> None:
    """Fifty tasks are too few to be sure of any of it, and nothing is said to be."""
    assert [one.title for one in findings.values() if one.confirmed] == []

    strata: dict[tuple[Any, ...], Counter[str]] = {}
    for place, failed, called in places():
        arm = "mine" if TOOL in called else "other"
        counts = strata.setdefault(place, Counter())
        counts[f"{arm} n"] += 1
        counts[f"{arm} k"] += failed
    compared = [one for one in strata.values() if one["mine n"] and one["other n"]]
    found = findings[f"runs that call {TOOL} fail more often than runs that do not"]
    assert found.n == sum(one["mine n"] for one in compared)
    assert found.k == sum(one["mine k"] for one in compared)
    weights = [
        one["mine n"] * one["other n"] / (one["mine n"] + one["other n"]) for one in compared
    ]
    weighted = [
        weight * (one["mine k"] / one["mine n"] - one["other k"] / one["other n"])
        for weight, one in zip(weights, compared, strict=True)
    ]
    assert found.effect == pytest.approx(sum(weighted) / sum(weights), abs=1e-6)

    passed = {"gpt-4.1": 0, "ft": 0}
    for (task_type, *_, model), failed, _ in places():
        if task_type == "telecom":
            passed["ft" if model.startswith("ft:") else model] += not failed
    [tuned] = [one for title, one in findings.items() if title.startswith("on telecom tasks ft:")]
    assert (tuned.n, tuned.k) == (40, passed["ft"]) == (40, 30)
    assert tuned.detail["pass_rate_of_the_other"] == passed["gpt-4.1"] / 40 == 0.45
    assert tuned.detail["tasks_in_common"] == 40

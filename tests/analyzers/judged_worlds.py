"""Runs, what is true of them, and what judges say of them: worlds of known truth."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np

from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.analyzers.judges.judge_labels import JudgedRuns
from spanlore.schemas.store import Store
from spanlore.schemas.tables import JUDGEMENTS, RUNS

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
_COLUMN = {
    ("pass", "pass"): 0,
    ("pass", "fail"): 1,
    ("fail", "pass"): 2,
    ("fail", "fail"): 3,
    ("pass", ""): 4,
    ("fail", ""): 5,
}


@dataclass(frozen=True, kw_only=True)
class Label:
    """What a source said of a run; ``minute`` is when."""

    source: str
    evaluator: str
    said: str
    minute: int


@dataclass(kw_only=True)
class WorldRun:
    """A run of a task, whether it truly passed, and its labels."""

    number: int
    task: int
    task_type: str
    passed: bool
    labels: list[Label] = field(default_factory=list)

    @property
    def trace_id(self) -> str:
        return f"{self.number:032x}"


def runs_of(random: Random, *, tasks: int = 60, repeats: int = 10) -> list[WorldRun]:
    """Runs of tasks of different difficulty, in random order, of two types of task."""
    ease = [random.betavariate(4, 2) for _ in range(tasks)]
    order = [task for task in range(tasks) for _ in range(repeats)]
    random.shuffle(order)
    return [
        WorldRun(
            number=number + 1,
            task=task,
            task_type="refund" if task % 2 else "booking",
            passed=random.random() < ease[task],
        )
        for number, task in enumerate(order)
    ]


def label_gold(runs: Iterable[WorldRun], random: Random, *, share: float) -> None:
    """Let a person label a share of the runs, drawn blindly, and truly."""
    for run in runs:
        if random.random() < share:
            said = "pass" if run.passed else "fail"
            run.labels.append(
                Label(source="human", evaluator="ada", said=said, minute=run.number + 10_000)
            )


def label_by(
    run: WorldRun,
    random: Random,
    *,
    evaluator: str,
    right: tuple[float, float],
    source: str = "llm",
) -> None:
    """Let a judge label a run: ``right`` is how often it is right on passes, and on fails."""
    is_right = random.random() < right[0 if run.passed else 1]
    said = "pass" if run.passed == is_right else "fail"
    run.labels.append(Label(source=source, evaluator=evaluator, said=said, minute=run.number))


def judged_of(runs: Sequence[WorldRun], evaluators: Sequence[str]) -> JudgedRuns:
    """Return what the SQL would of one llm judge's versions, a row a run, gold the humans."""
    rows = [
        (run, label)
        for run in runs
        for label in run.labels
        if label.source == "llm" and label.evaluator in evaluators
    ]
    middle = {
        evaluator: np.median([one.minute for _, one in rows if one.evaluator == evaluator])
        for evaluator in evaluators
    }
    counts = np.zeros((len(rows), 6))
    evidence: dict[tuple[str, bool, str, str], list[str]] = {}
    for at, (run, label) in enumerate(rows):
        gold = next((one.said for one in run.labels if one.source == "human"), "")
        counts[at, _COLUMN[label.said, gold]] = 1
        late = bool(label.minute > middle[label.evaluator])
        evidence.setdefault((label.evaluator, late, label.said, gold), []).append(run.trace_id)
    tasks = np.array([run.task for run, _ in rows], dtype=np.int64)
    same = np.zeros(len(rows), dtype=np.int64)
    return JudgedRuns(
        judge=f"llm:{evaluators[0].partition('@')[0]}",
        source="llm",
        versions=tuple(evaluators),
        version=np.array([evaluators.index(label.evaluator) for _, label in rows]),
        late=np.array([label.minute > middle[label.evaluator] for _, label in rows]),
        counts=counts,
        places={
            "Task": tasks,
            "Agent": same,
            "ModelCode": same,
            "Harness": same,
            "Cluster": same - 1,
            "UnitCode": tasks,
        },
        discovers=np.array([in_discovery_half(f"{run.task_type}/{run.task}") for run, _ in rows]),
        units_noun="task",
        evidence={key: tuple(sorted(traces)[:20]) for key, traces in evidence.items()},
    )


def store_world(store: Store, runs: Sequence[WorldRun]) -> None:
    """Write runs and labels as the collector and the sealing job do."""
    store.insert(RUNS, [_run_row(run) for run in runs])
    store.insert(JUDGEMENTS, list(_label_rows(runs)))


def _run_row(run: WorldRun) -> Mapping[str, Any]:
    at = START + timedelta(minutes=run.number)
    return {
        "TenantId": "acme",
        "TraceId": run.trace_id,
        "RootSpanId": "root",
        "State": "sealed",
        "TaskType": run.task_type,
        "TaskId": str(run.task),
        "AgentName": "clerk",
        "Model": "m1",
        "StartedAt": at,
        "EndedAt": at,
        "LastReceivedAt": at,
        "SealedAt": at,
        "Version": 1,
    }


def _label_rows(runs: Sequence[WorldRun]) -> Iterator[Mapping[str, Any]]:
    for run in runs:
        for label in run.labels:
            at = START + timedelta(minutes=label.minute)
            yield {
                "TenantId": "acme",
                "TraceId": run.trace_id,
                "SpanId": "",
                "Name": "task_success",
                "Score": float(label.said == "pass"),
                "Label": label.said,
                "Source": label.source,
                "Evaluator": label.evaluator,
                "At": at,
            }

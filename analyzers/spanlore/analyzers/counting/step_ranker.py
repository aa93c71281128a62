"""A ranker of steps that learns from this system's own labelled failures.

A conditional logit (McFadden 1974): the probability that a step of a failed run is the one that
decided it is the softmax, over the run's steps, of a weighted sum of what is known of each. It is
always told together with how often it is right on tasks it did not learn from, how often the rule
is, and how often the best constant guess is ("the third step", "the last but one"). Such a ranker
does not carry over from one system to another.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from spanlore.analyzers.runs.run_steps import Step, suspect_by_rule

LABELS_MIN = 50
FOLDS = 5
TOOLS_MAX = 20
_PENALTY = 1.0
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A failed run, the position of the step that decided it as somebody said, and its task."""

    trace_id: str
    task: str
    steps: tuple[Step, ...]
    decisive: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranker:
    """Learned weights: one for each feature of a step, then one for each of ``tools``."""

    tools: tuple[str, ...]
    weights: tuple[float, ...]

    def suspect(self, steps: Sequence[Step]) -> int | None:
        """Return the position of the most likely step, the first of equals; None of no steps."""
        if not steps:
            return None
        return int(np.argmax(_features(steps, self.tools) @ np.array(self.weights)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """For each labelled run, whether ranker, rule and constant guess were right about it.

    Each run's ranker and constant learned from the tasks of other folds only.
    """

    runs: tuple[Labelled, ...]
    by_ranker: tuple[bool, ...]
    by_rule: tuple[bool, ...]
    by_constant: tuple[bool, ...]

    @property
    def ranker_is_best(self) -> bool:
        """Whether the ranker was right more often than both others."""
        return sum(self.by_ranker) > max(sum(self.by_rule), sum(self.by_constant))


def learned(runs: Sequence[Labelled]) -> Ranker:
    """Fit a ranker to labelled runs, with a ridge penalty of one."""
    counts = Counter(step.tool for run in runs for step in run.steps if step.tool)
    tools = tuple(tool for tool, _ in sorted(counts.items(), key=_most_first)[:TOOLS_MAX])
    features = [_features(run.steps, tools) for run in runs]
    decisive = [run.decisive for run in runs]

    def loss(weights: _Floats) -> tuple[float, _Floats]:
        value, slope = _PENALTY * float(weights @ weights) / 2, _PENALTY * weights
        for rows, at in zip(features, decisive, strict=True):
            scores = rows @ weights
            chances = np.exp(scores - scores.max())
            chances /= chances.sum()
            value -= float(np.log(chances[at] + 1e-300))
            slope = slope + rows.T @ chances - rows[at]
        return value, slope

    start = np.zeros(len(_NAMES) + len(tools))
    found = minimize(loss, start, jac=True, method="L-BFGS-B")
    return Ranker(tools=tools, weights=tuple(float(weight) for weight in found.x))


def tried(runs: Sequence[Labelled]) -> Trial:
    """Say how often each way is right on runs whose tasks it did not learn from."""
    ordered = sorted(runs, key=lambda run: run.trace_id)
    by_ranker: dict[str, bool] = {}
    by_constant: dict[str, bool] = {}
    for fold in range(FOLDS):
        rest = [run for run in ordered if _fold(run) != fold]
        held_out = [run for run in ordered if _fold(run) == fold]
        if not rest or not held_out:
            continue
        ranker, constant = learned(rest), constant_guess(rest)
        for run in held_out:
            by_ranker[run.trace_id] = ranker.suspect(run.steps) == run.decisive
            by_constant[run.trace_id] = _at(constant, run) == run.decisive
    rules = (suspect_by_rule(run.steps) for run in ordered)
    return Trial(
        runs=tuple(ordered),
        by_ranker=tuple(by_ranker.get(run.trace_id, False) for run in ordered),
        by_rule=tuple(
            found is not None and found[0] == run.decisive
            for run, found in zip(ordered, rules, strict=True)
        ),
        by_constant=tuple(by_constant.get(run.trace_id, False) for run in ordered),
    )


def constant_guess(runs: Sequence[Labelled]) -> int:
    """Return the position that is right most often: from the start, or below 0 from the end."""
    counts = Counter(run.decisive for run in runs)
    counts.update(run.decisive - len(run.steps) for run in runs)
    return min(counts, key=lambda at: (-counts[at], abs(at), at))


_NAMES = (
    "failed",
    "first to fail",
    "right before a failure",
    "right after a failure",
    "changes",
    "last to change",
    "repeats",
    "answer",
    "first",
    "last",
    "last but one",
    "how far in",
    "how far in, squared",
)


def _features(steps: Sequence[Step], tools: Sequence[str]) -> _Floats:
    """Return one row a step: the features of ``_NAMES``, then which of the tools it calls."""
    count = len(steps)
    failed = [at for at, step in enumerate(steps) if step.failed]
    changed = [at for at, step in enumerate(steps) if step.changes]
    rows = np.zeros((count, len(_NAMES) + len(tools)))
    column = {tool: len(_NAMES) + at for at, tool in enumerate(tools)}
    for at, step in enumerate(steps):
        far = at / max(count - 1, 1)
        rows[at, : len(_NAMES)] = (
            step.failed,
            failed[:1] == [at],
            at + 1 in failed,
            at - 1 in failed,
            step.changes,
            changed[-1:] == [at],
            step.repeats,
            not step.tool,
            at == 0,
            at == count - 1,
            at == count - 2,
            far,
            far**2,
        )
        if step.tool in column:
            rows[at, column[step.tool]] = 1.0
    return rows


def _fold(run: Labelled) -> int:
    return hashlib.sha256(run.task.encode()).digest()[0] % FOLDS


def _at(constant: int, run: Labelled) -> int:
    return constant if constant >= 0 else len(run.steps) + constant


def _most_first(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]

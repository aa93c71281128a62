"""At which step runs that failed were most likely decided, and where failures of a task gather.

Every run has a suspected step by rule (``run_steps``). A kind of step that failing runs are
suspected at more often than passing runs of the same task, agent, model and harness is told. Where
people labelled the decisive step of about fifty failures (judgements of a span), a ranker learns
from them (``step_ranker``); it is tried on tasks it did not see, beside the rule and the constant
guess, and used for single runs only where it beats both. The rule names where to look first. It
does not know the cause, least of all one that came before any call.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.analyzers.core.hypothesis import Hypothesis, Stratum, Support
from spanlore.analyzers.core.statistics import Table
from spanlore.analyzers.counting.contrast import evidence, most_telling, shown, with_evidence
from spanlore.analyzers.counting.fact_counts import FACTS_OF_RUNS_SQL, Counted, facts_params
from spanlore.analyzers.counting.step_ranker import (
    LABELS_MIN,
    Labelled,
    Ranker,
    Trial,
    learned,
    tried,
)
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.run_steps import (
    REASONS,
    steps_of,
    steps_of_text,
    steps_text,
    suspect_by_rule,
)
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.runs.tool_effect import key_part
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.tables import JUDGEMENTS

NAME = "failure_localisation"
VERSION = "1"
HYPOTHESES_MAX = 20
LABELS_MAX = 5_000

FAILURES_SQL = f"""
SELECT TaskType AS Type, count() AS Failures FROM ({FACTS_OF_RUNS_SQL})
WHERE Outcome = 'fail' GROUP BY Type
"""
# The newest labels: a judgement of a span says that this step went wrong.
LABELS_SQL = f"""
SELECT fact.TraceId AS TraceId, any(fact.Detail) AS Detail, any(fact.Unit) AS Unit,
    groupUniqArray(judged.SpanId) AS SpanIds, max(judged.At) AS Newest
FROM (SELECT * FROM ({FACTS_OF_RUNS_SQL}) WHERE Outcome = 'fail') AS fact
INNER JOIN (
    SELECT * FROM {JUDGEMENTS} WHERE SpanId != ''
    ORDER BY Version DESC LIMIT 1 BY TenantId, TraceId, SpanId, Name, Source, Evaluator
) AS judged ON judged.TraceId = fact.TraceId
WHERE judged.SpanId != fact.RootSpanId
    AND (judged.Label = 'fail' OR (judged.Label = '' AND judged.Score < 0.5))
GROUP BY TraceId ORDER BY Newest DESC, TraceId LIMIT {LABELS_MAX}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """The step that most likely decided a failure: its span, its kind and why it is suspected."""

    span_id: str
    kind: str
    why: str


def failure_localisation_facts(run: RunTrace) -> Iterator[Fact]:
    """Say which step the rule suspects, and write the steps of a failed run down."""
    steps = steps_of(run)
    found = suspect_by_rule(steps)
    if found is None:
        return
    at, reason = found
    kind = f"suspect|{key_part(run.task_type)}|{reason}|{steps[at].tool}"
    yield Fact(key=kind, value=float(at), span_id=steps[at].span_id)
    if run.outcome == "fail":
        yield Fact(key="steps", detail=steps_text(steps))


def suspected_step(run: RunTrace, ranker: Ranker | None = None) -> Suspect | None:
    """Return the step of a failed run to look at first; None of a run without steps.

    ``ranker`` is one that beat the rule on this system's labels; without it the rule speaks.
    """
    steps = steps_of(run)
    found = suspect_by_rule(steps)
    if found is None:
        return None
    ranked = None if ranker is None else ranker.suspect(steps)
    at, why = (found[0], REASONS[found[1]]) if ranked is None else (ranked, "learned from labels")
    tool = steps[at].tool
    return Suspect(span_id=steps[at].span_id, kind=plain(tool) if tool else "answer", why=why)


def best_ranker(store: Store, window: Window) -> Ranker | None:
    """Return a ranker learned from the labels, None where it is not better than rule and guess.

    Raises StoreError.
    """
    labelled = labelled_failures(store, window)
    if len(labelled) < LABELS_MIN or not tried(labelled).ranker_is_best:
        return None
    return learned(labelled)


def failure_localisation(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Count where failing runs are suspected, and try the ranker on labels. Raises StoreError."""
    labelled = labelled_failures(store, window)
    trial = tried(labelled) if len(labelled) >= LABELS_MIN else None
    suspects = list(shown(store, window, NAME, prefix="suspect|"))
    telling = most_telling(suspects, keep_max=HYPOTHESES_MAX)
    found = evidence(store, window, NAME, keys=[one.key for one in telling])
    # Of each run there is one such fact, so the failures of a type are the facts of its failures.
    failures = store.query(FAILURES_SQL, facts_params(window, NAME, "suspect|"))
    yield from concentration_hypotheses(
        with_evidence(telling, found),
        every=suspects,
        failures={key_part(row["Type"]): row["Failures"] for row in failures},
        labels=_labels_words(trial, len(labelled)),
    )
    if trial is not None:
        yield accuracy_hypothesis(trial)


def concentration_hypotheses(
    counted: Iterable[Counted],
    *,
    every: Sequence[Counted],
    failures: Mapping[str, int],
    labels: Mapping[str, Any],
) -> Iterator[Hypothesis]:
    """Say of each kind of step whether failing runs are suspected there more than passing ones.

    ``every`` holds all kinds, also those that are not asked about: the constant guess is the one
    that most runs of the type are suspected at, however they came out.
    """
    for one in counted:
        task_type, kind = _kind(one.key)
        guess = max(
            (other for other in every if _kind(other.key)[0] == task_type),
            key=lambda other: (other.support.n, other.key),
        )
        whole = next(other for other in every if other.key == one.key)
        failed = failures.get(task_type, 0)
        yield one.hypothesis(
            analyzer=NAME,
            key=one.key,
            title=f"failures of {plain(task_type) or 'runs without a task type'} gather at {kind}",
            counted="run",
            detail={
                "kind": "concentration",
                "task_type": plain(task_type),
                "step": kind,
                "failures": failed,
                "failures_here": whole.support.k,
                "constant_guess": {
                    "step": _kind(guess.key)[1],
                    "failures_there": guess.support.k,
                    "is": "the step at which most runs of the type are suspected, failed or not",
                },
                "located_by": labels,
                "n_counts": f"judged runs suspected at {kind}, where others of the task are not",
                "k_counts": "those of them that fail",
                "compared_with": "runs suspected at another step",
            },
        )


def accuracy_hypothesis(trial: Trial) -> Hypothesis:
    """Say whether the ranker finds the labelled step more often than the constant guess."""
    rows: dict[str, list[tuple[bool, bool]]] = {}
    for run, ranked, guessed in zip(trial.runs, trial.by_ranker, trial.by_constant, strict=True):
        rows.setdefault(run.task, []).append((ranked, guessed))
    pairs = list(zip(trial.runs, trial.by_ranker, trial.by_constant, strict=True))
    right = sum(trial.by_ranker)
    return Hypothesis(
        analyzer=NAME,
        key="accuracy",
        title="the step that decided a failure is found more often than by a constant guess",
        support=Support(
            n=len(pairs),
            k=right,
            runs=len(pairs),
            units=len({run.task for run, ranked, _ in pairs if ranked}),
        ),
        strata=tuple(
            Stratum(
                name=task,
                unit=task,
                table=Table(
                    len(both),
                    sum(ranked for ranked, _ in both),
                    len(both),
                    sum(guessed for _, guessed in both),
                ),
            )
            for task, both in sorted(rows.items())
        ),
        adjusted_for=("task",),
        evidence=tuple(run.trace_id for run, ranked, guess in pairs if ranked and not guess),
        counter_evidence=tuple(run.trace_id for run, ranked, _ in pairs if not ranked),
        counted="run",
        detail={
            "kind": "localisation_accuracy",
            "located_by": _labels_words(trial, len(pairs)),
            "n_counts": "failed runs whose decisive step somebody labelled",
            "k_counts": "those whose step the ranker names, learned from other tasks",
            "compared_with": "the position that is right most often in other tasks",
        },
    )


def labelled_failures(store: Store, window: Window) -> list[Labelled]:
    """Read the failed runs one of whose steps was judged to have failed. Raises StoreError."""
    found = []
    for row in store.query(LABELS_SQL, facts_params(window, NAME, "steps")):
        steps = steps_of_text(row["Detail"])
        named = [at for at, step in enumerate(steps) if any(map(step.is_at, row["SpanIds"]))]
        if named:
            found.append(
                Labelled(
                    trace_id=row["TraceId"],
                    task=row["Unit"],
                    steps=tuple(steps),
                    decisive=named[0],
                )
            )
    return found


def _labels_words(trial: Trial | None, labels: int) -> dict[str, Any]:
    """Say what names the step of a single run, and how often each way is right."""
    if trial is None:
        why = f"{labels} labelled failures; a ranker needs {LABELS_MIN}"
        return {"uses": "rule", "why": why, "labels": labels}
    uses = "ranker" if trial.ranker_is_best else "rule"
    return {
        "uses": uses,
        "why": "it is right more often than rule and constant guess on tasks it did not see"
        if uses == "ranker"
        else "the ranker is not right more often than rule and constant guess",
        "labels": labels,
        "ranker_right": sum(trial.by_ranker),
        "rule_right": sum(trial.by_rule),
        "constant_guess_right": sum(trial.by_constant),
    }


def _kind(key: str) -> tuple[str, str]:
    """Return the type of task and the kind of step in words."""
    _, task_type, reason, tool = key.split("|", 3)
    name = plain(tool)
    match reason:
        case "error":
            return task_type, f"{name} (the first call that fails)"
        case "change":
            return task_type, f"{name} (the last call that may change something)"
        case "answer":
            return task_type, "the last answer"
        case _:
            return task_type, f"{name or 'an answer'} (the last step)"

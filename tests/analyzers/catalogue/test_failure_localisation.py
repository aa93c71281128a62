"""Where failures are decided: the rule, the ranker that learns from labels, and what is counted."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from spanlore.analyzers.catalogue import failure_localisation as analyzer
from spanlore.analyzers.catalogue.failure_localisation import (
    accuracy_hypothesis,
    best_ranker,
    suspected_step,
)
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.counting.step_ranker import (
    LABELS_MIN,
    Labelled,
    constant_guess,
    learned,
    tried,
)
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.run_steps import Step, steps_of, steps_of_text, steps_text
from spanlore.analyzers.runs.run_trace import Message, RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.tables import JUDGEMENTS
from tests.analyzers import traced
from tests.analyzers.desk_runs import desk_runs
from tests.analyzers.traced import BEGAN, asked, called, refused, run
from tests.loaded_runs import load_lines

SEEDS = pytest.mark.parametrize("seed", range(3))


def where_mailed(tools: Sequence[str]) -> float:
    return 0.7 if "send_mail" in tools else 0.25


@pytest.mark.parametrize(
    ("calls", "key", "position"),
    [
        ([called("get"), refused("pay"), refused("get")], "suspect|t|error|pay", 1),
        ([called("pay"), called("send"), called("get")], "suspect|t|change|send", 1),
        ([called("get"), called("find")], "suspect|t|last|find", 1),
        ([called("restart", asked_by="user"), called("get")], "suspect|t|last|get", 0),
    ],
)
def test_the_rule_takes_the_first_error_else_the_last_change(
    calls: list[Call], key: str, position: int
) -> None:
    found = traced.facts(analyzer, run(calls=calls))
    assert found == {key: (1, 1, float(position))}


def test_a_run_of_answers_is_suspected_at_the_last_and_one_without_steps_nowhere() -> None:
    said = replace(asked(), output=(Message(role="assistant", text="Sorry."),))
    one = run(model_calls=[said, said])
    assert traced.facts(analyzer, one) == {"suspect|t|answer|": (1, 1, 1.0)}
    suspect = suspected_step(one)
    assert suspect is not None
    assert (suspect.span_id, suspect.kind) == (one.model_calls[1].span_id, "answer")
    assert suspected_step(run()) is None


def test_the_suspected_step_is_named_with_its_reason() -> None:
    one = run(calls=[called("get"), refused("pay")])
    suspect = suspected_step(one)
    assert suspect is not None
    assert (suspect.span_id, suspect.kind) == (one.calls[1].span_id, "pay")
    assert suspect.why == "the first call that failed"


def test_steps_come_back_as_they_were_written_and_of_a_long_run_the_last() -> None:
    one = run(calls=[called("get", {"a": 1}), called("get", {"a": 1}), refused("pay")])
    steps = steps_of(one)
    assert [step.repeats for step in steps] == [False, True, False]
    assert steps_of_text(steps_text(steps)) == steps
    many = [Step(span_id=f"{at:016x}", tool=f"tool_{at}") for at in range(500)]
    kept = steps_of_text(steps_text(many))
    assert len(steps_text(many)) <= 4_000
    assert kept == many[-len(kept) :]


def test_a_span_of_the_asking_model_call_is_the_step_too() -> None:
    one = run(
        calls=[called("get", call_id="1"), called("pay", call_id="2")],
        model_calls=[asked(("1", "get", {})), asked(("2", "pay", {}))],
    )
    get, pay = steps_of(one)
    assert pay.is_at(one.model_calls[1].span_id)
    assert pay.is_at(one.calls[1].span_id)
    assert not get.is_at(one.model_calls[1].span_id)


def labelled(seed: int, *, by_tool: bool, count: int = 120) -> list[Labelled]:
    """Return failures decided at the call of `pay`, or at any step by chance."""
    random = Random(seed)
    runs = []
    for number in range(count):
        tools = [random.choice(("get", "find", "send", "look")) for _ in range(8)]
        at = random.randrange(8)
        tools[at] = "pay" if by_tool else tools[at]
        steps = tuple(
            Step(
                span_id=f"{number:08x}{place:08x}",
                tool=tool,
                changes=tool in ("pay", "send"),
            )
            for place, tool in enumerate(tools)
        )
        runs.append(
            Labelled(trace_id=f"{number:032x}", task=f"t/{number % 30}", steps=steps, decisive=at)
        )
    return runs


@SEEDS
def test_the_ranker_learns_what_decides_failures_here(seed: int) -> None:
    trial = tried(labelled(seed, by_tool=True))
    assert trial.ranker_is_best
    assert sum(trial.by_ranker) > 100
    assert sum(trial.by_constant) < 40


@SEEDS
def test_by_chance_the_ranker_is_no_better_than_a_guess(seed: int) -> None:
    trial = tried(labelled(seed, by_tool=False, count=400))
    assert abs(sum(trial.by_ranker) - 50) < 30
    assert not any(one.confirmed for one in findings_of([accuracy_hypothesis(trial)]))


def test_the_accuracy_of_a_ranker_that_learned_is_a_finding() -> None:
    [found] = findings_of([accuracy_hypothesis(tried(labelled(0, by_tool=True)))])
    assert found.confirmed
    told = found.detail["located_by"]
    assert told["uses"] == "ranker"
    assert (told["labels"], told["ranker_right"]) == (found.n, found.k)
    assert told["constant_guess_right"] < told["ranker_right"]


def test_the_constant_guess_is_the_position_right_most_often_from_either_end() -> None:
    steps = tuple(Step(span_id=str(at), tool="x") for at in range(5))
    runs = [
        Labelled(trace_id=str(n), task=str(n), steps=steps[: 3 + n], decisive=1 + n)
        for n in range(3)
    ]
    assert constant_guess(runs) == -2


def test_a_ranker_is_fitted_by_the_gradient_of_its_loss() -> None:
    ranker = learned(labelled(3, by_tool=True))
    pay = ranker.weights[len(ranker.weights) - len(ranker.tools) + ranker.tools.index("pay")]
    assert pay == max(ranker.weights)


@SEEDS
def test_failures_gather_where_they_are_decided(store: Store, seed: int) -> None:
    found = traced.confirmed(store, analyzer, desk_runs(seed, where_mailed))
    [gathered] = found
    assert gathered.title == (
        "failures of order gather at send_mail (the last call that may change something)"
    )
    detail = gathered.detail
    assert detail["located_by"]["why"] == f"0 labelled failures; a ranker needs {LABELS_MIN}"
    assert detail["located_by"]["uses"] == "rule"
    assert detail["constant_guess"]["step"]
    assert 0 < detail["failures_here"] <= detail["failures"]


@SEEDS
def test_where_outcomes_are_by_chance_failures_gather_nowhere(store: Store, seed: int) -> None:
    assert traced.confirmed(store, analyzer, desk_runs(seed)) == []


def test_labels_of_spans_are_learned_from(store: Store) -> None:
    random = Random(2)
    runs = [
        replace(one, calls=tuple(random.sample(one.calls, len(one.calls)))) for one in desk_runs(2)
    ]
    traced.keep(store, analyzer, runs)
    store.insert(JUDGEMENTS, list(_labels(runs)))
    ranker = best_ranker(store, Window())
    assert ranker is not None
    one = next(run for run in runs if _checked(run))
    suspect = suspected_step(one, ranker)
    assert suspect is not None
    assert (suspect.kind, suspect.why) == ("check_policy", "learned from labels")
    [accuracy] = [
        found
        for found in traced.findings(store, analyzer)
        if found.detail["kind"] == "localisation_accuracy"
    ]
    assert accuracy.confirmed
    assert accuracy.detail["located_by"]["rule_right"] < accuracy.detail["located_by"]["labels"]


def test_few_labels_teach_nothing(store: Store) -> None:
    runs = desk_runs(2)
    traced.keep(store, analyzer, runs)
    store.insert(JUDGEMENTS, list(_labels(runs))[: LABELS_MIN - 1])
    assert best_ranker(store, Window()) is None


def test_the_same_is_found_from_spans(store: Store, tmp_path: Path) -> None:
    load_lines(store, tmp_path, traced.lines(desk_runs(0, where_mailed)))
    extract_pending(store, Window())
    [gathered] = [one for one in traced.findings(store, analyzer) if one.confirmed]
    assert "send_mail" in gathered.title


def _labels(runs: Sequence[RunTrace]) -> list[dict[str, object]]:
    """Say of each failed run that checked that the check was the wrong step."""
    return [
        {
            "TenantId": one.tenant,
            "TraceId": one.trace_id,
            "SpanId": next(call.span_id for call in one.calls if call.tool == "check_policy"),
            "Name": "step",
            "Label": "fail",
            "Source": "human",
            "Evaluator": "ada",
            "At": BEGAN + timedelta(seconds=1),
        }
        for one in runs
        if one.outcome == "fail" and _checked(one)
    ]


def _checked(one: RunTrace) -> bool:
    return any(call.tool == "check_policy" for call in one.calls)

"""Judges against gold, their past and each other: what is planted is found, what is not is not."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

import pytest

from spanlore.analyzers.catalogue.judge_calibration import judge_calibration, judge_hypotheses
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.judges.judge_labels import judged_runs
from spanlore.analyzers.judges.judge_report import judge_calibrations
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding
from tests.analyzers.judged_worlds import (
    START,
    WorldRun,
    judged_of,
    label_by,
    label_gold,
    runs_of,
    store_world,
)

JUDGE = "helpful@1+openai:m"
NEWER = "helpful@2+openai:m"
FAIR = (0.9, 0.9)


def world(
    seed: int, judge: Callable[[WorldRun, Random], None], *, gold: float, tasks: int = 60
) -> list[WorldRun]:
    random = Random(seed)
    runs = runs_of(random, tasks=tasks)
    label_gold(runs, random, share=gold)
    for run in runs:
        judge(run, random)
    return runs


def always(right: tuple[float, float]) -> Callable[[WorldRun, Random], None]:
    return lambda run, random: label_by(run, random, evaluator=JUDGE, right=right)


def found_in(runs: list[WorldRun], *evaluators: str) -> list[Finding]:
    return findings_of(judge_hypotheses(judged_of(runs, evaluators or (JUDGE,))))


def confirmed(findings: list[Finding]) -> set[str]:
    return {
        ":".join(filter(None, (one.detail["kind"], one.detail.get("changed"))))
        for one in findings
        if one.confirmed
    }


def test_a_lenient_judge_is_found_with_its_bias() -> None:
    runs = world(1, always((0.97, 0.5)), gold=0.5)
    findings = found_in(runs)
    assert "judge_lenient" in confirmed(findings)
    assert "judge_strict" not in confirmed(findings)
    [found] = [one for one in findings if one.detail["kind"] == "judge_lenient"]
    both = [one for one in runs if len(one.labels) == 2]
    said = [{label.source: label.said for label in one.labels} for one in both]
    wrong = sum(one["llm"] == "pass" and one["human"] == "fail" for one in said)
    harsh = sum(one["llm"] == "fail" and one["human"] == "pass" for one in said)
    assert (found.n, found.k) == (len(both), wrong)
    assert found.effect == pytest.approx((wrong - harsh) / len(both), abs=1e-6)
    assert found.detail["calibration"]["bias"] == round((wrong - harsh) / len(both), 4)
    assert found.interval is not None
    assert found.interval[0] > 0
    assert set(found.evidence) <= {
        one.trace_id
        for one, labels in zip(both, said, strict=True)
        if labels["llm"] == "pass" and labels["human"] == "fail"
    }


def test_a_strict_judge_is_found_too() -> None:
    found = confirmed(found_in(world(2, always((0.6, 0.97)), gold=0.5)))
    assert "judge_strict" in found
    assert "judge_lenient" not in found


def test_a_judge_that_errs_evenly_is_not_called_biased_but_may_disagree_too_often() -> None:
    def even(run: WorldRun, random: Random) -> None:
        label_by(run, random, evaluator=JUDGE, right=(0.8, 0.6))  # about two thirds truly pass

    findings = found_in(world(3, even, gold=0.9))
    assert confirmed(findings) & {"judge_lenient", "judge_strict"} == set()
    assert "judge_disagrees" in confirmed(found_in(world(4, always((0.6, 0.5)), gold=0.9)))


def test_a_judge_that_grew_lenient_over_time_is_found() -> None:
    def drifting(run: WorldRun, random: Random) -> None:
        late = run.number > 300
        label_by(run, random, evaluator=JUDGE, right=(0.95, 0.3 if late else 0.95))

    found = confirmed(found_in(world(5, drifting, gold=0.6)))
    assert "judge_time_drift:passes_more" in found
    assert "judge_time_drift:agrees_less" in found
    assert "judge_time_drift:passes_less" not in found


def test_a_new_version_that_passes_more_on_the_same_tasks_is_found_without_any_gold() -> None:
    def versions(run: WorldRun, random: Random) -> None:
        newer = run.number > 300
        right = (0.98, 0.4) if newer else FAIR
        label_by(run, random, evaluator=NEWER if newer else JUDGE, right=right)

    findings = found_in(world(6, versions, gold=0.0), JUDGE, NEWER)
    assert "judge_version_drift:passes_more" in confirmed(findings)
    [found] = [one for one in findings if one.confirmed and "version" in one.detail["kind"]]
    assert NEWER in found.title


def test_an_agent_that_grew_better_is_no_drift_of_its_judge() -> None:
    """The harness changes half-way and most runs pass from then on; the judge is the same."""
    random = Random(7)
    runs = runs_of(random)
    for run in runs:
        if run.number > 300:
            run.passed = run.passed or random.random() < 0.7
        label_by(run, random, evaluator=JUDGE, right=FAIR)
    judged = judged_of(runs, [JUDGE])
    judged.places["Harness"] = judged.late.astype("int64")
    assert confirmed(findings_of(judge_hypotheses(judged))) == set()


def test_worlds_in_which_nothing_is_wrong_give_hardly_a_finding() -> None:
    """The judge errs evenly, so that it is neither lenient nor strict, and never changes."""
    seed = 20260302
    print(f"seed {seed}")
    wrong = []
    for number in range(40):
        random = Random(seed + number)
        runs = runs_of(random)
        label_gold(runs, random, share=0.5)
        share = sum(not run.passed for run in runs) / len(runs)
        error = 0.08
        right = (1 - error / (2 * (1 - share)), 1 - error / (2 * share))
        for run in runs:
            newer = random.random() < 0.5
            label_by(run, random, evaluator=NEWER if newer else JUDGE, right=right)
        wrong.append(confirmed(found_in(runs, JUDGE, NEWER)))
    assert sum(map(bool, wrong)) <= 2, wrong


def test_too_few_gold_labels_are_said_with_how_many_are_missing() -> None:
    findings = found_in(world(8, always(FAIR), gold=0.02))
    [found] = [one for one in findings if one.detail["kind"] == "judge_gold_missing"]
    known = found.detail["calibration"]
    assert (found.confirmed, found.verdict) == (False, "underpowered")
    assert found.n_needed == known["gold_labels_needed"] >= 30
    assert known["gold_labels_missing"] == known["gold_labels_needed"] - known["gold_labels"]
    assert f"{known['gold_labels_missing']} more gold labels are needed" in str(found.reason)


def test_the_corrected_rate_holds_the_truth_where_the_judges_own_does_not() -> None:
    runs = world(9, always((0.99, 0.4)), gold=0.3)
    truth = sum(run.passed for run in runs) / len(runs)
    [found] = [one for one in found_in(runs) if one.detail["kind"] == "judge_lenient"]
    known = found.detail["calibration"]
    low, high = known["corrected_pass_rate"]["interval"]
    assert low < truth < high
    low, _ = known["judge_pass_rate"]["interval"]
    assert low > truth


def test_the_store_says_what_the_labels_say(store: Store) -> None:
    runs = world(10, always((0.97, 0.4)), gold=0.5)
    for run in runs:
        label_by(run, Random(run.number), evaluator="tests@1", right=(1.0, 0.9), source="code")
    store_world(store, runs)
    by_name = {one.judge: one for one in judged_runs(store, Window())}
    assert set(by_name) == {"llm:helpful", "code:tests", "human"}
    mine, expected = by_name["llm:helpful"], judged_of(runs, [JUDGE])
    assert mine.versions == (JUDGE,)
    gold_of_people = next(
        one
        for one in judge_calibrations(store, Window(), gold=["human"])
        if one.judge == "llm:helpful"
    )
    assert gold_of_people.calibration.confusion == expected.confusion()
    assert mine.confusion().gold == len(runs)  # what no person labelled, the tests did
    assert by_name["code:tests"].confusion().gold == sum(
        any(label.source == "human" for label in run.labels) for run in runs
    )
    assert by_name["human"].confusion().gold == 0
    assert mine.counts[mine.late].sum() == pytest.approx(len(runs) / 2, abs=1)


def test_everything_is_found_end_to_end_also_who_disagrees_on_which_tasks(store: Store) -> None:
    def by_type(run: WorldRun, random: Random) -> None:
        right = (0.97, 0.15) if run.task_type == "refund" else (0.97, 0.97)
        label_by(run, random, evaluator=JUDGE, right=right)

    store_world(store, world(11, by_type, gold=0.6, tasks=120))
    findings = findings_of(judge_calibration(store, Window()))
    pairs = {
        (one.detail["task_type"], *one.detail["judges"])
        for one in findings
        if one.confirmed and one.detail["kind"] == "judges_disagree"
    }
    assert pairs == {("refund", "llm:helpful", "human")}
    assert "judge_lenient" in confirmed(findings)
    [found] = [one for one in findings if one.detail["kind"] == "judge_lenient"]
    assert found.evidence
    assert found.detail["units_noun"] == "task"
    assert {one.detail["judge"] for one in findings if "judge" in one.detail} == {
        "llm:helpful",
        "human",
    }


def test_a_source_that_only_ever_fails_runs_is_no_gold(store: Store) -> None:
    runs = world(12, always(FAIR), gold=0.0)
    for run in runs:
        if not run.passed:
            label_by(run, Random(1), evaluator="ended@1", right=(1.0, 1.0), source="code")
    store_world(store, runs)
    by_name = {one.judge: one for one in judged_runs(store, Window())}
    assert by_name["llm:helpful"].confusion().gold == 0


def test_a_label_said_again_counts_once_and_only_runs_of_the_window_count(store: Store) -> None:
    runs = world(13, always(FAIR), gold=0.5)
    store_world(store, runs)
    store_world(store, runs)
    [mine] = [one for one in judged_runs(store, Window()) if one.judge == "llm:helpful"]
    assert mine.confusion().judged == len(runs)
    assert not list(judged_runs(store, Window(since=_later(runs))))


def _later(runs: list[WorldRun]) -> datetime:
    return START + timedelta(minutes=len(runs) + 1)

"""Scenarios with the layer that the rules would have, and what triage says of them.

The rules: context for what is one user's or tenant's and has a clear fix; harness for what shows
across many users and comes of a tool's description, an instruction, error handling, retries,
parsers, limits or routing; model for what stays after both were tried and measured, with enough
labelled runs; none for what only informs.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from spanlore.analyzers.lessons.triage import LABELLED_RUNS_MIN, Tried, triage, tried_of
from spanlore.schemas.types import Arm, Effect, Finding
from tests.analyzers.standing_lessons import finding, memory

MANY = LABELLED_RUNS_MIN
ONLY_ACME = {"affected": {"tenants": 1, "of": 4, "only": "acme"}}
ALL = {"affected": {"tenants": 4, "of": 4, "only": None}}
USER = {"level": "user", "tenant": "acme", "key": "ana", "selector": {}}
TENANT = {"level": "tenant", "tenant": "acme", "key": "acme", "selector": {}}
MODEL_CHANGED = [{"factor": "model", "value": "m2"}]
HARNESS_CHANGED = [{"factor": "harness", "value": "h2"}]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What was seen, and where it ought to be mended."""

    what: str
    layer: str
    analyzer: str
    detail: dict[str, Any] = field(default_factory=dict)
    tried: tuple[tuple[str, bool], ...] = ()  # layer, helped
    labelled: int = 0

    def finding(self) -> Finding:
        return replace(finding("f", **self.detail), analyzer=self.analyzer)

    def lessons(self) -> list[Tried]:
        return [
            Tried(lesson_id="l", layer=layer, helped=helped, findings=("f",))  # type: ignore[arg-type]
            for layer, helped in self.tried
        ]


def of(layer: str, what: str, analyzer: str, **rest: Any) -> Scenario:
    named = {name: rest.pop(name) for name in ("tried", "labelled") if name in rest}
    return Scenario(what=what, layer=layer, analyzer=analyzer, detail=rest, **named)


PREFERENCE, LOOPS = "preference_override", "retry_storm_and_loops"
CONTEXT, HARNESS = ("context", False), ("harness", False)
SCENARIOS = (
    # One user's or one tenant's, with a clear fix.
    of("context", "a user wants meetings at ten", PREFERENCE, kind="preference", scope=USER),
    of("context", "a tenant wants euros", PREFERENCE, kind="preference", scope=TENANT),
    of("context", "users of a zone move meetings", PREFERENCE, kind="preference", scope=TENANT),
    of("context", "a user corrects a name each time", "repeated_correction", scope=USER),
    of("context", "a user's memory is changed by the user", "stale_memory", lesson_id="l"),
    of("context", "runs that pass share their steps", "success_workflow_mining", kind="workflow"),
    of("context", "one tenant's agents repeat calls", LOOPS, pattern="repeat", **ONLY_ACME),
    of("context", "one tenant's tool fails", "error_clusters", kind="often", **ONLY_ACME),
    of("context", "one tenant's rule is broken", "policy_violation_actions", **ONLY_ACME),
    of("context", "one tenant's answers are made up", "ungrounded_output", **ONLY_ACME),
    # Across users, in what stands between model and user.
    of("harness", "a tool is called with a wrong key", "tool_argument_misuse", kind="shape"),
    of("harness", "a tool's times lack a zone", "tool_argument_misuse", kind="template", **ALL),
    of("harness", "a tool's error is not handled", "error_clusters", kind="often", **ALL),
    of("harness", "an error is new since a version", "error_clusters", kind="new"),
    of("harness", "failed calls are made again", LOOPS, pattern="retry", **ALL),
    of("harness", "runs go in circles", LOOPS, pattern="cycle"),
    of("harness", "an error comes five times", LOOPS, pattern="same_error", **ALL),
    of("harness", "answers are cut", "truncation_and_context_overflow", pattern="cut_off"),
    of("harness", "prompts are too long", "truncation_and_context_overflow", pattern="too_long"),
    of("harness", "one tenant's prompts are too long", "truncation_and_context_overflow",
       pattern="too_long", **ONLY_ACME),
    of("harness", "arguments are no JSON", "output_parser_failures", pattern="no_json"),
    of("harness", "one tenant's answers cannot be parsed", "output_parser_failures", **ONLY_ACME),
    of("harness", "a tool is slow", "latency_and_cost_outliers", kind="slow", tool="t"),
    of("harness", "tools are never used", "unused_tools_and_context", kind="unused_tool"),
    of("harness", "a result is never read", "unused_tools_and_context", kind="unused_result"),
    of("harness", "another model does a task better", "routing", kind="routing"),
    of("harness", "runs without a look-up fail", "outcome_contrast", feature="used"),
    of("harness", "runs that pass never refund so", "policy_violation_actions", kind="violation"),
    of("harness", "tools are called that are not there", "policy_violation_actions",
       kind="undefined_tool"),
    of("harness", "numbers are made up everywhere", "ungrounded_output", **ALL),
    of("harness", "errors rose with a version", "change_point", changed_with=HARNESS_CHANGED),
    of("harness", "failures rose with a new model", "change_point", changed_with=MODEL_CHANGED),
    # The cheaper layer was tried.
    of("harness", "a memory did not change it", PREFERENCE, scope=TENANT, tried=(CONTEXT,)),
    of("harness", "a memory of one tenant did not help", LOOPS, pattern="retry",
       tried=(CONTEXT,), **ONLY_ACME),
    of("harness", "both were tried, few labels", "ungrounded_output", tried=(CONTEXT, HARNESS),
       labelled=MANY - 1),
    of("harness", "labels without a trial", "ungrounded_output", labelled=10 * MANY, **ALL),
    of("model", "both were tried, made up still", "ungrounded_output", tried=(CONTEXT, HARNESS),
       labelled=MANY),
    of("model", "the description was mended, wrong still", "tool_argument_misuse", kind="shape",
       tried=(HARNESS,), labelled=MANY),
    of("model", "an instruction helped, not enough", "policy_violation_actions",
       tried=(("harness", True),), labelled=3 * MANY),
    of("model", "a default in code did not help either", PREFERENCE, scope=TENANT,
       tried=(CONTEXT, HARNESS), labelled=MANY),
    # What only tells where to look.
    of("none", "failures gather at the third step", "failure_localisation", kind="step"),
    of("none", "tokens go to runs that fail", "latency_and_cost_outliers",
       kind="spent_on_failure", agent="planner"),
    of("none", "a judge disagrees with people", "judge_calibration", kind="judge"),
    of("none", "a rate rose, nothing changed", "change_point", changed_with=[]),
    of("none", "failing runs are long", "outcome_contrast", feature="calls"),
    of("none", "somebody else's analyzer saw something", "of_another_house", kind="x"),
)  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.what.replace(" ", "-"))
def test_each_scenario_goes_to_its_layer_with_a_reason(scenario: Scenario) -> None:
    found = triage(scenario.finding(), tried=scenario.lessons(), labelled_runs=scenario.labelled)
    assert (found.layer, bool(found.reason)) == (scenario.layer, True), found.reason


def test_the_confusion_matrix_is_a_diagonal() -> None:
    matrix: Counter[tuple[str, str]] = Counter(
        (
            one.layer,
            triage(one.finding(), tried=one.lessons(), labelled_runs=one.labelled).layer,
        )
        for one in SCENARIOS
    )
    layers = ("context", "harness", "model", "none")
    print("label \\ said", *layers)
    for label in layers:
        print(f"{label:12}", *(f"{matrix[label, said]:7}" for said in layers))
    assert len(SCENARIOS) >= 30
    assert all(label == said for label, said in matrix)
    assert {label for label, _ in matrix} == set(layers)


def test_a_tried_lesson_answers_its_own_findings_alone() -> None:
    elsewhere = Tried(lesson_id="l", layer="context", helped=False, findings=("other",))
    mine = replace(finding("f", kind="preference", scope=USER), analyzer=PREFERENCE)
    assert triage(mine, tried=[elsewhere]).layer == "context"


def test_the_reason_of_the_harness_layer_says_why_memory_is_no_fix() -> None:
    slow = replace(finding("f", kind="slow", tool="t"), analyzer="latency_and_cost_outliers")
    assert "before a model reads anything" in triage(slow).reason
    tried = Tried(lesson_id="abc", layer="context", helped=False, findings=("f",))
    preference = replace(finding("f", scope=USER), analyzer=PREFERENCE)
    assert "lesson abc of the context layer was tried" in triage(preference, tried=[tried]).reason


def _effect(verdict: str, events: int, runs: int = 100) -> Effect:
    arm = Arm(runs=runs, users=20, clusters=20, events=events)
    return Effect(
        lesson_id="l",
        lesson_version=1,
        metric="override",
        compared_with="held_out",
        exposed=arm,
        other=arm,
        difference=0.0,
        interval=(-0.1, 0.1),
        verdict=verdict,
        reason="",
    )


@pytest.mark.parametrize(
    ("verdict", "events", "remains"),
    [
        ("no_effect", 0, True),
        ("worse", 0, True),
        ("improved", 30, True),
        ("improved", 3, False),
        ("not_enough_data", 90, False),
    ],
)
def test_a_lesson_was_tried_when_it_was_measured_and_something_is_left(
    verdict: str, events: int, *, remains: bool
) -> None:
    found = tried_of([memory("l")], {"l": _effect(verdict, events)})
    assert bool(found) == remains
    assert tried_of([memory("l")], {}) == []

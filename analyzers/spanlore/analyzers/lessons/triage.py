"""Which layer a finding is to be mended in, and why not in a cheaper one.

The order is context, harness, model; each costs and risks more than the one before. A layer is
left for the next where the root cause lies there, or where it was tried and did not help:

* context: what is one user's or one tenant's, and has a clear fix that can be said in words;
* harness: what shows across users and lies in a tool's description, an ambiguous instruction, a
  missing error handler, retries, a parser, limits or routing;
* model: what stays after lessons of the cheaper layers were delivered and measured, where enough
  runs are labelled to train and to test on;
* none: what only tells where to look.

Pure. A lesson was tried when its effect was measured: it had none, did harm, or helped and yet
left the thing in more than ``RESIDUAL_RATE_MIN`` of runs for sure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from spanlore.analyzers.core.statistics import wilson_interval
from spanlore.analyzers.lessons.advice import Advice, advice_for
from spanlore.schemas.types import Effect, Finding, Layer, Lesson

LABELLED_RUNS_MIN = 500
RESIDUAL_RATE_MIN = 0.05

_CONTEXT: Mapping[str, str] = {
    "preference_override": "a value for one argument is a clear, small fix",
    "repeated_correction": "what a user corrects again and again is a fact about that user",
    "success_workflow_mining": "a way that worked is shown to the agent as a skill",
    "stale_memory": "a memory that holds no more is taken back where it is given",
}
_INFORMS: Mapping[str, str] = {
    "failure_localisation": "it says where runs go wrong, not what would mend them",
    "judge_calibration": "it is about the labels of runs, not about the agent",
    "change_point": "it says when a rate changed; no harness or model changed with it",
    "latency_and_cost_outliers": "it says what failing runs cost, not why they fail",
    "outcome_contrast": "it follows from how a run goes and is no cause of it",
}
_DEFINITION = (
    "a tool's definition leaves open how it is to be called, for every user: a memory would "
    "repeat it in every prompt, unreviewed"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """Where a finding is to be mended; ``reason`` says why there and not more cheaply."""

    layer: Layer | Literal["none"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A lesson whose effect was measured; ``helped`` says that it did something, if not enough."""

    lesson_id: str
    layer: Layer
    helped: bool
    findings: tuple[str, ...]


def triage(finding: Finding, *, tried: Sequence[Tried] = (), labelled_runs: int = 0) -> Triage:
    """Return the layer of a finding, given the lessons that were tried and did not mend it.

    ``labelled_runs`` are the runs judged passed or failed, of all there are.
    """
    ours = [one for one in tried if finding.finding_id in one.findings]
    advice = advice_for(finding)
    why_context = _why_context(finding, advice)
    by_context = [one for one in ours if one.layer == "context"]
    if why_context is not None and not by_context:
        return Triage(layer="context", reason=why_context)
    if advice is None and finding.analyzer != "tool_argument_misuse":
        return Triage(layer="none", reason=_why_none(finding))
    by_harness = [one for one in ours if one.layer == "harness"]
    if not by_harness:
        return Triage(layer="harness", reason=_why_harness(advice, by_context))
    said = f"{_tried(by_harness)} and it is still seen"
    if labelled_runs < LABELLED_RUNS_MIN:
        few = f"{labelled_runs} labelled runs are too few to train and test on: "
        return Triage(
            layer="harness", reason=f"{said}, but {few}{LABELLED_RUNS_MIN} are needed for a model"
        )
    return Triage(
        layer="model", reason=f"{said}; {labelled_runs} labelled runs are there to train and test"
    )


def triaged(
    findings: Iterable[Finding], *, tried: Sequence[Tried], labelled_runs: int
) -> list[Finding]:
    """Return the findings with ``detail["triage"]``."""
    return [
        replace(
            one,
            detail={**one.detail, "triage": {"layer": found.layer, "reason": found.reason}},
        )
        for one in findings
        for found in (triage(one, tried=tried, labelled_runs=labelled_runs),)
    ]


def layer_of(finding: Finding) -> str | None:
    """Return the layer that a triaged finding goes to, None of one that was not triaged."""
    said = finding.detail.get("triage")
    return str(said["layer"]) if isinstance(said, Mapping) else None


def only_tenant(finding: Finding) -> str | None:
    """Return the one tenant of several that a finding is about, None where it is not so."""
    scope, affected = finding.detail.get("scope"), finding.detail.get("affected")
    if isinstance(scope, Mapping) and scope.get("only_tenant_affected"):
        return str(scope["tenant"])
    if isinstance(affected, Mapping) and affected.get("only"):
        return str(affected["only"])
    return None


def tried_of(lessons: Iterable[Lesson], effects: Mapping[str, Effect]) -> list[Tried]:
    """Return the lessons that were given and measured, and left something to mend."""
    found = []
    for lesson in lessons:
        effect = effects.get(lesson.lesson_id)
        if effect is None or effect.verdict == "not_enough_data":
            continue
        helped = effect.verdict == "improved"
        if helped and not _remains(effect):
            continue
        found.append(
            Tried(
                lesson_id=lesson.lesson_id,
                layer=lesson.layer,
                helped=helped,
                findings=lesson.findings,
            )
        )
    return found


def _remains(effect: Effect) -> bool:
    """Whether the unwanted event is surely frequent among those who were given the lesson."""
    if not effect.exposed.runs:
        return False
    low, _ = wilson_interval(effect.exposed.events, effect.exposed.runs)
    return low > RESIDUAL_RATE_MIN


def _why_context(finding: Finding, advice: Advice | None) -> str | None:
    if (why := _CONTEXT.get(finding.analyzer)) is not None:
        return f"{why}; context is the cheapest layer"
    tenant = only_tenant(finding)
    if tenant is not None and advice is not None and advice.tell:
        return (
            "one tenant alone is affected while others use the same harness: an instruction for "
            "that tenant is the cheapest fix"
        )
    return None


def _why_harness(advice: Advice | None, by_context: Sequence[Tried]) -> str:
    if by_context:
        return f"{_tried(by_context)} and it is still seen, so memory cannot mend it"
    return _DEFINITION if advice is None else advice.cheaper_fails


def _why_none(finding: Finding) -> str:
    return _INFORMS.get(finding.analyzer, "nothing is known here that would mend it")


def _tried(lessons: Sequence[Tried]) -> str:
    last = lessons[-1]
    did = "helped, not enough" if last.helped else "did not help"
    return f"lesson {last.lesson_id} of the {last.layer} layer was tried and {did}"

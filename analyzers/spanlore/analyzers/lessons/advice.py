"""What to change about the harness for what an analyzer sees: words by analyzer and pattern.

``{where}`` is the tool, model or agent that the finding names, ``{task}`` its type of task.
``tell`` says the same to an agent, for the case that one tenant alone is affected and an
instruction is enough; "" where nothing that is said to a model can change it. ``cheaper_fails`` is
why a memory is no fix for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spanlore.schemas.types import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do: ``kind`` is that of the lesson; the rest is said in the module."""

    kind: str
    change: str
    cheaper_fails: str
    tell: str = ""


_NO_MEMORY = "it is done by code, not by words that a model reads"
_FOR_ALL = (
    "it happens to many users: a memory would have to be repeated in every prompt, unreviewed"
)
_PARSER = Advice(
    kind="output_parser",
    change="Check what {where} answers before it is used: parse leniently, validate against the "
    "schema, and ask again once with the parser's error instead of failing.",
    cheaper_fails="reading a model's answer is the parser's work",
)
_LIMITS = Advice(
    kind="context_limits",
    change="Keep what {where} is sent, and may answer, within its limits: raise the output limit "
    "where answers are cut, and shorten or page long tool results and old messages before the "
    "request.",
    cheaper_fails="limits are parameters of the request; a memory makes the prompt longer still",
)
_INSTRUCT = (
    "Say in the system prompt, or enforce in code, what to do about this; the traces for and "
    "against show both ways. "
)
_DEFAULT = Advice(
    kind="system_prompt",
    change="Make the value that users end with the default of {where} in code or in its "
    "description: being told it in a memory did not change what agents propose.",
    cheaper_fails="a memory was tried",
)

ADVICE: Mapping[str, Advice] = {
    "error_clusters": Advice(
        kind="retry_logic",
        change="Handle this error of {where} where it is called: tell the model what was wrong "
        "and what to do instead, try again only what may pass, and validate before the call what "
        "can be validated.",
        cheaper_fails="an error handler is missing, " + _NO_MEMORY,
        tell="When {where} fails, read its error and change the call, or tell the user; do not "
        "go on as if it had worked.",
    ),
    "retry_storm_and_loops/repeat": Advice(
        kind="retry_logic",
        change="Answer a repeated call of {where} with the same arguments from a cache within "
        "the run, and say in the answer that nothing has changed since.",
        cheaper_fails="the repeated call can only be answered by code",
        tell="Do not call {where} again with arguments it has answered already: use that answer.",
    ),
    "retry_storm_and_loops/retry": Advice(
        kind="retry_logic",
        change="Do not pass on a call of {where} that has just failed with the same arguments: "
        "back off where the error may pass, else tell the model that it will fail again.",
        cheaper_fails="retrying is the harness's to bound",
        tell="When {where} fails, do not call it again with the same arguments.",
    ),
    "retry_storm_and_loops/same_error": Advice(
        kind="retry_logic",
        change="Stop after the same error of {where} has come twice: have its error text say "
        "what a right call looks like, and end or hand over the run.",
        cheaper_fails="a bound on tries is the harness's to set",
        tell="When {where} fails twice with the same error, stop calling it and tell the user.",
    ),
    "retry_storm_and_loops/cycle": Advice(
        kind="retry_logic",
        change="Detect two calls that take turns with the answers they had, and break the "
        "circle: say so to the model, then end the run.",
        cheaper_fails="a circle is only seen by code that looks at the whole run",
        tell="When two calls take turns without a new answer, stop and say what is missing.",
    ),
    "truncation_and_context_overflow": _LIMITS,
    "output_parser_failures": _PARSER,
    "latency_and_cost_outliers/slow": Advice(
        kind="retry_logic",
        change="Set a time limit for {where}, with one retry or a fallback, so that its slowest "
        "calls do not hold up the run.",
        cheaper_fails="how long a call may take is decided before a model reads anything",
    ),
    "latency_and_cost_outliers/cache_miss": Advice(
        kind="context_limits",
        change="Keep the beginning of requests to {where} the same from call to call (what "
        "changes, such as times and ids, goes to the end), and mark it for the prompt cache.",
        cheaper_fails="what a request costs is decided before a model reads anything",
    ),
    "unused_tools_and_context/unused_tool": Advice(
        kind="tool_set",
        change="Take the definition of {where} out of the tools of agents that do not use it, or "
        "offer it on demand.",
        cheaper_fails="a memory would add to the prompt that is too long already",
    ),
    "unused_tools_and_context/unused_result": Advice(
        kind="context_limits",
        change="Have {where} answer with less: nothing of its answers is used later.",
        cheaper_fails="a tool's answer is what the tool makes it",
    ),
    "routing": Advice(
        kind="routing",
        change="Send tasks of {task} to {where}, which does them better by the comparison "
        "below; try it on a share of the runs first.",
        cheaper_fails="which model is asked is decided before any memory is read",
    ),
    "outcome_contrast": Advice(
        kind="system_prompt",
        change=_INSTRUCT + "It concerns {where}, and goes with how runs end within the same task.",
        cheaper_fails=_FOR_ALL,
        tell="Take care with {where}: look at its description before you use it or leave it out.",
    ),
    "policy_violation_actions": Advice(
        kind="system_prompt",
        change="Say in the instructions when {where} may be called, and refuse it in code where "
        "the condition can be checked: within the same tasks, runs that pass do not call it so.",
        cheaper_fails="a rule for everybody belongs where it is reviewed; " + _FOR_ALL,
        tell="Before calling {where}, make sure that the rules allow it for this request.",
    ),
    "policy_violation_actions/undefined_tool": Advice(
        kind="tool_set",
        change="Answer a request for a tool that is not defined with the list of those that are, "
        "and take names of tools that no longer exist out of the instructions.",
        cheaper_fails="which tools there are is said by the harness",
    ),
    "change_point": Advice(
        kind="system_prompt",
        change="Compare the versions of the harness before and after the day of the change, and "
        "take back what it changed, or run both side by side.",
        cheaper_fails="it came with a change of harness or model, which a memory does not undo",
    ),
    "change_point/model": Advice(
        kind="routing",
        change="Compare the model from before the change with the new one on the same tasks, and "
        "pin or route to the better one.",
        cheaper_fails="it came with a change of model, which a memory does not undo",
    ),
    "ungrounded_output": Advice(
        kind="system_prompt",
        change="Have the agent take such values from what the user or a tool said, and check "
        "{where} in code: refuse a value that nothing in the run holds.",
        cheaper_fails=_FOR_ALL,
        tell="State only values that the user or a tool gave in this conversation; else look "
        "them up or ask.",
    ),
    "preference_override": _DEFAULT,
    "repeated_correction": _DEFAULT,
    "success_workflow_mining": Advice(
        kind="system_prompt",
        change="Write the steps that worked into the instructions, or into code where they are "
        "always the same: being shown them as a skill did not change how runs go.",
        cheaper_fails="a skill was tried",
    ),
}


def advice_for(finding: Finding) -> Advice | None:
    """Return what to change for a finding, None where it only informs or is not known here."""
    detail = finding.detail
    particular = detail.get("pattern") or detail.get("kind")
    if finding.analyzer == "change_point":
        particular = _changed(detail)
        if particular is None:
            return None
    if finding.analyzer == "outcome_contrast" and detail.get("feature") == "calls":
        return None  # how many calls a run makes follows from how it goes
    return ADVICE.get(f"{finding.analyzer}/{particular}") or ADVICE.get(finding.analyzer)


def said(text: str, *, where: str, task: str) -> str:
    """Return a text of an advice with its places filled in."""
    return text.format(where=where, task=task)


def _changed(detail: Mapping[str, Any]) -> str | None:
    """Return which factor changed at the time, None where none is known to have."""
    factors = [str(one.get("factor")) for one in detail.get("changed_with") or ()]
    return "model" if factors == ["model"] else next(iter(factors), None)

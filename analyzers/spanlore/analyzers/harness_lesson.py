"""From a confirmed finding about a tool to a proposed lesson with a diff of its definition.

The sentence that goes into the definition is one of a few of ours, filled with argument paths
and with at most the constant words of an error text in quotation marks. Counts stay in the
lesson's body: a model that reads the definition needs the rule, its reviewer the numbers.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spanlore.analyzers.json_text import appended
from spanlore.analyzers.patch import unified_diff
from spanlore.analyzers.quoted_text import quoted, refusal
from spanlore.analyzers.tool_file import Description, description_of, tool_files
from spanlore.schemas.types import Finding, Lesson, ScopeLevel

KIND = "tool_description"
SAME_FAILURE_SHARE_MIN = 0.8
_ID_HEX_DIGITS = 32
_PLAIN_NAME = re.compile(r"[\w.:/\[\]-]{1,120}")


def harness_lesson(finding: Finding, repo: Path | None) -> Lesson | None:
    """Return the lesson of a confirmed finding, None when it tells nobody what to change.

    With no repository, or none of its files defining the tool, the lesson has no patch and its
    body says how to get one. A finding whose text is unfit to be quoted gives a quarantined
    lesson without a patch. Raises NotADirectoryError when ``repo`` is not a folder.
    """
    detail = finding.detail
    if not finding.confirmed or not _tells_what_to_do(detail):
        return None
    unfit = _unfit(detail)
    rule = "" if unfit else _rule(detail)
    target = None if unfit or repo is None else _target(repo, detail)
    patch = _patch(target, rule) if target else ""
    scope, scope_key = _scope(detail)
    return Lesson(
        lesson_id=_lesson_id(finding),
        layer="harness",
        scope=scope,
        scope_key=scope_key,
        kind=KIND,
        title="Say in a tool's definition what its calls get wrong"
        if unfit
        else f"Say in the definition of {detail['tool']} what its calls get wrong",
        body=_quarantine_body(finding, unfit) if unfit else _body(finding, rule, target),
        patch=patch or None,
        base_path=target.file.path if target and patch else None,
        base_hash=target.file.sha256 if target and patch else None,
        findings=(finding.finding_id,),
        evidence=finding.evidence,
        state="quarantined" if unfit else "proposed",
    )


def _tells_what_to_do(detail: Mapping[str, Any]) -> bool:
    """Whether a rule can be worded: a value or a size that fails more often is no rule yet."""
    if detail.get("kind") == "shape":
        return detail["shape"]["kind"] in ("lacks", "absent", "type", "format")
    return detail.get("kind") == "template"


def _unfit(detail: Mapping[str, Any]) -> str | None:
    """Return what in the trace's text forbids building on it, None when nothing does."""
    if (found := refusal(str(detail.get("template", "")))) is not None:
        return f"the error text holds {found}"
    names = [str(detail["tool"]), *detail.get("arguments", ()), *_shape_names(detail)]
    if any(not _PLAIN_NAME.fullmatch(name) for name in names):
        return "the name of the tool or of an argument is no plain name"
    return None


def _shape_names(detail: Mapping[str, Any]) -> list[str]:
    if "shape" not in detail:
        return []
    keys = detail.get("keys") or {}
    return [detail["shape"]["path"] or "arguments", *keys.get("missing", ())] + [
        name
        for key, seen in (keys.get("instead") or {}).items()
        for name in (key, *seen["returned_by"])
    ]


def _rule(detail: Mapping[str, Any]) -> str:
    """Word the rule in one sentence for the tool's definition."""
    if detail["kind"] == "shape":
        return _shape_rule(detail) + _failure_of_shape(detail)
    said, rule = quoted(str(detail["template"])), detail.get("rule")
    if rule:
        what = f"sum of {rule['path']}" if rule["how"] == "sum" else rule["path"]
        return (
            f"The {what} must {rule['relation']} the '{rule['wanted']}'; work it out before the "
            f"call, which otherwise fails with {said}."
        )
    arguments = detail.get("arguments") or []
    if arguments:
        return f"Check {' and '.join(arguments)} before the call, or it fails with {said}."
    return f"Make sure before the call that it cannot fail with {said}."


def _shape_rule(detail: Mapping[str, Any]) -> str:
    shape = detail["shape"]
    path = shape["path"] or "the argument object"
    if shape["kind"] == "absent":
        return f"Always give {path}."
    if shape["kind"] != "lacks":
        return f"Do not give {path} as {shape['value']}."
    missing = ", ".join(detail["keys"]["missing"])
    instead = detail["keys"]["instead"]
    each = f"Every item of {path[:-2]}" if path.endswith("[]") else path[:1].upper() + path[1:]
    wrong = "".join(
        f" What {' and '.join(seen['returned_by'])} returns as {key} must not be sent as {key}."
        for key, seen in instead.items()
    )
    return f"{each} must have the keys: {missing}.{wrong}"


def _failure_of_shape(detail: Mapping[str, Any]) -> str:
    """Quote how such calls fail, where nearly all of them fail with one text fit to be quoted."""
    clusters = detail.get("clusters") or []
    failing = sum(one["k"] for one in clusters)
    if not clusters or clusters[0]["k"] < SAME_FAILURE_SHARE_MIN * failing:
        return ""
    template = str(clusters[0]["template"])
    return "" if refusal(template) else f" Otherwise the call fails with {quoted(template)}."


def _target(repo: Path, detail: Mapping[str, Any]) -> Description | None:
    """Find the description to change in the first file that has one for the tool."""
    tool = str(detail["tool"])
    for file in tool_files(repo, tool):
        description = description_of(file, tool, _argument(detail))
        if description is not None:
            return description
    return None


def _argument(detail: Mapping[str, Any]) -> str:
    """Return the path of the one argument the rule is about, "" for the whole tool."""
    if detail["kind"] == "shape":
        return str(detail["shape"]["path"])
    if detail.get("rule"):
        return str(detail["rule"]["path"])
    arguments = detail.get("arguments") or []
    return str(arguments[0]) if len(arguments) == 1 else ""


def _patch(target: Description, rule: str) -> str:
    says = target.says
    if rule in says:
        return ""
    joint = "" if not says or says[-1].isspace() else " " if says[-1] in ".!?:;" else ". "
    after = appended(target.file.text, target.span, joint + rule)
    return unified_diff(target.file.path, target.file.text, after)


def _quarantine_body(finding: Finding, unfit: str) -> str:
    return (
        f"Quarantined: {unfit}, so nothing was built from it. Look at the runs that are the "
        f"evidence of finding {finding.finding_id}."
    )


def _body(finding: Finding, rule: str, target: Description | None) -> str:
    detail = finding.detail
    return "\n\n".join((rule, _numbers(finding), *_derivable(detail), _where(detail, target)))


def _numbers(finding: Finding) -> str:
    detail = finding.detail
    low, high = detail["rate_interval"]
    which = "calls" if detail["kind"] == "template" else "such calls"
    said = (
        f"{finding.k} of {finding.n} {which} of {detail['tool']} "
        f"({finding.k / finding.n:.0%}, 95 % interval {low:.0%} to {high:.0%}) failed this way, "
        f"in {detail['units']} different {detail['units_noun']}s; {detail['failing_calls']} of "
        f"its {detail['calls']} calls failed in any way."
    )
    if finding.effect is None or finding.interval is None or finding.q is None:
        return said
    adjusted = " and ".join(finding.adjusted_for) or "nothing"
    return said + (
        f" Counting the first call of a tool in a run, against {detail['compared_with']}: "
        f"{finding.effect:+.0%} ({finding.interval[0]:+.0%} to {finding.interval[1]:+.0%}), "
        f"q={finding.q:.2g} on one half of the {detail['units_noun']}s, "
        f"p={detail['p_confirmation']:.2g} on the other, adjusted for {adjusted}."
    )


def _derivable(detail: Mapping[str, Any]) -> tuple[str, ...]:
    found = detail.get("derivable")
    if not found:
        return ()
    said = (
        f"The wanted number was often known beforehand: {found['formula']} could be computed "
        f"from what earlier tools returned in {found['computable']} of the {found['failing']} "
        f"failing calls, and was the wanted number in {found['right']} of them."
    )
    return (said,)


def _where(detail: Mapping[str, Any], target: Description | None) -> str:
    if target is None:
        return (
            "No patch: no JSON file that defines the tool was at hand. Run `spanlore learn --repo "
            "DIR` with the repository that holds the tool definitions."
        )
    what = "the tool" if target.describes == detail["tool"] else f"`{target.describes}`"
    return (
        f"The patch changes the description of {what} in {target.file.path}. A reworded "
        "description cannot be replayed: judge it with your own evaluation or a canary."
    )


def _scope(detail: Mapping[str, Any]) -> tuple[ScopeLevel, str]:
    scope = detail.get("scope") or {}
    if scope.get("only_tenant_affected"):
        return "tenant", str(scope["tenant"])
    return "global", ""


def _lesson_id(finding: Finding) -> str:
    """Return the id of a lesson: of the finding it answers, not of counts or files."""
    text = f"{KIND}\x00{finding.finding_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_HEX_DIGITS]

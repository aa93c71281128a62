"""From confirmed findings about tools to proposed lessons with diffs of their definitions.

There is one lesson for each place in a file (``lesson_place``). Where its diff adds a constraint
to a tool's schema the lesson is a ``tool_schema``, which can be replayed; where only words change
it is a ``tool_description``, which cannot. Counts stay in the lesson's body: a model that reads
the definition needs the rule (``tool_rule``), its reviewer the numbers.

``Lesson.content`` says the same as data: the ``tool``, the ``failure`` (``tool_failure``), what the
definition ``says`` once it is changed, and the ``predicate`` of a right call (``predicate``), None
where none is known. A lesson that answers several findings holds the others under ``more``.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from spanlore.analyzers.arguments.tool_failure import failure_of
from spanlore.analyzers.lessons.lesson_place import Answer, Place, answer, places
from spanlore.analyzers.lessons.tool_rule import tells_what_to_do, unfit
from spanlore.schemas.types import Finding, Lesson, ScopeLevel

DESCRIPTION = "tool_description"
SCHEMA = "tool_schema"
EVIDENCE_TRACES_MAX = 20
_ID_HEX_DIGITS = 32


def harness_lessons(findings: Iterable[Finding], repo: Path | None) -> list[Lesson]:
    """Return the lessons of the confirmed findings that tell somebody what to change.

    With no repository, or none of its files defining the tool, a lesson has no patch and its
    body says how to get one; then there is one for each argument of a tool. A finding whose text
    is unfit to be quoted gives a quarantined lesson without a patch. Raises NotADirectoryError
    when ``repo`` is not a folder.
    """
    telling = [one for one in findings if one.confirmed and tells_what_to_do(one.detail)]
    fit = [one for one in telling if unfit(one.detail) is None]
    order = {one.finding_id: position for position, one in enumerate(telling)}
    lessons = [_lesson(place) for place in places([answer(one, repo) for one in fit])]
    lessons += [_quarantined(one) for one in telling if one not in fit]
    return sorted(lessons, key=lambda lesson: order[lesson.findings[0]])


def _lesson(place: Place) -> Lesson:
    group, patch = place.answers, place.patch
    tools = " and ".join(dict.fromkeys(one.tool for one in group))
    scope, scope_key = _scope([one.finding for one in group])
    target = group[0].target
    constrains = any(one.addition for one in group)
    said = "Constrain in the schema" if constrains else "Say in the definition"
    return Lesson(
        lesson_id=_lesson_id(group[0].finding),
        layer="harness",
        scope=scope,
        scope_key=scope_key,
        tenant=scope_key,
        kind=SCHEMA if constrains else DESCRIPTION,
        title=f"{said} of {tools} what its calls get wrong",
        body=_body(group, has_patch=bool(patch)),
        patch=patch or None,
        base_path=target.file.path if target and patch else None,
        base_hash=target.file.sha256 if target and patch else None,
        findings=tuple(one.finding.finding_id for one in group),
        evidence=_evidence([one.finding for one in group]),
        content=_content(group),
    )


def _content(group: Sequence[Answer]) -> dict[str, Any]:
    first, *more = (
        {
            "tool": one.tool,
            "failure": failure_of(one.finding.detail),
            "says": [one.rule],
            "predicate": _predicate(one),
        }
        for one in group
    )
    return {**first, "more": more} if more else first


def _predicate(one: Answer) -> dict[str, Any] | None:
    if one.addition is not None:
        return one.addition.constraint.predicate(in_patch=True)
    if one.constraint is not None:
        return one.constraint.predicate(in_patch=False)
    total = (one.finding.detail.get("derivable") or {}).get("total")
    return {"kind": "total", **total} if total else None


def _quarantined(finding: Finding) -> Lesson:
    scope, scope_key = _scope([finding])
    return Lesson(
        lesson_id=_lesson_id(finding),
        layer="harness",
        scope=scope,
        scope_key=scope_key,
        tenant=scope_key,
        kind=DESCRIPTION,
        title="Say in a tool's definition what its calls get wrong",
        body=f"Quarantined: {unfit(finding.detail)}, so nothing was built from it. Look at the "
        f"runs that are the evidence of finding {finding.finding_id}.",
        patch=None,
        base_path=None,
        base_hash=None,
        findings=(finding.finding_id,),
        evidence=finding.evidence,
        state="quarantined",
    )


def _body(group: Sequence[Answer], *, has_patch: bool) -> str:
    parts: list[str] = []
    for one in group:
        parts += [one.rule, _numbers(one.finding), *_derivable(one.finding.detail)]
    return "\n\n".join((*parts, _where(group, has_patch=has_patch)))


def _numbers(finding: Finding) -> str:
    detail = finding.detail
    low, high = detail["rate_interval"]
    which = "calls" if detail["kind"] == "template" else "such calls"
    how = "failed this way" if detail["kind"] == "template" else "failed"
    said = (
        f"{finding.k} of {finding.n} {which} of {detail['tool']} "
        f"({finding.k / finding.n:.0%}, 95 % interval {low:.0%} to {high:.0%}) {how}, "
        f"in {detail['units_affected']} different {detail['units_noun']}s; "
        f"{detail['failing_calls']} of its {detail['calls']} calls failed in any way."
    )
    if finding.effect is None or finding.interval is None or finding.q is None:
        return said
    adjusted = ", ".join(finding.adjusted_for) or "nothing"
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


def _where(group: Sequence[Answer], *, has_patch: bool) -> str:
    target = group[0].target
    if target is None:
        return (
            "No patch: no JSON file that defines the tool was at hand. Run `spanlore learn --repo "
            "DIR` with the repository that holds the tool definitions."
        )
    described = " and ".join(dict.fromkeys(_describes(one) for one in group))
    if not has_patch:
        return f"No patch: the description of {described} in {target.file.path} says so already."
    changed = f"The patch changes the description of {described} in {target.file.path}"
    if added := " and ".join(dict.fromkeys(_adds(one) for one in group if one.addition)):
        return (
            f"{changed}, and adds {added} to the schema. The constraint can be replayed over past "
            "calls (which calls it would have stopped); whether an agent then calls better cannot."
        )
    return (
        f"{changed}. A reworded "
        "description cannot be replayed: judge it with your own evaluation or a canary."
    )


def _describes(one: Answer) -> str:
    describes = one.target.describes if one.target else one.tool
    return f"the tool {one.tool}" if describes == one.tool else f"`{describes}`"


def _adds(one: Answer) -> str:
    if one.addition is None:
        return ""
    constraint = one.addition.constraint
    said = json.dumps({constraint.keyword: one.addition.value}, ensure_ascii=False)[1:-1]
    return f"{said} for " + (f"`{constraint.path}`" if constraint.path else "the arguments")


def _scope(findings: Sequence[Finding]) -> tuple[ScopeLevel, str]:
    """Return the one tenant that all of it happens in while others call the tool, else global."""
    scopes = [finding.detail.get("scope") or {} for finding in findings]
    tenants = {str(scope.get("tenant")) for scope in scopes}
    if len(tenants) == 1 and all(scope.get("only_tenant_affected") for scope in scopes):
        return "tenant", tenants.pop()
    return "global", ""


def _evidence(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Take the most telling traces of each finding in turn."""
    turns = zip_longest(*(finding.evidence for finding in findings))
    traces = dict.fromkeys(trace for turn in turns for trace in turn if trace)
    return tuple(traces)[:EVIDENCE_TRACES_MAX]


def _lesson_id(finding: Finding) -> str:
    """Return the id of a lesson: of the first finding it answers, not of counts, files or kind."""
    text = f"{DESCRIPTION}\x00{finding.finding_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_HEX_DIGITS]

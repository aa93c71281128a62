"""From confirmed findings about tools to proposed lessons with diffs of their definitions.

There is one lesson for each place in a file: findings that are answered on the same line, or on
the next, make one lesson with one diff, so that all lessons of a round apply one after another,
in any order. Counts stay in the lesson's body: a model that reads the definition needs the rule
(``tool_rule``), its reviewer the numbers.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from spanlore.analyzers.json_text import appended
from spanlore.analyzers.patch import CONTEXT_LINES_MAX, unified_diff
from spanlore.analyzers.tool_file import Description, description_of, tool_files
from spanlore.analyzers.tool_rule import argument_of, rule_of, tells_what_to_do, unfit
from spanlore.schemas.types import Finding, Lesson, ScopeLevel

KIND = "tool_description"
EVIDENCE_TRACES_MAX = 20
_ID_HEX_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """A finding, the sentence that answers it, and the description it belongs to (if any)."""

    finding: Finding
    rule: str
    target: Description | None

    @property
    def tool(self) -> str:
        return str(self.finding.detail["tool"])

    @property
    def line(self) -> int:
        """The line of the description in its file, counted from 0."""
        return self.target.file.text.count("\n", 0, self.target.span.begin) if self.target else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What one diff answers, in the findings' order, and how much around it the diff may show."""

    answers: tuple[_Answer, ...]
    context_lines: int


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
    lessons = [_lesson(place) for place in _places([_answer(one, repo) for one in fit])]
    lessons += [_quarantined(one) for one in telling if one not in fit]
    return sorted(lessons, key=lambda lesson: order[lesson.findings[0]])


def _answer(finding: Finding, repo: Path | None) -> _Answer:
    """Find the description to change in the first file that has one for the tool."""
    rule, tool = rule_of(finding.detail), str(finding.detail["tool"])
    for file in tool_files(repo, tool) if repo is not None else ():
        description = description_of(file, tool, argument_of(finding.detail))
        if description is not None:
            return _Answer(finding=finding, rule=rule, target=description)
    return _Answer(finding=finding, rule=rule, target=None)


def _places(answers: Sequence[_Answer]) -> Iterator[_Place]:
    """Put together the answers that one diff must give: on one line of a file, or the next.

    A line further off, a diff with less context than usual leaves the other's line alone.
    """
    files: dict[tuple[str, ...], list[_Answer]] = {}
    for answer in answers:
        argument = argument_of(answer.finding.detail).split("[]", maxsplit=1)[0]
        key = (answer.target.file.path,) if answer.target else ("", answer.tool, argument)
        files.setdefault(key, []).append(answer)
    for in_file in files.values():
        lines = sorted({answer.line for answer in in_file})
        starts = [line for line in lines if line - 1 not in lines]
        for start, after in zip_longest(starts, starts[1:]):
            here = [line for line in lines if start <= line and (after is None or line < after)]
            others = [line for line in lines if line not in here]
            gap = min((abs(one - line) for one in others for line in here), default=None)
            yield _Place(
                answers=tuple(answer for answer in in_file if answer.line in here),
                context_lines=min(gap - 1 if gap else CONTEXT_LINES_MAX, CONTEXT_LINES_MAX),
            )


def _lesson(place: _Place) -> Lesson:
    group, patch = place.answers, _patch(place)
    tools = " and ".join(dict.fromkeys(answer.tool for answer in group))
    scope, scope_key = _scope([answer.finding for answer in group])
    target = group[0].target
    return Lesson(
        lesson_id=_lesson_id(group[0].finding),
        layer="harness",
        scope=scope,
        scope_key=scope_key,
        kind=KIND,
        title=f"Say in the definition of {tools} what its calls get wrong",
        body=_body(group, has_patch=bool(patch)),
        patch=patch or None,
        base_path=target.file.path if target and patch else None,
        base_hash=target.file.sha256 if target and patch else None,
        findings=tuple(answer.finding.finding_id for answer in group),
        evidence=_evidence([answer.finding for answer in group]),
    )


def _quarantined(finding: Finding) -> Lesson:
    scope, scope_key = _scope([finding])
    return Lesson(
        lesson_id=_lesson_id(finding),
        layer="harness",
        scope=scope,
        scope_key=scope_key,
        kind=KIND,
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


def _patch(place: _Place) -> str:
    """Write the rules into the file's text, the last of them first, so that the others stay put."""
    targets = {answer.target.span: answer.target for answer in place.answers if answer.target}
    if not targets:
        return ""
    file = next(iter(targets.values())).file
    after = file.text
    for span in sorted(targets, key=lambda span: span.begin, reverse=True):
        says = targets[span].says
        for answer in place.answers:
            if answer.target and answer.target.span == span and answer.rule not in says:
                says += _joint(says) + answer.rule
        after = appended(after, span, says[len(targets[span].says) :])
    return unified_diff(file.path, file.text, after, context_lines=place.context_lines)


def _joint(says: str) -> str:
    if not says or says[-1].isspace():
        return ""
    return " " if says[-1] in ".!?:;" else ". "


def _body(group: Sequence[_Answer], *, has_patch: bool) -> str:
    parts: list[str] = []
    for answer in group:
        parts += [answer.rule, _numbers(answer.finding), *_derivable(answer.finding.detail)]
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


def _where(group: Sequence[_Answer], *, has_patch: bool) -> str:
    target = group[0].target
    if target is None:
        return (
            "No patch: no JSON file that defines the tool was at hand. Run `spanlore learn --repo "
            "DIR` with the repository that holds the tool definitions."
        )
    places = " and ".join(dict.fromkeys(_describes(answer) for answer in group))
    if not has_patch:
        return f"No patch: the description of {places} in {target.file.path} says so already."
    return (
        f"The patch changes the description of {places} in {target.file.path}. A reworded "
        "description cannot be replayed: judge it with your own evaluation or a canary."
    )


def _describes(answer: _Answer) -> str:
    describes = answer.target.describes if answer.target else answer.tool
    return f"the tool {answer.tool}" if describes == answer.tool else f"`{describes}`"


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
    """Return the id of a lesson: of the first finding it answers, not of counts or files."""
    text = f"{KIND}\x00{finding.finding_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_HEX_DIGITS]

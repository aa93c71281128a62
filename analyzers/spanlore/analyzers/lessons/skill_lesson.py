"""From confirmed ways of working to proposed skills: a SKILL.md each, of typed fields alone.

Names of tools, arguments and fields come from traces, which anybody may write, so each has to look
like a name; where one does not the skill is quarantined and nothing of it is repeated. No text of
a trace is in it, and no trace id: what is given to several tenants names no run of another; the
lesson's evidence does. Shares are said in tenths, so that a skill is not another one with every
run.

Of ways of working that hold one another only the longest becomes a skill, which answers the
findings of the others too.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from spanlore.analyzers.counting.closed_sequences import holds
from spanlore.analyzers.runs.quoted_text import refusal
from spanlore.schemas.types import Finding, Lesson, ScopeLevel

KIND = "skill"
NAME_CHARS_MAX = 64  # of a skill, as its front matter may hold
_ID_HEX_DIGITS = 32
_TENTHS = 10
_TOOL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/\-]{0,127}")
_PATH = re.compile(r"[A-Za-z0-9_$@][A-Za-z0-9_.\-$@\[\]]{0,199}")
_NOT_IN_NAME = re.compile(r"[^a-z0-9]+")


def skill_lessons(findings: Iterable[Finding]) -> list[Lesson]:
    """Return the skills of the confirmed findings that are a way of working, in their order."""
    ways = [one for one in findings if one.confirmed and one.detail.get("kind") == "workflow"]
    longest = [one for one in ways if not any(_is_within(one, other) for other in ways)]
    return [_lesson(one, [other for other in ways if _is_within(other, one)]) for one in longest]


def unfit(detail: Mapping[str, Any]) -> str | None:
    """Return what makes a way of working unfit to be written down, None when nothing does."""
    tools = [*detail["tools"], *(slot["from"] for slot in detail["slots"] if slot["from"])]
    paths = [slot["argument"] for slot in detail["slots"]]
    paths += [slot["field"] for slot in detail["slots"] if slot["from"]]
    reasons = [
        *(_unfit(name, _TOOL) for name in (*tools, *detail["task_types"])),
        *(_unfit(path, _PATH) for path in paths),
    ]
    return next((reason for reason in reasons if reason is not None), None)


def skill_name(tools: Sequence[str]) -> str:
    """Return the name of a skill: lower-case words and hyphens, as SKILL.md wants it."""
    words = "-then-".join(_NOT_IN_NAME.sub("-", tool.lower()).strip("-") for tool in tools)
    if len(words) <= NAME_CHARS_MAX:
        return words
    digest = hashlib.sha256("|".join(tools).encode()).hexdigest()[:8]
    return f"{words[: NAME_CHARS_MAX - 9].rstrip('-')}-{digest}"


def _lesson(finding: Finding, within: Sequence[Finding]) -> Lesson:
    detail, reason = finding.detail, unfit(finding.detail)
    fit = reason is None
    scope, tenant = _scope(detail)
    task_types = detail["task_types"]
    return Lesson(
        lesson_id=_lesson_id(detail, tenant),
        layer="context",
        scope=scope,
        scope_key=tenant,
        tenant=tenant,
        kind=KIND,
        title=f"How runs that succeed go about it: {' → '.join(detail['tools'])}"
        if fit
        else "How runs that succeed go about it",
        body=_body(finding)
        if fit
        else f"Quarantined: the finding holds {reason}, so nothing was built from it. Look at the "
        f"runs that are the evidence of finding {finding.finding_id}.",
        patch=None,
        base_path=None,
        base_hash=None,
        findings=(finding.finding_id, *(one.finding_id for one in within)),
        evidence=finding.evidence,
        selector={"task": task_types[0]} if fit and len(task_types) == 1 and task_types[0] else {},
        content={
            "workflow": {
                "tools": list(detail["tools"]),
                "slots": [dict(slot) for slot in detail["slots"]],
                "task_types": list(task_types),
            }
        }
        if fit
        else {},
        state="proposed" if fit else "quarantined",
    )


def _body(finding: Finding) -> str:
    detail = finding.detail
    tools = detail["tools"]
    types = ", ".join(name for name in detail["task_types"] if name)
    what = f"{types} tasks" if types else "tasks"
    passed = min(max(round(_TENTHS * finding.k / finding.n), 1), _TENTHS)
    lift = detail["lift"]
    more = f", {lift:.1f} times as often as in other runs of the same tasks" if lift else ""
    return "\n".join(
        (
            "---",
            f"name: {skill_name(tools)}",
            f"description: The order of work in {what} that succeed - {', then '.join(tools)}.",
            "---",
            "",
            "Work in this order; other calls may come between.",
            "",
            *_steps(tools, detail["slots"]),
            "",
            f"About {passed} of {_TENTHS} runs that worked so succeeded{more}.",
            "",
        )
    )


def _steps(tools: Sequence[str], slots: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    said: set[str] = set()
    for number, tool in enumerate(tools, start=1):
        yield f"{number}. Call `{tool}`."
        for slot in slots if tool not in said else ():
            if slot["tool"] == tool:
                yield f"   - `{slot['argument']}`: {_whence(slot)}."
        said.add(tool)


def _whence(slot: Mapping[str, Any]) -> str:
    if slot["from"] is None:
        return "what the user said"
    return f"`{slot['field']}` of what `{slot['from']}` returned"


def _scope(detail: Mapping[str, Any]) -> tuple[ScopeLevel, str]:
    """Return the one tenant whose runs alone show it, else global."""
    tenant = detail["tenant"]
    return ("global", "") if tenant is None else ("tenant", tenant)


def _is_within(one: Finding, other: Finding) -> bool:
    """Whether the other's way of working holds this one's, for the same tenants."""
    mine, others = one.detail["tools"], other.detail["tools"]
    same = one.detail["tenant"] == other.detail["tenant"]
    return same and len(mine) < len(others) and holds(others, mine)


def _unfit(name: str, pattern: re.Pattern[str]) -> str | None:
    if not name:
        return None
    if not pattern.fullmatch(name):
        return "a name that does not look like one"
    found = refusal(re.sub(r"[_/.\-:\[\]]+", " ", name).lower())
    return None if found is None else f"a name that holds {found}"


def _lesson_id(detail: Mapping[str, Any], tenant: str) -> str:
    text = json.dumps([KIND, tenant, detail["tools"]])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_HEX_DIGITS]

"""From confirmed findings about what users end with to proposed memories.

What an agent reads is built from typed fields alone: tool, field, part, value, segment. Each of
them comes from traces, which anybody may write, so each has to look like what it is: a name, or a
short plain value. What does not is quarantined and repeated nowhere. How often a value was ended
with is said in tenths, so that a lesson is not another one with every run.

A lesson's id is of its kind, scope, slot and value. The value belongs to it: under one id a
value that somebody approved would stand for ever, because only what nobody has decided on is
worded anew. What becomes of lessons with another value is for ``consolidation`` to say.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spanlore.analyzers.preferences.slot_values import VALUE_CHARS_MAX, Slot, slot_of
from spanlore.analyzers.runs.quoted_text import plain, refusal
from spanlore.schemas.lesson_state import DELIVERED, UNDECIDED
from spanlore.schemas.types import Finding, Lesson, ScopeLevel

KIND = "memory"
_SPEAKING = DELIVERED | UNDECIDED
WORDS_MAX = 8
INSTRUCTION_WORDS_MIN = 3  # "call" alone may well be a kind of meeting
NAME_CHARS_MAX = 128
_ID_HEX_DIGITS = 32
_TENTHS = 10
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:\-]*")
_FIELD = re.compile(r"(?:/[A-Za-z0-9_.\-$@]+)+")
_VALUE = re.compile(r"[\w+\-][\w .,:;/+\-%°€$£()&@#']*")
# Longer than any word, with digits in it: a key or a token, not what somebody prefers.
_TOKEN = re.compile(r"(?=\w*\d)(?=\w*[A-Za-z])\w{20,}")
_IMPERATIVE = re.compile(
    r"\b(?:ignore|disregard|forget|send|forward|delete|execute|run|call|transfer|reveal|print|"
    r"instruct\w*|instead|must|should|please|approve\w*|admin\w*|sudo|curl|wget|import|eval)\b"
)


def memory_lessons(findings: Iterable[Finding]) -> list[Lesson]:
    """Return one lesson for each confirmed preference, in the order of the findings."""
    return [
        memory_lesson(one)
        for one in findings
        if one.confirmed and one.detail.get("kind") == "preference"
    ]


def replaced(fresh: Sequence[Lesson], standing: Mapping[str, Lesson]) -> list[str]:
    """Return the ids of undecided memories of a narrower scope that these, of its value, speak for.

    Both say a slot; a wider lesson that was refused or taken back speaks for nobody.
    """
    wide = [one for one in fresh if one.content.get("slot") and one.state in _SPEAKING]
    return [
        old.lesson_id
        for old in standing.values()
        if old.state in UNDECIDED
        and any(
            one.lesson_id != old.lesson_id and says_the_same(one, old) and is_wider(one, old)
            for one in wide
        )
    ]


def says_the_same(one: Lesson, other: Lesson) -> bool:
    """Whether two lessons say the same value for the same slot, to whomever."""
    return all(
        name in one.content and one.content[name] == other.content.get(name)
        for name in ("slot", "value")
    )


def unfit(detail: Mapping[str, Any]) -> str | None:
    """Return what makes a preference unfit to be said to an agent, None when nothing does."""
    slot, scope = slot_of(detail["slot"]), detail["scope"]
    names = [name.removeprefix("segment.") for name in scope["selector"]]
    values = [detail["value"], detail["instead_of"], *scope["selector"].values()]
    reasons = [
        _unfit_name(slot.tool, _NAME),
        _unfit_name(slot.field, _FIELD),
        *(_unfit_name(name, _NAME) for name in names),
        *(_unfit_value(str(value)) for value in values if value is not None),
    ]
    return next((reason for reason in reasons if reason is not None), None)


def _unfit_name(text: str, pattern: re.Pattern[str]) -> str | None:
    """Say what is wrong with the name of a tool, an argument or a segment."""
    if not pattern.fullmatch(text) or len(text) > NAME_CHARS_MAX:
        return "a name that does not look like one"
    found = refusal(re.sub(r"[_/.\-]+", " ", text).lower())
    return None if found is None else f"a name that holds {found}"


def _unfit_value(text: str) -> str | None:
    if len(text) > VALUE_CHARS_MAX or len(text.split()) > WORDS_MAX:
        return "a value that is not short"
    if not _VALUE.fullmatch(text):
        return "a value with other signs than a plain value has"
    lowered = text.lower().replace("_", " ")
    if _TOKEN.search(text):
        return "a value that looks like a key"
    if len(lowered.split()) >= INSTRUCTION_WORDS_MIN and _IMPERATIVE.search(lowered):
        return "a value that looks like an instruction"
    found = refusal(lowered)
    return None if found is None else f"a value that holds {found}"


def memory_lesson(finding: Finding) -> Lesson:
    """Return the lesson of a preference, quarantined where it is ``unfit`` to be said."""
    detail, scope = finding.detail, finding.detail["scope"]
    slot, reason = slot_of(detail["slot"]), unfit(finding.detail)
    fit = reason is None
    level: ScopeLevel = scope["level"]
    return Lesson(
        lesson_id=lesson_id(detail),
        layer="context",
        scope=level,
        scope_key=str(scope["key"]),
        kind=KIND,
        title=_title(slot, detail) if fit else "Remember what users end with",
        body=_body(slot, detail)
        if fit
        else f"Quarantined: the finding holds {reason}, so nothing was built from it. Look at the "
        f"runs that are the evidence of finding {finding.finding_id}.",
        patch=None,
        base_path=None,
        base_hash=None,
        findings=(finding.finding_id,),
        evidence=finding.evidence,
        tenant=str(scope["tenant"] or ""),
        selector=dict(scope["selector"]) if fit else {},
        content={
            "slot": slot.json(),
            "value": detail["value"],
            "instead_of": detail["instead_of"],
        }
        if fit
        else {},
        state="proposed" if fit else "quarantined",
    )


def _title(slot: Slot, detail: Mapping[str, Any]) -> str:
    scope = detail["scope"]
    whose = {
        "user": f"user {scope['key']} of {scope['tenant']}",
        "tenant": f"users of {scope['tenant']}",
        "global": "users of all tenants",
    }[scope["level"]]
    return plain(f"{slot.tool} {_what(slot)}: {detail['value']} for {whose}{_segment(scope)}")


def _body(slot: Slot, detail: Mapping[str, Any]) -> str:
    scope = detail["scope"]
    whose = "this user" if scope["level"] == "user" else "users like this one"
    changed = f"change {detail['instead_of']} to it" if detail["instead_of"] else "change to it"
    verb = changed.replace("change", "changes", 1) if scope["level"] == "user" else changed
    tenths = min(max(round(_TENTHS * detail["inside"]["rate"]), 1), _TENTHS)
    return (
        f"{_advice(slot, detail)}: "
        f"{whose}{_segment(scope)} {verb} in about {tenths} of {_TENTHS} runs."
    )


def said_of(slot: Slot, detail: Mapping[str, Any]) -> tuple[str, str]:
    """Return the title of a memory, and what it says to do: of what is not ``unfit`` alone."""
    return _title(slot, detail), _advice(slot, detail)


def _advice(slot: Slot, detail: Mapping[str, Any]) -> str:
    return (
        f"When calling {slot.tool}, propose {detail['value']} for {_what(slot)} unless the user "
        "says otherwise"
    )


def _what(slot: Slot) -> str:
    field = slot.field.removeprefix("/").replace("/", ".")
    return f"the time of day of `{field}`" if slot.part == "time_of_day" else f"`{field}`"


def _segment(scope: Mapping[str, Any]) -> str:
    named = ", ".join(
        f"{name.removeprefix('segment.')} {value}" for name, value in scope["selector"].items()
    )
    return f" ({named})" if named else ""


def place_of(lesson: Lesson) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    """Return whom a lesson is for: scope, tenant, scope key, selector."""
    selector = tuple(sorted(lesson.selector.items()))
    return lesson.scope, lesson.tenant, lesson.scope_key, selector


def is_wider(fresh: Lesson, old: Lesson) -> bool:
    """Whether all whom the old lesson is for are among those of the fresh one."""
    if fresh.scope == "user" or place_of(fresh) == place_of(old):
        return False
    if fresh.tenant not in ("", old.tenant):
        return False
    # A user's lesson does not say of which segment its user is.
    return fresh.selector.items() <= old.selector.items()


def lesson_id(detail: Mapping[str, Any], *, kind: str = KIND) -> str:
    """Return the id of the memory of a scope, slot and value."""
    scope = detail["scope"]
    parts = [kind, scope["level"], scope["tenant"], scope["key"], scope["selector"]]
    text = json.dumps([*parts, detail["slot"], detail["value"]], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_HEX_DIGITS]

"""What a text, a lesson or a finding says without one user: pure.

What is learned of many users stays when one of them goes, with its numbers. What names the user or
a run of theirs goes, and so does what is quoted from runs, for whose words they are is not kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from spanlore.schemas.types import Lesson

__all__ = [
    "ERASED_TEXT",
    "WORD_CHARACTERS_MIN",
    "Whose",
    "cleaned",
    "is_theirs",
    "says_of",
    "whole_name",
    "without",
]

ERASED_TEXT: Final = "(erased)"
# Under these keys analyzers keep text of runs, word for word.
_QUOTED: Final = frozenset({"examples"})
# What the rules of a lesson's life read. No user's name stands there, whatever they are called.
_RULES: Final = frozenset({"verdict", "decision", "effect", "at", "content_hash"})
_NAMING: Final = ("user", "user_id", "by")
_TRACE_ID: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
# A shorter name, or a number, is a word of any text: it is looked for where a user is named.
WORD_CHARACTERS_MIN: Final = 3


def whole_name(user: str) -> str:
    """Give a pattern of a name where it is not a part of a longer one (ann in ann-2, ann@b.org)."""
    return rf"(?<![\w@+.\-]){re.escape(user)}(?![\w@+\-]|\.\w)"


@dataclass(frozen=True, kw_only=True)
class Whose:
    """A user of a tenant, their runs, and the lessons that are theirs alone."""

    tenant: str
    user: str
    trace_ids: frozenset[str]
    lesson_ids: frozenset[str] = frozenset()

    @cached_property
    def _is_word(self) -> bool:
        return len(self.user) >= WORD_CHARACTERS_MIN and not self.user.isdigit()

    @cached_property
    def _word(self) -> re.Pattern[str]:
        return re.compile(whole_name(self.user))

    def is_named_by(self, text: str) -> bool:
        """Say whether a text, also JSON, names the user."""
        if self._is_word:
            return self._word.search(text) is not None
        named = rf'"(?:{"|".join(_NAMING)})": ?"{re.escape(self.user)}"'
        return re.search(named, text) is not None

    def cleaned(self, text: str, *, key: str = "") -> str:
        """Return a text, which stands under ``key``, without the user and their runs."""
        if text in self.lesson_ids or (text == self.user and (self._is_word or key in _NAMING)):
            return ERASED_TEXT
        text = _TRACE_ID.sub(lambda m: ERASED_TEXT if m[0] in self.trace_ids else m[0], text)
        return self._word.sub(ERASED_TEXT, text) if self._is_word else text

    def is_item(self, value: Any) -> bool:
        """Say whether an item of a list stands for a run, a lesson, or a row of theirs."""
        if isinstance(value, Mapping):
            of_tenant = value.get("tenant", self.tenant) == self.tenant
            return value.get("user") == self.user and of_tenant
        return isinstance(value, str) and (value in self.trace_ids or value in self.lesson_ids)


def is_theirs(lesson: Lesson, whose: Whose) -> bool:
    """Say whether a lesson is of this user alone: made for them, or known from their runs only."""
    if (lesson.scope, lesson.scope_key, lesson.tenant) == ("user", whose.user, whose.tenant):
        return True
    return bool(lesson.evidence) and whose.trace_ids.issuperset(lesson.evidence)


def says_of(text: str, whose: Whose, *, tenant: str = "") -> bool:
    """Say whether a text, also JSON, names a run of theirs, or them where it is of their tenant.

    ``tenant`` is the one that the text is of, "" for every one.
    """
    if not whose.trace_ids.isdisjoint(_TRACE_ID.findall(text)):
        return True
    return tenant in ("", whose.tenant) and whose.is_named_by(text)


def without(lesson: Lesson, whose: Whose) -> Lesson:
    """Return what a lesson says without them."""
    return replace(
        lesson,
        title=whose.cleaned(lesson.title),
        body=whose.cleaned(lesson.body),
        patch=lesson.patch and whose.cleaned(lesson.patch),
        evidence=tuple(cleaned(lesson.evidence, whose)),
        selector=cleaned(lesson.selector, whose),
        content=cleaned(lesson.content, whose),
        evaluations=tuple(cleaned(lesson.evaluations, whose)),
        approvals=tuple(cleaned(lesson.approvals, whose)),
    )


def cleaned(value: Any, whose: Whose, *, key: str = "") -> Any:
    """Return JSON-plain data, which stands under ``key``, without them; its form stays."""
    match value:
        case str():
            return value if key in _RULES else whose.cleaned(value, key=key)
        case Mapping():
            return {
                name: type(one)() if name in _QUOTED else cleaned(one, whose, key=name)
                for name, one in value.items()
                if not whose.is_item(name)
            }
        case list() | tuple():
            return [cleaned(one, whose) for one in value if not whose.is_item(one)]
    return value

"""What a whole tenant prefers and looks like a setting: the tenant's configuration.

A preference (``memory_lesson``) that all of a tenant share, for an argument with the name of a
setting - language, currency, tone, which tool or format to use - is one lesson of the kind
``tenant_config``. It says the same and is delivered, gated and measured like a memory, but worded
as what holds for this organisation, which is also what an application can read it for
(``content``: ``slot`` and ``value``).
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from spanlore.analyzers.lessons.memory_lesson import lesson_id, memory_lesson, said_of
from spanlore.analyzers.preferences.slot_values import slot_of
from spanlore.schemas.types import Finding, Lesson

KIND = "tenant_config"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# The words that names of settings end with.
_SETTINGS = frozenset(
    {
        "backend", "brand", "calendar", "country", "currency", "dialect", "engine", "environment",
        "format", "formality", "greeting", "lang", "language", "locale", "mode", "model", "persona",
        "policy", "priority", "provider", "region", "salutation", "signature", "style", "template",
        "theme", "timezone", "tone", "tool", "unit", "units", "verbosity", "voice", "zone",
    }
)  # fmt: skip


def is_setting(field: str) -> bool:
    """Whether an argument (a JSON pointer) has the name of a setting: ``/report/outputFormat``."""
    words = [word.lower() for word in _WORD.findall(field.rpartition("/")[2])]
    return bool(words) and words[-1] in _SETTINGS


def is_tenant_config(finding: Finding) -> bool:
    """Whether a finding is a preference of all of one tenant for a setting."""
    detail = finding.detail
    if detail.get("kind") != "preference":
        return False
    scope = detail["scope"]
    return (
        scope["level"] == "tenant"
        and not scope["selector"]
        and is_setting(str(detail["slot"]["field"]))
    )


def tenant_config_lessons(findings: Iterable[Finding]) -> list[Lesson]:
    """Return one lesson for each confirmed setting of a tenant, in the order of the findings."""
    return [_lesson(one) for one in findings if one.confirmed and is_tenant_config(one)]


def _lesson(finding: Finding) -> Lesson:
    memory = memory_lesson(finding)
    named = replace(memory, kind=KIND, lesson_id=lesson_id(finding.detail, kind=KIND))
    if memory.state == "quarantined":
        return named
    slot = slot_of(finding.detail["slot"])
    title, advice = said_of(slot, finding.detail)
    return replace(
        named,
        title=f"Setting: {title}",
        body=f"{advice}: this organisation's users end with it.",
    )

"""When what single users taught is proposed to all of their tenant, or to everybody.

Pure. A value is promoted by independent support alone: to a tenant by at least five of its users,
each with a lesson of their own that passed its gate or is delivered, more than half of those who
have any lesson for the slot there; and to everybody by at least twenty users in at least three
tenants that would each be promoted to by themselves, and are more than half of those with any: who
makes up users of one tenant decides for that tenant alone. The promoted lesson is a new proposal
with its own gate and its own approval (by a named person: it is wider than a user); those of the
users stay as they are.

Nothing of one tenant reaches another: a tenant's lesson is made of lessons of that tenant alone,
and everybody's of a slot and a value that three tenants came to, which have to look like a name
and a short plain value (``memory_lesson.unfit``). Only what says a slot and a value is promoted.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

from spanlore.analyzers.lessons.memory_lesson import lesson_id, said_of, unfit
from spanlore.analyzers.preferences.preference_counts import GLOBAL_USERS_MIN, TENANT_USERS_MIN
from spanlore.analyzers.preferences.slot_values import slot_of
from spanlore.schemas.lesson_state import DELIVERED, UNDECIDED
from spanlore.schemas.types import Lesson, ScopeLevel

GLOBAL_TENANTS_MIN = 3
EVIDENCE_MAX = 20


def promotions(lessons: Mapping[str, Lesson]) -> list[Lesson]:
    """Return the wider lessons that users' own lessons support.

    Those that stand undecided, or were withdrawn, are among them, so that their gate is asked
    again; one that somebody decided on is not.
    """
    mine = [one for _, one in sorted(lessons.items()) if _speaks(one)]
    by_slot: dict[str, list[Lesson]] = {}
    for one in mine:
        by_slot.setdefault(json.dumps(one.content["slot"], sort_keys=True), []).append(one)
    fresh = [
        lesson
        for _, of_slot in sorted(by_slot.items())
        for lesson in (*_to_tenants(of_slot), *_to_all(of_slot))
    ]
    return [one for one in fresh if _is_open(lessons.get(one.lesson_id))]


def _is_open(standing: Lesson | None) -> bool:
    """Whether nobody has decided on the lesson that stands under an id."""
    return standing is None or standing.state in (*UNDECIDED, "withdrawn")


def _speaks(lesson: Lesson) -> bool:
    """Whether a lesson is a user's own, of a slot, and held against runs it was not found on."""
    if lesson.layer != "context" or lesson.scope != "user" or lesson.selector:
        return False
    if not {"slot", "value"} <= lesson.content.keys():
        return False
    if lesson.state in DELIVERED:
        return True
    passed = bool(lesson.evaluations) and lesson.evaluations[-1].get("verdict") == "pass"
    return lesson.state == "evaluated" and passed


def _to_tenants(of_slot: Iterable[Lesson]) -> list[Lesson]:
    by_tenant: dict[str, list[Lesson]] = {}
    for one in of_slot:
        by_tenant.setdefault(one.tenant, []).append(one)
    return [
        lesson
        for tenant, those in sorted(by_tenant.items())
        if (value := _agreed(those)) is not None
        and len(_users(those, value)) >= TENANT_USERS_MIN
        and (lesson := _promoted(those, value, level="tenant", tenant=tenant)) is not None
    ]


def _to_all(of_slot: list[Lesson]) -> list[Lesson]:
    value = _agreed(of_slot)
    if value is None:
        return []
    by_tenant: dict[str, list[Lesson]] = {}
    for one in of_slot:
        by_tenant.setdefault(one.tenant, []).append(one)
    supporting = [
        those
        for those in by_tenant.values()
        if _agreed(those) == value and len(_users(those, value)) >= TENANT_USERS_MIN
    ]
    users = sum(len(_users(those, value)) for those in supporting)
    if users < GLOBAL_USERS_MIN or len(supporting) < GLOBAL_TENANTS_MIN:
        return []
    if 2 * len(supporting) <= len(by_tenant):
        return []
    lesson = _promoted(of_slot, value, level="global", tenant="")
    return [] if lesson is None else [lesson]


def _agreed(lessons: Iterable[Lesson]) -> str | None:
    """Return the value that more than half of the users agree on, None where there is none."""
    of_user = {(one.tenant, one.scope_key, str(one.content["value"])) for one in lessons}
    counts = Counter(value for _, _, value in of_user)
    everybody = len({(tenant, user) for tenant, user, _ in of_user})
    [(value, users)] = counts.most_common(1)
    return value if 2 * users > everybody else None


def _users(lessons: Iterable[Lesson], value: str) -> set[tuple[str, str]]:
    return {(one.tenant, one.scope_key) for one in lessons if str(one.content["value"]) == value}


def _promoted(
    lessons: Iterable[Lesson], value: str, *, level: ScopeLevel, tenant: str
) -> Lesson | None:
    """Return the lesson for all of a place, None where it is not fit to be said to them."""
    those = [one for one in lessons if str(one.content["value"]) == value]
    slot = slot_of(those[0].content["slot"])
    detail: dict[str, Any] = {
        "slot": slot.json(),
        "value": value,
        "instead_of": None,
        "scope": {"level": level, "tenant": tenant or None, "key": tenant, "selector": {}},
    }
    if unfit(detail) is not None:
        return None
    users = TENANT_USERS_MIN if level == "tenant" else GLOBAL_USERS_MIN
    title, advice = said_of(slot, detail)
    turns = zip_longest(*(one.evidence for one in those))
    return Lesson(
        lesson_id=lesson_id(detail),
        layer="context",
        scope=level,
        scope_key=tenant,
        tenant=tenant,
        kind=those[0].kind,
        title=title,
        body=f"{advice}: at least {users} users like this one each end with it.",
        patch=None,
        base_path=None,
        base_hash=None,
        findings=tuple(dict.fromkeys(one for lesson in those for one in lesson.findings)),
        evidence=tuple(dict.fromkeys(one for turn in turns for one in turn if one))[:EVIDENCE_MAX],
        content={
            "slot": slot.json(),
            "value": value,
            "instead_of": None,
            "promoted_from": sorted(one.lesson_id for one in those),
        },
    )

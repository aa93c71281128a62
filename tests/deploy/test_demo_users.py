"""The simulated users: they want what the truth says, and sometimes something else."""

from collections import Counter
from typing import Any

import pytest

from spanlore.demo.faults import RARE_CALLS
from spanlore.demo.meetings import TASKS, TENANTS, TIME_ZONES, USERS
from spanlore.demo.preferences import (
    AFTERNOON_IN_TOKYO,
    BACK_TO_MEET_AT_HOOLI,
    EARLY_REMINDER_FOR_ANA,
    OTHER_WISHES,
    PREFERENCES,
    ZOOM_AT_HOOLI,
    Phase,
    Preference,
)
from spanlore.demo.users import RUNS, Person, Request, requests

SEEDS = range(5)
DRAFT: dict[str, Any] = {
    "title": "Mentor chat",
    "start": "2026-01-05T09:30",
    "duration": 30,
    "visibility": "default",
    "video": "meet",
    "reminder": 10,
}


def final(request: Request, *, seed: int, draft: dict[str, Any] = DRAFT) -> dict[str, Any]:
    """Return what the user ends with, whichever way they say it."""
    person = Person(request, seed=seed)
    edited = person.edit(draft)
    assert edited == draft or person.objection(edited) is None
    return {**draft, **Person(request, seed=seed).changes(draft)}


def changed_share(preference: Preference, phase: Phase, *, inside: bool) -> float:
    draft = DRAFT
    if preference.instead_of != DRAFT[preference.argument] and preference.argument != "start":
        draft = {**DRAFT, preference.argument: preference.instead_of}
    changed: list[bool] = [
        final(request, seed=seed, draft=draft)[preference.argument] != draft[preference.argument]
        for seed in SEEDS
        for request in requests(phase, seed=seed)
        if preference.holds_for(request.user, phase) == inside
    ]
    return sum(changed) / len(changed)


def test_every_tenant_has_as_many_users_in_every_time_zone() -> None:
    cells = Counter((user.tenant, user.time_zone) for user in USERS)
    assert cells == {(tenant, zone): n for tenant in TENANTS for zone, n in TIME_ZONES.items()}
    assert len({user.user_id for user in USERS}) == len(USERS) == 60


def test_no_two_requests_are_the_same() -> None:
    texts = [one.text for phase in (1, 2) for one in requests(phase, seed=1)]
    assert len(set(texts)) == 2 * RUNS


def test_both_phases_have_the_same_users_and_tasks_in_another_order() -> None:
    first, second = (requests(phase, seed=1) for phase in (1, 2))
    assert Counter(one.user for one in first) == Counter(one.user for one in second)
    assert Counter(one.meeting for one in first) == Counter(one.meeting for one in second)
    assert set(Counter(one.meeting for one in first).values()) == {RUNS // len(TASKS)}
    assert [one.user for one in first] != [one.user for one in second]


def test_another_seed_gives_other_requests_and_the_same_seed_the_same() -> None:
    assert requests(1, seed=1) == requests(1, seed=1)
    assert requests(1, seed=1) != requests(1, seed=2)


@pytest.mark.parametrize("phase", [1, 2])
def test_a_few_users_name_the_room(phase: Phase) -> None:
    naming = [one for one in requests(phase, seed=1) if "Oak room" in one.text]
    assert len(naming) == RARE_CALLS
    assert all(one.meeting.needs_room for one in naming)


@pytest.mark.parametrize("preference", PREFERENCES, ids=lambda one: f"{one.key} {one.value}")
def test_whoever_has_a_preference_insists_on_it(preference: Preference) -> None:
    assert changed_share(preference, preference.phases[0], inside=True) > 0.8


@pytest.mark.parametrize("preference", [AFTERNOON_IN_TOKYO, EARLY_REMINDER_FOR_ANA, ZOOM_AT_HOOLI])
def test_others_change_the_same_argument_now_and_then(preference: Preference) -> None:
    assert 0.01 < changed_share(preference, 1, inside=False) < 0.12


def test_what_hooli_wants_is_the_opposite_later() -> None:
    assert (ZOOM_AT_HOOLI.value, ZOOM_AT_HOOLI.instead_of) == (
        BACK_TO_MEET_AT_HOOLI.instead_of,
        BACK_TO_MEET_AT_HOOLI.value,
    )
    assert set(ZOOM_AT_HOOLI.phases) & set(BACK_TO_MEET_AT_HOOLI.phases) == set()


def test_an_argument_is_changed_once_and_nothing_else_is_touched() -> None:
    for request in requests(1, seed=3):
        end = final(request, seed=3)
        assert end.keys() == DRAFT.keys()
        assert {name for name in DRAFT if end[name] != DRAFT[name]} <= OTHER_WISHES.keys()
        assert end["start"][:11] == DRAFT["start"][:11]


def test_most_users_edit_drafts_and_the_others_say_it_once() -> None:
    tokyo = [one for one in requests(1, seed=2) if one.user.time_zone == AFTERNOON_IN_TOKYO.key]
    edited, said = [], []
    for request in tokyo:
        person = Person(request, seed=2)
        if person.edit(DRAFT) != DRAFT:
            edited.append(request)
            assert person.edit(DRAFT) == DRAFT
            assert person.objection(DRAFT) is None
        elif words := person.objection(DRAFT):
            said.append(words)
            assert person.objection(DRAFT) is None
    assert len(edited) > len(said) > 10
    assert any("start at 14:00" in words for words in said)

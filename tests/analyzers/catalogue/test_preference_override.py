"""Worlds whose users' preferences are known: what is found, for whom, and what is not."""

import json
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from preference_worlds import Preference, choices_in, world
from spanlore.analyzers.catalogue.preference_override import (
    preference_hypotheses,
    preference_override,
)
from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.preferences.preference_counts import Level
from spanlore.analyzers.preferences.slot_choices import SlotChoice, slot_choices
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding
from tests.analyzers.slot_rows import runs_of, write

SEED = 20261122


def confirmed(choices: Sequence[SlotChoice]) -> list[Finding]:
    return [one for one in findings_of(list(preference_hypotheses(choices))) if one.confirmed]


def choice(
    number: int,
    user: str,
    final: str,
    *,
    tenant: str = "acme",
    zone: str = "Europe/Berlin",
    proposed: str = "09:30",
) -> SlotChoice:
    return SlotChoice(
        tenant=tenant,
        user=user,
        segments={"time_zone": zone},
        trace_id=f"{number:032x}",
        session="",
        start_ns=number * 10**12,
        agent="assistant",
        task="schedule",
        task_type="schedule",
        tool="create_event",
        field="/start",
        part="time_of_day",
        proposed=proposed,
        final=final,
        overridden=final != proposed,
        explicit=True,
    )


def crowd(
    rates: dict[str, float], *, runs: int = 8, users: int = 16, tenant: str = "acme"
) -> list[SlotChoice]:
    """Return choices of users of each time zone, who end with 10:00 at the zone's rate."""
    random = Random(f"{SEED}{tenant}")
    made = []
    for zone, rate in rates.items():
        for user in range(users):
            for run in range(runs):
                final = "10:00" if random.random() < rate else "09:30"
                number = int(random.random() * 2**60)
                name = f"{zone}-{user}-{run < 0}"
                made.append(choice(number, name, final, tenant=tenant, zone=zone))
    return made


def told(found: Sequence[Finding]) -> list[tuple[str, str, dict[str, str], str]]:
    return [
        (
            one.detail["scope"]["level"],
            one.detail["scope"]["key"],
            one.detail["scope"]["selector"],
            one.detail["value"],
        )
        for one in found
    ]


ZONES = {"Europe/Berlin": 0.02, "Asia/Tokyo": 0.75, "Asia/Kolkata": 0.02}


def test_users_of_one_time_zone_of_one_tenant_are_one_finding() -> None:
    everywhere_else = crowd(dict.fromkeys(ZONES, 0.02), tenant="globex")
    [found] = confirmed([*crowd(ZONES), *everywhere_else])
    assert told([found]) == [("tenant", "acme", {"segment.time_zone": "Asia/Tokyo"}, "10:00")]
    assert found.detail["slot"] == {
        "tool": "create_event",
        "field": "/start",
        "part": "time_of_day",
    }
    assert found.detail["instead_of"] == "09:30"
    assert found.detail["scope"]["users"] == 16
    inside, outside = found.detail["inside"], found.detail["outside"]
    assert inside["interval"][0] < inside["rate"] < inside["interval"][1]
    assert outside["interval"][1] < 0.1 < inside["interval"][0]
    assert sum(one["overridden"] for one in found.detail["by_user"]) == found.k
    assert found.k + found.detail["kept"] + found.detail["ended_otherwise"] == found.n


def test_a_time_zone_of_all_tenants_is_one_global_finding() -> None:
    tenants = ("acme", "globex", "hooli")
    choices = [one for tenant in tenants for one in crowd(ZONES, tenant=tenant)]
    assert told(confirmed(choices)) == [
        ("global", "", {"segment.time_zone": "Asia/Tokyo"}, "10:00")
    ]


def test_a_whole_tenant_is_one_finding_and_not_one_a_user_or_segment() -> None:
    choices = [
        *crowd(dict.fromkeys(ZONES, 0.7)),
        *crowd(dict.fromkeys(ZONES, 0.02), tenant="globex"),
    ]
    assert told(confirmed(choices)) == [("tenant", "acme", {}, "10:00")]


def test_what_everybody_wants_is_global() -> None:
    tenants = ("acme", "globex", "hooli")
    choices = [
        one for name in tenants for one in crowd(dict.fromkeys(ZONES, 0.7), tenant=name, users=8)
    ]
    assert told(confirmed(choices)) == [("global", "", {}, "10:00")]


def test_with_one_tenant_alone_nothing_is_global() -> None:
    assert told(confirmed(crowd(dict.fromkeys(ZONES, 0.7)))) == [("tenant", "acme", {}, "10:00")]


def test_one_user_is_told_of_one_user() -> None:
    own = [choice(number, "ana", "10:00" if number % 5 else "09:30") for number in range(30)]
    [found] = confirmed([*crowd(dict.fromkeys(ZONES, 0.02)), *own])
    assert told([found]) == [("user", "ana", {}, "10:00")]
    assert found.detail["scope"]["tenant"] == "acme"
    assert (found.n, found.k) == (30, 24)
    assert {one.trace_id for one in own if one.overridden} >= {*found.evidence}
    assert {one.trace_id for one in own if not one.overridden} == {*found.counter_evidence}


def test_a_preference_says_that_users_outside_are_too_few_to_compare_with() -> None:
    want = {"ann": "14:00", "bob": "14:00", "cy": "14:00", "dee": "", "eve": "", "fay": ""}
    choices = [
        choice(100 * number + run, user, final or "09:00", proposed="09:00")
        for number, (user, final) in enumerate(want.items())
        for run in range(25)
    ]
    found = confirmed(choices)
    assert {one[1] for one in told(found)} == {"ann", "bob", "cy"}
    for one in found:
        assert one.detail["compared_with"] == (
            "a tolerable rate of 20% (too few to compare with: 6 users in no group with this "
            "preference say as much as 6.3 independent looks, and 20 are needed)"
        )
        assert one.detail["effect_is"].endswith(f"minus {one.detail['compared_with']}")
        assert one.effect == pytest.approx(0.8)
        outside = one.detail["outside"]
        assert (outside["users"], outside["runs"], outside["overridden"]) == (6, 150, 75)


def test_a_preference_says_that_there_is_nobody_outside() -> None:
    [found] = confirmed(crowd(dict.fromkeys(ZONES, 0.7)))
    assert found.detail["outside"] is None
    assert found.detail["compared_with"] == "a tolerable rate of 20% (nobody is outside)"


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.02, "a tolerable rate of 5% (more than the upper 95 % bound"),
        (0.15, "the upper 95 % bound of the rate of 40 users in no group with this preference, "),
    ],
)
def test_a_preference_says_what_users_outside_do(rate: float, words: str) -> None:
    there = crowd(dict.fromkeys(ZONES, 0.9), users=8)
    [found, *_] = confirmed([*there, *crowd({"x": rate}, users=40, tenant="globex")])
    assert told([found])[0][:2] == ("tenant", "acme")
    assert found.detail["outside"]["users"] == 40
    assert found.detail["compared_with"].startswith(words)


def test_who_changed_their_mind_is_not_told() -> None:
    own = [choice(number, "ana", "10:00" if number < 15 else "09:30") for number in range(30)]
    assert confirmed([*crowd(dict.fromkeys(ZONES, 0.02)), *own]) == []


def test_a_user_inside_a_group_may_want_something_else() -> None:
    own = [choice(number, "ana", "11:00", zone="Asia/Tokyo") for number in range(30)]
    found = confirmed([*crowd(ZONES), *own, *crowd(dict.fromkeys(ZONES, 0.02), tenant="globex")])
    assert sorted(told(found)) == [
        ("tenant", "acme", {"segment.time_zone": "Asia/Tokyo"}, "10:00"),
        ("user", "ana", {}, "11:00"),
    ]


def test_runs_in_which_the_agent_proposed_it_already_say_nothing() -> None:
    choices = [*crowd(ZONES), *crowd(dict.fromkeys(ZONES, 0.02), tenant="globex")]
    delivered = [
        choice(
            10**9 + n, f"Asia/Tokyo-{n % 16}-False", "10:00", proposed="10:00", zone="Asia/Tokyo"
        )
        for n in range(400)
    ]
    [before] = confirmed(choices)
    [after] = confirmed([*choices, *delivered])
    assert (after.n, after.k, after.finding_id) == (before.n, before.k, before.finding_id)


def test_one_user_however_busy_can_only_write_their_own_scope() -> None:
    attack = [choice(number, "eve", "23:59") for number in range(2000)]
    found = confirmed([*attack, *crowd(dict.fromkeys(ZONES, 0.02), users=6)])
    assert told(found) == [("user", "eve", {}, "23:59")]


def test_four_users_together_do_not_make_a_tenants_lesson() -> None:
    attack = [choice(number, f"eve{number % 4}", "23:59") for number in range(400)]
    found = confirmed([*attack, *crowd(dict.fromkeys(ZONES, 0.02), users=6)])
    assert {scope for scope, *_ in told(found)} == {"user"}


def test_users_that_nobody_knows_do_not_count() -> None:
    choices = crowd(ZONES)
    assert confirmed([replace(one, user="") for one in choices]) == []


def test_the_detail_of_a_finding_is_plain_json() -> None:
    [found] = confirmed([*crowd(ZONES), *crowd(dict.fromkeys(ZONES, 0.02), tenant="globex")])
    assert json.loads(json.dumps(found.detail)) == found.detail


def test_a_finding_does_not_depend_on_the_order_of_the_choices() -> None:
    choices = choices_in(world(SEED, levels=("user", "tenant", "segment")), 1000)
    mixed = list(choices)
    Random(SEED).shuffle(mixed)
    ids = [one.finding_id for one in confirmed(choices)]
    assert ids == [one.finding_id for one in confirmed(mixed)]


def test_what_is_nearly_a_preference_is_held_back_with_a_reason() -> None:
    weak = {**ZONES, "Asia/Tokyo": 0.3}
    found = findings_of(list(preference_hypotheses(crowd(weak))))
    assert not any(one.confirmed for one in found if one.detail["scope"]["level"] != "user")
    assert any("most keep what is proposed" in (one.reason or "") for one in found)


LEVELS: tuple[tuple[Level, ...], ...] = (
    ("user", "tenant", "segment"),
    ("tenant_segment", "global", "user"),
    ("segment", "tenant", "tenant_segment"),
    ("global", "tenant", "segment"),
)


def test_planted_preferences_are_found_at_their_scope() -> None:
    planted = right = found = 0
    for number, levels in enumerate(LEVELS):
        made = world(SEED + number, levels=levels)
        findings = confirmed(choices_in(made, 2000))
        planted += len(made.preferences)
        found += len(findings)
        right += sum(_is_right(one, made.preferences) for one in findings)
    assert right >= 0.8 * planted, f"seed {SEED}: {right} of {planted}"
    assert right >= 0.9 * found, f"seed {SEED}: {right} of {found} findings"


def test_where_nobody_prefers_anything_nothing_is_found() -> None:
    found = [
        one for n in range(3) for one in confirmed(choices_in(world(SEED + n, levels=()), 1000))
    ]
    assert found == [], f"seed {SEED}"


@pytest.mark.parametrize("levels", [LEVELS[0]])
def test_the_store_yields_the_same_findings_as_the_choices(
    store: Store, levels: tuple[Level, ...]
) -> None:
    choices = choices_in(world(SEED, levels=levels), 300)
    write(store, *runs_of(choices))
    read = slot_choices(store, Window())

    def plain(of: Sequence[SlotChoice]) -> list[SlotChoice]:
        same = [replace(one, start_ns=0, agent="", task="", task_type="") for one in of]
        return sorted(
            (replace(one, explicit=one.overridden) for one in same),
            key=lambda one: (one.trace_id, one.field),
        )

    assert plain(read) == plain(choices)
    from_store = findings_of(list(preference_override(store, Window())))
    assert [one for one in from_store if one.confirmed] == confirmed(read)
    assert {one.finding_id for one in confirmed(read)} == {
        one.finding_id for one in confirmed(choices)
    }


def _is_right(finding: Finding, preferences: Sequence[Preference]) -> bool:
    scope = finding.detail["scope"]
    return any(
        one.slot.json() == finding.detail["slot"]
        and one.value == finding.detail["value"]
        and one.group.scope == scope["level"]
        and (one.group.user or one.group.tenant) == scope["key"]
        and one.group.selector == scope["selector"]
        for one in preferences
    )

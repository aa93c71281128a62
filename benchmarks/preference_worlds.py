"""Made-up worlds whose users' preferences are known: who wants what, and nobody says so.

A world has tenants of different sizes, users with a time zone, a plan and their own activity
(log-normal), two types of tasks, and four slots, of which each run of a task type has two. For
each slot the agent proposes the same value nearly always. Without a preference a user overrides
with a rate of their own (Beta with mean 10 to 15 % and intraclass correlation .15), to values
that scatter. A preference belongs to a user, a tenant, a segment within a tenant, a segment over
all tenants or everybody; its users end with its value at a rate of their own (Beta with a mean of
60 to 85 %, correlation .15: most do, some hardly), else they behave as without it.

A world plants one preference a slot; in half of the worlds one user of such a group has another
one of their own, which goes first. A user who is given a preference is of the tenth that is most
active; a group has the users that a lesson for it needs (``preference_counts``), half again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spanlore.analyzers.preferences.preference_counts import (
    GLOBAL_USERS_MIN,
    TENANT_USERS_MIN,
    Group,
    Level,
)
from spanlore.analyzers.preferences.slot_choices import SlotChoice
from spanlore.analyzers.preferences.slot_values import Part, Slot

LEVELS: tuple[Level, ...] = ("user", "tenant_segment", "tenant", "segment", "global")
ICC = 0.15
BASE_RATES = (0.10, 0.15)
FOLLOW_RATES = (0.60, 0.85)
TENANTS = ("acme", "globex", "hooli", "initech", "umbrella")
TENANT_SHARES = (0.3, 0.25, 0.2, 0.15, 0.1)
TIME_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "Europe/London")
PLANS = ("basic", "pro")
USERS = 180
DAY_NS = 86_400 * 10**9
START_NS = 1_767_225_600 * 10**9  # 2026-01-01
AGAIN_RATE = 0.15  # of runs that go on in the user's last session
OTHER_PROPOSAL_RATE = 0.1

_SLOTS: tuple[tuple[Slot, str, str, tuple[str, ...]], ...] = (
    (
        Slot("create_event", "/start", "time_of_day"),
        "schedule",
        "09:00",
        ("09:30", "10:00", "11:00", "13:00", "14:00", "16:30"),
    ),
    (
        Slot("create_event", "/duration", "value"),
        "schedule",
        "30",
        ("15", "20", "25", "45", "60", "90"),
    ),
    (
        Slot("send_report", "/format", "value"),
        "report",
        "pdf",
        ("docx", "html", "markdown", "slides", "csv"),
    ),
    (
        Slot("send_report", "/options/language", "value"),
        "report",
        "en",
        ("de", "fr", "ja", "hi", "es", "en-GB"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """What a group of users ends with, and on average how often."""

    slot: Slot
    group: Group
    value: str
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user: whose, where, and how much of the runs are theirs (relative)."""

    tenant: str
    name: str
    segments: dict[str, str]
    activity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Users and the preferences they have; ``seed`` made it."""

    seed: int
    users: tuple[User, ...]
    preferences: tuple[Preference, ...]


def world(seed: int, *, levels: Sequence[Level]) -> World:
    """Make a world with one preference of each of these levels, each on a slot of its own.

    Every other seed adds a user of one of these groups who wants something else.
    """
    random = np.random.default_rng(seed)
    users = _users(random)
    slots = random.permutation(len(_SLOTS))[: len(levels)]
    preferences = [
        Preference(
            slot=_SLOTS[slot][0],
            group=_group(random, users, level),
            value=str(random.choice(_SLOTS[slot][3])),
            rate=float(random.uniform(*FOLLOW_RATES)),
        )
        for slot, level in zip(slots, levels, strict=True)
    ]
    if seed % 2:
        preferences = [*_exceptions(random, users, preferences), *preferences]
    return World(seed=seed, users=tuple(users), preferences=tuple(preferences))


def choices_in(world: World, runs: int) -> list[SlotChoice]:
    """Let the users of a world work for a number of runs; the first of more runs are the same."""
    random = np.random.default_rng((world.seed, 1))
    activity = np.array([user.activity for user in world.users])
    base = _rates(random, len(world.users), random.uniform(*BASE_RATES))
    popularity = [random.dirichlet(np.full(len(slot[3]), 1.5)) for slot in _SLOTS]
    follow = {one: _rates(random, len(world.users), one.rate) for one in world.preferences}
    sessions = Counter[int]()
    made: list[SlotChoice] = []
    whose = np.random.default_rng((world.seed, 2)).choice(
        len(world.users), size=runs, p=activity / activity.sum()
    )
    for number, who in enumerate(int(user) for user in whose):
        again, kind, *draws_of_slots = random.random((2 + len(_SLOTS), 5))
        sessions[who] += bool(again[0] > AGAIN_RATE or not sessions[who])
        task = ("schedule", "report")[int(kind[0] < 0.5)]
        for position, (slot, of_task, default, others) in enumerate(_SLOTS):
            if of_task != task:
                continue
            draws = draws_of_slots[position]
            proposed = default
            if draws[0] < OTHER_PROPOSAL_RATE:
                proposed = others[int(draws[1] * len(others))]
            final = proposed
            wanted = next((one for one in follow if _wants(world.users[who], one, slot)), None)
            if wanted is not None and draws[2] < follow[wanted][who]:
                final = wanted.value
            elif draws[3] < base[who]:
                other = np.searchsorted(popularity[position].cumsum(), draws[4])
                final = others[min(int(other), len(others) - 1)]
            made.append(
                _choice(
                    world.users[who],
                    slot,
                    place=(number, sessions[who]),
                    values=(proposed, final),
                    part=slot.part,
                    task=task,
                )
            )
    return made


def _users(random: np.random.Generator) -> list[User]:
    users = []
    zones = {tenant: random.dirichlet(np.full(len(TIME_ZONES), 2.0)) for tenant in TENANTS}
    for number in range(USERS):
        tenant = str(random.choice(TENANTS, p=TENANT_SHARES))
        zone = str(random.choice(TIME_ZONES, p=zones[tenant]))
        users.append(
            User(
                tenant=tenant,
                name=f"u{number:03}",
                segments={"plan": str(random.choice(PLANS, p=(0.6, 0.4))), "time_zone": zone},
                activity=float(random.lognormal(0.0, 1.0)),
            )
        )
    return users


def _group(random: np.random.Generator, users: Sequence[User], level: Level) -> Group:
    if level == "global":
        return Group()
    if level == "user":
        active = sorted(users, key=lambda user: -user.activity)[: len(users) // 10]
        one = active[int(random.integers(len(active)))]
        return Group(tenant=one.tenant, user=one.name)
    tenants = [""] if level == "segment" else list(TENANTS)
    segments: list[tuple[str, ...]] = [()]
    if level != "tenant":
        segments = [("time_zone", zone) for zone in TIME_ZONES]
        segments += [("plan", plan) for plan in PLANS]
    wanted = 1.5 * (GLOBAL_USERS_MIN if level == "segment" else TENANT_USERS_MIN)
    groups = [Group(tenant=tenant, segment=segment) for tenant in tenants for segment in segments]
    large = [one for one in groups if sum(_is_in(user, one) for user in users) >= wanted]
    return large[int(random.integers(len(large)))]


def _exceptions(
    random: np.random.Generator, users: Sequence[User], preferences: Sequence[Preference]
) -> list[Preference]:
    """Give an active user of the first group of several a preference that is not the group's."""
    wide = next((one for one in preferences if one.group.level != "user"), None)
    active = sorted(users, key=lambda user: -user.activity)[: len(users) // 10]
    inside = [user for user in active if wide is not None and _is_in(user, wide.group)]
    if wide is None or not inside:
        return []
    user = inside[int(random.integers(len(inside)))]
    others = next(slot[3] for slot in _SLOTS if slot[0] == wide.slot)
    return [
        Preference(
            slot=wide.slot,
            group=Group(tenant=user.tenant, user=user.name),
            value=str(random.choice([value for value in others if value != wide.value])),
            rate=float(random.uniform(*FOLLOW_RATES)),
        )
    ]


def _rates(random: np.random.Generator, users: int, mean: float) -> list[float]:
    spread = (1 - ICC) / ICC
    return [float(rate) for rate in random.beta(mean * spread, (1 - mean) * spread, users)]


def _wants(user: User, preference: Preference, slot: Slot) -> bool:
    return preference.slot == slot and _is_in(user, preference.group)


def _is_in(user: User, group: Group) -> bool:
    return group.has(tenant=user.tenant, user=user.name, segments=user.segments)


def _choice(
    user: User,
    slot: Slot,
    *,
    place: tuple[int, int],
    values: tuple[str, str],
    part: Part,
    task: str,
) -> SlotChoice:
    return SlotChoice(
        tenant=user.tenant,
        user=user.name,
        segments=user.segments,
        trace_id=f"{place[0]:032x}",
        session=f"{user.name}-{place[1]}",
        start_ns=START_NS + place[0] * DAY_NS // 100,
        agent="assistant",
        task=task,
        task_type=task,
        tool=slot.tool,
        field=slot.field,
        part=part,
        proposed=values[0],
        final=values[1],
        overridden=values[0] != values[1],
        explicit=True,
    )

"""What users end with instead of what the agent proposes, and whose preference that is.

For each slot (``slot_values``) the runs are counted in which the agent proposed a value and the
user ended with another one. A hypothesis says: this group's users end with this value, more often
than users outside do. Groups are users, tenants, segments of users (``spanlore.segment.*``) within
a tenant and over all tenants, and everybody; which of them is told is chosen by evidence
(``preference_scope``), so that one preference is one finding.

* Group of users: they are split by user. The value is the one most often ended with, chosen on
  the discovery half together with the group; the test counts users as clusters
  (``effective_counts``) and is exact binomial, against the rate outside of every group with that
  preference: its upper 95 % bound, at least 5 %; where those outside say less than 20 independent
  looks do, against 20 %. A user whom no such group holds is outside as well, also of themselves.
* User: split by time. The earlier half of the user's sessions discovers, the later half confirms:
  who has changed their mind is not told. A session is one look. Users that a chosen group speaks
  for are looked at and counted, but not told.

Support (the k of poisoning: one user can write one user's scope only): 3 sessions for a user, 5
users for a tenant, 20 users in 2 tenants for a global lesson, each having ended with the value.
Groups with too few users, and users with less than 6 sessions, are not looked at: that is decided
by how many runs there are, not by how they ended. All that are looked at count in the family:
one for groups, one for users. That each is looked at for its likeliest value makes the discovery
half's p too small by at most the ratio of the rate at which anything is overridden to the floor
(all values together are not overridden to more often than that); the other half knows nothing of
the choice. ``benchmarks/bench_preference.py`` measures what comes of it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spanlore.analyzers.core.cells import Codes, Flags
from spanlore.analyzers.core.effective_counts import effective, likeness
from spanlore.analyzers.core.hypothesis import Hypothesis, Stratum, Support
from spanlore.analyzers.core.statistics import Table, rate_above, wilson_interval
from spanlore.analyzers.preferences.choice_columns import Choices, ChoicesBuilder
from spanlore.analyzers.preferences.preference_counts import (
    GLOBAL_USERS_MIN,
    TENANT_USERS_MIN,
    Group,
    Indexes,
    SlotCounts,
    counted,
)
from spanlore.analyzers.preferences.preference_scope import chosen_groups
from spanlore.analyzers.preferences.slot_choices import (
    SlotChoice,
    choices_of_tool,
    proposing_runs,
    proposing_tools,
)
from spanlore.analyzers.preferences.slot_values import Slot
from spanlore.analyzers.preferences.user_sessions import UserSessions, user_sessions
from spanlore.analyzers.runs.quoted_text import plain, refusal
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "preference_override"
VERSION = "2"
FLOOR_RATE = 0.05
FLOOR_RATE_ALONE = 0.2  # where there are too few to compare with
OUTSIDE_LOOKS_MIN = 20
PREFERENCE_RATE_MIN = 0.4  # below, most users are content with what is proposed
INSTEAD_OF_SHARE_MIN = 0.8
USER_SESSIONS_MIN = 6
SESSIONS_OVERRIDDEN_MIN = 3
EVIDENCE_MAX = 20
USERS_SHOWN_MAX = 50
NEARLY_P_MAX = 0.05

_OUTSIDE = "users in no group with this preference"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """A group that was looked at, with the value in question, its looks by half, and the floor.

    ``inside`` are the effective looks and events of both halves together, ``users`` how many have
    any; ``icc`` is None where sessions are the clusters.
    """

    slot: Slot
    group: Group
    value: str
    halves: tuple[Table, Table]
    floor: float
    compared_with: str
    support: Support
    users: int
    inside: tuple[float, float]
    outside: Mapping[str, Any] | None
    icc: float | None

    @property
    def p(self) -> float:
        """The one-sided p of the discovery half."""
        table = self.halves[0]
        return rate_above(table.k, table.n, floor=self.floor)[1]

    @property
    def rate(self) -> float:
        """The rate over the looks of both halves."""
        return self.inside[1] / self.inside[0] if self.inside[0] else 0.0


def preference_override(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Look at every slot of the runs of the window that were extracted. Raises StoreError."""
    runs = proposing_runs(store, window)
    for tool in proposing_tools(store):
        yield from preference_hypotheses(choices_of_tool(store, tool, runs))


def preference_hypotheses(choices: Iterable[SlotChoice]) -> Iterator[Hypothesis]:
    """Form the hypotheses from the choices of any number of slots."""
    builder = ChoicesBuilder()
    for choice in choices:
        builder.add(choice)
    for of_slot in builder.built():
        counts = counted(of_slot)
        if counts is not None:
            yield from _of_slot(of_slot.slot, counts)


def _of_slot(slot: Slot, counts: SlotCounts) -> Iterator[Hypothesis]:
    members = counts.groups
    eligible = {
        group: cells for group, cells in members.items() if counts.enough_users(group, cells)
    }
    chosen = {
        value: groups
        for value in range(len(counts.values))
        if (groups := chosen_groups(counts, value, _supported(counts, value, eligible)))
    }
    looked = [
        _look_at_group(slot, counts, group, groups=eligible, chosen=chosen) for group in eligible
    ]
    told = {(group, counts.values[value]) for value, names in chosen.items() for group in names}
    nearly = None if told else min(looked, key=lambda one: one.p, default=None)
    for one in looked:
        is_told = (one.group, one.value) in told
        is_near = one is nearly and one.p <= NEARLY_P_MAX
        yield _hypothesis(counts, one, told=is_told or is_near, doubt=_doubt(one, is_told=is_told))
    covered = {
        (counts.owners[cell], counts.values[value])
        for value, names in chosen.items()
        for group in names
        for cell in members[group]
    }
    for one in _users(slot, counts, chosen):
        own = ((one.group.tenant, one.group.user), one.value) not in covered
        enough = one.rate >= PREFERENCE_RATE_MIN and one.support.units >= SESSIONS_OVERRIDDEN_MIN
        yield _hypothesis(counts, one, told=own and enough, doubt=None)


def _supported(
    counts: SlotCounts, value: int, groups: Mapping[Group, Indexes]
) -> dict[Group, Indexes]:
    """Return the groups that a lesson about this value could be for at all."""
    return {
        group: cells for group, cells in groups.items() if counts.supported(group, cells, value)
    }


def _look_at_group(
    slot: Slot,
    counts: SlotCounts,
    group: Group,
    *,
    groups: Mapping[Group, Indexes],
    chosen: Mapping[int, Sequence[Group]],
) -> _Looked:
    """Count one group: for the value it was chosen for, else the one most often ended with."""
    cells = groups[group]
    value = next((value for value, names in chosen.items() if group in names), None)
    if value is None:
        value = _most_ended(counts, cells[counts.discovers[cells]])
    n, k, users = counts.looks(cells, value)
    icc = likeness(n, k)
    discovers = _half_of_users(counts, users)
    halves = [effective(n[half], k[half], icc) for half in (discovers, ~discovers)]
    names = [*chosen.get(value, ()), group]
    elsewhere = _outside(counts, value, [groups[name] for name in names])
    floor, compared_with = _floor(elsewhere)
    return _Looked(
        slot=slot,
        group=group,
        value=counts.values[value],
        halves=(_table(halves[0]), _table(halves[1])),
        floor=floor,
        compared_with=compared_with,
        support=Support(
            n=int(n.sum()), k=int(k.sum()), runs=int(n.sum()), units=int((k > 0).sum())
        ),
        users=int((n > 0).sum()),
        inside=effective(n, k, icc),
        outside=elsewhere,
        icc=round(icc, 3),
    )


def _users(
    slot: Slot, counts: SlotCounts, chosen: Mapping[int, Sequence[Group]]
) -> Iterator[_Looked]:
    """Look at each user with enough sessions, for the value they most often end with early on."""
    outside = [
        _outside(counts, value, [counts.groups[name] for name in chosen.get(value, ())])
        for value in range(len(counts.values))
    ]
    floors = [_floor(one) for one in outside]
    for one in user_sessions(counts, sessions_min=USER_SESSIONS_MIN):
        (tenant, user), (floor, compared_with) = one.owner, floors[one.value]
        yield _Looked(
            slot=slot,
            group=Group(tenant=tenant, user=user),
            value=counts.values[one.value],
            halves=(_table(one.looks[0]), _table(one.looks[1])),
            floor=floor,
            compared_with=compared_with,
            support=_support(one),
            users=1,
            inside=one.all_looks,
            outside=outside[one.value],
            icc=None,
        )


def _support(one: UserSessions) -> Support:
    return Support(n=one.runs, k=one.runs_ended, runs=one.runs, units=one.sessions_ended)


def _most_ended(counts: SlotCounts, cells: Indexes) -> int:
    """Return the value most often ended with, each user's runs counted as what they say."""
    scores = []
    for value in range(len(counts.values)):
        n, k, _ = counts.looks(cells, value)
        scores.append(effective(n, k, likeness(n, k))[1] if len(n) else 0.0)
    return int(np.argmax(scores))


def _half_of_users(counts: SlotCounts, users: Indexes) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which users belong to the discovery half."""
    half = np.zeros(int(counts.users.max()) + 1, dtype=bool)
    half[counts.users] = counts.discovers
    return half[users]


def _outside(counts: SlotCounts, value: int, inside: Sequence[Indexes]) -> dict[str, Any] | None:
    """Return the rate of those outside of all these groups, None where there is nobody."""
    outside = np.ones(len(counts.runs), dtype=bool)
    for cells in inside:
        outside[cells] = False
    n, k, _ = counts.looks(np.flatnonzero(outside), value)
    users = int((n > 0).sum())
    if not users:
        return None
    looks = effective(n, k, likeness(n, k))
    return {
        **_rate(int(n.sum()), int(k.sum()), looks),
        "users": users,
        "users_are": _OUTSIDE,
        "independent_looks": math.floor(10 * looks[0]) / 10,
    }


def _floor(outside: Mapping[str, Any] | None) -> tuple[float, str]:
    """Return the rate to be above of, and what it is."""
    alone = f"a tolerable rate of {FLOOR_RATE_ALONE:.0%}"
    if outside is None:
        return FLOOR_RATE_ALONE, f"{alone} (nobody is outside)"
    users, looks = f"{outside['users']} {_OUTSIDE}", outside["independent_looks"]
    if looks < OUTSIDE_LOOKS_MIN:
        return FLOOR_RATE_ALONE, (
            f"{alone} (too few to compare with: {users} say as much as {looks} independent looks, "
            f"and {OUTSIDE_LOOKS_MIN} are needed)"
        )
    upper = float(outside["interval"][1])
    bound = f"the upper 95 % bound of the rate of {users}, {upper:.1%}"
    if upper <= FLOOR_RATE:
        return FLOOR_RATE, f"a tolerable rate of {FLOOR_RATE:.0%} (more than {bound})"
    return upper, bound


def _rate(n: int, k: int, looks: tuple[float, float]) -> dict[str, Any]:
    """Return a rate over looks that count what they say, with its interval."""
    if not looks[0]:
        return {"runs": n, "overridden": k, "rate": None, "interval": None}
    low, high = wilson_interval(looks[1], looks[0])
    return {
        "runs": n,
        "overridden": k,
        "rate": round(looks[1] / looks[0], 4),
        "interval": [round(low, 4), round(high, 4)],
    }


def _doubt(one: _Looked, *, is_told: bool) -> str | None:
    if one.rate < PREFERENCE_RATE_MIN:
        return (
            f"most keep what is proposed: {one.support.k} of {one.support.n} runs end with it, "
            f"{one.rate:.0%} of looks"
        )
    return None if is_told else "single users, or other groups of them, explain it better"


def _table(looks: tuple[float, float]) -> Table:
    return Table(looks[0], looks[1], 0, 0)


def _hypothesis(counts: SlotCounts, one: _Looked, *, told: bool, doubt: str | None) -> Hypothesis:
    group = one.group
    by_time = bool(group.user)
    noun = "session" if by_time else "user"
    wanted = {"user": SESSIONS_OVERRIDDEN_MIN, "tenant": TENANT_USERS_MIN}
    seen = _Seen.of(counts, one) if told else None
    return Hypothesis(
        analyzer=NAME,
        key="|".join((*one.slot.json().values(), one.value, group.key)),
        title=_title(one),
        support=one.support,
        strata=tuple(
            Stratum(name=f"{half} half", unit="", table=table, discovers=half == "discovery")
            for half, table in zip(("discovery", "confirmation"), one.halves, strict=True)
        ),
        adjusted_for=(),
        evidence=_spread(counts.choices, seen.ended) if seen else (),
        counter_evidence=_spread(counts.choices, seen.looks & ~seen.ended) if seen else (),
        units_noun=noun,
        floor=one.floor,
        family=f"{NAME} of {'users' if by_time else 'groups'}",
        told=told,
        doubt=doubt,
        counted="run",
        units_min=wanted.get(group.scope, GLOBAL_USERS_MIN),
        detail=_detail(one, counts.choices, seen) if seen else {},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Which choices of a slot say something of a group's value, and which ended with it."""

    looks: Flags
    ended: Flags

    @classmethod
    def of(cls, counts: SlotCounts, one: _Looked) -> "_Seen":
        choices, group = counts.choices, one.group
        if group.user:
            mine = choices.user == choices.users.index((group.tenant, group.user))
        else:
            mine = np.isin(choices.cell, counts.groups[group])
        looks = mine & choices.looks(one.value)
        return cls(looks=looks, ended=looks & choices.ended_with(one.value))


def _detail(one: _Looked, choices: Choices, seen: _Seen) -> dict[str, Any]:
    group = one.group
    kept = int((seen.looks & ~choices.overridden).sum())
    ended = int(seen.ended.sum())
    by_user = np.bincount(choices.user[seen.looks], minlength=len(choices.users))
    ended_by = np.bincount(choices.user[seen.ended], minlength=len(choices.users))
    who_ended = [(who, user) for user, who in enumerate(choices.users) if ended_by[user]]
    return {
        "kind": "preference",
        "slot": one.slot.json(),
        "value": one.value,
        "instead_of": _instead_of(choices, seen.ended),
        "scope": {
            "level": group.scope,
            "tenant": group.tenant or None,
            "key": group.user or group.tenant,
            "selector": group.selector,
            "tenants": len({tenant for (tenant, _), _ in who_ended}),
            "users": len(who_ended),
        },
        "n_counts": "runs in which the agent proposed another value, or this one did not stand",
        "k_counts": "of these, those in which the user ended with the value",
        "looks_are": "sessions" if group.user else "runs, a user's weighted down as they are alike",
        "halves": "earlier and later sessions" if group.user else "other users",
        "compared_with": one.compared_with,
        "users": one.users,
        "inside": _rate(one.support.n, one.support.k, one.inside),
        "outside": one.outside,
        "icc": one.icc,
        "kept": kept,
        "ended_otherwise": int(seen.looks.sum()) - kept - ended,
        "explicit": int((seen.ended & choices.explicit).sum()),
        "by_user": [
            {
                "tenant": who[0],
                "user": who[1],
                "runs": int(by_user[user]),
                "overridden": int(ended_by[user]),
            }
            for who, user in sorted(who_ended, key=lambda item: (-ended_by[item[1]], item[0]))
        ][:USERS_SHOWN_MAX],
    }


def _instead_of(choices: Choices, ended: Flags) -> str | None:
    """Return the value that was nearly always changed, None where there is no such."""
    proposed, numbers = np.unique(choices.proposed[ended], return_counts=True)
    if not len(proposed) or numbers.max() < INSTEAD_OF_SHARE_MIN * ended.sum():
        return None
    return choices.texts[int(proposed[numbers.argmax()])]


def _spread(choices: Choices, rows: Flags) -> tuple[str, ...]:
    """Return trace ids, one of each user in turn: twenty of one user would say little."""
    which = np.flatnonzero(rows)
    names = ["/".join(user) for user in choices.users]
    rank = np.empty(len(names), dtype=np.int64)
    rank[sorted(range(len(names)), key=lambda user: names[user])] = np.arange(len(names))
    users = rank[choices.user[which]]
    chosen = which[np.lexsort((users, _turns(users)))[:EVIDENCE_MAX]]
    return tuple(choices.trace_ids[run] for run in choices.run[chosen])


def _turns(users: Codes) -> Codes:
    """Return for each row how many rows of the same user come before it."""
    order = np.argsort(users, kind="stable")
    _, first, sizes = np.unique(users[order], return_index=True, return_counts=True)
    turns = np.empty(len(users), dtype=np.int64)
    turns[order] = np.arange(len(users)) - np.repeat(first, sizes)
    return turns


def _title(one: _Looked) -> str:
    """Say it in one line; what does not look like a value is not repeated."""
    value = one.value if refusal(one.value.lower()) is None else "a value that is not quoted here"
    group = one.group
    whose = {
        "user": f"user {group.user} of {group.tenant}",
        "tenant": f"users of {group.tenant}",
        "global": "users of all tenants",
    }[group.scope]
    segment = f" with {group.segment[0]} {group.segment[1]}" if group.segment else ""
    part = " (time of day)" if one.slot.part == "time_of_day" else ""
    return plain(f"{whose}{segment} end with {value} for {one.slot.tool} {one.slot.field}{part}")

"""The choices of one slot, counted by who made them: cells, users, groups of users."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.core.effective_counts import Floats
from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.analyzers.preferences.choice_columns import Choices, Indexes, digest
from spanlore.analyzers.preferences.slot_choices import SlotChoice
from spanlore.analyzers.preferences.slot_values import NO_VALUE
from spanlore.schemas.types import ScopeLevel

__all__ = ["Group", "Indexes", "Level", "SlotCounts", "counted", "user_unit"]

Level = Literal["user", "tenant_segment", "tenant", "segment", "global"]

VALUES_MAX = 12
OVERRIDES_MIN = 3  # to one value, to look at it at all
TENANT_USERS_MIN = 5
GLOBAL_USERS_MIN = 20
GLOBAL_TENANTS_MIN = 2
# A second tenant with a user or two in it says nothing about tenants.
USERS_A_TENANT_MIN = 3


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Group:
    """Whose preference it may be: a user's, a tenant's, everybody's; perhaps of a segment alone.

    ``tenant`` is "" for every tenant, ``user`` "" for every user, ``segment`` (name, value) or ().
    """

    tenant: str = ""
    user: str = ""
    segment: tuple[str, ...] = ()

    @property
    def scope(self) -> ScopeLevel:
        """The scope of a lesson for the group."""
        return "user" if self.user else "tenant" if self.tenant else "global"

    @property
    def level(self) -> Level:
        """What kind of group it is, the narrowest first in ``Level``."""
        if self.user:
            return "user"
        if self.tenant:
            return "tenant_segment" if self.segment else "tenant"
        return "segment" if self.segment else "global"

    @property
    def selector(self) -> dict[str, str]:
        """The selector of a lesson for the group."""
        return {f"segment.{self.segment[0]}": self.segment[1]} if self.segment else {}

    @property
    def key(self) -> str:
        """The group in a finding's key."""
        return "|".join((self.scope, self.tenant, self.user, *self.segment))

    def holds(self, choice: SlotChoice) -> bool:
        """Whether a choice was made by the group."""
        return self.has(tenant=choice.tenant, user=choice.user, segments=choice.segments)

    def has(self, *, tenant: str, user: str, segments: Mapping[str, str]) -> bool:
        """Whether a user of a tenant belongs to the group while in these segments."""
        return (
            self.tenant in ("", tenant)
            and self.user in ("", user)
            and (not self.segment or segments.get(self.segment[0]) == self.segment[1])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCounts:
    """The choices of one slot by cell: a user, with the segments they were in.

    Rows are cells, columns ``values``: to what users overrode, the most frequent first. ``runs``
    are the choices of a cell, ``ended`` those overridden to a value, ``stood`` those where the
    agent proposed the value itself and it stood. ``users`` numbers the user of each cell,
    ``discovers`` says which cells belong to the discovery half, ``groups`` maps every group of more
    than one user (``enough_users``) to its cells.
    """

    choices: Choices
    owners: Sequence[tuple[str, str]]
    segments: Sequence[tuple[tuple[str, str], ...]]
    users: Indexes
    discovers: NDArray[np.bool_]
    values: tuple[str, ...]
    runs: Floats
    ended: Floats
    stood: Floats
    groups: Mapping[Group, Indexes]

    def looks(self, cells: Indexes, value: int) -> tuple[Floats, Floats, Indexes]:
        """Return runs, those that ended with the value, and the user, for users of these cells.

        A run in which the agent proposed the value and it stood is no look: there was nothing to
        change, and after a lesson is delivered there are many such runs.
        """
        users, position = np.unique(self.users[cells], return_inverse=True)
        n = np.bincount(position, self.runs[cells] - self.stood[cells, value], len(users))
        k = np.bincount(position, self.ended[cells, value], len(users))
        return n.astype(np.float64), k.astype(np.float64), users

    def enough_users(self, group: Group, cells: Indexes) -> bool:
        """Whether the group has the users that a lesson for it must rest on at least."""
        return _is_broad(group, {self.owners[cell] for cell in cells})

    def supported(self, group: Group, cells: Indexes, value: int) -> bool:
        """Whether as many of its users ended with the value at least once."""
        ended = cells[self.ended[cells, value] > 0]
        return _is_broad(group, {self.owners[cell] for cell in ended})


def user_unit(choice: SlotChoice) -> str:
    """Return what decides the half of a user, as for every analyzer (``calls.Call.user``)."""
    return f"{choice.tenant}/{choice.user}"


def counted(choices: Choices) -> SlotCounts | None:
    """Count the choices of one slot; None where no value was overridden to often enough."""
    overridden = choices.overridden
    finals, numbers = np.unique(choices.final[overridden], return_counts=True)
    often = {
        choices.texts[int(final)]: int(number)
        for final, number in zip(finals, numbers, strict=True)
        if number >= OVERRIDES_MIN
    }
    often.pop(NO_VALUE, None)
    values = tuple(sorted(often, key=lambda value: (-often[value], value))[:VALUES_MAX])
    if not values:
        return None
    owners = [cell[:2] for cell in choices.cells]
    users = {owner: number for number, owner in enumerate(choices.users)}
    ended, stood = (
        np.stack([np.bincount(choices.cell[rows], minlength=len(owners)) for rows in columns])
        for columns in (
            [overridden & choices.ended_with(value) for value in values],
            [~overridden & (choices.proposed == digest(value)) for value in values],
        )
    )
    return SlotCounts(
        choices=choices,
        owners=owners,
        segments=[cell[2] for cell in choices.cells],
        users=np.array([users[owner] for owner in owners], dtype=np.intp),
        discovers=np.array([in_discovery_half("/".join(owner)) for owner in owners]),
        values=values,
        runs=np.bincount(choices.cell, minlength=len(owners)).astype(np.float64),
        ended=ended.T.astype(np.float64),
        stood=stood.T.astype(np.float64),
        groups=_groups(choices),
    )


def _groups(choices: Choices) -> dict[Group, Indexes]:
    members: dict[Group, list[int]] = {}
    for cell, (tenant, _, segments) in enumerate(choices.cells):
        for segment in ((), *segments):
            members.setdefault(Group(segment=segment), []).append(cell)
            members.setdefault(Group(tenant=tenant, segment=segment), []).append(cell)
    return {group: np.array(cells, dtype=np.intp) for group, cells in sorted(members.items())}


def _is_broad(group: Group, users: AbstractSet[tuple[str, str]]) -> bool:
    if group.tenant:
        return len(users) >= TENANT_USERS_MIN
    tenants = Counter(tenant for tenant, _ in users)
    wide = sum(number >= USERS_A_TENANT_MIN for number in tenants.values())
    return len(users) >= GLOBAL_USERS_MIN and wide >= GLOBAL_TENANTS_MIN

"""Whose preference it is: the groups that explain best who ends with a value.

For one value of a slot, every user has a rate of ending with it. Rates are Beta-binomial, alike
within a group to the degree that the intraclass correlation says: around one base rate (at most
``BASE_RATES[-1]``) for users without the preference, around a rate of its own (at least
``PREFERRED_RATES[0]``) for each group that has it. A model names the groups that do: everybody, a
segment, a tenant, a segment within a tenant, single users. Models are nested, and compared by the
extended BIC (Schwarz 1978; Chen and Chen 2008, Biometrika 95:759): half the logarithm of the
number of looks for each group's rate, and the logarithm of how many groups of its level it could
have been. So twelve users of one tenant who want the same thing are a tenant, where naming it is
cheaper than naming them; a tenant in which only one segment wants it is that segment.

The best model is found exactly, from the narrow groups to the wide: the best one for a group is
the group without the preference, or with it, or the best models of its parts, whatever is best.
It is chosen on the discovery half of the users alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from spanlore.analyzers.core.effective_counts import Floats
from spanlore.analyzers.preferences.preference_counts import Group, Indexes, SlotCounts

BASE_RATES = (0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25)
PREFERRED_RATES = (0.4, 0.48, 0.56, 0.64, 0.72, 0.8, 0.88, 0.94, 0.98)
LIKENESSES = (0.02, 0.08, 0.15, 0.25, 0.4, 0.6)
USERS_MIN = 2  # of the discovery half, for a group to be more than one of them


@dataclass(frozen=True, slots=True)
class _Best:
    """The best model of a part: its log-likelihood less penalties, and the groups it names.

    ``scores`` holds one for each likeness and base rate; ``parts`` are its best models' parts
    where the part is not told as a whole.
    """

    scores: Floats
    whole: Floats | None
    group: Group | None
    parts: tuple["_Best", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scores:
    """Log-likelihoods of each cell, by likeness and rate, and what a group costs."""

    base: Floats
    preferred: Floats
    costs: Mapping[str, float]
    eligible: Mapping[Group, Indexes]


def chosen_groups(counts: SlotCounts, value: int, groups: Mapping[Group, Indexes]) -> list[Group]:
    """Return the groups of more than one user that have the preference, the widest first.

    ``groups`` are those that have enough users for a lesson, with all their cells.
    """
    cells = np.flatnonzero(counts.discovers & (counts.runs > counts.stood[:, value]))
    if len(cells) < USERS_MIN:
        return []
    scores = _scores(counts, value, cells=cells, groups=groups)
    best = _best_of_all(counts, scores, cells)
    where = np.unravel_index(int(np.argmax(best.scores)), best.scores.shape)
    return sorted(_named(best, (int(where[0]), int(where[1]))), key=lambda group: group.key)


def _scores(
    counts: SlotCounts, value: int, *, cells: Indexes, groups: Mapping[Group, Indexes]
) -> _Scores:
    n = counts.runs[cells] - counts.stood[cells, value]
    k = counts.ended[cells, value]
    base, preferred = (
        np.zeros((len(counts.runs), len(LIKENESSES), len(rates)))
        for rates in (BASE_RATES, PREFERRED_RATES)
    )
    base[cells], preferred[cells] = (
        _likelihoods(n, k, BASE_RATES),
        _likelihoods(n, k, PREFERRED_RATES),
    )
    eligible = {
        group: inside
        for group, members in groups.items()
        if len(inside := members[np.isin(members, cells, assume_unique=True)]) >= USERS_MIN
    }
    levels = [group.level for group in groups]
    rate = 0.5 * float(np.log(n.sum()))
    costs: dict[str, float] = {
        level: rate + float(np.log(levels.count(level))) for level in set(levels)
    }
    costs["user"] = rate + float(np.log(len(cells)))
    return _Scores(base=base, preferred=preferred, costs=costs, eligible=eligible)


def _likelihoods(n: Floats, k: Floats, rates: Sequence[float]) -> Floats:
    """Return the Beta-binomial log-likelihood of each cell, by likeness and rate.

    Without the binomial coefficient, which is the same in every model. Equal cells are worked out
    once.
    """
    kinds, which = np.unique(np.stack((n, k)), axis=1, return_inverse=True)
    n, k = kinds[0][:, None, None], kinds[1][:, None, None]
    mean = np.array(rates)[None, None, :]
    spread = np.array([(1 - icc) / icc for icc in LIKENESSES])[None, :, None]
    alpha, beta = mean * spread, (1 - mean) * spread
    table: Floats = betaln(k + alpha, n - k + beta) - betaln(alpha, beta)
    return table[which.reshape(-1)]


def _best_of_all(counts: SlotCounts, scores: _Scores, cells: Indexes) -> _Best:
    """Compare everybody with the ways to part them: by tenant, or by a kind of segment."""
    names = sorted({name for cell in cells for name, _ in counts.segments[cell]})
    ways = [
        [
            _best_of_tenant(counts, scores, cells=part, names=names)
            for part in _tenants(counts, cells)
        ]
    ]
    ways += [
        [
            _best_of_segment(counts, scores, cells=part, segment=(name, value))
            for value, part in parts.items()
        ]
        for name in names
        if (parts := _values(counts, cells, name))
    ]
    return _best(scores, Group(), cells=cells, ways=ways)


def _best_of_tenant(
    counts: SlotCounts, scores: _Scores, *, cells: Indexes, names: Sequence[str]
) -> _Best:
    tenant = counts.owners[cells[0]][0]
    ways = [
        [
            _best_within(scores, Group(tenant=tenant, segment=(name, value) if value else ()), part)
            for value, part in _values(counts, cells, name).items()
        ]
        for name in names
    ]
    group = Group(tenant=tenant)
    return _best(scores, group, cells=cells, ways=[*ways, [_users(scores, cells)]])


def _best_of_segment(
    counts: SlotCounts, scores: _Scores, *, cells: Indexes, segment: tuple[str, str]
) -> _Best:
    parts = [
        _best_within(
            scores,
            Group(tenant=counts.owners[part[0]][0], segment=segment if segment[1] else ()),
            part,
        )
        for part in _tenants(counts, cells)
    ]
    return _best(scores, Group(segment=segment), cells=cells, ways=[parts])


def _best_within(scores: _Scores, group: Group, cells: Indexes) -> _Best:
    """Compare a segment within a tenant with its users; those of no segment are only users."""
    if not group.segment:
        return _users(scores, cells)
    return _best(scores, group, cells=cells, ways=[[_users(scores, cells)]])


def _users(scores: _Scores, cells: Indexes) -> _Best:
    """Take each user with the preference or without it, whatever is best."""
    preferred = scores.preferred[cells].max(axis=2)[:, :, None] - scores.costs["user"]
    each = np.maximum(scores.base[cells], preferred)
    return _Best(each.sum(axis=0), None, None, ())


def _best(
    scores: _Scores, group: Group, *, cells: Indexes, ways: Sequence[Sequence[_Best]]
) -> _Best:
    without = scores.base[cells].sum(axis=0)
    whole = np.full_like(without, -np.inf)
    if group in scores.eligible:
        rate = scores.preferred[cells].sum(axis=0).max(axis=1)
        whole = np.broadcast_to(rate[:, None] - scores.costs[group.level], without.shape)
    best, parts = np.maximum(without, whole), tuple[_Best, ...]()
    for way in ways:
        together: Floats = np.sum([part.scores for part in way], axis=0)
        parts = (*parts, _Best(together, None, None, tuple(way)))
        best = np.maximum(best, together)
    return _Best(best, whole, group, (_Best(without, None, None, ()), *parts))


def _named(best: _Best, where: tuple[int, int]) -> list[Group]:
    """Return the groups that the best model names, for one likeness and base rate."""
    if best.whole is None or best.group is None:
        return [group for part in best.parts for group in _named(part, where)]
    ways = [part.scores[where] for part in best.parts]
    if best.whole[where] >= max(ways):
        return [best.group]
    return _named(best.parts[int(np.argmax(ways))], where)


def _tenants(counts: SlotCounts, cells: Indexes) -> list[Indexes]:
    parts: dict[str, list[int]] = {}
    for cell in cells:
        parts.setdefault(counts.owners[cell][0], []).append(int(cell))
    return [np.array(parts[tenant], dtype=np.intp) for tenant in sorted(parts)]


def _values(counts: SlotCounts, cells: Indexes, name: str) -> dict[str, Indexes]:
    """Return the cells by value of a segment, those without one under ""."""
    parts: dict[str, list[int]] = {}
    for cell in cells:
        parts.setdefault(dict(counts.segments[cell]).get(name, ""), []).append(int(cell))
    return {value: np.array(parts[value], dtype=np.intp) for value in sorted(parts)}

"""Ordered sequences of items that many lists hold, closed: PrefixSpan (Pei et al. 2001), bounded.

A list holds a sequence when its items stand in it in that order, whatever stands between. A
sequence is closed when no longer one is held by just as many. Lists come with how often they were
seen, so that a million runs that did the same are one list.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

LENGTH_MAX = 5
KEPT_MAX = 500  # of each length, the most frequent

Items = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A sequence of items and how many lists hold it."""

    items: Items
    support: int


@dataclass(frozen=True, slots=True)
class _Prefix:
    """A sequence, and for each list that holds it where the rest of that list begins."""

    items: Items
    support: int
    begins: Mapping[int, int]


def closed_sequences(lists: Mapping[Items, int], *, support_min: int) -> list[Held]:
    """Return the closed sequences of up to five items, the most frequent first.

    A sequence of five is taken as closed, because none longer is looked for.
    """
    rows = list(lists.items())
    level = [_Prefix((), sum(lists.values()), dict.fromkeys(range(len(rows)), 0))]
    found: list[list[Held]] = []
    for _ in range(LENGTH_MAX):
        longer = [one for prefix in level for one in _extended(prefix, rows)]
        frequent = [one for one in longer if one.support >= support_min]
        level = sorted(frequent, key=lambda one: (-one.support, one.items))[:KEPT_MAX]
        found.append([Held(one.items, one.support) for one in level])
    closed = [one for at, short in enumerate(found) for one in _closed(short, found[at + 1 :])]
    return sorted(closed, key=lambda one: (-one.support, one.items))


def holds(row: Sequence[str], items: Sequence[str]) -> bool:
    """Whether the items stand in the row in that order."""
    rest = iter(row)
    return all(item in rest for item in items)


def _extended(prefix: _Prefix, rows: Sequence[tuple[Items, int]]) -> Iterator[_Prefix]:
    """Yield the prefix with one more item, for each item that comes after it in any row."""
    begins: dict[str, dict[int, int]] = {}
    for row, begin in prefix.begins.items():
        items = rows[row][0]
        for at in range(begin, len(items)):
            begins.setdefault(items[at], {}).setdefault(row, at + 1)
    for item, places in begins.items():
        yield _Prefix((*prefix.items, item), sum(rows[row][1] for row in places), places)


def _closed(short: Sequence[Held], longer: Sequence[Sequence[Held]]) -> Iterator[Held]:
    by_support: dict[int, list[Items]] = {}
    for one in longer[0] if longer else ():
        by_support.setdefault(one.support, []).append(one.items)
    for one in short:
        if not any(holds(items, one.items) for items in by_support.get(one.support, ())):
            yield one

"""A total that earlier tool outputs already held: an executable predicate over a call.

A call's array of objects often points at records that an earlier tool returned (they share an
identifying key). If those records carry a number, and its sum - times the length of another
array, perhaps - is what the tool later says it wanted, then the right value could have been
known beforehand, and a call can be checked before it is made. Nothing here reads the call's own
error once the formula is chosen.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from spanlore.analyzers.runs.calls import Call, parsed
from spanlore.analyzers.runs.json_paths import arrays, number, objects, scalars, sums

AGREEING_CALLS_MIN = 5
AGREEING_SHARE_MIN = 0.5
_CLOSE = 1e-6
_IDENTIFYING = re.compile(r"(?=.*\d)[\w.-]{3,}")


@dataclass(frozen=True, slots=True, order=True)
class Formula:
    """Sum ``number_key`` over the earlier records that the items of ``array`` point at.

    ``number_key`` is a key of the record, or ``key[argument]`` where the record's key holds one
    number for each possible value of that argument. ``times`` is the array whose length
    multiplies the sum, "" for none.
    """

    array: str
    number_key: str
    times: str

    @property
    def words(self) -> str:
        """Say it in one phrase."""
        each = f"`{self.number_key}` of the earlier output for each item of `{self.array}`"
        return f"the sum of {each}" + (f" times the number of `{self.times}`" if self.times else "")


@dataclass(frozen=True, slots=True)
class TotalRule:
    """The sum at ``path`` must equal what the formula gives."""

    path: str
    formula: Formula

    def expected(self, call: Call, earlier: Sequence[Call]) -> float | None:
        """Return the total that earlier outputs imply, None when they do not say."""
        return totals_of(call, earlier).of(self.formula)

    def broken(self, call: Call, earlier: Sequence[Call]) -> bool | None:
        """Whether the call's arguments break the rule; None when it cannot be checked."""
        return self.breaks(self.expected(call, earlier), sums(call.arguments).get(self.path))

    def breaks(self, expected: float | None, given: float | None) -> bool | None:
        """Whether a given total is not the expected one; None where one of them is not known."""
        if expected is None or given is None:
            return None
        return abs(expected - given) >= _CLOSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What formulas are made of: array -> number key -> its sum, and array -> its length."""

    sums: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)

    def by_formula(self) -> dict[Formula, float]:
        """Return every formula with what it gives."""
        return {
            Formula(array, key, times): total * size
            for array, by_key in self.sums.items()
            for key, total in by_key.items()
            for times, size in {"": 1, **self.sizes}.items()
        }

    def of(self, formula: Formula) -> float | None:
        """Return what one formula gives, None where it cannot be computed."""
        total = self.sums.get(formula.array, {}).get(formula.number_key)
        times = self.sizes.get(formula.times) if formula.times else 1
        return None if total is None or times is None else total * times


class FormulaVotes:
    """How often each formula gave the wanted total, added up call by call."""

    def __init__(self) -> None:
        self._agreed: Counter[Formula] = Counter()
        self._computed: Counter[Formula] = Counter()

    def add(self, totals: Totals, right: float) -> None:
        """Count a call: what formulas gave, and the total that was right."""
        given = totals.by_formula()
        self._computed.update(given.keys())
        self._agreed.update(one for one, total in given.items() if abs(total - right) < _CLOSE)

    def best(self) -> Formula | None:
        """Return the formula that most often gave the wanted total; None when none is good enough.

        Good enough: in 5 calls, and in half of the calls it could be computed for.
        """
        agreed = self._agreed
        best = max(sorted(agreed), key=lambda one: agreed[one], default=None)
        if best is None or agreed[best] < AGREEING_CALLS_MIN:
            return None
        return best if agreed[best] >= AGREEING_SHARE_MIN * self._computed[best] else None


def totals_of(call: Call, earlier: Sequence[Call]) -> Totals:
    """Compute what formulas are made of, for a call from the outputs before it."""
    totals: dict[str, Mapping[str, float]] = {}
    if not isinstance(call.arguments, dict):
        return Totals()
    sizes = {path: len(items) for path, items in arrays(call.arguments) if "[]" not in path}
    selectors = {
        value: path
        for path, value in scalars(call.arguments)
        if isinstance(value, str) and "[]" not in path
    }
    for array, items in arrays(call.arguments):
        if "[]" in array or not items or not all(isinstance(item, dict) for item in items):
            continue
        if sums := _sums_over(items, earlier, selectors):
            totals[array] = sums
    return Totals(sums=totals, sizes=sizes)


def _sums_over(
    items: list[Any], earlier: Sequence[Call], selectors: Mapping[str, str]
) -> dict[str, float]:
    """Return number key -> sum over all items; keys that some item lacks are left out."""
    sums_by_key: dict[str, float] = {}
    for position, item in enumerate(items):
        numbers = _numbers_for(item, earlier, selectors)
        if position == 0:
            sums_by_key = numbers
        else:
            both = sums_by_key.keys() & numbers.keys()
            sums_by_key = {key: sums_by_key[key] + numbers[key] for key in both}
    return sums_by_key


def _numbers_for(
    item: Mapping[str, Any], earlier: Sequence[Call], selectors: Mapping[str, str]
) -> dict[str, float]:
    """Return the numbers of the records an item points at; the latest output wins."""
    numbers: dict[str, float] = {}
    for call in reversed(earlier):
        if call.error is not None:
            continue
        asked = call.arguments if isinstance(call.arguments, dict) else {}
        for record in _records(call.result):
            if _points_at(item, record, asked):
                for key, amount in _record_numbers(record, selectors):
                    numbers.setdefault(key, amount)
    return numbers


def _points_at(
    item: Mapping[str, Any], record: Mapping[str, Any], asked: Mapping[str, Any]
) -> bool:
    """Whether item and record share an identifying value under one key, and contradict nowhere.

    What the record does not say is taken from what its tool was asked for.
    """
    shared = False
    for key, value in item.items():
        if not isinstance(value, str):
            continue
        other = record.get(key, asked.get(key))
        if isinstance(other, str) and other != value:
            return False
        shared = shared or (record.get(key) == value and bool(_IDENTIFYING.fullmatch(value)))
    return shared


def _record_numbers(
    record: Mapping[str, Any], selectors: Mapping[str, str]
) -> Iterator[tuple[str, float]]:
    for key, value in record.items():
        amount = number(value)
        if amount is not None:
            yield key, amount
        elif isinstance(value, dict):
            for choice, inner in value.items():
                chosen = number(inner)
                if chosen is not None and choice in selectors:
                    yield f"{key}[{selectors[choice]}]", chosen


@lru_cache(maxsize=1024)
def _records(result: str) -> tuple[dict[str, Any], ...]:
    """Return every object of a JSON result that has a text to be found by."""
    return tuple(
        one
        for _, one in objects(parsed(result))
        if any(isinstance(value, str) for value in one.values())
    )

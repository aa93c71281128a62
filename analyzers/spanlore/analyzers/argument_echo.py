"""Which argument an error text speaks of: a slot that repeats an argument's value, or its sum."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spanlore.analyzers.calls import Call
from spanlore.analyzers.json_paths import number, scalars, sums

SHARE_MIN = 0.9
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True)
class Echo:
    """Slot number ``slot`` repeats the value at ``path``, or the ``sum`` of the values there."""

    slot: int
    path: str
    how: Literal["value", "sum"]


def echoes_of(failing: Sequence[Call]) -> list[Echo]:
    """Find, for each slot of one template, the argument it repeats in 90 % of failing calls.

    All calls must have failed with the same template. A ``sum`` is named only if it explains
    more of them than a single value does; other ties go to the first path in the alphabet.
    """
    slots = min((len(call.error.slots) for call in failing if call.error), default=0)
    echoes = []
    for slot in range(slots):
        votes: Counter[tuple[str, str]] = Counter()
        for call in failing:
            votes.update(_matches(call, slot))
        best = max(sorted(votes), key=lambda vote: (votes[vote], vote[1] == "value"), default=None)
        if best is not None and votes[best] >= SHARE_MIN * len(failing):
            echoes.append(Echo(slot, best[0], "sum" if best[1] == "sum" else "value"))
    return echoes


def slot_number(call: Call, slot: int) -> float | None:
    """Return the number that stood in a slot of the call's error, None when it is none."""
    if call.error is None or slot >= len(call.error.slots):
        return None
    return _number_in(call.error.slots[slot].value)


def _matches(call: Call, slot: int) -> set[tuple[str, str]]:
    if call.error is None:
        return set()
    said = call.error.slots[slot].value.strip("\"'`")
    wanted = _number_in(said)
    found = {
        (path, "value") for path, value in scalars(call.arguments) if _same(value, said, wanted)
    }
    if wanted is not None:
        found |= {
            (path, "sum")
            for path, total in sums(call.arguments).items()
            if "[]" in path and abs(total - wanted) < _CLOSE
        }
    return found


def _same(value: Any, said: str, wanted: float | None) -> bool:
    amount = number(value)
    if amount is not None:
        return wanted is not None and abs(amount - wanted) < _CLOSE
    return isinstance(value, str) and value.casefold() == said.casefold()


def _number_in(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None

"""Which argument an error text speaks of: a slot that repeats an argument's value, or its sum."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.error_template import Slot
from spanlore.analyzers.runs.json_paths import number, number_in, scalars, sums

SHARE_MIN = 0.9
_CLOSE = 1e-6

How = Literal["value", "sum"]
# For each slot of a call's error: the arguments that it repeats.
Repeats = Sequence[Sequence[tuple[str, How]]]


@dataclass(frozen=True, slots=True)
class Echo:
    """Slot number ``slot`` repeats the value at ``path``, or the ``sum`` of the values there."""

    slot: int
    path: str
    how: How


def echoes_of(failing: Sequence[Repeats]) -> list[Echo]:
    """Find, for each slot of one template, the argument it repeats in 90 % of failing calls.

    All calls must have failed with the same template. A ``sum`` is named only if it explains
    more of them than a single value does; other ties go to the first path in the alphabet.
    """
    slots = min(map(len, failing), default=0)
    echoes = []
    for slot in range(slots):
        votes: Counter[tuple[str, How]] = Counter()
        for repeats in failing:
            votes.update(set(repeats[slot]))
        best = max(sorted(votes), key=lambda vote: (votes[vote], vote[1] == "value"), default=None)
        if best is not None and votes[best] >= SHARE_MIN * len(failing):
            echoes.append(Echo(slot, *best))
    return echoes


def repeats_of(call: Call) -> list[list[tuple[str, How]]]:
    """Return, for each slot of a failed call's error, the arguments that it repeats."""
    slots = call.error.slots if call.error is not None else ()
    return [sorted(_matches(call.arguments, slot)) for slot in slots]


def slot_number(slot: Slot) -> float | None:
    """Return the number that stood in a slot of an error, None when it is none."""
    return number_in(slot.value)


def _matches(arguments: Any, slot: Slot) -> set[tuple[str, How]]:
    said = slot.value.strip("\"'`")
    wanted = number_in(said)
    found: set[tuple[str, How]] = {
        (path, "value") for path, value in scalars(arguments) if _same(value, said, wanted)
    }
    if wanted is not None:
        found |= {
            (path, "sum")
            for path, total in sums(arguments).items()
            if "[]" in path and abs(total - wanted) < _CLOSE
        }
    return found


def _same(value: Any, said: str, wanted: float | None) -> bool:
    amount = number(value)
    if amount is not None:
        return wanted is not None and abs(amount - wanted) < _CLOSE
    return isinstance(value, str) and value.casefold() == said.casefold()

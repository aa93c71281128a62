"""What an error text demands of an argument: read off its slots, checked against the calls."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from spanlore.analyzers.arguments.argument_echo import Echo
from spanlore.analyzers.arguments.call_particulars import Particulars

SHARE_MIN = 0.9
NAME_WORDS_MAX = 5
_SLOT = re.compile(r"<[a-z]+>")
_LINK_WORDS = re.compile(
    r"^(?:(?:but|and|or|with|the|a|an|of)\s+)+|(?:\s+(?:is|are|was|were|be|of|to|at|only|=))+$"
)
Relation = Literal["equal", "be at least", "be at most"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRule:
    """The number (or sum) at ``path`` must stand in ``relation`` to what the error names.

    ``wanted`` is the error text's own words for that number ("total price"), ``wanted_slot``
    where in the template it stands.
    """

    path: str
    how: Literal["value", "sum"]
    relation: Relation
    wanted: str
    wanted_slot: int

    def detail(self) -> dict[str, Any]:
        """Return the rule as plain JSON."""
        return asdict(self)


def number_rule(
    template: str, failing: Sequence[Particulars], echoes: Sequence[Echo]
) -> NumberRule | None:
    """Find the rule in calls that failed with one template; None where there is none to be read.

    It takes one slot that repeats a number of the arguments (or their sum) and exactly one other
    slot that holds a number of no argument. The relation comes from the failing calls: wrong in
    both directions means "equal".
    """
    if not failing:
        return None
    numeric = [one for one in echoes if failing[0].number_in(one.slot) is not None]
    echoed = {one.slot for one in echoes}
    slots = range(len(failing[0].slots))
    wanted = [slot for slot in slots if slot not in echoed and _holds_numbers(failing, slot)]
    if len(numeric) != 1 or len(wanted) != 1:
        return None
    given, slot = numeric[0], wanted[0]
    name = _name_before(template, slot)
    relation = _relation(failing, given, slot)
    if not name or relation is None:
        return None
    return NumberRule(
        path=given.path, how=given.how, relation=relation, wanted=name, wanted_slot=slot
    )


def _holds_numbers(failing: Sequence[Particulars], slot: int) -> bool:
    holds = sum(call.number_in(slot) is not None for call in failing)
    return holds >= SHARE_MIN * len(failing)


def _relation(failing: Sequence[Particulars], given: Echo, slot: int) -> Relation | None:
    above = below = 0
    for call in failing:
        wanted, said = call.number_in(slot), call.number_in(given.slot)
        if wanted is None or said is None or given.path not in call.sums:
            continue
        above += said > wanted
        below += said < wanted
    if above and below:
        return "equal"
    if below:
        return "be at least"
    return "be at most" if above else None


def _name_before(template: str, slot: int) -> str:
    """Return the words right before a slot, without the link words around them."""
    starts = list(_SLOT.finditer(template))
    if slot >= len(starts):
        return ""
    begin = starts[slot - 1].end() if slot else 0
    words = re.split(r"[,.;:()\[\]!?]", template[begin : starts[slot].start()].rstrip(" :=$"))[-1]
    name = _LINK_WORDS.sub("", words.strip()).strip()
    plain = re.fullmatch(r"[^\W\d_]+(?:[ _-][^\W\d_]+)*", name)
    return name if plain and len(name.split()) <= NAME_WORDS_MAX else ""

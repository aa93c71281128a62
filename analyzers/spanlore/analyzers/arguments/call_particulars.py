"""What else a call says beside the form of its arguments: numbers, echoes, where values came from.

Worked out once, when its run is read, because it takes the outputs of earlier calls; kept small,
so that an analysis of all calls of a tool need not read one payload again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

from spanlore.analyzers.arguments.argument_echo import How, repeats_of, slot_number
from spanlore.analyzers.arguments.derived_total import Totals, totals_of
from spanlore.analyzers.runs.calls import Call, parsed
from spanlore.analyzers.runs.json_paths import scalars, sums

SOURCES_MAX = 12  # of one path: values like 1 are returned under many keys

Kind = Literal["error", "total", "source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Particulars:
    """The particulars of one call; of each ``Kind`` only its own fields are known.

    ``slots`` are the numbers in the slots of its error (None where there is none), ``repeats`` the
    arguments that each slot repeats; ``sums`` the sum of the numbers at each path of the arguments;
    ``totals`` what earlier outputs imply; ``sources`` maps a path to the (key, tool) of earlier
    outputs that held a value that stands there.
    """

    slots: tuple[float | None, ...] = ()
    repeats: Sequence[Sequence[tuple[str, How]]] = ()
    sums: Mapping[str, float] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    sources: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)

    def number_in(self, slot: int) -> float | None:
        """Return the number in a slot of the error, None where there is none."""
        return self.slots[slot] if slot < len(self.slots) else None


class Returned:
    """What the calls of a run returned so far: value -> the (last key, tool) it was seen under."""

    def __init__(self) -> None:
        self._seen: dict[Any, dict[tuple[str, str], None]] = {}

    def add(self, call: Call) -> None:
        """Remember what a call returned."""
        for where, value in scalars(parsed(call.result)):
            if _is_telling(value):
                places = self._seen.setdefault(value, {})
                if len(places) < SOURCES_MAX:
                    places[where.rpartition(".")[2], call.tool] = None

    def sources(self, arguments: Any) -> dict[str, list[tuple[str, str]]]:
        """Return path -> where its values were seen; at most ``SOURCES_MAX`` places."""
        found: dict[str, dict[tuple[str, str], None]] = {}
        for path, value in scalars(arguments):
            if _is_telling(value) and value in self._seen:
                found.setdefault(path, {}).update(self._seen[value])
        return {path: list(places)[:SOURCES_MAX] for path, places in found.items()}


def particulars_of(
    call: Call, earlier: Sequence[Call], returned: Returned
) -> Iterator[tuple[Kind, Particulars]]:
    """Yield each kind of particulars that a call has.

    ``earlier`` are the calls before it in its run, ``returned`` holds what they returned.
    """
    if call.error is not None:
        yield "error", error_particulars(call)
    if isinstance(call.arguments, dict):
        totals = totals_of(call, earlier)
        if totals.sums:
            slots = _slots(call)
            yield "total", Particulars(slots=slots, sums=_sums(call), totals=totals)
        if sources := returned.sources(call.arguments):
            yield "source", Particulars(sources=sources)


def particulars_of_run(calls: Sequence[Call]) -> Iterator[tuple[int, Kind, Particulars]]:
    """Yield (position of the call, kind, particulars); ``calls`` in the order they were made."""
    returned = Returned()
    for position, call in enumerate(calls):
        for kind, one in particulars_of(call, calls[:position], returned):
            yield position, kind, one
        returned.add(call)


def error_particulars(call: Call) -> Particulars:
    """Return what the error of a failed call says of its arguments."""
    return Particulars(slots=_slots(call), repeats=repeats_of(call), sums=_sums(call))


def particulars_json(one: Particulars, *, chars_max: int) -> str:
    """Return particulars as JSON; what does not fit is left out, the longest part first."""
    parts = {
        "slots": one.slots,
        "repeats": one.repeats,
        "sums": one.sums,
        "totals": one.totals.sums,
        "sizes": one.totals.sizes,
        "sources": one.sources,
    }
    texts = {
        name: json.dumps(part, ensure_ascii=False, separators=(",", ":"))
        for name, part in parts.items()
        if part
    }
    while len(text := _object(texts)) > chars_max:
        del texts[max(texts, key=lambda name: len(texts[name]))]
    return text


def particulars_in(text: str) -> Particulars:
    """Read what ``particulars_json`` wrote."""
    said = json.loads(text)
    return Particulars(
        slots=tuple(said.get("slots", ())),
        repeats=[[(path, how) for path, how in slot] for slot in said.get("repeats", ())],
        sums=said.get("sums", {}),
        totals=Totals(sums=said.get("totals", {}), sizes=said.get("sizes", {})),
        sources={
            path: [(key, tool) for key, tool in places]
            for path, places in said.get("sources", {}).items()
        },
    )


def _slots(call: Call) -> tuple[float | None, ...]:
    return tuple(map(slot_number, call.error.slots)) if call.error is not None else ()


def _sums(call: Call) -> dict[str, float]:
    return {path: total for path, total in sums(call.arguments).items() if isfinite(total)}


def _is_telling(value: Any) -> bool:
    """Whether a value can be recognised: not null, true or false, nor nothing."""
    return not isinstance(value, bool) and value is not None and value != ""


def _object(texts: Mapping[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in texts.items()) + "}"

"""What an agent proposes a value for: a slot, which is a tool, a JSON pointer and a part.

The part says what of the value is compared. A date-time is compared by its time of day, as it
stands written: a preference for a meeting time shows whatever the date is, and whatever the
offset. Every other scalar is compared whole, as text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spanlore.analyzers.runs.json_paths import number

Part = Literal["value", "time_of_day"]

VALUE_CHARS_MAX = 80
SLOTS_MAX = 50  # of one call
DEPTH_MAX = 6
# What stands where a value was taken away, or replaced by something that is no slot's value.
NO_VALUE = ""

_TIME = re.compile(
    r"(?:\d{4}-\d{2}-\d{2}[T ])?(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)"
    r"(?::(?P<second>[0-5]\d)(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?"
)


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A tool's argument (``field`` is a JSON pointer), and the part of it that is compared."""

    tool: str
    field: str
    part: Part

    def json(self) -> dict[str, str]:
        """Return the slot as findings and lessons hold it."""
        return {"tool": self.tool, "field": self.field, "part": self.part}


def slot_of(value: Mapping[str, Any]) -> Slot:
    """Return the slot of its JSON. Raises KeyError, and ValueError for an unknown part."""
    part = value["part"]
    if part not in ("value", "time_of_day"):
        message = f"not a part of a value: {part!r}"
        raise ValueError(message)
    return Slot(str(value["tool"]), str(value["field"]), part)


def values_of(tool: str, arguments: Any) -> dict[Slot, str]:
    """Return the values that a call's arguments give to slots.

    Members of arrays, nulls, empty and long strings have none. At most ``SLOTS_MAX``.
    """
    found: dict[Slot, str] = {}
    for field, value in _scalars(arguments, "", DEPTH_MAX):
        part, text = part_and_text(value)
        if text != NO_VALUE:
            found[Slot(tool, field, part)] = text
        if len(found) == SLOTS_MAX:
            break
    return found


def part_and_text(value: Any) -> tuple[Part, str]:
    """Return how a value is compared, and the text it is compared by (``NO_VALUE`` if by none)."""
    if isinstance(value, str):
        text = value.strip()
        time = _TIME.fullmatch(text)
        if time:
            second = time["second"] or "00"
            clock = f"{int(time['hour']):02}:{time['minute']}"
            return "time_of_day", clock if second == "00" else f"{clock}:{second}"
        return "value", text if len(text) <= VALUE_CHARS_MAX else NO_VALUE
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or number(value) is not None:
        return "value", json.dumps(value)
    return "value", NO_VALUE


def said_value(text: str) -> Any:
    """Return the value that an event says: JSON, or a plain string that is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def pointer(field: str) -> str:
    """Return the JSON pointer that an event's field means; a bare name is one of the top."""
    return field if field.startswith("/") else f"/{_escaped(field)}"


def _scalars(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict) or depth == 0:
        return
    for key, inner in value.items():
        where = f"{path}/{_escaped(str(key))}"
        if isinstance(inner, dict):
            yield from _scalars(inner, where, depth - 1)
        elif not isinstance(inner, list):
            yield where, inner


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")

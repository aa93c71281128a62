"""Reading in plain words what an argument is to be: what a memory says, what a user asks for."""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["settings_in"]

_TIME = re.compile(r"\b\d{2}:\d{2}\b")
_NUMBER = re.compile(r"(?<![\w:.-])\d+(?![\w:.-])")
# What follows is not what is wanted: "14:00 instead of 09:30", "zoom, not meet".
_UNWANTED = re.compile(
    r"\b(?:instead of|rather than|in place of|and not|not|over)\s+\S+", re.IGNORECASE
)


def settings_in(
    text: str, properties: Mapping[str, Mapping[str, Any]], *, named: bool
) -> dict[str, str | int]:
    """Return argument -> value as far as a text says so.

    ``properties`` are the arguments' JSON Schemas. With ``named`` only arguments whose name stands
    in the text are set; otherwise a value that only one kind of argument can have is enough.
    """
    wanted = _UNWANTED.sub(" ", text)
    found: dict[str, str | int] = {}
    for name, schema in properties.items():
        if named and not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
            continue
        value = _value(wanted, schema)
        if value is not None:
            found[name] = value
    return found


def _value(text: str, schema: Mapping[str, Any]) -> str | int | None:
    """Return the first value in a text that an argument can have."""
    if "enum" in schema:
        words = re.findall(r"\w+", text)
        return next((word for word in words if word in schema["enum"]), None)
    if schema.get("type") == "integer":
        numbers = _NUMBER.findall(_TIME.sub(" ", text))
        return int(numbers[0]) if numbers else None
    if "HH:MM" in str(schema.get("description")):
        times = _TIME.findall(text)
        return times[0] if times else None
    return None

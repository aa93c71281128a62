"""The JSON schemas that answers are asked for and checked by: the part that all servers know.

Known keywords: ``type`` (one or a list), ``properties``, ``required``, ``additionalProperties``
(false), ``items``, ``enum``, ``description``, and the bounds ``minimum``, ``maximum``,
``maxLength``, ``minItems``, ``maxItems``. Every object must require all of its properties and
allow no other: a value that may be missing is said with the type "null".
"""

import math
from collections.abc import Mapping
from typing import Any

from spanlore.analyzers.runs.json_paths import number

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
# Servers that build answers by a schema do not all know these; we check them.
_BOUNDS = ("minimum", "maximum", "maxLength", "minItems", "maxItems")
_KNOWN = frozenset(
    ("type", "properties", "required", "additionalProperties", "items", "enum", "description")
) | frozenset(_BOUNDS)
_SHOWN_CHARACTERS = 60


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise ValueError, saying where, when a schema is not an object's or uses other keywords."""
    if schema.get("type") != "object":
        raise ValueError("the schema of an answer must be that of an object")
    _check(schema, "")


def without_bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema as it is sent: every server knows what is left."""
    kept = {name: value for name, value in schema.items() if name not in _BOUNDS}
    if "properties" in kept:
        kept["properties"] = {name: without_bounds(one) for name, one in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = without_bounds(kept["items"])
    return kept


def misfit(value: Any, schema: Mapping[str, Any], place: str = "") -> str | None:
    """Return the first thing in which a value does not fit its schema, None when it fits."""
    here = place or "the answer"
    if not _is_of_type(value, schema):
        return f"{here} is {_shown(value)}, not {_types_text(schema)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{here} is {_shown(value)}, not one of {', '.join(map(str, schema['enum']))}"
    return _within_misfit(value, schema, place)


def _check(schema: Mapping[str, Any], place: str) -> None:
    here = place or "the schema"
    if unknown := set(schema) - _KNOWN:
        raise ValueError(f"{here} uses {', '.join(sorted(unknown))}, which is not supported")
    if not set(_named_types(schema)) <= set(_TYPES) or not _named_types(schema):
        raise ValueError(f"{here} must name its type: one or more of {', '.join(_TYPES)}")
    if "object" in _named_types(schema):
        properties = schema.get("properties", {})
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(properties):
            raise ValueError(
                f"{here} must require all its properties and set additionalProperties to false"
            )
        for name, one in properties.items():
            _check(one, f"{place}/{name}")
    if "array" in _named_types(schema):
        _check(schema.get("items", {}), f"{place}/items")


def _within_misfit(value: Any, schema: Mapping[str, Any], place: str) -> str | None:
    here = place or "the answer"
    match value:
        case dict():
            return _object_misfit(value, schema, place)
        case list():
            return _list_misfit(value, schema, place)
        case str() if len(value) > schema.get("maxLength", math.inf):
            return f"{here} is longer than {schema['maxLength']} characters"
        case int() | float() if not (isinstance(value, bool) or _within(value, schema)):
            return f"{here} is {value}, out of its bounds"
    return None


def _object_misfit(value: dict[str, Any], schema: Mapping[str, Any], place: str) -> str | None:
    properties = schema["properties"]
    if missing := set(properties) - set(value):
        return f"{place or 'the answer'} lacks {', '.join(sorted(missing))}"
    if more := set(value) - set(properties):
        return f"{place or 'the answer'} has {_shown(', '.join(sorted(more)))}, which is not asked"
    found = (misfit(value[name], properties[name], f"{place}/{name}") for name in properties)
    return next((one for one in found if one is not None), None)


def _list_misfit(value: list[Any], schema: Mapping[str, Any], place: str) -> str | None:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
        return f"{place or 'the answer'} has {len(value)} items, out of its bounds"
    found = (misfit(one, schema["items"], f"{place}/{at}") for at, one in enumerate(value))
    return next((one for one in found if one is not None), None)


def _is_of_type(value: Any, schema: Mapping[str, Any]) -> bool:
    if isinstance(value, bool):  # which Python takes for an integer
        return "boolean" in _named_types(schema)
    return any(isinstance(value, _TYPES[name]) for name in _named_types(schema))


def _named_types(schema: Mapping[str, Any]) -> list[str]:
    named = schema.get("type", [])
    return [named] if isinstance(named, str) else list(named)


def _within(value: float, schema: Mapping[str, Any]) -> bool:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    return number(value) is not None and bool(low <= value <= high)


def _types_text(schema: Mapping[str, Any]) -> str:
    return " or ".join(_named_types(schema))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."

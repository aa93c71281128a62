"""What a tool says it wants: the JSON Schema of its arguments, in the forms seen in the wild."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_DEPTH_MAX = 12


@dataclass(frozen=True, slots=True)
class WantedKeys:
    """The keys an object argument must and may have; ``types`` maps a key to its declared type."""

    required: frozenset[str]
    known: frozenset[str]
    types: Mapping[str, str] = field(default_factory=dict)


def tool_of(entry: Any) -> Mapping[str, Any] | None:
    """Return the object that holds name, description and parameters of one definition.

    Reads ``{"type": "function", "function": {...}}`` and the plain ``{"name", "parameters"}``;
    None for anything else.
    """
    if not isinstance(entry, dict):
        return None
    inner = entry.get("function", entry)
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        return None
    return inner if isinstance(schema_of(inner), dict) else None


def schema_of(tool: Mapping[str, Any]) -> Any:
    """Return a tool's argument schema: ``parameters``, or ``input_schema``, or ``inputSchema``."""
    for key in ("parameters", "input_schema", "inputSchema"):
        if key in tool:
            return tool[key]
    return None


def wanted_keys(definitions: Iterable[Any]) -> dict[str, dict[str, WantedKeys]]:
    """Return tool name -> object path -> its keys, from lists of tool definitions.

    Where definitions of one tool differ, a key is required only if all of them require it, and
    has a type only if they give the same.
    """
    wanted: dict[str, dict[str, WantedKeys]] = {}
    for entries in definitions:
        for tool in filter(None, map(tool_of, entries if isinstance(entries, list) else [])):
            paths = wanted.setdefault(tool["name"], {})
            for path, keys in _objects(schema_of(tool), "", 0):
                paths[path] = _both(paths.get(path, keys), keys)
    return wanted


def _both(one: WantedKeys, other: WantedKeys) -> WantedKeys:
    return WantedKeys(
        one.required & other.required,
        one.known | other.known,
        {key: kind for key, kind in one.types.items() if other.types.get(key) == kind},
    )


def _objects(schema: Any, path: str, depth: int) -> Iterator[tuple[str, WantedKeys]]:
    if not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return
    properties = schema.get("properties")
    if isinstance(properties, dict):
        required = schema.get("required")
        names = required if isinstance(required, list) else []
        types = {
            key: inner["type"]
            for key, inner in properties.items()
            if isinstance(inner, dict) and isinstance(inner.get("type"), str)
        }
        yield path, WantedKeys(frozenset(map(str, names)), frozenset(properties), types)
        for name, inner in properties.items():
            yield from _objects(inner, f"{path}.{name}" if path else name, depth + 1)
    if "items" in schema:
        yield from _objects(schema["items"], f"{path}[]", depth + 1)

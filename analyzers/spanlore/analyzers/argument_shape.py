"""The shape of a call's arguments: what can be said of them without knowing what they mean."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spanlore.analyzers.calls import Call
from spanlore.analyzers.json_paths import arrays, nodes, objects
from spanlore.analyzers.tool_schema import WantedKeys

ShapeKind = Literal["lacks", "extra", "absent", "type", "format", "value", "size"]
VALUES_MAX = 8
_SUCCEEDING_CALLS_MIN = 5
_FORMATS = (
    ("empty", re.compile(r"")),
    ("number in quotes", re.compile(r"[-+]?\d+(?:\.\d+)?")),
    ("date", re.compile(r"\d{4}-\d{2}-\d{2}")),
    ("date and time", re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")),
    ("e-mail", re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")),
    ("JSON in quotes", re.compile(r"[\[{].*[\]}]", re.DOTALL)),
    ("identifier", re.compile(r"[\w.-]*\d[\w.-]*")),
    ("word", re.compile(r"[^\W\d]\S*")),
)


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """One thing said of the arguments: at a path, of a kind, with the value it has there."""

    path: str
    kind: ShapeKind
    value: str

    @property
    def words(self) -> str:
        """Say it in a phrase that follows "calls where"."""
        where = f"`{self.path}`" if self.path else "the argument object"
        return {
            "lacks": f"{where} lacks a required key",
            "extra": f"{where} has a key that the definition does not know",
            "absent": f"{where} is left out",
            "type": f"{where} is of type {self.value}",
            "format": f"{where} looks like: {self.value}",
            "value": f"{where} is {self.value!r}",
            "size": f"{where} has {self.value} item{'' if self.value == '1' else 's'}",
        }[self.kind]


@dataclass(frozen=True, slots=True)
class ToolKeys:
    """What is known of one tool's argument objects: wanted keys, and enum-like value sets."""

    wanted: Mapping[str, WantedKeys]
    from_definition: bool
    paths: frozenset[str]
    values: Mapping[str, frozenset[str]]


def tool_keys(calls: Iterable[Call], defined: Mapping[str, WantedKeys] | None) -> ToolKeys:
    """Learn from a tool's calls what its arguments usually look like.

    Without a definition a key counts as required when every succeeding call has it (at least
    five succeeding calls with such an object).
    """
    several = list(calls)
    texts: dict[str, set[str]] = {}
    paths: set[str] = set()
    for call in several:
        for path, value in nodes(call.arguments):
            paths.add(path)
            if isinstance(value, str) and len(texts.setdefault(path, set())) <= VALUES_MAX:
                texts[path].add(value)
    return ToolKeys(
        wanted=defined if defined is not None else _keys_of_successes(several),
        from_definition=defined is not None,
        paths=frozenset(paths),
        values={path: frozenset(seen) for path, seen in texts.items() if len(seen) <= VALUES_MAX},
    )


def shapes_of(arguments: Any, keys: ToolKeys) -> frozenset[Shape]:
    """Return everything that is said of one call's arguments; none when they are no object."""
    if not isinstance(arguments, dict):
        return frozenset()
    found: set[Shape] = set(_key_shapes(arguments, keys))
    present = set()
    for path, value in nodes(arguments):
        present.add(path)
        found.add(Shape(path, "type", json_type_name(value)))
        if isinstance(value, str):
            found.add(Shape(path, "format", format_name(value)))
            if path in keys.values and format_name(value) == "word":
                found.add(Shape(path, "value", value[:60]))
    for path, items in arrays(arguments):
        found.add(Shape(path, "size", "no" if not items else "1" if len(items) == 1 else "several"))
    found.update(
        Shape(path, "absent", "") for path in keys.paths - present if _parent(path) in present
    )
    return frozenset(found)


def missing_keys(arguments: Any, path: str, keys: ToolKeys) -> Iterator[tuple[set[str], set[str]]]:
    """Yield (missing required, present but unknown) keys of each object at the path."""
    wanted = keys.wanted.get(path)
    for where, one in objects(arguments):
        if where == path and wanted is not None and wanted.required - one.keys():
            yield set(wanted.required - one.keys()), set(one.keys() - wanted.known)


def _key_shapes(arguments: Any, keys: ToolKeys) -> Iterator[Shape]:
    for path, one in objects(arguments):
        wanted = keys.wanted.get(path)
        if wanted is None:
            continue
        if wanted.required - one.keys():
            yield Shape(path, "lacks", "")
        if keys.from_definition and one.keys() - wanted.known:
            yield Shape(path, "extra", "")


def _keys_of_successes(calls: Iterable[Call]) -> dict[str, WantedKeys]:
    seen: Counter[str] = Counter()
    always: dict[str, frozenset[str]] = {}
    known: dict[str, frozenset[str]] = {}
    for call in calls:
        if call.error is not None:
            continue
        for path, one in objects(call.arguments):
            seen[path] += 1
            always[path] = always.get(path, frozenset(one)) & frozenset(one)
            known[path] = known.get(path, frozenset()) | frozenset(one)
    return {
        path: WantedKeys(always[path], known[path])
        for path, times in seen.items()
        if times >= _SUCCEEDING_CALLS_MIN
    }


def format_name(text: str) -> str:
    """Name the form of a text: date, e-mail, number in quotes, ..."""
    for name, pattern in _FORMATS:
        if pattern.fullmatch(text):
            return name
    return "text"


def _parent(path: str) -> str:
    head, _, _ = path.rpartition(".")
    return head


def json_type_name(value: Any) -> str:
    """Name the JSON type of a value; whole numbers are numbers."""
    names = {bool: "boolean", str: "string", dict: "object", list: "array", type(None): "null"}
    return names.get(type(value), "number")

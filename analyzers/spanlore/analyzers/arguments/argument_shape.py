"""The shape of a call's arguments: what can be said of them without knowing what they mean."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spanlore.analyzers.runs.json_paths import arrays, nodes, objects
from spanlore.analyzers.runs.tool_schema import WantedKeys

ShapeKind = Literal["lacks", "extra", "absent", "type", "format", "value", "size"]
_SUCCEEDING_CALLS_MIN = 5


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
    """What is known of one tool's argument objects: wanted keys, and paths often given."""

    wanted: Mapping[str, WantedKeys]
    from_definition: bool
    paths: frozenset[str]


def shapes_of(form: Any, keys: ToolKeys) -> frozenset[Shape]:
    """Return everything that the form of a call's arguments says; nothing when it is no object."""
    if not isinstance(form, dict):
        return frozenset()
    found: set[Shape] = set(_key_shapes(form, keys))
    present = set()
    for path, value in nodes(form):
        present.add(path)
        found.add(Shape(path, "type", json_type_name(value)))
        if isinstance(value, str):
            found.add(Shape(path, "format", value))
    for path, items in arrays(form):
        found.add(Shape(path, "size", "no" if not items else "1" if len(items) == 1 else "several"))
    found.update(
        Shape(path, "absent", "") for path in keys.paths - present if _parent(path) in present
    )
    return frozenset(found)


def missing_keys(form: Any, path: str, keys: ToolKeys) -> Iterator[tuple[set[str], set[str]]]:
    """Yield (missing required, present but unknown) keys of each object at the path."""
    wanted = keys.wanted.get(path)
    for where, one in objects(form):
        if where == path and wanted is not None and wanted.required - one.keys():
            yield set(wanted.required - one.keys()), set(one.keys() - wanted.known)


def keys_of_successes(forms: Iterable[tuple[Any, int]]) -> dict[str, WantedKeys]:
    """Learn which keys are required: those that every succeeding call has.

    ``forms`` are the forms of succeeding calls, each with how many there are; of an object, at
    least five such calls must be known.
    """
    seen: dict[str, int] = {}
    always: dict[str, frozenset[str]] = {}
    known: dict[str, frozenset[str]] = {}
    for form, calls in forms:
        at: set[str] = set()
        for path, one in objects(form):
            at.add(path)
            always[path] = always.get(path, frozenset(one)) & frozenset(one)
            known[path] = known.get(path, frozenset()) | frozenset(one)
        for path in at:
            seen[path] = seen.get(path, 0) + calls
    return {
        path: WantedKeys(always[path], known[path])
        for path, calls in seen.items()
        if calls >= _SUCCEEDING_CALLS_MIN
    }


def paths_given(forms: Iterable[tuple[Any, int]], *, paths_max: int) -> frozenset[str]:
    """Return the paths that most calls give; ``forms`` as for ``keys_of_successes``."""
    given: dict[str, int] = {}
    for form, calls in forms:
        for path in {path for path, _ in nodes(form)}:
            given[path] = given.get(path, 0) + calls
    return frozenset(sorted(given, key=lambda path: (-given[path], path))[:paths_max])


def json_type_name(value: Any) -> str:
    """Name the JSON type of a value; whole numbers are numbers."""
    names = {bool: "boolean", str: "string", dict: "object", list: "array", type(None): "null"}
    return names.get(type(value), "number")


def _key_shapes(form: Any, keys: ToolKeys) -> Iterator[Shape]:
    for path, one in objects(form):
        wanted = keys.wanted.get(path)
        if wanted is None:
            continue
        if wanted.required - one.keys():
            yield Shape(path, "lacks", "")
        if keys.from_definition and one.keys() - wanted.known:
            yield Shape(path, "extra", "")


def _parent(path: str) -> str:
    head, _, _ = path.rpartition(".")
    return head

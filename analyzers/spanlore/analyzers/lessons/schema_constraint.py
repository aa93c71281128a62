"""The keyword of JSON Schema that would have told of a fault before the call.

It is chosen by what the calls of the discovery half give (``tool_argument_misuse``), never by
those that its gate scores it on, and only where hardly any good call breaks it: a schema refuses
where a sentence only advises.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from spanlore.analyzers.lessons.tool_rule import USUAL_CALLS_MIN, better_format, better_type

Keyword = Literal["type", "required", "format", "pattern", "minLength"]
# Of the good calls, as many as the gate lets a rule block (``replay_gate``).
GOOD_BROKEN_SHARE_MAX = 0.05
# A schema that is put together of others, or names its values, is left to its author.
_COMPOSED: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not", "const", "enum"})
_FORMATS: Final[Mapping[str, tuple[Keyword, str]]] = {
    "date": ("format", "date"),
    "e-mail": ("format", "email"),
    # JSON Schema's "date-time" wants seconds and an offset, which these texts need not have.
    "date and time": ("pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}"),
    "number in quotes": ("pattern", "^[-+]?[0-9]+([.][0-9]+)?$"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A keyword for what stands at a path of a tool's arguments ("" for all of them).

    ``instead_of`` is the type that failing calls give: a definition that declares it is wrong.
    """

    path: str
    keyword: Keyword
    value: Any
    instead_of: str | None = None

    def predicate(self, *, in_patch: bool) -> dict[str, Any]:
        """Return it as a predicate over calls (``predicate.broken``)."""
        said = asdict(self)
        del said["instead_of"]
        return {"kind": "schema", **said, "in_patch": in_patch}


def constraint_of(detail: Mapping[str, Any]) -> Constraint | None:
    """Return the constraint that a finding's shape speaks for, None where none is sound."""
    if detail.get("kind") != "shape":
        return None
    # A finding counted before there were halves to choose by has but the one count.
    good = detail.get("good_calls_to_choose_by") or detail["good_calls"]
    if good["calls"] < USUAL_CALLS_MIN:
        return None
    if good["calls_with_shape"] > GOOD_BROKEN_SHARE_MAX * good["calls"]:
        return None
    path, kind, bad = (detail["shape"][name] for name in ("path", "kind", "value"))
    if kind == "lacks":
        return Constraint(path=path, keyword="required", value=sorted(detail["keys"]["missing"]))
    if kind == "absent":
        parent, _, key = path.rpartition(".")
        whole = not key.endswith("[]")  # else an empty list was sent, not none
        return Constraint(path=parent, keyword="required", value=[key]) if whole else None
    return next(_of_value(path, kind, bad=bad, good=good), None)


def _of_value(path: str, kind: str, *, bad: str, good: Mapping[str, Any]) -> Iterator[Constraint]:
    """Yield what can be said of the value at a path, the most telling first."""
    if good["calls_with_argument"] < USUAL_CALLS_MIN:
        return
    form = better_format(good, bad) if kind == "format" else None
    if form is not None:
        keyword, value = _FORMATS.get(form, (None, None))
        if keyword is not None and _others(good["calls_by_format"], {form}) <= _allowed(good):
            yield Constraint(path=path, keyword=keyword, value=value)
    elif (name := better_type(good, kind, bad)) is not None:
        kept = {name, "integer"} if name == "number" else {name}
        if _others(good["calls_by_type"], kept) <= _allowed(good):
            wrong = "string" if kind == "format" else bad
            yield Constraint(path=path, keyword="type", value=name, instead_of=wrong)
    if kind == "format" and bad == "empty":
        yield Constraint(path=path, keyword="minLength", value=1)


def _others(counts: Mapping[str, int], kept: set[str]) -> int:
    return sum(number for name, number in counts.items() if name not in kept)


def _allowed(good: Mapping[str, Any]) -> int:
    """Return how many good calls may break it: those few that have the bad shape."""
    return int(good["calls_with_shape"])


def lacking(schema: Mapping[str, Any], constraint: Constraint) -> Any:
    """Return the value that a schema lacks for the constraint, None where nothing is to add.

    For ``required`` these are the keys that it knows and does not require yet.
    """
    keyword, value = constraint.keyword, constraint.value
    if not _COMPOSED.isdisjoint(schema):
        return None
    if keyword == "required":
        properties, required = schema.get("properties"), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            return None
        return [key for key in value if key in properties and key not in required] or None
    if keyword == "type":
        wrong = constraint.instead_of
        return value if schema.get("type", wrong) == wrong else None
    return value if keyword not in schema and schema.get("type", "string") == "string" else None

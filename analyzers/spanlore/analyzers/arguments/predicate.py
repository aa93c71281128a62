"""What a call must hold to be right, as data that can be executed before the call is made.

A predicate is plain JSON, as it stands in a lesson's content. It looks at a call's arguments and,
where it needs them, at what earlier calls returned; never at what the call itself ended in.

* ``{"kind": "schema", "path", "keyword", "value", "in_patch"}``: the keyword of JSON Schema holds
  for every value at the path (``in_patch``: the lesson's patch puts it into the definition);
* ``{"kind": "total", "path", "formula": {"array", "number_key", "times"}}``: the sum at the path
  is what earlier outputs imply (``derived_total``).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from spanlore.analyzers.arguments.derived_total import Formula, TotalRule
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.json_paths import nodes

# What the formats that we write mean here; JSON Schema leaves it to the validator.
_FORMATS: Final = {
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
}
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
_Predicate = Mapping[str, Any]


def broken(predicate: _Predicate, call: Call, earlier: Sequence[Call]) -> bool | None:
    """Whether the call breaks the predicate; None when that cannot be checked.

    ``earlier`` are the calls before it in its run, oldest first. Raises ValueError for a
    predicate of an unknown kind or keyword.
    """
    if not isinstance(call.arguments, dict):
        return None
    if predicate["kind"] == "total":
        rule = TotalRule(predicate["path"], Formula(**predicate["formula"]))
        return rule.broken(call, earlier)
    if predicate["kind"] != "schema":
        message = f"a predicate of an unknown kind: {predicate['kind']!r}"
        raise ValueError(message)
    values = [value for where, value in nodes(call.arguments) if where == predicate["path"]]
    return not all(holds(predicate["keyword"], predicate["value"], value) for value in values)


def holds(keyword: str, wanted: Any, value: Any) -> bool:
    """Whether a value keeps a keyword of JSON Schema (2020-12), one of those that we write.

    As there, a keyword about texts says nothing of what is no text, nor one about objects of
    what is none. Raises ValueError for any other keyword.
    """
    match keyword:
        case "type":
            return _is(value, str(wanted))
        case "required":
            return not isinstance(value, dict) or all(key in value for key in wanted)
        case "minLength":
            return not isinstance(value, str) or len(value) >= wanted
        case "pattern":
            return not isinstance(value, str) or re.search(wanted, value) is not None
        case "format":
            form = _FORMATS[wanted]
            return not isinstance(value, str) or form.fullmatch(value) is not None
        case _:
            message = f"a keyword that no lesson writes: {keyword!r}"
            raise ValueError(message)


def _is(value: Any, name: str) -> bool:
    """Whether a value is of a JSON type: 1.0 is an integer, true is no number."""
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def says_so(predicate: _Predicate, schema: Any) -> bool:
    """Whether a tool's argument schema holds the keyword of a predicate of the kind "schema"."""
    for step in predicate["path"].replace("[]", ".[]").lstrip(".").split("."):
        if step == "[]":
            schema = schema.get("items") if isinstance(schema, dict) else None
        elif step:
            known = schema.get("properties") if isinstance(schema, dict) else None
            schema = known.get(step) if isinstance(known, dict) else None
    if not isinstance(schema, dict):
        return False
    said, wanted = schema.get(predicate["keyword"]), predicate["value"]
    if predicate["keyword"] == "required":
        return isinstance(said, list) and all(key in said for key in wanted)
    return bool(said == wanted)

"""What the calls that succeed give where others fail: the better way, from counted evidence."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from spanlore.analyzers.arguments.argument_shape import ToolKeys
from spanlore.analyzers.runs.json_paths import nodes

_TYPES = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
    type(None): "null",
}


def good_values(forms: Iterable[tuple[Any, int]], path: str, keys: ToolKeys) -> dict[str, Any]:
    """Count the succeeding calls that give a value at a path, by its JSON type and text form.

    ``forms`` are the forms of succeeding calls, each with how many there are. ``declared_type``
    is what the tool's definition says, None where it does not. An array's items have one path: a
    call counts once for each type that stands there.
    """
    given = 0
    types: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    for form, calls in forms:
        values = [value for where, value in nodes(form) if where == path]
        given += calls if values else 0
        for name in {_TYPES[type(value)] for value in values}:
            types[name] += calls
        for name in {value for value in values if isinstance(value, str)}:
            formats[name] += calls
    parent, _, key = path.rpartition(".")
    wanted = keys.wanted.get(parent)
    return {
        "calls_with_argument": given,
        "calls_by_type": dict(sorted(types.items())),
        "calls_by_format": dict(sorted(formats.items())),
        "declared_type": wanted.types.get(key) if wanted else None,
    }

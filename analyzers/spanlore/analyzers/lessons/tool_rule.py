"""The sentence about a finding that goes into a tool's definition.

It is one of a few of ours, filled with argument paths, types and names of tools, and with at most
the constant words of an error text in quotation marks. Counts stay out of it: a model that reads
the definition needs the rule.
"""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from spanlore.analyzers.arguments.tool_failure import usual_template
from spanlore.analyzers.runs.quoted_text import quoted, refusal

USUAL_SHARE_MIN = 0.9
USUAL_CALLS_MIN = 5
_PLAIN_NAME = re.compile(r"[\w.:/\[\]-]{1,120}")
_TYPES = {
    "integer": "a whole number (an integer)",
    "number": "a number",
    "string": "text (a string)",
    "boolean": "true or false (a boolean)",
    "object": "an object",
    "array": "a list (an array)",
    "null": "null",
}
_FORMATS = {
    "empty": "empty text",
    "number in quotes": "a number in quotes",
    "date": "a date (YYYY-MM-DD)",
    "date and time": "a date and time (YYYY-MM-DDTHH:MM)",
    "e-mail": "an e-mail address",
    "JSON in quotes": "JSON in quotes",
    "identifier": "an identifier",
    "word": "a word",
    "text": "several words",
}


def tells_what_to_do(detail: Mapping[str, Any]) -> bool:
    """Whether a rule can be worded.

    A value or a size that fails more often is no rule yet, nor is a shape that most of the
    calls that succeed have as well.
    """
    if detail.get("kind") == "shape":
        good = detail["good_calls"]
        rare = 2 * good["calls_with_shape"] <= good["calls"]
        return rare and detail["shape"]["kind"] in ("lacks", "absent", "type", "format")
    return detail.get("kind") == "template"


def unfit(detail: Mapping[str, Any]) -> str | None:
    """Return what in the trace's text forbids building on it, None when nothing does.

    A rule about a shape rests on the arguments: it goes without an error text not to be quoted.
    """
    if detail["kind"] == "template" and (found := refusal(str(detail["template"]))) is not None:
        return f"the error text holds {found}"
    names = [str(detail["tool"]), *detail.get("arguments", ()), *_shape_names(detail)]
    if any(not _PLAIN_NAME.fullmatch(name) for name in names):
        return "the name of the tool or of an argument is no plain name"
    return None


def rule_of(detail: Mapping[str, Any]) -> str:
    """Word the rule for the tool's definition. The detail must be one that ``unfit`` passes."""
    if detail["kind"] == "shape":
        return _shape_rule(detail) + _failure_of_shape(detail)
    said, rule = quoted(str(detail["template"])), detail.get("rule")
    if rule:
        what = f"sum of {rule['path']}" if rule["how"] == "sum" else rule["path"]
        return (
            f"The {what} must {rule['relation']} the '{rule['wanted']}'; work it out before the "
            f"call, which otherwise fails with {said}."
        )
    arguments = detail.get("arguments") or []
    if arguments:
        return f"Check {_listed(arguments)} before the call, or it fails with {said}."
    return f"Make sure before the call that it cannot fail with {said}."


def argument_of(detail: Mapping[str, Any]) -> str:
    """Return the path of the one argument the rule is about, "" for the whole tool."""
    if detail["kind"] == "shape":
        return str(detail["shape"]["path"])
    if detail.get("rule"):
        return str(detail["rule"]["path"])
    arguments = detail.get("arguments") or []
    return str(arguments[0]) if len(arguments) == 1 else ""


def _shape_names(detail: Mapping[str, Any]) -> list[str]:
    if "shape" not in detail:
        return []
    keys = detail.get("keys") or {}
    return [detail["shape"]["path"] or "arguments", *keys.get("missing", ())] + [
        name
        for key, seen in (keys.get("instead") or {}).items()
        for name in (key, *seen["returned_by"])
    ]


def _shape_rule(detail: Mapping[str, Any]) -> str:
    shape = detail["shape"]
    path = f"`{shape['path']}`" if shape["path"] else "the arguments"
    if shape["kind"] == "absent":
        return f"Always give {path}."
    if shape["kind"] == "lacks":
        return " ".join((_required(detail), *_renamed(detail["keys"])))
    names = _TYPES if shape["kind"] == "type" else _FORMATS
    bad = names[shape["value"]]
    good = _better(detail["good_calls"], shape["kind"], shape["value"])
    return f"Give {path} as {good}, not as {bad}." if good else f"Do not give {path} as {bad}."


def _required(detail: Mapping[str, Any]) -> str:
    path, missing = detail["shape"]["path"], list(detail["keys"]["missing"])
    where = ""
    if path.endswith("[]"):
        where = f" in every item of `{path[:-2]}`"
    elif path:
        where = f" in `{path}`"
    return f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} required{where}."


def _renamed(keys: Mapping[str, Any]) -> Iterable[str]:
    """Say where what was sent under a wrong key belongs, as far as good calls show it."""
    for key, seen in keys["instead"].items():
        tools = " and ".join(seen["returned_by"])
        verb = "returns" if len(seen["returned_by"]) == 1 else "return"
        place = keys["belongs_in"].get(key)
        if place:
            yield (f"Pass what {tools} {verb} as `{key}` in `{place['key']}`; do not send `{key}`.")
        else:
            yield f"Do not send `{key}`, which is what {tools} {verb}."


def _better(good: Mapping[str, Any], kind: str, bad: str) -> str | None:
    if kind == "format" and (usual_format := better_format(good, bad)) is not None:
        return _FORMATS[usual_format]
    name = better_type(good, kind, bad)
    return _TYPES[name] if name else None


def better_format(good: Mapping[str, Any], bad: str) -> str | None:
    """Name the form that nearly all good calls give their text in, other than the bad one."""
    return _usual(good["calls_by_format"], {bad})


def better_type(good: Mapping[str, Any], kind: str, bad: str) -> str | None:
    """Name the type that is declared, or that nearly all good calls without the bad form give."""
    worse = {"string"} if kind == "format" else {bad}
    if bad == "number":
        worse.add("integer")
    declared = good["declared_type"]
    return declared if declared in _TYPES.keys() - worse else _usual(good["calls_by_type"], worse)


def _usual(counts: Mapping[str, int], without: AbstractSet[str]) -> str | None:
    """Return what nearly all give of those that do not give what is to be left out."""
    left = {name: number for name, number in counts.items() if name not in without}
    given = sum(left.values())
    name = max(sorted(left), key=lambda one: left[one], default=None)
    if name is None or given < USUAL_CALLS_MIN or left[name] < USUAL_SHARE_MIN * given:
        return None
    return name


def _failure_of_shape(detail: Mapping[str, Any]) -> str:
    """Quote how such calls fail, where nearly all of them fail with one text fit to be quoted."""
    template = usual_template(detail)
    if template is None or refusal(template):
        return ""
    return f" Otherwise the call fails with {quoted(template)}."


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)

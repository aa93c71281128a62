"""Which failing calls a lesson is about: recognised again in runs that come later.

What recognises them is plain JSON without counts, as it stands in a lesson's content:
``{"template": text}`` or ``{"template_sha256": hex}`` (an error text unfit to be shown) for the
error text, ``{"shape": {"path", "kind", "value"}, "missing": [keys]}`` for the arguments.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from spanlore.analyzers.arguments.argument_form import format_name
from spanlore.analyzers.arguments.argument_shape import json_type_name
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.json_paths import nodes, objects
from spanlore.analyzers.runs.quoted_text import refusal

SAME_FAILURE_SHARE_MIN = 0.8
Failure = Mapping[str, Any]


def failure_of(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return what recognises the failing calls of a finding."""
    template = str(detail["template"]) if "template" in detail else usual_template(detail)
    failure: dict[str, Any] = {}
    if template is not None and refusal(template) is None:
        failure["template"] = template
    elif template is not None:
        failure["template_sha256"] = _digest(template)
    if detail["kind"] == "shape":
        failure["shape"] = dict(detail["shape"])
        if detail["shape"]["kind"] == "lacks":
            failure["missing"] = sorted(detail["keys"]["missing"])
    return failure


def usual_template(detail: Mapping[str, Any]) -> str | None:
    """Return the error text that nearly all failing calls of a shape end in, None for several."""
    clusters = detail.get("clusters") or []
    failing = sum(one["k"] for one in clusters)
    if not clusters or clusters[0]["k"] < SAME_FAILURE_SHARE_MIN * failing:
        return None
    return str(clusters[0]["template"])


def failed_so(failure: Failure, call: Call) -> bool:
    """Whether a call failed with that error text, or failed and has that shape."""
    if call.error is None:
        return False
    return _says_so(failure, call) or _is_shaped_so(failure, call)


def fails_as_told(failure: Failure, call: Call) -> bool:
    """Whether a call failed the way the tool tells it: with that error text, else in any way.

    Nothing of the arguments is looked at: what is to be covered must not be what covers it.
    """
    if call.error is None:
        return False
    return not failure.keys() & {"template", "template_sha256"} or _says_so(failure, call)


def _says_so(failure: Failure, call: Call) -> bool:
    if call.error is None:
        return False
    if "template" in failure:
        return bool(call.error.text == failure["template"])
    return _digest(call.error.text) == failure.get("template_sha256")


def _is_shaped_so(failure: Failure, call: Call) -> bool:
    shape = failure.get("shape")
    if shape is None or not isinstance(call.arguments, dict):
        return False
    path, kind, wanted = shape["path"], shape["kind"], shape["value"]
    if kind == "lacks":
        missing = frozenset(failure["missing"])
        found = (one for where, one in objects(call.arguments) if where == path)
        return any(missing - one.keys() for one in found)
    values = [value for where, value in nodes(call.arguments) if where == path]
    if kind == "absent":
        parent = path.rpartition(".")[0]
        return not values and any(where == parent for where, _ in nodes(call.arguments))
    if kind == "type":
        return any(json_type_name(value) == wanted for value in values)
    return any(isinstance(value, str) and format_name(value) == wanted for value in values)


def _digest(template: str) -> str:
    return hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()

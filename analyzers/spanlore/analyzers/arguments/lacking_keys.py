"""Which required keys are missing, and under which other name their value was sent."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spanlore.analyzers.arguments.argument_shape import ToolKeys, missing_keys
from spanlore.analyzers.arguments.tool_calls import ToolCalls
from spanlore.analyzers.runs.json_paths import nodes

BELONGS_CALLS_MIN = 5
BELONGS_SHARE_MIN = 0.5


def lacking_keys(tool: ToolCalls, path: str, keys: ToolKeys) -> dict[str, Any]:
    """Name what is missing at a path in the calls that lack a required key, with counts of calls.

    ``instead`` are keys that the tool does not know and that hold what an earlier tool returned
    under that very key. ``belongs_in`` says where succeeding calls put such a value: in at least
    5 of them, and in half of those that give that key.
    """
    at_form = [_missing(form, path, keys) for form in tool.forms]
    missing: dict[str, int] = {}
    for form, (lacking, _) in enumerate(at_form):
        for key in lacking:
            missing[key] = missing.get(key, 0) + int(np.sum(tool.form == form))
    sent: dict[str, set[int]] = {}
    returned_by: dict[str, set[str]] = {}
    for call, sources in _sources(tool) if missing else ():
        form = tool.form[call]
        for key in at_form[form][1] if form >= 0 else ():
            if tools := {name for last, name in sources.get(_at(path, key), ()) if last == key}:
                sent.setdefault(key, set()).add(call)
                returned_by.setdefault(key, set()).update(tools)
    return {
        "missing": dict(sorted(missing.items())),
        "instead": {
            key: {"calls": len(sent[key]), "returned_by": sorted(returned_by[key])}
            for key in sorted(sent)
        },
        "belongs_in": _belongs_in(tool, path, wrong=sorted(sent), missing=sorted(missing)),
    }


def _belongs_in(
    tool: ToolCalls, path: str, *, wrong: list[str], missing: list[str]
) -> dict[str, dict[str, Any]]:
    """Return wrong key -> the missing key under which good calls send what was returned as it."""
    if not wrong:
        return {}
    good = ~tool.failed
    given = {
        key: sum(
            calls
            for form, calls in tool.forms_of(good)
            if any(where == _at(path, key) and _is_scalar(one) for where, one in nodes(form))
        )
        for key in missing
    }
    same = dict.fromkeys(((bad, key) for bad in wrong for key in missing), 0)
    for call, sources in _sources(tool):
        for key in missing if good[call] else ():
            lasts = {last for last, _ in sources.get(_at(path, key), ())}
            for bad in lasts.intersection(wrong):
                same[bad, key] += 1
    found = {}
    for bad in wrong:
        key = max(missing, key=lambda one: same[bad, one])
        enough = same[bad, key] >= max(BELONGS_CALLS_MIN, BELONGS_SHARE_MIN * given[key])
        if enough:
            found[bad] = {
                "key": key,
                "good_calls": same[bad, key],
                "good_calls_with_key": given[key],
            }
    return found


def _missing(form: Any, path: str, keys: ToolKeys) -> tuple[frozenset[str], frozenset[str]]:
    """Return all that is missing at a path of a form, and what stands there and is not known."""
    found = list(missing_keys(form, path, keys))
    return (
        frozenset().union(*(lacking for lacking, _ in found)),
        frozenset().union(*(unknown for _, unknown in found)),
    )


def _sources(tool: ToolCalls) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for call, one in tool.particulars("source", failing=False):
        yield call, one.sources


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key

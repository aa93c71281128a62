"""Which required keys are missing, and under which other name their value was sent."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from spanlore.analyzers.argument_shape import ToolKeys, missing_keys
from spanlore.analyzers.calls import Call, parsed
from spanlore.analyzers.json_paths import scalars

BELONGS_CALLS_MIN = 5
BELONGS_SHARE_MIN = 0.5
Earlier = Mapping[str, Sequence[Call]]


def lacking_keys(
    calls: Sequence[Call], path: str, *, keys: ToolKeys, earlier: Earlier
) -> dict[str, Any]:
    """Name what is missing at a path in the calls that lack a required key, with counts of calls.

    ``instead`` are keys that the tool does not know and that hold what an earlier tool returned
    under that very key. ``belongs_in`` says where succeeding calls put such a value: in at least
    5 of them, and in half of those that give that key. ``calls`` are all calls of the tool.
    """
    missing: Counter[str] = Counter()
    instead: dict[str, tuple[set[str], set[str]]] = {}
    for call in calls:
        found = list(missing_keys(call.arguments, path, keys))
        missing.update(frozenset().union(*(lacking for lacking, _ in found)))
        for key in sorted(frozenset().union(*(unknown for _, unknown in found))):
            sent = _values(call, _at(path, key))
            sources = set(_returned_by(sent, key, earlier[call.span_id]))
            if sources:
                sent_in, returned_by = instead.setdefault(key, (set(), set()))
                sent_in.add(call.span_id)
                returned_by |= sources
    return {
        "missing": dict(sorted(missing.items())),
        "instead": {
            key: {"calls": len(sent_in), "returned_by": sorted(returned_by)}
            for key, (sent_in, returned_by) in sorted(instead.items())
        },
        "belongs_in": {
            key: place
            for key in sorted(instead)
            for place in _belongs_in(calls, path, wrong=key, missing=missing, earlier=earlier)
        },
    }


def _belongs_in(
    calls: Sequence[Call], path: str, *, wrong: str, missing: Mapping[str, int], earlier: Earlier
) -> Iterator[dict[str, Any]]:
    """Yield the missing key under which good calls send what was returned as the wrong one."""
    best = ("", 0, 0)
    for key in sorted(missing):
        where = _at(path, key)
        sent = [(_values(call, where), call) for call in calls if call.error is None]
        good = [(values, earlier[call.span_id]) for values, call in sent if values]
        same = sum(any(_returned_by(values, wrong, before)) for values, before in good)
        if same > best[1]:
            best = (key, same, len(good))
    key, same, given = best
    if same >= BELONGS_CALLS_MIN and same >= BELONGS_SHARE_MIN * given:
        yield {"key": key, "good_calls": same, "good_calls_with_key": given}


def _returned_by(values: Collection[Any], key: str, earlier: Sequence[Call]) -> Iterator[str]:
    """Yield the tools that returned one of the values before, under the given last key."""
    for before in earlier if values else ():
        for where, value in scalars(parsed(before.result)):
            if value in values and where.rpartition(".")[2] == key:
                yield before.tool
                break


def _values(call: Call, path: str) -> set[Any]:
    return {value for where, value in scalars(call.arguments) if where == path}


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key

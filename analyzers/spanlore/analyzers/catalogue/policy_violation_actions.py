"""Actions that runs which passed never took, within the tasks in which other runs did take them.

An action is a call that may change something (``tool_effect``), alone or with one of its coarse
argument values (yes or no, one word of a list). Where some runs of a task take an action and
others do not, it is held against the outcome; an action that no passing run of those tasks takes
is told, any other is tested with it and not told. What is forbidden is known from the data alone:
an action that all runs of a task take, and one that everybody gets away with, cannot be seen.

Beside it: calls of tools that the run's own definitions do not list.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.contrast import (
    evidence,
    most_telling,
    shown,
    suspiciousness,
    with_evidence,
)
from spanlore.analyzers.counting.fact_counts import Counted, rates
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.runs.tool_effect import changes_state, key_part
from spanlore.analyzers.runs.tool_schema import schema_of
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "policy_violation_actions"
VERSION = "1"
HYPOTHESES_MAX = 30
UNDEFINED_FLOOR = 0.01
_WORD = re.compile(r"[a-z][a-z_]{1,23}")
_NAMES_MAX = 10


def policy_violation_actions_facts(run: RunTrace) -> Iterator[Fact]:
    """Say which actions a run took, and whether it called tools that were not defined for it."""
    calls = [call for call in run.calls if not call.asked_by]
    seen: dict[str, str] = {}
    for call in calls:
        for key in _actions(call, run.defined_tools):
            seen.setdefault(key, call.span_id)
    for key, span_id in seen.items():
        yield Fact(key=key, span_id=span_id)
    if run.defined_tools and calls:
        strange = [call for call in calls if call.tool not in run.defined_tools]
        yield Fact(
            key="undefined",
            k=int(bool(strange)),
            detail=json.dumps(sorted({key_part(call.tool) for call in strange})[:_NAMES_MAX])
            if strange
            else "",
            span_id=strange[0].span_id if strange else "",
        )


def policy_violation_actions(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Hold every action against the outcomes of the window's runs. Raises StoreError."""
    counted = sorted(shown(store, window, NAME, prefix="did|"), key=lambda one: len(one.key))
    telling = most_telling(counted, keep_max=HYPOTHESES_MAX)
    found = evidence(store, window, NAME, keys=[one.key for one in telling])
    yield from violation_hypotheses(with_evidence(telling, found))
    yield from undefined_hypotheses(rates(store, window, NAME, prefix="undefined"))


def violation_hypotheses(counted: Iterable[Counted]) -> Iterator[Hypothesis]:
    """Say of each action whether only failing runs take it; the others count, and are not told."""
    for one in counted:
        tool, argument, value = _parts(one.key)
        what = f"{tool} with {argument} {value}" if argument else tool
        passed = int((one.strata.n - one.strata.k).sum())
        yield one.hypothesis(
            analyzer=NAME,
            key=one.key,
            title=f"only runs that fail call {what}, where runs of the same task differ in it",
            counted="run",
            told=passed == 0,
            doubt=f"{passed} runs that passed did it too" if passed else None,
            detail={
                "kind": "violation",
                "tool": tool,
                "argument": argument or None,
                "value": value or None,
                "suspiciousness": round(suspiciousness(one.strata), 4),
                "n_counts": f"judged runs that call {what}, where others of the same task do not",
                "k_counts": "those of them that fail",
                "compared_with": "runs that do not",
            },
        )


def undefined_hypotheses(counted: Iterable[Counted]) -> Iterator[Hypothesis]:
    """Say how often runs call tools that their definitions do not list."""
    for one in counted:
        names = sorted({name for detail in one.details for name in json.loads(detail)})
        yield one.hypothesis(
            analyzer=NAME,
            key=one.key,
            title="runs call tools that their tool definitions do not list",
            counted="run",
            floor=UNDEFINED_FLOOR,
            detail={
                "kind": "undefined_tool",
                "tools": [plain(name) for name in names[:_NAMES_MAX]],
                "tool": plain(names[0]) if len(names) == 1 else None,
                "n_counts": "runs that call a tool and whose tool definitions are known",
                "k_counts": "those that call a tool that is not among them",
                "compared_with": f"a tolerable share of {UNDEFINED_FLOOR:.0%} of runs",
            },
        )


def _actions(call: Call, defined: Mapping[str, Any]) -> Iterator[str]:
    if not changes_state(call.tool):
        return
    tool = key_part(call.tool)
    yield f"did|{tool}"
    if not isinstance(call.arguments, dict):
        return
    listed = _properties(defined.get(call.tool))
    for name, value in call.arguments.items():
        coarse = _coarse(value, listed.get(name))
        if coarse is not None:
            yield f"did|{tool}|{key_part(name)}|{coarse}"


def _coarse(value: Any, definition: Any) -> str | None:
    """Return a value that is one of few, None for any other: one of a list, yes or no, a word."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return None
    listed = definition.get("enum") if isinstance(definition, dict) else None
    if isinstance(listed, list):
        return key_part(value) if value in listed else None
    return value if _WORD.fullmatch(value) else None


def _properties(definition: Any) -> Mapping[str, Any]:
    parameters = schema_of(definition) if isinstance(definition, dict) else None
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    return properties if isinstance(properties, dict) else {}


def _parts(key: str) -> tuple[str, str, str]:
    _, tool, *more = key.split("|")
    argument, value = more or ("", "")
    return plain(tool), plain(argument), plain(value)

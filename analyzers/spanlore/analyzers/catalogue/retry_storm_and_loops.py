"""Runs that go on asking what they were told already: repeats, retries and circles.

Four patterns, each counted once a run. No call counts in two of them (``repeated_calls``):

* ``cycle``: two calls take turns (A B A B), each with the answer it had;
* ``retry``: a tool is called as before, and fails as before;
* ``repeat``: a tool is called as before, and gives the good answer that it gave;
* ``same_error``: a tool fails with one error text for three different arguments or more.

It says how often each is so, against a tolerable rate, and whether runs in which it is so fail
more. ``tool_argument_misuse`` says why a tool fails; this says what the agent does after it.
It cannot see that an action whose answer does not show what it changed (a click) was no repeat.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.run_patterns import (
    Pattern,
    pattern_hypotheses,
    place_key,
    with_runs,
)
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.repeated_calls import CYCLE_CALLS, Repeats, repeats_of, tokens_of
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "retry_storm_and_loops"
VERSION = "1"
SAME_ERROR_MIN = 3
FLOOR_RATE = 0.05
# Of the runs in which a tool fails at all.
FAILING_FLOOR_RATE = 0.2
ANY_TOOL = "any tools"

PATTERNS = (
    Pattern(
        name="repeat",
        place_is="tool",
        title="{place} is called again with the same arguments and gives the same answer",
        n_counts="runs in which the agent calls {place}",
        k_counts="those that make a call of {place} twice and get the same answer",
        value_is="tokens_wasted",
        floor=FLOOR_RATE,
        runs="runs that repeat a tool call and get the same answer",
        among="ToolCalls >= 2",
    ),
    Pattern(
        name="retry",
        place_is="tool",
        title="after {place} fails it is called with the same arguments, and fails again",
        n_counts="runs in which {place} fails",
        k_counts="those that make a failed call again, unchanged, and see the same error",
        value_is="tokens_wasted",
        floor=FAILING_FLOOR_RATE,
        runs="runs that make a failed tool call again unchanged and see it fail",
        among="ToolErrors > 0",
    ),
    Pattern(
        name="same_error",
        place_is="tool",
        title="{place} fails with the same error whatever arguments a run tries",
        n_counts="runs in which {place} fails",
        k_counts=f"those with one error text for {SAME_ERROR_MIN} different arguments or more",
        value_is="arguments_tried",
        floor=FAILING_FLOOR_RATE,
        runs="runs in which a tool fails with the same error whatever is tried",
        among="ToolErrors > 0",
    ),
    Pattern(
        name="cycle",
        place_is="tool",
        title="runs go in circles: two calls take turns and get the same answers",
        n_counts=f"runs of {CYCLE_CALLS} tool calls or more",
        k_counts="those in which two calls take turns and get the answers they had",
        value_is="tokens_wasted",
        floor=FLOOR_RATE,
        runs="runs that go in circles between two tool calls",
        among=f"ToolCalls >= {CYCLE_CALLS}",
    ),
)


def retry_storm_and_loops_facts(run: RunTrace) -> Iterator[Fact]:
    """Say of each tool of a run whether its calls repeat, and of the run whether it circles."""
    yield from with_runs(_facts(run, repeats_of(run)))


def retry_storm_and_loops(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Count the patterns in all runs of the window. Raises StoreError."""
    yield from pattern_hypotheses(store, window, NAME, patterns=PATTERNS)


def _facts(run: RunTrace, found: Repeats) -> Iterator[Fact]:
    calls = Counter(call.tool for call in found.calls)
    for tool in calls:
        yield _fact(run, "repeat", tool, wasted=_of(tool, found.repeated))
    for tool, tried in found.guesses.items():
        yield _fact(run, "retry", tool, wasted=_of(tool, found.failed_again))
        key = place_key("same_error", tool)
        yield Fact(key=key, k=int(tried >= SAME_ERROR_MIN), value=float(tried))
    if calls.total() >= CYCLE_CALLS:
        yield _fact(run, "cycle", ANY_TOOL, wasted=found.circling)


def _fact(run: RunTrace, pattern: str, place: str, *, wasted: Sequence[Call]) -> Fact:
    return Fact(
        key=place_key(pattern, place),
        k=int(bool(wasted)),
        value=float(tokens_of(wasted, run)) if wasted else 0.0,
        detail=json.dumps({"calls": len(wasted)}) if wasted else "",
        span_id=wasted[0].span_id if wasted else "",
    )


def _of(tool: str, calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if call.tool == tool]

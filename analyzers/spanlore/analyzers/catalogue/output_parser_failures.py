"""Model outputs that the harness could not read, or that ask for what it does not have.

Five patterns, each counted once a run and model:

* ``no_json``: a tool's arguments are no JSON object, and the call did not run;
* ``unknown_tool``: the model asks for a tool that the harness did not define, and it did not run;
* ``missing``: a tool request lacks an argument that the tool's schema requires;
* ``re_ask``: the harness tells the model that its answer could not be read;
* ``parser_error``: a model call, or another span of the run, ended with the error of a parser.

It says how often each model gives such output, against a tolerable rate, and whether runs in
which it does fail more. ``tool_argument_misuse`` looks at the calls of one tool that were made and
failed; this at what the model asked for, before any call.
"""

from collections.abc import Iterator, Sequence

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.run_patterns import (
    Pattern,
    pattern_hypotheses,
    place_key,
    with_runs,
)
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.model_output_faults import (
    Asked,
    asked_of,
    asks_again,
    is_parsers_error,
    is_unread,
    missing,
)
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "output_parser_failures"
VERSION = "1"
FLOOR_RATE = 0.01

PATTERNS = (
    Pattern(
        name="no_json",
        place_is="model",
        title="{place} gives tool arguments that are no JSON object",
        n_counts="runs in which {place} asks for a tool",
        k_counts="those with arguments that are no JSON object, of a call that did not run",
        value_is="requests",
        floor=FLOOR_RATE,
        runs="runs in which tool arguments are no JSON object",
    ),
    Pattern(
        name="unknown_tool",
        place_is="model",
        title="{place} asks for tools that the harness does not define",
        n_counts="runs in which {place} asks for a tool and tools are defined",
        k_counts="those with a request for another tool, which did not run",
        value_is="requests",
        floor=FLOOR_RATE,
        runs="runs in which a tool is asked for that the harness does not define",
    ),
    Pattern(
        name="missing",
        place_is="model",
        title="{place} asks for tools without arguments that their schemas require",
        n_counts="runs in which {place} asks for a tool and tools are defined",
        k_counts="those with a request that lacks a required argument",
        value_is="requests",
        floor=FLOOR_RATE,
        runs="runs in which a tool is asked for without an argument that its schema requires",
    ),
    Pattern(
        name="re_ask",
        place_is="model",
        title="{place} is asked again because its answer could not be read",
        n_counts="runs of {place} whose conversation is known",
        k_counts="those in which it is told that its answer could not be read",
        value_is="messages",
        floor=FLOOR_RATE,
        runs="runs in which the model is told that its answer could not be read",
    ),
    Pattern(
        name="parser_error",
        place_is="model",
        title="reading the answers of {place} ends in a parser's error",
        n_counts="runs that call {place}",
        k_counts="those with a parser's error on a call of it, or on another span of the run",
        value_is="spans",
        floor=FLOOR_RATE,
        runs="runs with a parser's error on a model call or another span",
    ),
)


def output_parser_failures_facts(run: RunTrace) -> Iterator[Fact]:
    """Say of each model of a run whether its outputs could not be read."""
    yield from with_runs((*_request_facts(run), *_message_facts(run), *_error_facts(run)))


def output_parser_failures(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Count the patterns in all runs of the window. Raises StoreError."""
    yield from pattern_hypotheses(store, window, NAME, patterns=PATTERNS)


def _request_facts(run: RunTrace) -> Iterator[Fact]:
    asked = asked_of(run)
    for model in dict.fromkeys(one.model for one in asked):
        mine = [one for one in asked if one.model == model]
        yield _fact("no_json", model, _spans(one for one in mine if one.is_no_object))
        if run.defined_tools:
            unknown = (one for one in mine if one.is_unknown(run.defined_tools))
            lacking = (one for one in mine if missing(one.request, run.defined_tools))
            yield _fact("unknown_tool", model, _spans(unknown))
            yield _fact("missing", model, _spans(lacking))


def _message_facts(run: RunTrace) -> Iterator[Fact]:
    if run.messages and run.model:
        again = [run.root_span_id for message in run.messages if asks_again(message)]
        yield _fact("re_ask", run.model, again)


def _error_facts(run: RunTrace) -> Iterator[Fact]:
    elsewhere = [run.root_span_id for said in run.span_errors if is_parsers_error(said)]
    for model in dict.fromkeys(call.model for call in run.model_calls):
        spans = [one.span_id for one in run.model_calls if one.model == model and is_unread(one)]
        yield _fact("parser_error", model, spans + (elsewhere if model == run.model else []))


def _spans(asked: Iterator[Asked]) -> list[str]:
    return [one.span_id for one in asked]


def _fact(pattern: str, model: str, spans: Sequence[str]) -> Fact:
    return Fact(
        key=place_key(pattern, model),
        k=int(bool(spans)),
        value=float(len(spans)),
        span_id=spans[0] if spans else "",
    )

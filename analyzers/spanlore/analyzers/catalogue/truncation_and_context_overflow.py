"""Answers and results that were cut off, and requests that did not fit in the model's window.

Four patterns, each counted once a run and model (or tool):

* ``cut_off``: the model's output ended for want of tokens (finish reason, or as many tokens as
  were allowed);
* ``too_long``: the provider refused the request because it was longer than the window;
* ``near_window``: a request filled nine tenths of the window or more, where that is known;
* ``cut_result``: what a tool returned says that something of it was left out.

It says how often, against a tolerable rate, and whether runs in which it is so fail more. What a
harness cuts without a word it cannot see.
"""

from collections.abc import Iterable, Iterator

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.run_patterns import (
    Pattern,
    pattern_hypotheses,
    place_key,
    with_runs,
)
from spanlore.analyzers.runs.context_limits import cut_off, is_cut, too_long, window_tokens
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.run_trace import ModelCall, RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "truncation_and_context_overflow"
VERSION = "1"
NEAR_WINDOW_SHARE = 0.9
FLOOR_RATE = 0.01

PATTERNS = (
    Pattern(
        name="cut_off",
        place_is="model",
        title="answers of {place} are cut off for want of output tokens",
        n_counts="runs in which calls of {place} say how they ended",
        k_counts="those with an answer that ended at the limit of its tokens",
        value_is="output_tokens_cut_off",
        floor=FLOOR_RATE,
        runs="runs with a model's answer cut off for want of output tokens",
    ),
    Pattern(
        name="too_long",
        place_is="model",
        title="requests to {place} are refused as longer than its context window",
        n_counts="runs that call {place}",
        k_counts="those with a request that the provider refused as too long",
        floor=FLOOR_RATE,
        runs="runs with a request refused as longer than the model's context window",
    ),
    Pattern(
        name="near_window",
        place_is="model",
        title="requests to {place} fill nearly its whole context window",
        n_counts="runs that call {place} and say how many tokens it was given",
        k_counts=f"those with a request of {NEAR_WINDOW_SHARE:.0%} of its window or more",
        value_is="input_tokens_of_such_requests",
        floor=FLOOR_RATE,
        runs="runs with a request that fills nearly the model's whole context window",
    ),
    Pattern(
        name="cut_result",
        place_is="tool",
        title="what {place} returns is cut off before the model reads it",
        n_counts="runs that call {place}",
        k_counts="those with a result of it that says something was left out",
        floor=FLOOR_RATE,
        runs="runs with a tool's result cut off",
        among="ToolCalls > 0",
    ),
)


def truncation_and_context_overflow_facts(run: RunTrace) -> Iterator[Fact]:
    """Say of each model and tool of a run whether something was cut off or did not fit."""
    yield from with_runs((*_model_facts(run), *_tool_facts(run)))


def truncation_and_context_overflow(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Count the patterns in all runs of the window. Raises StoreError."""
    yield from pattern_hypotheses(store, window, NAME, patterns=PATTERNS)


def _model_facts(run: RunTrace) -> Iterator[Fact]:
    for model in dict.fromkeys(call.model for call in run.model_calls):
        calls = [call for call in run.model_calls if call.model == model]
        if any(cut_off(call) is not None for call in calls):
            cut = [call for call in calls if cut_off(call)]
            yield _fact("cut_off", model, cut, tokens=(call.output_tokens for call in cut))
        yield _fact("too_long", model, [call for call in calls if too_long(call)])
        limit = window_tokens(model)
        if limit is not None and any(call.input_tokens is not None for call in calls):
            least = limit * NEAR_WINDOW_SHARE
            near = [call for call in calls if (call.input_tokens or 0) >= least]
            yield _fact("near_window", model, near, tokens=(call.input_tokens for call in near))


def _tool_facts(run: RunTrace) -> Iterator[Fact]:
    for tool in dict.fromkeys(call.tool for call in run.calls):
        cut = [call for call in run.calls if call.tool == tool and is_cut(call.result)]
        yield Fact(
            key=place_key("cut_result", tool),
            k=int(bool(cut)),
            span_id=cut[0].span_id if cut else "",
        )


def _fact(
    pattern: str, model: str, calls: list[ModelCall], *, tokens: Iterable[int | None] = ()
) -> Fact:
    return Fact(
        key=place_key(pattern, model),
        k=int(bool(calls)),
        value=float(sum(one or 0 for one in tokens)),
        span_id=calls[0].span_id if calls else "",
    )

"""Where time and tokens go that buy nothing: slow calls, failed runs, repeats, missed caches.

Hypotheses, each run counted once:

* ``slow``: the slowest call of a tool (or of a model) in a run took far longer than is usual for
  that tool: beyond five deviations of the logarithm (median and MAD), and a second more;
* ``cache_miss``: a model's requests begin as the one before did, and were hardly read from the
  provider's cache;
* ``spent_on_failure``: an agent's judged runs that fail, and the tokens spent on them;
* ``costly``: runs that use twice the tokens usual for their kind of task, and whether they fail
  more.

Each states milliseconds or tokens with an interval. Runs whose times are not known give no
latency, calls that do not say their tokens no cost. Repeated calls are counted as tokens here;
whether they come with failure is the question of ``retry_storm_and_loops``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.fact_counts import Counted
from spanlore.analyzers.counting.run_patterns import Pattern, outcome_hypothesis, place_key
from spanlore.analyzers.counting.spending import (
    CACHE_MISS,
    COSTLY_TIMES,
    DEVIATIONS,
    MS_OVER_MIN,
    REPEATED,
    RETRIED,
    TOOK,
    Spending,
)
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.repeated_calls import repeats_of, tokens_of
from spanlore.analyzers.runs.run_trace import ModelCall, RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "latency_and_cost_outliers"
VERSION = "1"
SLOW_FLOOR_RATE = 0.01
CACHE_FLOOR_RATE = 0.2
FAILED_FLOOR_RATE = 0.1
# A provider caches a prefix from about a thousand tokens on.
CACHED_TOKENS_MIN = 1_024
CACHE_READ_SHARE = 0.5
_NS_PER_MS = 1_000_000

COSTLY = Pattern(
    name="costly",
    place_is="agent",
    title="",
    n_counts="",
    k_counts="",
    value_is="tokens_over_usual",
    runs=f"runs that use over {COSTLY_TIMES} times the tokens usual for their kind of task",
)


def latency_and_cost_outliers_facts(run: RunTrace) -> Iterator[Fact]:
    """Say how long the slowest call of each tool and model took, and what tokens bought nothing.

    ``took|tool:<name>`` is valued in milliseconds; ``cache_miss|<model>`` in tokens that the cache
    did not give back; ``repeated`` and ``retried`` in tokens of the model calls that asked for
    nothing but repeated calls, or the same call after its error.
    """
    if not run.time_unknown:
        yield from _took("tool", [(call.tool, call) for call in run.calls if not call.asked_by])
        yield from _took("model", [(call.model, call) for call in run.model_calls])
    yield from _cache_facts(run)
    repeats = repeats_of(run)
    for key, calls in ((REPEATED, repeats.repeated), (RETRIED, repeats.failed_again)):
        if calls:
            yield Fact(key=key, value=float(tokens_of(calls, run)), span_id=calls[0].span_id)


def latency_and_cost_outliers(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Count time and tokens of all runs of the window. Raises StoreError."""
    spending = Spending(store, window, NAME)
    for one, usual in spending.slow():
        yield slow_hypothesis(one, usual)
    for one, tokens in spending.cache_misses():
        yield cache_hypothesis(one, tokens)
    for one, spent in spending.on_failure():
        yield failure_hypothesis(one, spent)
    for one in spending.costly():
        yield outcome_hypothesis(NAME, COSTLY, one)


def slow_hypothesis(one: Counted, usual: Mapping[str, Any]) -> Hypothesis:
    """Form the hypothesis that calls of a tool or model are far slower than usual too often."""
    kind, _, name = one.key.partition("|")[2].partition(":")
    what = name if kind == "tool" else f"calls of {name}"
    return _hypothesis(
        one,
        title=f"{what} take far longer than usual in some runs",
        floor=SLOW_FLOOR_RATE,
        detail={
            "kind": "slow",
            kind: name,
            "n_counts": f"runs that call {name}, each by its slowest call",
            "k_counts": f"of these, those whose slowest call took over {DEVIATIONS} deviations of "
            f"the logarithm longer than the median, and over {MS_OVER_MIN} ms longer",
            "compared_with": f"a tolerable rate of {SLOW_FLOOR_RATE:.0%} of runs",
            **usual,
        },
    )


def cache_hypothesis(one: Counted, tokens: Mapping[str, Any]) -> Hypothesis:
    """Form the hypothesis that a model's repeated prefixes are too seldom read from the cache."""
    model = one.key.partition("|")[2]
    return _hypothesis(
        one,
        title=f"requests to {model} repeat their beginning and are not read from the cache",
        floor=CACHE_FLOOR_RATE,
        detail={
            "kind": "cache_miss",
            "model": model,
            "n_counts": f"runs whose requests to {model} begin as the one before did",
            "k_counts": "of these, those in which less than half of that came from the cache",
            "compared_with": f"a tolerable rate of {CACHE_FLOOR_RATE:.0%} of runs",
            "tokens_not_cached_a_run": dict(tokens),
        },
    )


def failure_hypothesis(one: Counted, spent: Mapping[str, Any]) -> Hypothesis:
    """Form the hypothesis that an agent spends a share of its tokens on runs that fail."""
    agent = plain(one.key.partition("|")[2]) or "an agent without a name"
    return _hypothesis(
        one,
        title=f"{agent} spends tokens on runs that fail (of {one.support.n} that say their tokens)",
        floor=FAILED_FLOOR_RATE,
        detail={
            "kind": "spent_on_failure",
            "agent": agent,
            "n_counts": f"judged runs of {agent} that say their tokens",
            "k_counts": "of these, those judged a failure",
            "compared_with": f"a tolerable rate of {FAILED_FLOOR_RATE:.0%} of runs",
            **spent,
        },
    )


def _hypothesis(one: Counted, *, title: str, floor: float, detail: Mapping[str, Any]) -> Hypothesis:
    return one.hypothesis(
        analyzer=NAME,
        key=one.key,
        title=plain(title),
        floor=floor,
        counted="run",
        detail=detail,
    )


def _took(kind: str, calls: list[tuple[str, Call | ModelCall]]) -> Iterator[Fact]:
    slowest: dict[str, Call | ModelCall] = {}
    for name, call in calls:
        before = slowest.get(name)
        if before is None or _ms(call) > _ms(before):
            slowest[name] = call
    for name, call in slowest.items():
        if _ms(call) > 0:
            yield Fact(key=place_key(TOOK, f"{kind}:{name}"), value=_ms(call), span_id=call.span_id)


def _cache_facts(run: RunTrace) -> Iterator[Fact]:
    """Compare each request with the one before it to the same model.

    It begins as that one did where it is not shorter: conversations grow at their end.
    """
    again: dict[str, int] = {}
    missed: dict[str, int] = {}
    before: dict[str, int] = {}
    for call in run.model_calls:
        given, last = call.input_tokens, before.get(call.model, 0)
        if given is None:
            continue
        before[call.model] = given
        if call.cache_read_tokens is not None and given >= last >= CACHED_TOKENS_MIN:
            again[call.model] = again.get(call.model, 0) + last
            lost = max(last - call.cache_read_tokens, 0)
            missed[call.model] = missed.get(call.model, 0) + lost
    for model, tokens in again.items():
        is_miss = missed[model] > (1 - CACHE_READ_SHARE) * tokens
        yield Fact(key=place_key(CACHE_MISS, model), k=int(is_miss), value=float(missed[model]))


def _ms(call: Call | ModelCall) -> float:
    return (call.end_ns - call.start_ns) / _NS_PER_MS

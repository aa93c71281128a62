"""Which errors the tools and the model calls of an agent end in: how often, since when, how bad.

Error texts are masked in the run (``error_template``) and put together over all runs
(``mined_templates``). A cluster is one text of tools, or one of model calls, wherever it was seen.
Three kinds of hypotheses, each run counted once (``error_counts``):

* ``rate``: the share of the runs calling these tools (models) in which one ends in the cluster,
  against a tolerable rate. A cluster of one tool and one text is left to ``tool_argument_misuse``,
  which compares it with the agent's other tools and looks for the arguments that lead to it;
* ``new``: runs of an agent's newest harness, against those of its earlier ones;
* ``outcome``: judged runs with the error, against runs that call the same tools without it.

An error that is no failed span - text that says "error" in a good result - it cannot see.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.error_counts import (
    AT,
    ERROR,
    MODEL,
    TOOL,
    ErrorCluster,
    ErrorCounts,
    Harness,
    error_clusters_of,
)
from spanlore.analyzers.counting.fact_counts import Counted
from spanlore.analyzers.counting.mined_templates import ANY_WORD
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.error_template import error_template
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.quoted_text import plain, quoted, refusal
from spanlore.analyzers.runs.run_trace import ModelCall, RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "error_clusters"
VERSION = "1"
FLOOR_RATE = {TOOL: 0.05, MODEL: 0.01}
PLACES_SHOWN_MAX = 5
_PLACE_CHARS_MAX = 150


def error_clusters_facts(run: RunTrace) -> Iterator[Fact]:
    """Say of each tool and model of a run whether it failed, and with which masked texts.

    ``at|tool:<name>`` has k = 1 where a call of it failed; ``error|tool:<name>|<template>`` is
    valued with the calls that ended so. Models likewise.
    """
    own = [call for call in run.calls if not call.asked_by]
    yield from _facts((f"{TOOL}:{_name(call.tool)}", call, _tool_error(call)) for call in own)
    yield from _facts(
        (f"{MODEL}:{_name(call.model)}", call, _model_error(call)) for call in run.model_calls
    )


def error_clusters(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Count the error clusters of all runs of the window. Raises StoreError."""
    counts = ErrorCounts(store, window, NAME, error_clusters_of(store, window, NAME))
    said = counts.said()
    for cluster, one in counts.rates():
        if cluster.kind == MODEL or len(cluster.templates) > 1:
            yield rate_hypothesis(cluster, one, said[cluster])
    for cluster, harness, one in counts.newest():
        yield new_hypothesis(cluster, one, harness=harness, said=said[cluster])
    for cluster, one in counts.outcomes():
        yield outcome_hypothesis(cluster, one, said[cluster])


def rate_hypothesis(cluster: ErrorCluster, one: Counted, said: Mapping[str, Any]) -> Hypothesis:
    """Form the hypothesis that a cluster is more frequent than may be tolerated."""
    floor = FLOOR_RATE[cluster.kind]
    return _hypothesis(
        cluster,
        one,
        kind="rate",
        title=f"{_places(cluster)} fail with {_quoted(cluster)}",
        floor=floor,
        detail={
            **said,
            "n_counts": f"runs that call {_places(cluster)}",
            "k_counts": "of these, those with a call that ended in the error of the title",
            "compared_with": f"a tolerable rate of {floor:.0%} of runs",
        },
    )


def new_hypothesis(
    cluster: ErrorCluster, one: Counted, *, harness: Harness, said: Mapping[str, Any]
) -> Hypothesis:
    """Form the hypothesis that a cluster is more frequent since an agent's newest harness."""
    return _hypothesis(
        cluster,
        one,
        kind=f"new|{harness.agent}|{harness.version}|{harness.harness}",
        title=f"{_places(cluster)} fail more often with {_quoted(cluster)} since {harness.words}",
        floor=None,
        detail={
            **said,
            "agent": plain(harness.agent),
            "agent_version": plain(harness.version),
            "harness": harness.harness,
            "harness_since": harness.since,
            "n_counts": f"runs with {harness.words} that call {_places(cluster)}",
            "k_counts": "of these, those with a call that ended in the error of the title",
            "compared_with": "runs of the agent's earlier harnesses, same tenant, task and model",
        },
    )


def outcome_hypothesis(cluster: ErrorCluster, one: Counted, said: Mapping[str, Any]) -> Hypothesis:
    """Form the hypothesis that runs with a cluster fail more than comparable runs."""
    return _hypothesis(
        cluster,
        one,
        kind="outcome",
        title=f"runs in which {_places(cluster)} fail with {_quoted(cluster)} fail more often",
        floor=None,
        detail={
            **said,
            "n_counts": "judged runs with the error of the title",
            "k_counts": "of these, those judged a failure",
            "compared_with": f"runs that call {_places(cluster)} without the error, same task, "
            "agent, model and harness",
        },
    )


def _hypothesis(
    cluster: ErrorCluster,
    one: Counted,
    *,
    kind: str,
    title: str,
    floor: float | None,
    detail: Mapping[str, Any],
) -> Hypothesis:
    places = cluster.calls_by_place.most_common(PLACES_SHOWN_MAX)
    return one.hypothesis(
        analyzer=NAME,
        key=f"{kind}|{cluster.kind}|{cluster.text}",
        title=plain(title),
        floor=floor,
        counted="run",
        detail={
            "kind": kind.partition("|")[0],
            "errors_of": cluster.kind,
            "template": cluster.text if refusal(cluster.text) is None else None,
            "templates": len(cluster.templates),
            "places": [{cluster.kind: plain(place), "calls": calls} for place, calls in places],
            **detail,
        },
    )


def _facts(seen: Iterable[tuple[str, Call | ModelCall, str | None]]) -> Iterator[Fact]:
    """Yield what happened at each place, from (place, call, masked text of its error or None)."""
    failed: dict[str, bool] = {}
    calls: Counter[tuple[str, str]] = Counter()
    spans: dict[tuple[str, str], str] = {}
    for place, call, text in seen:
        failed[place] = failed.get(place, False) or text is not None
        if text is not None:
            calls[place, text] += 1
            spans.setdefault((place, text), call.span_id)
    for place, is_failed in failed.items():
        yield Fact(key=f"{AT}|{place}", k=int(is_failed))
    for (place, text), count in calls.items():
        span_id = spans[place, text]
        yield Fact(key=f"{ERROR}|{place}|{text}", value=float(count), span_id=span_id)


def _tool_error(call: Call) -> str | None:
    return None if call.error is None else call.error.text


def _model_error(call: ModelCall) -> str | None:
    said = call.status_message or call.error_type
    return error_template(said).text if said else None


def _name(place: str) -> str:
    return plain(place, chars_max=_PLACE_CHARS_MAX).replace("|", "/")


def _quoted(cluster: ErrorCluster) -> str:
    return quoted(cluster.text.replace(ANY_WORD, "<text>"))


def _places(cluster: ErrorCluster) -> str:
    """Name the tool or model that fails so most often, and say how many others do."""
    [(most, _)] = cluster.calls_by_place.most_common(1)
    others = len(cluster.calls_by_place) - 1
    what = most if cluster.kind == TOOL else f"calls of {most}"
    if not others:
        return what
    return f"{what} and {others} other {cluster.kind}{'s' if others > 1 else ''}"

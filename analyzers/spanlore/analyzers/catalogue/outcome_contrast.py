"""What runs that fail do, and runs of the same task that pass do not - or the other way round.

For each run it says which tools were called, which first, which last, which right after which,
which before which, how many calls there were, whether there was none, and whether the agent asked
the user anything. Each is held against the outcome among the judged runs of the same task, agent,
model and harness. What is found *goes with* failing or passing. It is never said to cause it: a
run may be long because it was failing already. How the judged runs were chosen, what was said in
words, and what no run of a task varies in cannot be seen here.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.contrast import (
    SPREAD_MIN,
    comparable,
    evidence,
    excess,
    most_telling,
    passing,
    shown,
    spread,
    suspiciousness,
    with_evidence,
)
from spanlore.analyzers.counting.fact_counts import FACTS_OF_RUNS_SQL, Counted, facts_params
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.runs.tool_effect import key_part
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import RUN_FACTS
from spanlore.schemas.store import Store

NAME = "outcome_contrast"
VERSION = "1"
# Few and well supported: every further one makes the others harder to believe.
HYPOTHESES_MAX = 30
PAIRS_MAX = 5
ORDERED_TOOLS_MAX = 8
ORDER_RUNS_MIN = 10
BANDS = ((1, 3), (4, 7), (8, 15), (16, None))

# In the order in which one stands for another that the very same runs show.
_WORDS = {
    "used": "call {}",
    "no_tool": "call no tool",
    "calls": "make {} tool calls",
    "first": "call {} first",
    "last": "call {} last",
    "then": "call {1} right after {0}",
    "asked_user": "ask the user something",
    "before": "call {} before {}",
}
_RANK = {name: rank for rank, name in enumerate(_WORDS)}
_OF_TOOLS = frozenset({"used", "first", "last", "then", "before"})
# What comes of how a run goes, at least as much as the run's outcome comes of it.
_CONSEQUENCES = frozenset({"calls", "last"})

# Pairs of tools that runs call in both orders: only of those does the order say anything.
PAIRS_SQL = f"""
SELECT least(First, Second) AS One, greatest(First, Second) AS Other,
    countIf(First < Second) AS Forward, countIf(First > Second) AS Backward
FROM (
    SELECT splitByChar('|', Key)[2] AS First, splitByChar('|', Key)[3] AS Second
    FROM ({FACTS_OF_RUNS_SQL}) WHERE Outcome IN ('pass', 'fail')
)
GROUP BY One, Other HAVING least(Forward, Backward) >= {ORDER_RUNS_MIN}
ORDER BY least(Forward, Backward) DESC, One, Other LIMIT {PAIRS_MAX}
"""
BUT_ORDERS_SQL = "if(startsWith(Key, 'before|'), [], [Key])"
CALL_BOTH_SQL = f"""TraceId IN (
    SELECT TraceId FROM {RUN_FACTS} WHERE Extractor = '{NAME}' AND Key IN {{both:Array(String)}}
)"""


def outcome_contrast_facts(run: RunTrace) -> Iterator[Fact]:
    """Say what a run did, one fact a feature."""
    calls = [call for call in run.calls if not call.asked_by]
    tools = [key_part(call.tool) for call in calls]
    spans = {tool: call.span_id for tool, call in zip(tools[::-1], calls[::-1], strict=True)}
    for tool in dict.fromkeys(tools):
        yield Fact(key=f"used|{tool}", span_id=spans[tool])
    for one, other in sorted({pair for pair in pairwise(tools) if pair[0] != pair[1]}):
        yield Fact(key=f"then|{one}|{other}", span_id=spans[other])
    for one, other in _ordered(tools):
        yield Fact(key=f"before|{one}|{other}", span_id=spans[other])
    if tools:
        yield Fact(key=f"first|{tools[0]}", span_id=calls[0].span_id)
        yield Fact(key=f"last|{tools[-1]}", span_id=calls[-1].span_id)
        yield Fact(key=f"calls|{_band(len(tools))}", value=float(len(tools)))
    else:
        yield Fact(key="no_tool")
    if _asks_the_user(run):
        yield Fact(key="asked_user")


def outcome_contrast(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Hold every feature against the outcomes of the window's runs. Raises StoreError."""
    counted = sorted(
        shown(store, window, NAME, keys=BUT_ORDERS_SQL),
        key=lambda one: (_RANK[_kind(one.key)], one.key),
    )
    telling = most_telling(counted, keep_max=HYPOTHESES_MAX)
    found = evidence(store, window, NAME, keys=[one.key for one in telling])
    yield from contrast_hypotheses([*with_evidence(telling, found), *_orders(store, window)])


def contrast_hypotheses(counted: Iterable[Counted]) -> Iterator[Hypothesis]:
    """Say of each feature whether it goes with failing or with passing."""
    for one in counted:
        fails = excess(one.strata) > 0
        told = one if fails else passing(one)
        outcome = "fail" if fails else "pass"
        kind, doing = _kind(one.key), _doing(one.key)
        tools = one.key.split("|")[1:] if kind in _OF_TOOLS else []
        others = "call both in the other order" if kind == "before" else "do not"
        yield told.hypothesis(
            analyzer=NAME,
            key=f"{one.key}|{outcome}",
            title=f"runs that {doing} {outcome} more often than runs that {others}",
            counted="run",
            detail={
                "kind": "contrast",
                "feature": kind,
                "tools": tools,
                "tool": tools[-1] if tools else None,
                "goes_with": outcome,
                "association": _association(kind),
                "suspiciousness": round(suspiciousness(one.strata), 4),
                "n_counts": f"judged runs that {doing}, where others of the same task do not",
                "k_counts": f"those of them that {outcome}",
                "compared_with": f"runs that {others}",
            },
        )


def _orders(store: Store, window: Window) -> Iterator[Counted]:
    """Yield the pairs of tools that are called in both orders, among the runs that call both."""
    for pair in store.query(PAIRS_SQL, facts_params(window, NAME, "before|")):
        key = f"before|{pair['One']}|{pair['Other']}"
        both = {"both": [key, f"before|{pair['Other']}|{pair['One']}"]}
        for one in shown(store, window, NAME, prefix=key, among=CALL_BOTH_SQL, params=both):
            told = comparable(one) if one.key == key else None
            if told is not None and spread(told.strata) >= SPREAD_MIN:
                yield told


def _ordered(tools: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (tool, tool that was called for the first time later)."""
    distinct = list(dict.fromkeys(tools))[:ORDERED_TOOLS_MAX]
    for at, one in enumerate(distinct):
        for other in distinct[at + 1 :]:
            yield one, other


def _band(calls: int) -> str:
    return next(
        f"{low} or more" if high is None else f"{low} to {high}"
        for low, high in BANDS
        if high is None or calls <= high
    )


def _asks_the_user(run: RunTrace) -> bool:
    return any(
        said.role == "assistant" and "?" in said.text and answer.role == "user"
        for said, answer in pairwise(run.messages)
    )


def _kind(key: str) -> str:
    return key.split("|", 1)[0]


def _doing(key: str) -> str:
    kind, *parts = key.split("|")
    return _WORDS[kind].format(*map(plain, parts))


def _association(kind: str) -> str:
    if kind in _CONSEQUENCES:
        return "an association, never a cause: a run that goes wrong may do this because it does"
    return "an association, never a cause: what made the agent do this may also decide the outcome"

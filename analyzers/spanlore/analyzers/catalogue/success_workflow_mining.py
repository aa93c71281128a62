"""Ways of working: tools called in an order that runs which pass share, and others do not.

The tools of a run, in order, are mined for closed sequences that many judged runs hold with
anything between (``closed_sequences``), without looking at how they came out. Each is then held
against the outcome among the runs of the same task, agent, model, harness and judge. For what is
told it says where each argument usually came from (``argument_source``), so that it can be written
down as a skill; and whether it would be seen without the tenant in whose runs it is seen most: what
one tenant alone shows, honestly or not, is no advice for the others. It cannot see what an agent
thought, nor order within calls made at once, and a sequence that all runs of a task hold says
nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spanlore.analyzers.arguments.argument_source import Slots, Sourced, sourced, usual_sources
from spanlore.analyzers.core.adjustment import adjustment_of, contrast_of, numbered
from spanlore.analyzers.core.guard import EFFECT_MIN
from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.closed_sequences import Items, closed_sequences
from spanlore.analyzers.counting.contrast import (
    comparable,
    excess,
    most_telling,
    passing,
    shown,
)
from spanlore.analyzers.counting.fact_counts import FACTS_OF_RUNS_SQL, Counted, facts_params
from spanlore.analyzers.runs.fact import DETAIL_CHARS_MAX, Fact
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.runs.run_traces import run_traces
from spanlore.analyzers.runs.tool_effect import key_part
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "success_workflow_mining"
VERSION = "1"
HYPOTHESES_MAX = 20
CANDIDATES_MAX = 60
SEQUENCES_MAX = 20_000
RUNS_MIN = 10
RUNS_SHARE_MIN = 0.02
# Up to twenty are asked, and one right by chance would be told to every tenant.
P_ELSEWHERE_MAX = 0.01
SLOT_RUNS_MAX = 10
SLOT_RUNS_AT_ONCE = 50
TENANTS_MAX = 10  # of whom the runs are that say where arguments come from

SEQUENCES_SQL = f"""
SELECT Detail, count() AS Runs FROM ({FACTS_OF_RUNS_SQL})
WHERE Outcome IN ('pass', 'fail')
GROUP BY Detail ORDER BY Runs DESC, Detail LIMIT {SEQUENCES_MAX}
"""
# A fact stands for every sequence that its tools hold.
HELD_SQL = "arrayFilter(pattern -> Detail LIKE pattern, {patterns:Array(String)})"
# The tenant in whose runs a sequence is seen most comes first.
WHERE_SQL = f"""
SELECT Pattern, TenantId, count() AS Runs, groupUniqArray(5)(TaskType) AS Types,
    groupArraySorted({SLOT_RUNS_MAX})(TraceId) AS Traces
FROM (
    SELECT TenantId, TaskType, TraceId, arrayJoin({HELD_SQL}) AS Pattern
    FROM ({FACTS_OF_RUNS_SQL}) WHERE Outcome = 'pass'
)
GROUP BY Pattern, TenantId ORDER BY Pattern, Runs DESC, TenantId LIMIT {TENANTS_MAX} BY Pattern
"""


def success_workflow_mining_facts(run: RunTrace) -> Iterator[Fact]:
    """Write the tools of a run down in order; a tool called again at once is written once."""
    tools: list[str] = []
    length = 0
    for call in run.calls:
        tool = key_part(call.tool)
        length += len(_item(tool))
        if length > DETAIL_CHARS_MAX:
            break
        if not call.asked_by and tools[-1:] != [tool]:
            tools.append(tool)
    if tools:
        yield Fact(key="tools", detail="".join(map(_item, tools)), span_id=run.calls[0].span_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a sequence is seen in runs that pass: whose they are, their types of task, a few.

    ``tenant`` is the one whose runs alone show that it passes more often, None where others' do.
    """

    tenant: str | None
    task_types: tuple[str, ...]
    trace_ids: tuple[str, ...]


def success_workflow_mining(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Mine the runs of the window, and hold what is mined against outcomes. Raises StoreError."""
    candidates = _candidates(store, window)
    telling = most_telling(_held(store, window, candidates), keep_max=HYPOTHESES_MAX)
    passes = [one.key for one in telling if excess(one.strata) < 0]
    places = _places(store, window, passes)
    yield from workflow_hypotheses(telling, places, _slots_of(store, places))


def workflow_hypotheses(
    counted: Iterable[Counted],
    places: Mapping[str, Place],
    slots: Mapping[str, Slots],
) -> Iterator[Hypothesis]:
    """Say of each sequence whether runs that hold it pass more often; the others only count."""
    for one in counted:
        held, tools = passing(one), list(_items(one.key))
        place = places.get(one.key, Place(tenant=None, task_types=(), trace_ids=()))
        yield held.hypothesis(
            analyzer=NAME,
            key=one.key,
            title=f"runs that call {_in_words(tools)} pass more often than runs that do not",
            counted="run",
            told=one.key in places,
            detail={
                "kind": "workflow",
                "tools": tools,
                "slots": _slots(tools, slots.get(one.key, {})),
                "lift": _lift(held),
                "tenant": place.tenant,
                "task_types": list(place.task_types),
                "n_counts": "judged runs that call these tools in this order, where others of the "
                "same task do not",
                "k_counts": "those of them that pass",
                "compared_with": "runs that do not",
            },
        )


def _candidates(store: Store, window: Window) -> list[Items]:
    """Return the sequences that some runs hold and many do not, however they came out."""
    rows = store.query(SEQUENCES_SQL, facts_params(window, NAME, "tools"))
    lists = {tuple(row["Detail"].strip("\n").split("\n\n")): row["Runs"] for row in rows}
    runs = sum(lists.values())
    found = closed_sequences(lists, support_min=max(RUNS_MIN, round(RUNS_SHARE_MIN * runs)))
    several = [one for one in found if len(one.items) > 1 and runs - one.support >= RUNS_MIN]
    varied = sorted(several, key=lambda one: (-one.support * (runs - one.support), one.items))
    return [one.items for one in varied[:CANDIDATES_MAX]]


def _held(
    store: Store, window: Window, candidates: Iterable[Items], *, without: str | None = None
) -> Iterator[Counted]:
    """Count each sequence in the judged runs, of all tenants but one, by its tools."""
    patterns = {_pattern(items): "|".join(items) for items in candidates}
    for one in shown(
        store,
        window,
        NAME,
        prefix="tools",
        among="1" if without is None else "TenantId != {without:String}",
        keys=HELD_SQL,
        params={"patterns": list(patterns), "without": without or ""},
    ):
        yield replace(one, key=patterns[one.key])


def _places(store: Store, window: Window, keys: Iterable[str]) -> dict[str, Place]:
    """Return where each sequence is seen; where one tenant alone shows it, only that one's runs."""
    patterns = {_pattern(_items(key)): key for key in keys}
    if not patterns:
        return {}
    params: dict[str, Any] = {**facts_params(window, NAME, "tools"), "patterns": list(patterns)}
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in store.query(WHERE_SQL, params):
        rows.setdefault(patterns[row["Pattern"]], []).append(row)
    first: dict[str, list[str]] = {}
    for key, found in rows.items():
        if len(found) > 1:  # else nobody else's runs could show it
            first.setdefault(found[0]["TenantId"], []).append(key)
    elsewhere = {
        one.key
        for tenant, mine in first.items()
        for one in _held(store, window, map(_items, mine), without=tenant)
        if _is_shown(one)
    }
    return {key: _place(found, is_elsewhere=key in elsewhere) for key, found in rows.items()}


def _is_shown(one: Counted) -> bool:
    """Whether runs that hold it pass more often, over all of them (they were not asked before)."""
    if (held := comparable(one)) is None:
        return False
    cells = numbered(passing(held).strata)
    tested = contrast_of(cells, adjustment_of(cells))
    return (tested.effect or 0.0) >= EFFECT_MIN and tested.p_greater <= P_ELSEWHERE_MAX


def _place(rows: Sequence[Mapping[str, Any]], *, is_elsewhere: bool) -> Place:
    kept = rows if is_elsewhere else rows[:1]
    return Place(
        tenant=None if is_elsewhere else rows[0]["TenantId"],
        task_types=tuple(sorted({name for row in kept for name in row["Types"]})),
        trace_ids=tuple(sorted({one for row in kept for one in row["Traces"]}))[:SLOT_RUNS_MAX],
    )


def _slots_of(store: Store, places: Mapping[str, Place]) -> dict[str, Slots]:
    """Return by sequence where its tools' arguments come from, in some of the runs that hold it."""
    trace_ids = sorted({trace_id for place in places.values() for trace_id in place.trace_ids})
    seen: dict[str, tuple[Sourced, ...]] = {}
    for begin in range(0, len(trace_ids), SLOT_RUNS_AT_ONCE):
        for run in run_traces(store, trace_ids[begin : begin + SLOT_RUNS_AT_ONCE]):
            seen[run.trace_id] = tuple(sourced(run))
    return {
        key: usual_sources((seen.get(one, ()) for one in place.trace_ids), _items(key))
        for key, place in places.items()
    }


def _lift(held: Counted) -> float | None:
    """Return the pass rate with the sequence over that without, in the strata compared."""
    cells = held.strata
    others = float(cells.other_k.sum())
    if not others:
        return None
    return round(float(cells.k.sum() / cells.n.sum()) / (others / float(cells.other_n.sum())), 3)


def _slots(tools: Sequence[str], slots: Slots) -> list[dict[str, str | None]]:
    """Return for each argument whose source is known which earlier step gives it (or the user)."""
    rows = []
    for (tool, path), source in slots.items():
        if not source.tool or source.tool in tools[: tools.index(tool)]:
            from_tool = source.tool or None
            rows.append({"tool": tool, "argument": path, "from": from_tool, "field": source.path})
    return rows


def _in_words(tools: Sequence[str]) -> str:
    return ", then ".join(plain(tool) for tool in tools)


def _item(tool: str) -> str:
    return f"\n{tool}\n"


def _items(key: str) -> Items:
    return tuple(key.split("|"))


def _pattern(items: Items) -> str:
    """Return a sequence as the pattern of SQL's LIKE that its holders match."""
    escaped = (item.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for item in items)
    return "%" + "%".join(map(_item, escaped)) + "%"

"""Ways of working: tools called in an order that runs which pass share, and others do not.

The tools of a run, in order, are mined for closed sequences that many judged runs hold with
anything between (``closed_sequences``), without looking at how they came out. Each is then held
against the outcome among the runs of the same task, agent, model and harness. For what is told it
says where each argument usually came from (``argument_source``), so that it can be written down as
a skill. It cannot see what an agent thought, nor order within calls made at once, and a sequence
that all runs of a task hold says nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spanlore.analyzers.arguments.argument_source import Slots, Sourced, sourced, usual_sources
from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting.closed_sequences import Items, closed_sequences
from spanlore.analyzers.counting.contrast import excess, most_telling, passing, shown
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
SLOT_RUNS_MAX = 10
SLOT_RUNS_AT_ONCE = 50

SEQUENCES_SQL = f"""
SELECT Detail, count() AS Runs FROM ({FACTS_OF_RUNS_SQL})
WHERE Outcome IN ('pass', 'fail')
GROUP BY Detail ORDER BY Runs DESC, Detail LIMIT {SEQUENCES_MAX}
"""
# A fact stands for every sequence that its tools hold.
HELD_SQL = "arrayFilter(pattern -> Detail LIKE pattern, {patterns:Array(String)})"
WHERE_SQL = f"""
SELECT Pattern, groupUniqArray(2)(TenantId) AS Tenants, groupUniqArray(5)(TaskType) AS Types,
    groupArraySorted({SLOT_RUNS_MAX})(TraceId) AS Traces
FROM (
    SELECT TenantId, TaskType, TraceId, arrayJoin({HELD_SQL}) AS Pattern
    FROM ({FACTS_OF_RUNS_SQL}) WHERE Outcome = 'pass'
)
GROUP BY Pattern
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


def success_workflow_mining(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Mine the runs of the window, and hold what is mined against outcomes. Raises StoreError."""
    patterns = {_pattern(items): items for items in _candidates(store, window)}
    counted = shown(
        store,
        window,
        NAME,
        prefix="tools",
        keys=HELD_SQL,
        params={"patterns": list(patterns)},
    )
    telling = [
        replace(one, key="|".join(patterns[one.key]))
        for one in most_telling(counted, keep_max=HYPOTHESES_MAX)
    ]
    passes = [one for one in telling if excess(one.strata) < 0]
    params: dict[str, Any] = {
        **facts_params(window, NAME, "tools"),
        "patterns": [_pattern(tuple(one.key.split("|"))) for one in passes],
    }
    places = {
        "|".join(patterns[row["Pattern"]]): row
        for row in (store.query(WHERE_SQL, params) if passes else ())
    }
    yield from workflow_hypotheses(telling, places, _slots_of(store, places))


def workflow_hypotheses(
    counted: Iterable[Counted],
    places: Mapping[str, Mapping[str, Any]],
    slots: Mapping[str, Slots],
) -> Iterator[Hypothesis]:
    """Say of each sequence whether runs that hold it pass more often; the others only count."""
    for one in counted:
        held, tools = passing(one), one.key.split("|")
        place = places.get(one.key, {})
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
                "tenants": sorted(place.get("Tenants", ())),
                "task_types": sorted(place.get("Types", ())),
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


def _slots_of(store: Store, places: Mapping[str, Mapping[str, Any]]) -> dict[str, Slots]:
    """Return by sequence where its tools' arguments come from, in some of the runs that hold it."""
    trace_ids = sorted({trace_id for place in places.values() for trace_id in place["Traces"]})
    seen: dict[str, tuple[Sourced, ...]] = {}
    for begin in range(0, len(trace_ids), SLOT_RUNS_AT_ONCE):
        for run in run_traces(store, trace_ids[begin : begin + SLOT_RUNS_AT_ONCE]):
            seen[run.trace_id] = tuple(sourced(run))
    return {
        key: usual_sources((seen.get(one, ()) for one in place["Traces"]), key.split("|"))
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


def _pattern(items: Items) -> str:
    """Return a sequence as the pattern of SQL's LIKE that its holders match."""
    escaped = (item.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for item in items)
    return "%" + "%".join(map(_item, escaped)) + "%"

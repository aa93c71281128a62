"""Which model or agent does better at which type of task, where several did the same tasks.

A route is an agent (name and version) with a model. Two routes are compared on the tasks that
both did, task by task: without a task in common there is no recommendation. Cost, tokens and time
are told beside it, over the same tasks. Only runs that name their task count, and what was changed
together with the model (the prompt, say) is not told apart from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.core.cells import Cells
from spanlore.analyzers.core.hypothesis import Hypothesis, Support
from spanlore.analyzers.counting.contrast import difference, excess
from spanlore.analyzers.counting.fact_counts import EVIDENCE_MAX, RUNS_SQL
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "routing"
VERSION = "1"
TYPES_MAX = 50
ROUTES_MAX = 4  # of one type: six pairs
ROUTE_RUNS_MIN = 10

_JUDGED = f"(SELECT * FROM ({RUNS_SQL}) WHERE Outcome IN ('pass', 'fail') AND TaskId != '')"
ROUTES_SQL = f"""
SELECT TaskType, AgentName, AgentVersion, Model, count() AS Runs FROM {_JUDGED}
GROUP BY TaskType, AgentName, AgentVersion, Model HAVING Runs >= {ROUTE_RUNS_MIN}
ORDER BY Runs DESC, AgentName, AgentVersion, Model LIMIT {ROUTES_MAX} BY TaskType
"""
RUNS_OF_TYPE_SQL = f"""
SELECT AgentName, AgentVersion, Model, Task, Judge, Cluster, Discovers, count() AS n,
    countIf(NOT IsFailed) AS k, sum(CostUsd) AS Cost, count(CostUsd) AS Costs,
    sum(coalesce(InputTokens, 0) + coalesce(OutputTokens, 0)) AS Tokens,
    sumIf(DurationMs, NOT TimeUnknown) AS Duration, countIf(NOT TimeUnknown) AS Durations,
    groupArraySortedIf({EVIDENCE_MAX})(TraceId, NOT IsFailed) AS Passed,
    groupArraySortedIf({EVIDENCE_MAX})(TraceId, IsFailed) AS Failed
FROM {_JUDGED} WHERE TaskType = {{type:String}}
GROUP BY AgentName, AgentVersion, Model, Task, Judge, Cluster, Discovers
ORDER BY Task, Judge, Cluster, AgentName, AgentVersion, Model
"""


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """Who did a run: an agent by name and version, with a model."""

    agent: str
    version: str
    model: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Route":
        """Return the route of a row of counts."""
        return cls(row["AgentName"], row["AgentVersion"], row["Model"])


Rows = Sequence[Mapping[str, Any]]


def routing(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Compare the routes of each type of task, the type with most runs first. Raises StoreError."""
    since = window.params
    routes: dict[str, list[Route]] = {}
    for row in store.query(ROUTES_SQL, since):
        routes.setdefault(row["TaskType"], []).append(Route.of(row))
    several = [task_type for task_type, found in routes.items() if len(found) > 1]
    for task_type in several[:TYPES_MAX]:
        rows = store.query(RUNS_OF_TYPE_SQL, {**since, "type": task_type})
        yield from routing_hypotheses(task_type, routes[task_type], rows)


def routing_hypotheses(task_type: str, routes: Sequence[Route], rows: Rows) -> Iterator[Hypothesis]:
    """Compare every two routes on the tasks of this type that both did."""
    by_route: dict[Route, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_route.setdefault(Route.of(row), []).append(row)
    for one, other in combinations(sorted(routes), 2):
        mine, others = by_route.get(one, []), by_route.get(other, [])
        if excess(_cells(mine, others)) >= 0:
            yield _hypothesis(task_type, (one, other), mine=mine, others=others)
        else:
            yield _hypothesis(task_type, (other, one), mine=others, others=mine)


def _hypothesis(
    task_type: str, routes: tuple[Route, Route], *, mine: Rows, others: Rows
) -> Hypothesis:
    shared = {row["Task"] for row in mine} & {row["Task"] for row in others}
    if shared:
        mine = [row for row in mine if row["Task"] in shared]
        others = [row for row in others if row["Task"] in shared]
    cells = _cells(mine, others)
    better, worse = _names(*routes)
    beside = {
        "cost": _ratio(mine, others, total="Cost", count="Costs"),
        "tokens": _ratio(mine, others, total="Tokens", count="n"),
        "duration": _ratio(mine, others, total="Duration", count="Durations"),
    }
    passed = sum(row["k"] for row in mine)
    return Hypothesis(
        analyzer=NAME,
        key="|".join([task_type, *(part for route in routes for part in _parts(route))]),
        title=f"{_where(task_type)} {better} passes more often than {worse}"
        f"{_by(cells)}{_at(beside)}",
        support=Support(
            n=sum(row["n"] for row in mine),
            k=passed,
            runs=sum(row["n"] for row in mine),
            units=len({row["Task"] for row in mine if row["k"]}),
        ),
        strata=cells,
        adjusted_for=("task", "judge") if len(set(cells.factors["judge"])) > 1 else ("task",),
        evidence=_traces(mine, "Passed"),
        counter_evidence=_traces(mine, "Failed"),
        counted="run",
        detail={
            "kind": "routing",
            "task_type": plain(task_type),
            "model": plain(routes[0].model),
            "agent": plain(f"{routes[0].agent}/{routes[0].version}"),
            "better": _parts(routes[0]),
            "worse": _parts(routes[1]),
            "tasks_in_common": len(shared),
            "users": len({row["Cluster"] for row in (*mine, *others)} - {-1}),
            "ratios": beside,
            "pass_rate": _rate(mine),
            "pass_rate_of_the_other": _rate(others),
            "n_counts": f"judged runs by {better} of tasks that both did",
            "k_counts": "those of them that pass",
            "compared_with": f"runs of the same tasks by {worse}",
        },
    )


def _cells(mine: Rows, others: Rows) -> Cells:
    """Return the counts of both by task, user and judge; passing is what happens."""
    places = sorted({_place(row) for row in (*mine, *others)})
    at = {place: number for number, place in enumerate(places)}
    counts = np.zeros((4, len(places)))
    for first, rows in ((0, mine), (2, others)):
        for row in rows:
            counts[first, at[_place(row)]] += row["n"]
            counts[first + 1, at[_place(row)]] += row["k"]
    columns: NDArray[np.int64] = np.array(places, dtype=np.int64).reshape(-1, 4)
    return Cells(
        n=counts[0],
        k=counts[1],
        other_n=counts[2],
        other_k=counts[3],
        discovers=columns[:, 2].astype(np.bool_),
        factors={"task": columns[:, 0], "judge": columns[:, 3]},
        cluster=columns[:, 1],
    )


def _place(row: Mapping[str, Any]) -> tuple[int, int, int, int]:
    return row["Task"], row["Cluster"], int(row["Discovers"]), row["Judge"]


def _ratio(mine: Rows, others: Rows, *, total: str, count: str) -> float | None:
    """Return one's mean a run over the other's, each the mean over the tasks that both did.

    None where a task lacks a measurement, or the other's is 0: then there is no such number.
    """
    means = []
    for rows in (mine, others):
        sums: dict[int, list[float]] = {}
        for row in rows:
            held = sums.setdefault(row["Task"], [0.0, 0.0])
            held[0] += row[total] or 0.0
            held[1] += row[count]
        if not sums or any(number == 0 for _, number in sums.values()):
            return None
        means.append(sum(whole / number for whole, number in sums.values()) / len(sums))
    return round(means[0] / means[1], 3) if means[0] > 0 and means[1] > 0 else None


def _where(task_type: str) -> str:
    return f"on {plain(task_type)} tasks" if task_type else "on tasks without a type"


def _by(cells: Cells) -> str:
    gap = difference(cells)
    return "" if gap is None else f" by {100 * gap:.0f} points"


def _at(ratios: Mapping[str, float | None]) -> str:
    """Say the price: the cost where it is known, else the tokens."""
    for name in ("cost", "tokens"):
        if ratios[name] is not None:
            return f" at {ratios[name]:.2g} times the {name}"
    return ""


def _names(one: Route, other: Route) -> tuple[str, str]:
    """Name two routes by what tells them apart: the model, else the version, else the agent."""
    if one.agent != other.agent:
        return _whole(one), _whole(other)
    if one.model != other.model:
        return plain(one.model) or "no model named", plain(other.model) or "no model named"
    return _whole(one), _whole(other)


def _whole(route: Route) -> str:
    return plain(" ".join(filter(None, (route.agent, route.version, f"with {route.model}"))))


def _parts(route: Route) -> list[str]:
    return [plain(route.agent), plain(route.version), plain(route.model)]


def _rate(rows: Rows) -> float | None:
    runs = sum(row["n"] for row in rows)
    return round(sum(row["k"] for row in rows) / runs, 4) if runs else None


def _traces(rows: Rows, name: str) -> tuple[str, ...]:
    return tuple(sorted(trace for row in rows for trace in row[name]))[:EVIDENCE_MAX]

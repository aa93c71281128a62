"""When a rate changed, and what else changed that day.

For each agent four rates are followed from day to day (UTC): runs that failed, runs in which a
tool failed (by tool), runs in which a user changed what was proposed, and runs with more tokens
than the median of their task type. The day that splits a series best (binomial likelihood ratio)
is chosen on the discovery half of the tasks (else users) alone; before and after are then compared
on the other half, within tasks, so that another mix of tasks is not a change. That the best of many
days was chosen is paid for: the discovery p is multiplied by the number of days tried, and
Benjamini-Hochberg goes over all series before a change may be confirmed at all.

A change that came within a day of a new harness, model or agent version names it: that is when it
happened, not why. One change a series is told, the strongest. Runs without times are not counted.
Cannot see: slow drift (it is told as a step), what comes and goes within a day, changes of the
users or the world that changed at the same time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.core.cells import Cells
from spanlore.analyzers.core.hypothesis import Hypothesis, Support
from spanlore.analyzers.core.statistics import wilson_interval
from spanlore.analyzers.counting.change_search import Series, Split, changes, stratum_of
from spanlore.analyzers.counting.fact_counts import RUNS_SQL
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.window import Window
from spanlore.schemas import semconv
from spanlore.schemas.learning_tables import OVERRIDES
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_SPAN, TRACES

NAME = "change_point"
VERSION = "1"
Q_MAX = 0.1
DAYS_NEAR = 1
SHARE_GAINED_MIN = 0.5  # of the runs, for a new version to have taken over
EVIDENCE_MAX = 20
VALUE_CHARS_SHOWN = 40
NEIGHBOUR_DAYS = 7

METRICS = {
    "failure": "runs that failed",
    "tool_error": "runs in which the tool failed at least once",
    "override": "runs in which a user changed what the agent proposed",
    "tokens": "runs with more tokens than the median run of their task type",
}

_TIMED_SQL = f"(SELECT * FROM ({RUNS_SQL}) WHERE TimeUnknown = 0 AND State != 'open')"
_TOOLS_SQL = f"""
SELECT TraceId, ToolName AS Tool, groupUniqArray(TenantId) AS CalledBy,
    groupUniqArrayIf(TenantId, StatusCode = 'Error' OR ErrorType != '') AS FailedFor
FROM (
    SELECT TenantId, TraceId, ToolName, StatusCode, ErrorType FROM {TRACES}
    WHERE Op IN ('{semconv.OP_EXECUTE_TOOL}', '') AND ToolName != '' AND Incomplete = 0
    {LATEST_SPAN}
)
GROUP BY TraceId, ToolName
"""
_OVERRIDDEN_SQL = f"SELECT TraceId, TenantId FROM {OVERRIDES} WHERE Actor IN ('user', '')"
_IS_OVERRIDDEN = (
    f"((TraceId, TenantId) IN ({_OVERRIDDEN_SQL}) OR "
    f"(TraceId, '{semconv.DEFAULT_TENANT}') IN ({_OVERRIDDEN_SQL}))"
)
# What another tenant sent under a run's trace id is not of the run.
_OWN = f"[toString(run.TenantId), '{semconv.DEFAULT_TENANT}']"
_TOKENS = "assumeNotNull(InputTokens) + assumeNotNull(OutputTokens)"
_TOKENS_KNOWN = "InputTokens IS NOT NULL AND OutputTokens IS NOT NULL"
# One row a run and series: what each of the metrics says of it.
_LOOKS = {
    "failure": f"""SELECT *, '' AS Tool, Outcome = 'fail' AS Happened FROM {_TIMED_SQL}
        WHERE Outcome IN ('pass', 'fail')""",
    "tool_error": f"""SELECT run.*, call.Tool AS Tool, hasAny(call.FailedFor, {_OWN}) AS Happened
        FROM {_TIMED_SQL} AS run INNER JOIN ({_TOOLS_SQL}) AS call ON call.TraceId = run.TraceId
        WHERE hasAny(call.CalledBy, {_OWN})""",
    # Where nobody ever reports one, that there is none says nothing.
    "override": f"""SELECT *, '' AS Tool, {_IS_OVERRIDDEN} AS Happened
        FROM {_TIMED_SQL} WHERE AgentName IN (
            SELECT DISTINCT AgentName FROM {_TIMED_SQL} WHERE {_IS_OVERRIDDEN})""",
    "tokens": f"""SELECT run.*, '' AS Tool, {_TOKENS} > typical.Median AS Happened
        FROM (SELECT * FROM {_TIMED_SQL} WHERE {_TOKENS_KNOWN}) AS run
        INNER JOIN (
            SELECT AgentName, TaskType, quantileExact(0.5)({_TOKENS}) AS Median
            FROM {_TIMED_SQL} WHERE {_TOKENS_KNOWN} GROUP BY AgentName, TaskType
        ) AS typical ON typical.AgentName = run.AgentName AND typical.TaskType = run.TaskType""",
}
_DAY = "toUInt32(toDate(StartedAt, 'UTC'))"

_CHANGES_SQL = f"""
SELECT AgentName, Factor, Value, Day, count() AS Runs FROM (
    SELECT AgentName, {_DAY} AS Day, arrayJoin([
        ('harness', HarnessHash), ('model', Model), ('agent version', AgentVersion)
    ]) AS Pair, Pair.1 AS Factor, Pair.2 AS Value
    FROM {_TIMED_SQL}
)
GROUP BY AgentName, Factor, Value, Day ORDER BY AgentName, Factor, Value, Day
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """On how many runs of an agent each day something was in use: a harness, model or version."""

    agent: str
    factor: str
    value: str
    runs: Mapping[int, int]


def change_point(store: Store, window: Window) -> Iterator[Hypothesis]:
    """Look at the rates of all agents over all days of the window. Raises StoreError."""
    params = window.params
    series = [one for metric in METRICS for one in _series(store, metric, params)]
    versions = _versions(store, params)
    for one, split in changes(series):
        hypothesis = change_hypothesis(one, split, versions)
        yield (
            _with_evidence(store, hypothesis, one, params=params) if hypothesis.told else hypothesis
        )


def change_hypothesis(series: Series, split: Split, versions: Sequence[Version]) -> Hypothesis:
    """Form the hypothesis that the period with the higher rate has it for a reason."""
    cells, adjusted_for = _cells(series, split)
    subject = (series.day >= split.day) == split.is_rise
    sides = {"before": series.day < split.day, "after": series.day >= split.day}
    aligned = _aligned(series.agent, split.day, versions)
    happened = subject & (series.k > 0)
    return Hypothesis(
        analyzer=NAME,
        key=f"{series.key}|{'rose' if split.is_rise else 'fell'}",
        title=_title(series, split, aligned),
        support=Support(
            n=int(series.n[subject].sum()),
            k=int(series.k[subject].sum()),
            runs=int(series.n[subject].sum()),
            units=len(np.unique(series.unit[happened])),
        ),
        strata=cells,
        adjusted_for=adjusted_for,
        evidence=(),
        counter_evidence=(),
        units_noun=series.units_noun,
        family=NAME,
        told=split.q <= Q_MAX,
        doubt=None if split.q <= Q_MAX else _doubt(split),
        counted="run",
        detail={
            "kind": "change_point",
            "metric": series.metric,
            "agent": series.agent,
            "tool": series.tool,
            "day": _date(split.day),
            "direction": "rose" if split.is_rise else "fell",
            "n_counts": f"runs {'from that day on' if split.is_rise else 'before that day'}",
            "k_counts": f"of these, {METRICS[series.metric]}",
            "compared_with": f"runs {'before' if split.is_rise else 'from'} {_date(split.day)}",
            **{name: _rate(series, rows) for name, rows in sides.items()},
            "changed_with": aligned,
            "days_tried": split.tried,
            "p_of_the_choice": split.p,
            "q_of_the_choice": split.q,
        },
    )


def _with_evidence(
    store: Store, hypothesis: Hypothesis, series: Series, *, params: Mapping[str, Any]
) -> Hypothesis:
    """Add the runs nearest to the day: in the period told of, those where it happened, or not."""
    detail = hypothesis.detail
    side = ">=" if detail["direction"] == "rose" else "<"
    of = {**params, "agent": series.agent, "tool": series.tool, "day": detail["day"]}
    happened, not_happened = (
        tuple(
            row["TraceId"]
            for row in store.query(
                f"""SELECT TraceId FROM ({_LOOKS[series.metric]})
                WHERE AgentName = {{agent:String}} AND Tool = {{tool:String}}
                    AND toDate(StartedAt, 'UTC') {side} {{day:Date}} AND Happened = {is_so}
                ORDER BY abs(toDate(StartedAt, 'UTC') - {{day:Date}}), TraceId
                LIMIT {EVIDENCE_MAX}""",
                of,
            )
        )
        for is_so in (1, 0)
    )
    return replace(hypothesis, evidence=happened, counter_evidence=not_happened)


def _cells(series: Series, split: Split) -> tuple[Cells, tuple[str, ...]]:
    """Return the counts of both periods within each task (type), half and user."""
    stratum, adjusted_for = stratum_of(series, split.day)
    place, at = np.unique(
        np.stack([stratum, series.cluster, series.discovers.astype(np.int64)]),
        axis=1,
        return_inverse=True,
    )
    subject = (series.day >= split.day) == split.is_rise
    n, k, other_n, other_k = (
        np.bincount(at.reshape(-1), counts * rows, place.shape[1]).astype(np.float64)
        for rows in (subject, ~subject)
        for counts in (series.n, series.k)
    )
    cells = Cells(
        n=n,
        k=k,
        other_n=other_n,
        other_k=other_k,
        discovers=place[2].astype(np.bool_),
        factors={"task": place[0]},
        cluster=place[1],
    )
    return cells, adjusted_for


def _rate(series: Series, rows: NDArray[np.bool_]) -> dict[str, Any]:
    n, k = int(series.n[rows].sum()), int(series.k[rows].sum())
    low, high = wilson_interval(k, n)
    return {
        "runs": n,
        "happened": k,
        "rate": round(k / n, 4),
        "interval": [round(low, 4), round(high, 4)],
    }


def _aligned(agent: str, day: int, versions: Sequence[Version]) -> list[dict[str, Any]]:
    """Return what took over within a day of the change: most runs use it after, few before."""
    found = []
    for one in versions:
        if one.agent != agent or abs(min(one.runs) - day) > DAYS_NEAR:
            continue
        shares = [_share(one, versions, days) for days in _weeks(min(one.runs))]
        if shares[1] - shares[0] >= SHARE_GAINED_MIN:
            found.append(
                {
                    "factor": one.factor,
                    "value": one.value,
                    "first_day": _date(min(one.runs)),
                    "share_before": round(shares[0], 3),
                    "share_after": round(shares[1], 3),
                }
            )
    return found


def _share(one: Version, versions: Sequence[Version], days: range) -> float:
    beside = [each for each in versions if (each.agent, each.factor) == (one.agent, one.factor)]
    every = sum(each.runs.get(day, 0) for each in beside for day in days)
    return sum(one.runs.get(day, 0) for day in days) / every if every else 0.0


def _weeks(day: int) -> tuple[range, range]:
    return range(day - NEIGHBOUR_DAYS, day), range(day, day + NEIGHBOUR_DAYS)


def _title(series: Series, split: Split, aligned: Sequence[Mapping[str, Any]]) -> str:
    what = METRICS[series.metric].replace("the tool", series.tool or "the tool", 1)
    verb = "rose" if split.is_rise else "fell"
    with_what = ", ".join(
        f"the first day of {one['factor']} {one['value'][:VALUE_CHARS_SHOWN]}"
        for one in aligned
        if one["first_day"] == _date(split.day)
    )
    agent = f"agent {series.agent}" if series.agent else "the agent"
    tail = f", {with_what}" if with_what else ""
    return plain(f"{agent}: the share of {what} {verb} on {_date(split.day)}{tail}")


def _doubt(split: Split) -> str:
    return (
        f"no change shown on the discovery half: p={split.p:.3g} after {split.tried} days tried, "
        f"q={split.q:.3g} over all series"
    )


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _series(store: Store, metric: str, params: Mapping[str, Any]) -> Iterator[Series]:
    columns = store.columns(
        f"""SELECT AgentName, Tool, {_DAY} AS Day, reinterpretAsInt64(sipHash64(Unit)) AS UnitCode,
            Task, reinterpretAsInt64(sipHash64(TaskType)) AS Type, Cluster, Discovers,
            any(multiIf(TaskId != '', 'task', UserId != '', 'user', 'run')) AS Noun,
            count() AS n, sum(Happened) AS k
        FROM ({_LOOKS[metric]})
        GROUP BY AgentName, Tool, Day, UnitCode, Task, Type, Cluster, Discovers
        ORDER BY AgentName, Tool, Day, UnitCode, Cluster""",
        params,
    )
    names = list(zip(columns["AgentName"], columns["Tool"], strict=True))
    whole = {
        name: np.array(columns[name], dtype=np.int64)
        for name in ("Day", "UnitCode", "Task", "Type", "Cluster", "Discovers", "n", "k")
    }
    begins = [row for row, name in enumerate(names) if row == 0 or names[row - 1] != name]
    for begin, end in pairwise([*begins, len(names)] if names else []):
        rows = {name: values[begin:end] for name, values in whole.items()}
        nouns = set(columns["Noun"][begin:end])
        yield Series(
            metric=metric,
            agent=names[begin][0],
            tool=names[begin][1],
            day=rows["Day"],
            unit=rows["UnitCode"],
            task=rows["Task"],
            task_type=rows["Type"],
            cluster=rows["Cluster"],
            discovers=rows["Discovers"].astype(np.bool_),
            n=rows["n"],
            k=rows["k"],
            units_noun="task" if "task" in nouns else "user" if "user" in nouns else "run",
        )


def _versions(store: Store, params: Mapping[str, Any]) -> list[Version]:
    found: dict[tuple[str, str, str], dict[int, int]] = {}
    for row in store.query(_CHANGES_SQL, params):
        name = (row["AgentName"], row["Factor"], row["Value"])
        found.setdefault(name, {})[row["Day"]] = row["Runs"]
    return [
        Version(agent=agent, factor=factor, value=value, runs=runs)
        for (agent, factor, value), runs in found.items()
        if value
    ]

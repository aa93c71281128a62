"""Reading runs: the list, and the spans of one as a tree.

What the command line, the review desk and the analyzers show of a run is read here, so that all
see the same row.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from spanlore.schemas import semconv, tables
from spanlore.schemas.store import Store
from spanlore.schemas.types import Run

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SINCE = re.compile(r"(\d+)([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PERIOD_S_MAX = 5_000 * _UNIT_S["w"]  # times before and after stay those of a calendar

# What a recording names a run by: tenant, task id, run id and trial, "" where it does not say.
RunName = tuple[str, ...]
_NAMES_MAX = 10_000
_TRACES_A_NAME_MAX = 100

_RUN_FIELDS = """TraceId AS trace_id, nullIf(AgentName, '') AS agent, TenantId AS tenant,
    nullIf(UserId, '') AS user, nullIf(TaskType, '') AS task, nullIf(TaskId, '') AS task_id,
    State AS state, nullIf(Outcome, '') AS outcome, OutcomeScore AS outcome_score,
    nullIf(OutcomeSource, '') AS outcome_source,
    if(TimeUnknown, NULL, toUnixTimestamp64Nano(StartedAt)) AS started_ns,
    if(TimeUnknown, NULL, DurationMs) AS duration_ms, Steps AS steps, ToolCalls AS tool_calls,
    ToolErrors AS tool_errors, InputTokens AS input_tokens, OutputTokens AS output_tokens,
    CostUsd AS cost_usd, nullIf(HarnessHash, '') AS harness, nullIf(Model, '') AS model,
    Spans AS spans"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; None means any. ``since`` is about when spans were received."""

    user: str | None = None
    tenant: str | None = None
    agent: str | None = None
    task: str | None = None
    failed: bool = False
    since: timedelta | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanNode:
    """A span of a run with what a reader wants to see of it. Times are Unix nanoseconds."""

    span_id: str
    parent_span_id: str
    name: str
    op: str
    start_ns: int
    end_ns: int
    status: str
    status_message: str | None
    error_type: str | None
    model: str | None
    tool: str | None
    tool_arguments: str | None
    tool_result: str | None
    input_tokens: int | None
    output_tokens: int | None
    incomplete: bool
    time_unknown: bool


def parse_since(text: str) -> timedelta:
    """Read a span of time such as ``30m``, ``12h``, ``7d`` or ``2w``; ValueError otherwise."""
    found = _SINCE.fullmatch(text.strip())
    if not found:
        message = f"not a span of time: {text!r}; write for example 30m, 12h, 7d or 2w"
        raise ValueError(message)
    seconds = int(found[1]) * _UNIT_S[found[2]]
    if seconds > _PERIOD_S_MAX:
        most = f"{_PERIOD_S_MAX // _UNIT_S['w']}w"
        raise ValueError(f"too long a span of time: {text!r}; write at most {most}")
    return timedelta(seconds=seconds)


def list_runs(store: Store, wanted: RunFilter, *, now: datetime) -> list[Run]:
    """Return the newest runs that match, newest first; runs without times come last."""
    tests: list[str] = []
    params: dict[str, Any] = {"limit": wanted.limit}
    columns = {"UserId": wanted.user, "TenantId": wanted.tenant, "AgentName": wanted.agent}
    for column, value in columns.items():
        if value is not None:
            tests.append(f"{column} = {{{column}:String}}")
            params[column] = value
    if wanted.task is not None:
        tests.append("{task:String} IN (TaskType, TaskId, concat(TaskType, '/', TaskId))")
        params["task"] = wanted.task
    if wanted.failed:
        tests.append("Outcome = 'fail'")
    if wanted.since is not None:
        tests.append("LastReceivedAt >= fromUnixTimestamp64Nano({since_ns:Int64})")
        params["since_ns"] = int((now - wanted.since - _EPOCH).total_seconds() * 1e9)
    newest = "ORDER BY TimeUnknown, StartedAt DESC, TraceId LIMIT {limit:UInt32}"
    matches = " AND ".join(tests)
    # The rest of a row is read of those alone that may be listed. A run is listed by its latest
    # row; the rows before it only say that it may match.
    if tests:
        candidates = f"SELECT TraceId FROM {tables.RUNS} WHERE {matches}"
    else:
        times = f"SELECT TraceId, TimeUnknown, StartedAt FROM {tables.RUNS} {tables.LATEST_RUN}"
        candidates = f"SELECT TraceId FROM ({times}) {newest}"
    sql = f"""SELECT {_RUN_FIELDS} FROM (
            SELECT * FROM {tables.RUNS} WHERE TraceId IN ({candidates}) {tables.LATEST_RUN})
        WHERE {matches or 1} {newest}"""
    return [_run(row) for row in store.query(sql, params)]


def runs_beginning(store: Store, trace_id: str, *, limit: int) -> list[Run]:
    """Return the first runs whose trace id (hex) begins so, in the order of their ids."""
    sql = f"""SELECT {_RUN_FIELDS} FROM (SELECT * FROM {tables.RUNS}
        WHERE startsWith(TraceId, {{prefix:String}}) {tables.LATEST_RUN})
        ORDER BY TraceId LIMIT {{limit:UInt32}}"""
    return [_run(row) for row in store.query(sql, {"prefix": trace_id.lower(), "limit": limit})]


def imported_twice(store: Store, *, first_ns: int, last_ns: int) -> dict[RunName, list[str]]:
    """Return the imported runs begun in between whose name several have, with their trace ids."""
    names = (semconv.TENANT_ID, semconv.TASK_ID, semconv.RUN_ID, semconv.TRIAL)
    name = ", ".join(f"SpanAttributes['{one}']" for one in names)
    sql = f"""SELECT [{name}] AS name, groupUniqArray({_TRACES_A_NAME_MAX})(TraceId) AS traces
        FROM {tables.TRACES}
        WHERE ParentSpanId = '' AND SpanAttributes['{semconv.RUN_ID}'] != '' AND Timestamp
            BETWEEN fromUnixTimestamp64Nano({{first_ns:Int64}})
            AND fromUnixTimestamp64Nano({{last_ns:Int64}})
        GROUP BY name HAVING length(traces) > 1 LIMIT {_NAMES_MAX}"""
    rows = store.query(sql, {"first_ns": first_ns, "last_ns": last_ns})
    return {tuple(row["name"]): row["traces"] for row in rows}


def run_spans(store: Store, trace_id: str) -> list[SpanNode]:
    """Return the spans of a trace, deduplicated, in the order they started."""
    sql = f"""SELECT SpanId AS span_id, ParentSpanId AS parent_span_id, SpanName AS name, Op AS op,
        StartUnixNano AS start_ns, EndUnixNano AS end_ns, StatusCode AS status,
        nullIf(StatusMessage, '') AS status_message, nullIf(ErrorType, '') AS error_type,
        nullIf(Model, '') AS model, nullIf(ToolName, '') AS tool,
        nullIf(ToolArguments, '') AS tool_arguments, nullIf(ToolResult, '') AS tool_result,
        InputTokens AS input_tokens, OutputTokens AS output_tokens,
        Incomplete = 1 AS incomplete, TimeUnknown = 1 AS time_unknown
        FROM (SELECT * FROM {tables.TRACES}
            WHERE TraceId = {{trace_id:String}} {tables.LATEST_SPAN})
        ORDER BY start_ns, end_ns DESC, span_id"""
    rows = store.query(sql, {"trace_id": trace_id})
    flags = ("incomplete", "time_unknown")
    return [SpanNode(**{**row, **{flag: bool(row[flag]) for flag in flags}}) for row in rows]


def _run(row: Mapping[str, Any]) -> Run:
    started_ns = row["started_ns"]
    started_at = None if started_ns is None else _EPOCH + timedelta(microseconds=started_ns // 1000)
    return Run(started_at=started_at, **{k: v for k, v in row.items() if k != "started_ns"})

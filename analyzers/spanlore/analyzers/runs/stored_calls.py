"""Tool calls with all they hold, read from the store some runs at a time.

For what looks at values and not at counts: the gates and the effects of lessons about one tool.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from spanlore.analyzers.runs.calls import Call, calls_of
from spanlore.analyzers.runs.run_traces import shortened
from spanlore.analyzers.window import IN_WINDOW, Window
from spanlore.schemas import semconv
from spanlore.schemas.learning_tables import NOT_REVOKED
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, LATEST_SPAN, OF_RUNS_TENANT, RUNS, TRACES
from spanlore.schemas.views import SPANS_OF_TRACES

RUNS_A_BATCH = 500

RUNS_OF_TOOLS_SQL = f"""
SELECT TraceId FROM (
    SELECT TraceId, StartedAt FROM {RUNS}
    WHERE {IN_WINDOW} AND {NOT_REVOKED} {LATEST_RUN}
)
WHERE TraceId IN (SELECT TraceId FROM {TRACES} WHERE ToolName IN {{tools:Array(String)}})
ORDER BY StartedAt, TraceId
"""

# Parameter: ``ids``, a tuple of trace ids.
TOOL_CALLS_SQL = f"""
SELECT call.TenantId AS TenantId, call.TraceId AS TraceId, call.SpanId AS SpanId,
       call.StartUnixNano AS StartUnixNano, call.ToolName AS ToolName,
       call.ToolArguments AS ToolArguments, call.ToolResult AS ToolResult,
       call.StatusCode = 'Error' OR call.ErrorType != '' AS Failed,
       call.StatusMessage AS StatusMessage, call.ErrorType AS ErrorType,
       run.TaskType AS TaskType, run.TaskId AS TaskId, run.UserId AS UserId,
       run.AgentName AS AgentName, run.AgentVersion AS AgentVersion, run.Model AS Model,
       run.DuplicateOf[call.SpanId] AS DuplicateOf
FROM (
    SELECT TenantId, TraceId, SpanId, StartUnixNano, ToolName,
           {shortened("ToolArguments")}, {shortened("ToolResult")}, StatusCode,
           {shortened("StatusMessage")}, ErrorType
    FROM {TRACES}
    WHERE {SPANS_OF_TRACES} AND ToolName != '' AND Op IN ('{semconv.OP_EXECUTE_TOOL}', '')
        AND Incomplete = 0 AND {OF_RUNS_TENANT}
    {LATEST_SPAN}
) AS call
INNER JOIN (
    SELECT TraceId, TaskType, TaskId, UserId, AgentName, AgentVersion, Model, DuplicateOf
    FROM {RUNS} WHERE TraceId IN %(ids)s {LATEST_RUN}
) AS run ON run.TraceId = call.TraceId
"""


def calls_by_run(store: Store, window: Window, tools: Sequence[str]) -> Iterator[list[Call]]:
    """Yield all calls of each run that called one of these tools, in the order they were made.

    A few hundred runs are in memory at a time. Raises StoreError.
    """
    asked = {**window.params, "tools": list(tools)}
    trace_ids = [row["TraceId"] for row in store.query(RUNS_OF_TOOLS_SQL, asked)]
    for begin in range(0, len(trace_ids), RUNS_A_BATCH):
        ids = tuple(trace_ids[begin : begin + RUNS_A_BATCH])
        calls = calls_of(store.query(TOOL_CALLS_SQL, {"ids": ids}))
        for _, made in groupby(calls, key=lambda call: call.trace_id):
            yield list(made)

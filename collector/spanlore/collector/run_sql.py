"""The SQL that adds up the spans of a trace: one row a trace, for the sealing job.

Parameters: ``ids``, trace ids, sent once beside the statement however often it names them; and
``begin`` and ``end``, what ``ENDS_SQL`` says of these, so that no other hours are read.

Anybody may send spans under a trace id that they saw. So a run that stands stays its tenant's,
for as long as there are spans of that tenant; else it is that of its root, or of the first span
that names a tenant. Spans of other tenants are no part of it; those that name none are.
"""

from spanlore.schemas import otlp, semconv, tables, views

_INFERENCE = f"Op IN {semconv.INFERENCE_OPS}"
_TOOL = f"Op = '{semconv.OP_EXECUTE_TOOL}'"
_ROOT_OP = f"Op IN {semconv.ROOT_OPS}"
# An inference span right below another inference span is the same call seen by two
# instrumentations: it counts once.
_COUNTED = f"{_INFERENCE} AND NOT duplicate"

# A span's place in its trace: the first one is what the run stands on.
_ORDER = (
    f"(multiIf(ParentSpanId = '' AND {_ROOT_OP}, 0, ParentSpanId = '', 1, {_ROOT_OP}, 2, 3), "
    "Timestamp, SpanId)"
)
OF_IDS = "TraceId IN {ids:Array(String)}"
ENDS_SQL = views.ends_sql(OF_IDS)
_OF_TRACES = f"""{OF_IDS} AND Timestamp >= {{begin:DateTime64(9, 'UTC')}}
    AND Timestamp < {{end:DateTime64(9, 'UTC')}}"""

# What stands open and names no tenant may yet be told whose it is.
_STANDING_SQL = f"""SELECT TraceId, argMax(TenantId, Version) AS Standing,
        argMax(TenantId != '{semconv.DEFAULT_TENANT}' OR State = 'sealed', Version) AS Stays
    FROM {tables.RUNS} WHERE {OF_IDS} GROUP BY TraceId"""
_OWNERS_SQL = f"""SELECT TraceId, if(
        any(stood.Stays) AND has(groupUniqArray(TenantId), any(stood.Standing)),
        any(stood.Standing),
        argMin(TenantId, (TenantId = '{semconv.DEFAULT_TENANT}', {_ORDER}))
    ) AS Owner
    FROM {tables.TRACES} LEFT JOIN ({_STANDING_SQL}) AS stood USING (TraceId)
    WHERE {_OF_TRACES} GROUP BY TraceId"""
_LATEST = f"FROM {tables.TRACES} WHERE {_OF_TRACES} {tables.LATEST_SPAN}"

# Planning costs more than reading does: each question is asked once.
_SPANS = f"""SELECT *
    FROM (
        SELECT TenantId, TraceId, SpanId, ParentSpanId, Timestamp, StartUnixNano, EndUnixNano,
            ServiceName, Op, AgentName, AgentVersion, UserId, SessionId, TaskType, TaskId,
            Provider, Model, InputTokens, OutputTokens, CacheReadTokens, ErrorType, StatusCode,
            InstructionsHash, ToolDefinitionsHash, Sampling, Revision, TimeUnknown, Incomplete,
            ReceivedAt, {_ORDER} AS order
        {_LATEST}
    ) AS latest
    INNER JOIN ({_OWNERS_SQL}) AS owned USING (TraceId)
    WHERE TenantId IN (Owner, '{semconv.DEFAULT_TENANT}')"""
# Two tenants may use one span id: what each says of it stands in one row.
_PARENTS = f"""SELECT TraceId, SpanId, groupArray((toString(TenantId), {_INFERENCE})) AS said
    FROM (SELECT TenantId, TraceId, SpanId, Op {_LATEST}) GROUP BY TraceId, SpanId"""


def _of_run(tenant: str) -> str:
    """SQL for whether this tenant's spans are of the run: its owner's are, and nobody's."""
    return f"{tenant} IN (s.Owner, '{semconv.DEFAULT_TENANT}')"


# Tokens by what decides their price: cached ones are a part of the input.
_CACHED = "least(ifNull(CacheReadTokens, 0), InputTokens)"
_USED = f"{_COUNTED} AND isNotNull(InputTokens)"
_USAGE = f"""sumMapIf(
        [priced_as], [assumeNotNull(InputTokens - {_CACHED})],
        [assumeNotNull({_CACHED})], [assumeNotNull(OutputTokens)],
        {_USED} AND isNotNull(OutputTokens)
    )"""


def _first(column: str) -> str:
    """SQL for a fact of the run: the root's word, else the earliest span's that has one."""
    return f"argMinIf({column}, order, {column} != '') AS {column}"


RUN_ROWS_SQL = f"""SELECT
    TraceId,
    argMin(TenantId, (TenantId = '{semconv.DEFAULT_TENANT}', order)) AS TenantId,
    argMin(SpanId, order) AS RootSpanId,
    argMin(order.1, order) AS root_rank,
    argMin(Incomplete, order) AS root_open,
    countIf(ParentSpanId != '' AND NOT parent_known) AS orphans,
    max(toUnixTimestamp64Nano(ReceivedAt)) AS last_received_ns,
    {_first("ServiceName")},
    {_first("AgentName")},
    {_first("AgentVersion")},
    {_first("UserId")},
    {_first("SessionId")},
    {_first("TaskType")},
    {_first("TaskId")},
    {_first("Provider")},
    {_first("Revision")},
    argMinIf(Model, (NOT {_INFERENCE}, order), Model != '') AS Model,
    argMinIf(Sampling, order, Sampling NOT IN ('', '{{}}')) AS Sampling,
    argMinIf(InstructionsHash, (NOT {_INFERENCE}, order), InstructionsHash != 0)
        AS instructions_raw,
    argMinIf(ToolDefinitionsHash, (NOT {_INFERENCE}, order), ToolDefinitionsHash != 0)
        AS tools_raw,
    min(Timestamp) AS StartedAt,
    {otlp.time_sql("max(greatest(EndUnixNano, StartUnixNano))")} AS EndedAt,
    toUInt64(max(greatest(EndUnixNano, StartUnixNano)) - min(StartUnixNano)) / 1e6 AS DurationMs,
    max(TimeUnknown) AS TimeUnknown,
    count() AS Spans,
    countIf({_COUNTED}) AS Steps,
    countIf({_TOOL}) AS ToolCalls,
    countIf({_TOOL} AND (StatusCode = 'Error' OR ErrorType != '')) AS ToolErrors,
    sumOrNullIf(InputTokens, {_COUNTED}) AS inference_input,
    sumOrNullIf(OutputTokens, {_COUNTED}) AS inference_output,
    argMin(tuple(InputTokens), order).1 AS root_input,
    argMin(tuple(OutputTokens), order).1 AS root_output,
    {_USAGE} AS usage,
    countIf({_USED} AND isNull(OutputTokens)) AS half_known
FROM (
    SELECT s.*,
        arrayExists(by -> {_of_run("by.1")}, parent.said) AS parent_known,
        s.{_INFERENCE} AND arrayExists(by -> by.2 AND {_of_run("by.1")}, parent.said)
            AS duplicate,
        (toString(s.Model), toDate(s.Timestamp, 'UTC')) AS priced_as
    FROM ({_SPANS}) AS s
    LEFT JOIN ({_PARENTS}) AS parent
    ON s.TraceId = parent.TraceId AND s.ParentSpanId = parent.SpanId
)
GROUP BY TraceId"""

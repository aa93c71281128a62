"""Every table of the store, once: its DDL, insert columns and readers derive from these values.

``otel_traces``, ``otel_logs``, ``otel_metrics_*`` and ``otel_traces_trace_id_ts`` hold the columns
of the OpenTelemetry Collector's ClickHouse exporter, names and types exact, so that Grafana's
plugin and other readers of that schema work against them. Our own columns on them are ``DEFAULT``
expressions over the attribute maps: rows that a foreign exporter writes fill them too.
"""

from spanlore.schemas import dialect_messages, dialects, learning_tables, metric_tables, semconv
from spanlore.schemas.dialects import identity, own, span_attribute, tokens
from spanlore.schemas.table import (
    DURABLE,
    LOW,
    MAP,
    NANOS,
    PROVENANCE,
    PROVENANCE_INDEXES,
    TIME,
    Column,
    Table,
    tenant_of,
)

DATABASE = "spanlore"

TRACES = "otel_traces"
TRACE_TIMES = "otel_traces_trace_id_ts"
LOGS = "otel_logs"
RUNS = "agent_runs"
JUDGEMENTS = "judgements"
HARNESS_PARTS = "harness_parts"

# What a row of ``harness_parts`` holds: its Kind.
KIND_INSTRUCTIONS = "instructions"
KIND_TOOL_DEFINITIONS = "tool_definitions"


_EXPORTER_TRACE_COLUMNS = (
    Column("Timestamp", TIME, codec="Delta(8), ZSTD(1)"),
    Column("TraceId", "String"),
    Column("SpanId", "String"),
    Column("ParentSpanId", "String"),
    Column("TraceState", "String"),
    Column("SpanName", LOW),
    Column("SpanKind", LOW),
    Column("ServiceName", LOW),
    Column("ResourceAttributes", MAP),
    Column("ScopeName", "String"),
    Column("ScopeVersion", "String"),
    Column("SpanAttributes", MAP),
    Column("Duration", "UInt64", codec="T64, ZSTD(1)"),
    Column("StatusCode", LOW),
    Column("StatusMessage", "String"),
    Column("Events.Timestamp", f"Array({TIME})"),
    Column("Events.Name", f"Array({LOW})"),
    Column("Events.Attributes", f"Array({MAP})"),
    Column("Links.TraceId", "Array(String)"),
    Column("Links.SpanId", "Array(String)"),
    Column("Links.TraceState", "Array(String)"),
    Column("Links.Attributes", f"Array({MAP})"),
)

_ITEMS = "arrayMap(kv -> concat(kv.1, '=', kv.2), CAST({column}, 'Array(Tuple(String, String))'))"

_OWN_TRACE_COLUMNS = (
    Column("TenantId", LOW, tenant_of("SpanAttributes", "ResourceAttributes", dialects.DIALECT)),
    Column("UserId", "String", identity(semconv.USER_ID)),
    Column("SessionId", "String", identity(semconv.CONVERSATION_ID, semconv.SESSION_ID)),
    Column("Op", LOW, dialects.OPERATION_SQL),
    Column("AgentName", LOW, dialects.AGENT_NAME_SQL),
    Column("AgentVersion", LOW, span_attribute(semconv.AGENT_VERSION)),
    Column("Provider", LOW, dialects.PROVIDER_SQL),
    Column("Model", LOW, span_attribute(semconv.RESPONSE_MODEL, semconv.REQUEST_MODEL)),
    Column("ToolName", LOW, dialects.TOOL_NAME_SQL),
    Column("ToolCallId", "String", span_attribute(semconv.TOOL_CALL_ID)),
    Column("TaskType", LOW, span_attribute(semconv.TASK_TYPE)),
    Column("TaskId", "String", span_attribute(semconv.TASK_ID)),
    Column("ErrorType", LOW, dialects.ERROR_TYPE_SQL),
    Column("InputTokens", "Nullable(UInt64)", tokens(semconv.USAGE_INPUT_TOKENS)),
    Column("OutputTokens", "Nullable(UInt64)", tokens(semconv.USAGE_OUTPUT_TOKENS)),
    Column("CacheReadTokens", "Nullable(UInt64)", tokens(semconv.USAGE_CACHE_READ)),
    Column("CacheWriteTokens", "Nullable(UInt64)", tokens(semconv.USAGE_CACHE_WRITE)),
    Column("ReasoningTokens", "Nullable(UInt64)", tokens(semconv.USAGE_REASONING)),
    Column("ToolArguments", "String", dialects.TOOL_ARGUMENTS_SQL),
    Column("ToolResult", "String", dialects.TOOL_RESULT_SQL),
    # What a harness is made of, as hashes: the sealing job need not read the text of every span.
    Column("InstructionsHash", "UInt64", dialects.INSTRUCTIONS_HASH_SQL),
    Column("ToolDefinitionsHash", "UInt64", dialect_messages.TOOL_DEFINITIONS_HASH_SQL),
    Column("Sampling", LOW, dialects.SAMPLING_SQL),
    Column(
        "Revision",
        LOW,
        f"multiIf(SpanAttributes['{semconv.HARNESS_VERSION}'] != '', "
        f"SpanAttributes['{semconv.HARNESS_VERSION}'], "
        f"ResourceAttributes['{semconv.VCS_REVISION}'] != '', "
        f"ResourceAttributes['{semconv.VCS_REVISION}'], "
        f"ResourceAttributes['{semconv.SERVICE_VERSION}'])",
    ),
    Column("TimeUnknown", "UInt8", f"{span_attribute(semconv.TIME_UNKNOWN)} = 'true'"),
    Column("ResourceAttributeTypes", "Array(UInt8)"),
    Column("SpanAttributeTypes", "Array(UInt8)"),
    Column("ScopeAttributes", MAP),
    Column("StartUnixNano", "UInt64", "toUnixTimestamp64Nano(Timestamp)", "Delta(8), ZSTD(1)"),
    Column("EndUnixNano", "UInt64", "StartUnixNano + Duration", "Delta(8), ZSTD(1)"),
    Column("Incomplete", "UInt8", f"{span_attribute(semconv.INCOMPLETE)} = 'true'"),
    *PROVENANCE,
    # A complete span beats an incomplete one, then the later received wins.
    Column(
        "RowVersion",
        "UInt64",
        "bitOr(if(Incomplete, 0, bitShiftLeft(toUInt64(1), 63)), "
        "toUnixTimestamp64Nano(ReceivedAt))",
        "Delta(8), ZSTD(1)",
    ),
    # Stored: as an alias it would be copied into each default that reads it, at every insert.
    Column(dialects.DIALECT, MAP, dialects.DIALECT_SQL),
    Column("InputMessages", "String", own(semconv.INPUT_MESSAGES), alias=True),
    Column("OutputMessages", "String", own(semconv.OUTPUT_MESSAGES), alias=True),
    Column("SystemInstructions", "String", own(semconv.SYSTEM_INSTRUCTIONS), alias=True),
    Column("ToolDefinitions", "String", own(semconv.TOOL_DEFINITIONS), alias=True),
    Column(
        "ResourceAttributeItems",
        "Array(String)",
        _ITEMS.format(column="ResourceAttributes"),
        alias=True,
    ),
    Column(
        "SpanAttributeItems", "Array(String)", _ITEMS.format(column="SpanAttributes"), alias=True
    ),
)

OTEL_TRACES = Table(
    name=TRACES,
    columns=_EXPORTER_TRACE_COLUMNS + _OWN_TRACE_COLUMNS,
    engine="ReplacingMergeTree(RowVersion)",
    partition_by="toYYYYMM(Timestamp)",
    order_by="(TenantId, toStartOfHour(Timestamp), TraceId, SpanId)",
    indexes=(
        "idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1",
        "idx_user_id UserId TYPE bloom_filter(0.01) GRANULARITY 1",
        "idx_session_id SessionId TYPE bloom_filter(0.01) GRANULARITY 1",
        "idx_duration Duration TYPE minmax GRANULARITY 1",
        *PROVENANCE_INDEXES,
    ),
    settings=DURABLE,
)

OTEL_TRACES_TRACE_ID_TS = Table(
    name=TRACE_TIMES,
    columns=(
        Column("TraceId", "String"),
        Column("Start", "SimpleAggregateFunction(min, DateTime)"),
        Column("End", "SimpleAggregateFunction(max, DateTime)"),
    ),
    engine="AggregatingMergeTree",
    partition_by="toYYYYMM(Start)",
    order_by="TraceId",
    settings=DURABLE,
)

OTEL_LOGS = Table(
    name=LOGS,
    columns=(
        Column("Timestamp", TIME, codec="Delta(8), ZSTD(1)"),
        Column("TimestampTime", "DateTime", "toDateTime(Timestamp)", codec=""),
        Column("TraceId", "String"),
        Column("SpanId", "String"),
        Column("TraceFlags", "UInt8", codec=""),
        Column("SeverityText", LOW),
        Column("SeverityNumber", "UInt8", codec=""),
        Column("ServiceName", LOW),
        Column("Body", "String"),
        Column("ResourceSchemaUrl", LOW),
        Column("ResourceAttributes", MAP),
        Column("ScopeSchemaUrl", LOW),
        Column("ScopeName", "String"),
        Column("ScopeVersion", LOW),
        Column("ScopeAttributes", MAP),
        Column("LogAttributes", MAP),
        Column(
            "EventName",
            "String",
            f"LogAttributes['{semconv.EVENT_NAME_LEGACY}']",
        ),
        Column("TenantId", LOW, tenant_of("LogAttributes", "ResourceAttributes")),
        Column("LogAttributeTypes", "Array(UInt8)"),
        *PROVENANCE,
    ),
    engine="MergeTree",
    partition_by="toYYYYMM(Timestamp)",
    order_by="(TenantId, toStartOfHour(Timestamp), TraceId, Timestamp)",
    indexes=(
        "idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1",
        *PROVENANCE_INDEXES,
    ),
    settings=DURABLE,
)

AGENT_RUNS = Table(
    name=RUNS,
    columns=(
        Column("TenantId", LOW),
        Column("TraceId", "String"),
        Column("RootSpanId", "String"),
        Column("State", LOW),
        Column("ServiceName", LOW),
        Column("AgentName", LOW),
        Column("AgentVersion", LOW),
        Column("UserId", "String"),
        Column("SessionId", "String"),
        Column("TaskType", LOW),
        Column("TaskId", "String"),
        Column("Provider", LOW),
        Column("Model", LOW),
        Column("StartedAt", TIME, codec=NANOS),
        Column("EndedAt", TIME, codec=NANOS),
        Column("DurationMs", "Float64"),
        Column("TimeUnknown", "UInt8"),
        Column("Spans", "UInt64"),
        Column("Steps", "UInt64"),
        Column("ToolCalls", "UInt64"),
        Column("ToolErrors", "UInt64"),
        # By their ids, spans that tell a call again that the other span tells: it counts once.
        Column("DuplicateOf", "Map(String, String)"),
        Column("InputTokens", "Nullable(UInt64)"),
        Column("OutputTokens", "Nullable(UInt64)"),
        Column("CostUsd", "Nullable(Float64)"),
        Column("Outcome", LOW),
        Column("OutcomeScore", "Nullable(Float64)"),
        Column("OutcomeSource", LOW),
        Column("HarnessHash", "String"),
        Column("InstructionsHash", "String"),
        Column("ToolDefinitionsHash", "String"),
        Column("Sampling", LOW),
        Column("Revision", LOW),
        Column("ContentHash", "UInt64"),
        Column("LastReceivedAt", TIME, codec=NANOS),
        Column("SealedAt", TIME, codec=NANOS),
        Column("Version", "UInt64", codec=NANOS),
    ),
    engine="ReplacingMergeTree(Version)",
    order_by="(TenantId, TraceId)",
    indexes=(
        "idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1",
        "idx_started StartedAt TYPE minmax GRANULARITY 1",
        "idx_sealed SealedAt TYPE minmax GRANULARITY 1",
    ),
)

# A judgement said again, or imported again, replaces itself: the later one by its own time.
JUDGEMENTS_TABLE = Table(
    name=JUDGEMENTS,
    columns=(
        Column("TenantId", LOW),
        Column("TraceId", "String"),
        Column("SpanId", "String"),
        Column("Name", LOW),
        Column("Score", "Nullable(Float64)"),
        Column("Label", LOW),
        Column("Explanation", "String"),
        Column("Source", LOW),
        Column("Evaluator", LOW),
        Column("JudgementId", "String"),
        Column("At", TIME, codec=NANOS),
        *PROVENANCE,
        Column("Version", "UInt64", "toUnixTimestamp64Nano(At)", NANOS),
    ),
    engine="ReplacingMergeTree(Version)",
    order_by="(TenantId, TraceId, SpanId, Name, Source, Evaluator)",
    indexes=(
        "idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1",
        *PROVENANCE_INDEXES,
    ),
    settings=DURABLE,
)

# The texts that harness fingerprints were taken of. RawHash is what the spans carry, Hash what
# stays the same when only a date changed or tools were listed in another order.
HARNESS_PARTS_TABLE = Table(
    name=HARNESS_PARTS,
    columns=(
        Column("Kind", LOW),
        Column("RawHash", "UInt64"),
        Column("Hash", "String"),
        Column("Content", "String", codec="ZSTD(3)"),
        Column("At", TIME),
    ),
    engine="ReplacingMergeTree(At)",
    order_by="(Kind, RawHash)",
)

ALL = (
    OTEL_TRACES,
    OTEL_TRACES_TRACE_ID_TS,
    OTEL_LOGS,
    *metric_tables.ALL,
    AGENT_RUNS,
    JUDGEMENTS_TABLE,
    HARNESS_PARTS_TABLE,
    *learning_tables.ALL,
)
BY_NAME = {table.name: table for table in ALL}

# Exact readers read one row a span: the store folds duplicates only when it merges.
LATEST_SPAN = "ORDER BY RowVersion DESC LIMIT 1 BY TenantId, TraceId, SpanId"
LATEST_RUN = "ORDER BY Version DESC LIMIT 1 BY TraceId"
# Condition for rows of some traces (client-side parameter ``ids``): they are of the tenant whose
# run it is, or name none. What another tenant sends under a trace id of theirs is not read.
OF_RUNS_TENANT = f"""(TraceId, TenantId) IN (
    SELECT TraceId, arrayJoin([toString(TenantId), '{semconv.DEFAULT_TENANT}']) FROM (
        SELECT TraceId, TenantId FROM {RUNS} WHERE TraceId IN %(ids)s {LATEST_RUN}
    )
)"""

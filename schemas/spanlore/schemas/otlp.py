"""How the engine reads OTLP: the schema of a write-ahead-log record and the SQL that makes rows.

A segment of the write-ahead log is a varint-framed sequence of ``WalRecord`` messages, which is
ClickHouse's ``Protobuf`` input format as it stands. The engine decodes it into an input table (one
for each signal, which keeps nothing and skips what is of another signal) and the views behind that
table make rows of it: `views`, and `otlp_metrics` for metrics. The message schema travels with the
insert, so a server needs no file.

Field numbers: github.com/open-telemetry/opentelemetry-proto, with one member of our own in
``AnyValue`` (``json_value``), into which the collector's door rewrites nested values, so that
this schema does not recurse.
"""

import re

from spanlore.schemas import semconv
from spanlore.schemas.dialects import DIALECT, DIALECT_SQL
from spanlore.schemas.table import tenant_of

MESSAGE_NAME = "WalRecord"

PROTO_SCHEMA = """syntax = "proto3";
message ScalarValue { oneof value { string string_value = 1; bool bool_value = 2;
  int64 int_value = 3; double double_value = 4; bytes bytes_value = 7; } }
message ArrayValue { repeated ScalarValue values = 1; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2;
  int64 int_value = 3; double double_value = 4; ArrayValue array_value = 5;
  bytes kvlist_value = 6; bytes bytes_value = 7; string json_value = 100; } }
message KeyValue { string key = 1; AnyValue value = 2; }
message Resource { repeated KeyValue attributes = 1; }
message Scope { string name = 1; string version = 2; repeated KeyValue attributes = 3;
  uint32 dropped_attributes_count = 4; }
message Event { fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; }
message Link { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3;
  repeated KeyValue attributes = 4; }
message Status { string message = 2; int32 code = 3; }
message Span { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3;
  bytes parent_span_id = 4; string name = 5; int32 kind = 6; fixed64 start_time_unix_nano = 7;
  fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9; repeated Event events = 11;
  repeated Link links = 13; Status status = 15; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Traces { repeated ResourceSpans resource_spans = 1; }
message LogRecord { fixed64 time_unix_nano = 1; int32 severity_number = 2;
  string severity_text = 3; AnyValue body = 5; repeated KeyValue attributes = 6;
  fixed32 flags = 8; bytes trace_id = 9; bytes span_id = 10;
  fixed64 observed_time_unix_nano = 11; string event_name = 12; }
message ScopeLogs { Scope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; }
message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2;
  string schema_url = 3; }
message Logs { repeated ResourceLogs resource_logs = 1; }
message Exemplar { repeated KeyValue filtered_attributes = 7; fixed64 time_unix_nano = 2;
  oneof value { double as_double = 3; sfixed64 as_int = 6; } bytes span_id = 4;
  bytes trace_id = 5; }
message NumberDataPoint { repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3; oneof value { double as_double = 4; sfixed64 as_int = 6; }
  repeated Exemplar exemplars = 5; uint32 flags = 8; }
message HistogramDataPoint { repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3; fixed64 count = 4; optional double sum = 5;
  repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
  repeated Exemplar exemplars = 8; uint32 flags = 10; optional double min = 11;
  optional double max = 12; }
message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
message ExponentialHistogramDataPoint { repeated KeyValue attributes = 1;
  fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7; Buckets positive = 8;
  Buckets negative = 9; uint32 flags = 10; repeated Exemplar exemplars = 11;
  optional double min = 12; optional double max = 13; double zero_threshold = 14; }
message ValueAtQuantile { double quantile = 1; double value = 2; }
message SummaryDataPoint { repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3; fixed64 count = 4; double sum = 5;
  repeated ValueAtQuantile quantile_values = 6; uint32 flags = 8; }
message Gauge { repeated NumberDataPoint data_points = 1; }
message Sum { repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2;
  bool is_monotonic = 3; }
message Histogram { repeated HistogramDataPoint data_points = 1;
  int32 aggregation_temporality = 2; }
message ExponentialHistogram { repeated ExponentialHistogramDataPoint data_points = 1;
  int32 aggregation_temporality = 2; }
message Summary { repeated SummaryDataPoint data_points = 1; }
message Metric { string name = 1; string description = 2; string unit = 3;
  oneof data { Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9;
  ExponentialHistogram exponential_histogram = 10; Summary summary = 11; }
  repeated KeyValue metadata = 12; }
message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2;
  string schema_url = 3; }
message Metrics { repeated ResourceMetrics resource_metrics = 1; }
message WalRecord { string tenant = 1; fixed64 received_ns = 2; uint64 seq = 3;
  fixed32 crc32c = 4; fixed32 log_id = 5; Traces traces = 10; Logs logs = 11;
  Metrics metrics = 12; }
"""

_SCALAR_KINDS = (
    "'none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4"
)
# The decoder writes numbers as text, as ``toString`` would: no expression has to.
_SCALAR = (
    f"Tuple(value Enum8({_SCALAR_KINDS}, 'bytes_value' = 7), string_value String, "
    "bool_value Bool, int_value String, double_value String, bytes_value String)"
)
_ANY = (
    f"Tuple(value Enum8({_SCALAR_KINDS}, 'array_value' = 5, 'kvlist_value' = 6, "
    "'bytes_value' = 7, 'json_value' = 100), string_value String, bool_value Bool, "
    f"int_value String, double_value String, array_value Tuple(values Array({_SCALAR})), "
    "kvlist_value String, bytes_value String, json_value String)"
)
ATTRIBUTES = f"Array(Tuple(key String, value {_ANY}))"
RESOURCE = f"Tuple(attributes {ATTRIBUTES})"
_SCOPE = f"Tuple(name String, version String, attributes {ATTRIBUTES})"
_EVENTS = f"Array(Tuple(time_unix_nano UInt64, name String, attributes {ATTRIBUTES}))"
_LINKS = (
    f"Array(Tuple(trace_id String, span_id String, trace_state String, attributes {ATTRIBUTES}))"
)
_SPANS = (
    "Array(Tuple(trace_id String, span_id String, trace_state String, parent_span_id String, "
    "name String, kind Int32, start_time_unix_nano UInt64, end_time_unix_nano UInt64, "
    f"attributes {ATTRIBUTES}, events {_EVENTS}, links {_LINKS}, "
    "status Tuple(message String, code Int32)))"
)
_LOG_RECORDS = (
    "Array(Tuple(time_unix_nano UInt64, severity_number Int32, severity_text String, "
    f"body {_ANY}, attributes {ATTRIBUTES}, flags UInt32, trace_id String, span_id String, "
    "observed_time_unix_nano UInt64, event_name String))"
)

TRACES_IN = "otlp_traces_in"
LOGS_IN = "otlp_logs_in"
METRICS_IN = "otlp_metrics_in"
INPUTS = (TRACES_IN, LOGS_IN, METRICS_IN)


def input_ddl(name: str, signal: str) -> str:
    """Render CREATE TABLE of an input table; ``signal`` is the column of its signal."""
    return f"""CREATE TABLE IF NOT EXISTS {name} (
    tenant String,
    received_ns UInt64,
    seq UInt64,
    log_id UInt32,
    {signal}
)
ENGINE = Null"""


TRACES_IN_DDL = input_ddl(
    TRACES_IN,
    f"""traces Tuple(resource_spans Array(Tuple(
        resource {RESOURCE},
        scope_spans Array(Tuple(scope {_SCOPE}, spans {_SPANS})))))""",
)
LOGS_IN_DDL = input_ddl(
    LOGS_IN,
    f"""logs Tuple(resource_logs Array(Tuple(
        resource {RESOURCE},
        scope_logs Array(Tuple(scope {_SCOPE}, log_records {_LOG_RECORDS}, schema_url String)),
        schema_url String)))""",
)

# DateTime64(9) ends in April 2262; times from 2262 on are clamped, the raw nanoseconds kept.
TIME_NS_MAX = 9_214_646_400_000_000_000

# Of the view's logic nothing is AND, OR or BETWEEN: the engine's optimizer of these compares what
# they join together with all of the subquery that it comes from (benchmarks/README.md).
_SPAN_KIND = (
    "transform(s.kind, [1, 2, 3, 4, 5], "
    "['Internal', 'Server', 'Client', 'Producer', 'Consumer'], 'Unspecified')"
)
_STATUS_CODE = "transform(s.status.code, [1, 2], ['Ok', 'Error'], 'Unset')"
_IS_INCOMPLETE = (
    f"greatest(s.end_time_unix_nano = 0, SpanAttributes['{semconv.INCOMPLETE}'] = 'true')"
)


def time_sql(nanoseconds: str) -> str:
    """SQL for Unix nanoseconds (UInt64) as a DateTime64(9), clamped to what that can hold."""
    return f"fromUnixTimestamp64Nano(toInt64(least({nanoseconds}, {TIME_NS_MAX})))"


# What the views' expressions call a tuple: groups, scopes, records, attributes' values and others.
_PATH = re.compile(r"(?<![\w.])(group|scope|s|r|m|p|e|a|v)((?:\.\w+)+)")
_QUOTED = re.compile(r"('[^']*'|`[^`]*`)")


def with_tuple_elements(sql: str) -> str:
    """Word the paths into tuples (``s.status.code``) as calls of ``tupleElement``.

    The engine makes a ``getSubcolumn`` of a path, which lists every stream of the whole tuple to
    find the one, each time that it looks at the expression: a sixth of what planning an insert of
    spans costs, and half with the tuples of metrics.
    """
    pieces = _QUOTED.split(sql)
    pieces[::2] = [_PATH.sub(_tuple_elements, piece) for piece in pieces[::2]]
    return "".join(pieces)


def _tuple_elements(path: re.Match[str]) -> str:
    found = path[1]
    for name in path[2].removeprefix(".").split("."):
        found = f"tupleElement({found}, '{name}')"
    return found


def _scalar_json(value: str) -> str:
    """SQL for a member of a flat array as JSON; a number JSON has no word for becomes a string."""
    return (
        f"multiIf({value}.value = 'string_value', toJSONString({value}.string_value), "
        f"{value}.value = 'int_value', {value}.int_value, "
        f"{value}.value = 'bool_value', toString({value}.bool_value), "
        f"{value}.value = 'double_value', if(isFinite(toFloat64OrZero({value}.double_value)), "
        f"{value}.double_value, toJSONString({value}.double_value)), "
        f"{value}.value = 'bytes_value', toJSONString(base64Encode({value}.bytes_value)), 'null')"
    )


def _text(value: str) -> str:
    """SQL for an AnyValue as text: strings as they are, bytes as base64, arrays as JSON."""
    members = f"arrayMap(m -> {_scalar_json('m')}, {value}.array_value.values)"
    return (
        f"multiIf({value}.value = 'string_value', {value}.string_value, "
        f"{value}.value = 'int_value', {value}.int_value, "
        f"{value}.value = 'bool_value', toString({value}.bool_value), "
        f"{value}.value = 'double_value', {value}.double_value, "
        f"{value}.value = 'array_value', concat('[', arrayStringConcat({members}, ','), ']'), "
        f"{value}.value = 'json_value', {value}.json_value, "
        f"{value}.value = 'bytes_value', base64Encode({value}.bytes_value), "
        f"{value}.value = 'kvlist_value', base64Encode({value}.kvlist_value), '')"
    )


def map_sql(attributes: str) -> str:
    """SQL for a list of attributes as a map. A key that comes twice keeps both its values."""
    return f"mapFromArrays({attributes}.key, arrayMap(v -> {_text('v')}, {attributes}.value))"


def types_sql(attributes: str) -> str:
    """SQL for the wire types of a list of attributes (AnyValue's field numbers), key by key."""
    return f"CAST({attributes}.value.value, 'Array(Int8)')"


def exploded_sql(
    *, source: str, groups: str, scopes: str, records: str, record: str, extra: str = ""
) -> str:
    """SQL that makes one row a record: resource, then scope, then record, each once expanded.

    Every level keeps only what the row needs, since expanding copies it for each row.
    """
    kept = "tenant, received_ns, seq, log_id"
    return (
        f"SELECT {kept}, resource, resource_types, {extra}"
        "scope.scope.name AS scope_name, scope.scope.version AS scope_version, "
        f"{map_sql('scope.scope.attributes')} AS scope_attributes, "
        f"arrayJoin(scope.{records}) AS {record} FROM ("
        f"SELECT {kept}, {map_sql('group.resource.attributes')} AS resource, "
        f"{types_sql('group.resource.attributes')} AS resource_types, "
        f"{'group.schema_url AS resource_schema, ' if extra else ''}"
        f"arrayJoin(group.{scopes}) AS scope FROM ("
        f"SELECT {kept}, arrayJoin({groups}) AS group FROM {source}))"
    )


def traces_view_sql() -> str:
    """Return the SELECT of the view that fills ``otel_traces`` from its input table."""
    rows = exploded_sql(
        source=TRACES_IN,
        groups="traces.resource_spans",
        scopes="scope_spans",
        records="spans",
        record="s",
    )
    return with_tuple_elements(f"""SELECT
    {time_sql("s.start_time_unix_nano")} AS Timestamp,
    lower(hex(s.trace_id)) AS TraceId,
    lower(hex(s.span_id)) AS SpanId,
    lower(hex(s.parent_span_id)) AS ParentSpanId,
    s.trace_state AS TraceState,
    s.name AS SpanName,
    {_SPAN_KIND} AS SpanKind,
    resource['{semconv.SERVICE_NAME}'] AS ServiceName,
    resource AS ResourceAttributes,
    scope_name AS ScopeName,
    scope_version AS ScopeVersion,
    {map_sql("s.attributes")} AS SpanAttributes,
    {DIALECT_SQL} AS {DIALECT},
    s.end_time_unix_nano - least(s.start_time_unix_nano, s.end_time_unix_nano) AS Duration,
    {_STATUS_CODE} AS StatusCode,
    s.status.message AS StatusMessage,
    arrayMap(ns -> {time_sql("ns")}, s.events.time_unix_nano) AS `Events.Timestamp`,
    s.events.name AS `Events.Name`,
    arrayMap(a -> {map_sql("a")}, s.events.attributes) AS `Events.Attributes`,
    arrayMap(id -> lower(hex(id)), s.links.trace_id) AS `Links.TraceId`,
    arrayMap(id -> lower(hex(id)), s.links.span_id) AS `Links.SpanId`,
    s.links.trace_state AS `Links.TraceState`,
    arrayMap(a -> {map_sql("a")}, s.links.attributes) AS `Links.Attributes`,
    if(tenant = '', {tenant_of("SpanAttributes", "resource", DIALECT)}, tenant) AS TenantId,
    resource_types AS ResourceAttributeTypes,
    {types_sql("s.attributes")} AS SpanAttributeTypes,
    scope_attributes AS ScopeAttributes,
    s.start_time_unix_nano AS StartUnixNano,
    s.end_time_unix_nano AS EndUnixNano,
    {_IS_INCOMPLETE} AS Incomplete,
    {time_sql("received_ns")} AS ReceivedAt,
    log_id AS LogId,
    seq AS LogSeq
FROM ({rows})""")


def logs_view_sql() -> str:
    """Return the SELECT of the view that fills ``otel_logs`` from its input table."""
    rows = exploded_sql(
        source=LOGS_IN,
        groups="logs.resource_logs",
        scopes="scope_logs",
        records="log_records",
        record="r",
        extra="resource_schema, scope.schema_url AS scope_schema, ",
    )
    time = "if(r.time_unix_nano = 0, r.observed_time_unix_nano, r.time_unix_nano)"
    return with_tuple_elements(f"""SELECT
    {time_sql(time)} AS Timestamp,
    lower(hex(r.trace_id)) AS TraceId,
    lower(hex(r.span_id)) AS SpanId,
    toUInt8(bitAnd(r.flags, 255)) AS TraceFlags,
    r.severity_text AS SeverityText,
    toUInt8(bitAnd(r.severity_number, 255)) AS SeverityNumber,
    resource['{semconv.SERVICE_NAME}'] AS ServiceName,
    {_text("r.body")} AS Body,
    resource_schema AS ResourceSchemaUrl,
    resource AS ResourceAttributes,
    scope_schema AS ScopeSchemaUrl,
    scope_name AS ScopeName,
    scope_version AS ScopeVersion,
    scope_attributes AS ScopeAttributes,
    {map_sql("r.attributes")} AS LogAttributes,
    if(r.event_name = '', LogAttributes['{semconv.EVENT_NAME_LEGACY}'], r.event_name) AS EventName,
    if(tenant = '', {tenant_of("LogAttributes", "resource")}, tenant) AS TenantId,
    {types_sql("r.attributes")} AS LogAttributeTypes,
    {time_sql("received_ns")} AS ReceivedAt,
    log_id AS LogId,
    seq AS LogSeq
FROM ({rows})""")

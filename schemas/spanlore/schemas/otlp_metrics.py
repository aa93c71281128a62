"""How the engine reads OTLP metrics: the types of a data point and the SQL that makes rows of them.

A metric's kind chooses the table (`metric_tables`), so each kind has a view; all read one input
table.
"""

from spanlore.schemas import metric_tables, semconv
from spanlore.schemas.otlp import (
    ATTRIBUTES,
    METRICS_IN,
    RESOURCE,
    exploded_sql,
    input_ddl,
    map_sql,
    time_sql,
    types_sql,
    with_tuple_elements,
)
from spanlore.schemas.table import tenant_of

_SCOPE = (
    f"Tuple(name String, version String, attributes {ATTRIBUTES}, dropped_attributes_count UInt32)"
)
_POINT = f"attributes {ATTRIBUTES}, start_time_unix_nano UInt64, time_unix_nano UInt64"
_EXEMPLARS = (
    f"Array(Tuple(filtered_attributes {ATTRIBUTES}, time_unix_nano UInt64, "
    "value Enum8('none' = 0, 'as_double' = 3, 'as_int' = 6), as_double Float64, as_int Int64, "
    "span_id String, trace_id String))"
)
_NUMBERS = (
    f"data_points Array(Tuple({_POINT}, "
    "value Enum8('none' = 0, 'as_double' = 4, 'as_int' = 6), as_double Float64, as_int Int64, "
    f"exemplars {_EXEMPLARS}, flags UInt32))"
)
_COUNTED = (
    f"{_POINT}, count UInt64, sum Nullable(Float64), min Nullable(Float64), "
    f"max Nullable(Float64), exemplars {_EXEMPLARS}, flags UInt32"
)
_BUCKETS = "Tuple(offset Int32, bucket_counts Array(UInt64))"
_METRIC = f"""Tuple(name String, description String, unit String, metadata {ATTRIBUTES},
        data Enum8('none' = 0, 'gauge' = 5, 'sum' = 7, 'histogram' = 9,
            'exponential_histogram' = 10, 'summary' = 11),
        gauge Tuple({_NUMBERS}),
        sum Tuple({_NUMBERS}, aggregation_temporality Int32, is_monotonic Bool),
        histogram Tuple(data_points Array(Tuple({_COUNTED}, bucket_counts Array(UInt64),
            explicit_bounds Array(Float64))), aggregation_temporality Int32),
        exponential_histogram Tuple(data_points Array(Tuple({_COUNTED}, scale Int32,
            zero_count UInt64, positive {_BUCKETS}, negative {_BUCKETS},
            zero_threshold Float64)), aggregation_temporality Int32),
        summary Tuple(data_points Array(Tuple({_POINT}, count UInt64, sum Float64,
            quantile_values Array(Tuple(quantile Float64, value Float64)), flags UInt32))))"""

METRICS_IN_DDL = input_ddl(
    METRICS_IN,
    f"""metrics Tuple(resource_metrics Array(Tuple(
        resource {RESOURCE},
        scope_metrics Array(Tuple(scope {_SCOPE}, metrics Array({_METRIC}), schema_url String)),
        schema_url String)))""",
)

# The exporter's DateTime ends in 2106; later times stand at its end instead of wrapping around.
_SECONDS_MAX = 4_294_967_295

_TEMPORALITY = "temporality AS AggregationTemporality"
_NUMBER = (
    "if(p.value = 'as_int', toFloat64(p.as_int), p.as_double) AS Value",
    "if(p.value = 'as_int', p.as_int, NULL) AS IntegerValue",
    "if(p.value = 'none', ['Value'], []) AS Absent",
)
_DISTRIBUTION = (
    "p.count AS Count",
    "ifNull(p.sum, 0) AS Sum",
    "ifNull(p.min, 0) AS Min",
    "ifNull(p.max, 0) AS Max",
    (
        "arrayFilter(name -> name != '', [if(isNull(p.sum), 'Sum', ''), "
        "if(isNull(p.min), 'Min', ''), if(isNull(p.max), 'Max', '')]) AS Absent"
    ),
    _TEMPORALITY,
)


def _seconds(nanoseconds: str) -> str:
    return f"toDateTime(toUInt32(least(intDiv({nanoseconds}, 1000000000), {_SECONDS_MAX})))"


def _id(value: str, size_bytes: int) -> str:
    """SQL for the id of a trace or span as hex; one of another length or all zero is none."""
    absent = f"length({value}) != {size_bytes} OR {value} = repeat('\\0', {size_bytes})"
    return f"if({absent}, '', lower(hex({value})))"


_WITH_EXEMPLARS = (
    (
        f"arrayMap(a -> {map_sql('a')}, p.exemplars.filtered_attributes) "
        "AS `Exemplars.FilteredAttributes`"
    ),
    f"arrayMap(ns -> {_seconds('ns')}, p.exemplars.time_unix_nano) AS `Exemplars.TimeUnix`",
    (
        "arrayMap(e -> if(e.value = 'as_int', toFloat64(e.as_int), e.as_double), p.exemplars) "
        "AS `Exemplars.Value`"
    ),
    f"arrayMap(id -> {_id('id', 8)}, p.exemplars.span_id) AS `Exemplars.SpanId`",
    f"arrayMap(id -> {_id('id', 16)}, p.exemplars.trace_id) AS `Exemplars.TraceId`",
)

# By kind: what all points of a metric share, and the columns.
_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "gauge": ((), (*_NUMBER, *_WITH_EXEMPLARS)),
    "sum": (
        ("aggregation_temporality AS temporality", "is_monotonic AS monotonic"),
        (*_NUMBER, *_WITH_EXEMPLARS, _TEMPORALITY, "monotonic AS IsMonotonic"),
    ),
    "histogram": (
        ("aggregation_temporality AS temporality",),
        (
            *_DISTRIBUTION,
            *_WITH_EXEMPLARS,
            "p.bucket_counts AS BucketCounts",
            "p.explicit_bounds AS ExplicitBounds",
        ),
    ),
    "exponential_histogram": (
        ("aggregation_temporality AS temporality",),
        (
            *_DISTRIBUTION,
            *_WITH_EXEMPLARS,
            "p.scale AS Scale",
            "p.zero_count AS ZeroCount",
            "p.positive.offset AS PositiveOffset",
            "p.positive.bucket_counts AS PositiveBucketCounts",
            "p.negative.offset AS NegativeOffset",
            "p.negative.bucket_counts AS NegativeBucketCounts",
            "p.zero_threshold AS ZeroThreshold",
        ),
    ),
    "summary": (
        (),
        (
            "p.count AS Count",
            "p.sum AS Sum",
            "p.quantile_values.quantile AS `ValueAtQuantiles.Quantile`",
            "p.quantile_values.value AS `ValueAtQuantiles.Value`",
        ),
    ),
}


def views_sql() -> dict[str, str]:
    """Return, by table, the SELECT of the view that fills it from the input table."""
    return {
        metric_tables.BY_KIND[kind]: _view_sql(kind, shared, columns)
        for kind, (shared, columns) in _KINDS.items()
    }


def _view_sql(kind: str, shared: tuple[str, ...], columns: tuple[str, ...]) -> str:
    own = "".join(f",\n    {column}" for column in columns)
    return with_tuple_elements(f"""SELECT
    resource AS ResourceAttributes,
    resource_schema AS ResourceSchemaUrl,
    scope_name AS ScopeName,
    scope_version AS ScopeVersion,
    scope_attributes AS ScopeAttributes,
    scope_dropped AS ScopeDroppedAttrCount,
    scope_schema AS ScopeSchemaUrl,
    resource['{semconv.SERVICE_NAME}'] AS ServiceName,
    metric_name AS MetricName,
    metric_description AS MetricDescription,
    metric_unit AS MetricUnit,
    {map_sql("p.attributes")} AS Attributes,
    {_seconds("p.start_time_unix_nano")} AS StartTimeUnix,
    {_seconds("p.time_unix_nano")} AS TimeUnix,
    p.flags AS Flags,
    if(tenant = '', {tenant_of("Attributes", "resource")}, tenant) AS TenantId,
    {types_sql("p.attributes")} AS AttributeTypes,
    metric_metadata AS MetricMetadata,
    p.start_time_unix_nano AS StartTimeUnixNano,
    p.time_unix_nano AS TimeUnixNano,
    toUInt64(0) AS ForeignRow,
    {time_sql("received_ns")} AS ReceivedAt,
    log_id AS LogId,
    seq AS LogSeq{own}
FROM ({_points(kind, shared)})""")


def _points(kind: str, shared: tuple[str, ...]) -> str:
    """SQL that makes one row a data point of the metrics of one kind."""
    metrics = exploded_sql(
        source=METRICS_IN,
        groups="metrics.resource_metrics",
        scopes="scope_metrics",
        records="metrics",
        record="m",
        extra=(
            "resource_schema, scope.schema_url AS scope_schema, "
            "scope.scope.dropped_attributes_count AS scope_dropped, "
        ),
    )
    of_all = "".join(f"m.{kind}.{column}, " for column in shared)
    return (
        "SELECT tenant, received_ns, seq, log_id, resource, resource_schema, scope_name, "
        "scope_version, scope_attributes, scope_schema, scope_dropped, m.name AS metric_name, "
        "m.description AS metric_description, m.unit AS metric_unit, "
        f"{map_sql('m.metadata')} AS metric_metadata, {of_all}"
        f"arrayJoin(m.{kind}.data_points) AS p FROM ({metrics}) WHERE m.data = '{kind}'"
    )

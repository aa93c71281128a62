"""The tables of metrics, one for each kind of metric; a row is a data point.

The columns up to ``TenantId`` are those of the OpenTelemetry Collector's ClickHouse exporter,
names and types exact (opentelemetry-collector-contrib v0.160, whose times are whole seconds).
What that shape loses stands in columns of our own: nanoseconds, integers beyond 2^53, whether an
optional number was there at all.

A data point is the same point as another when tenant, service, metric name, series, time and start
time agree. The series is what else OpenTelemetry's data model identifies a stream by: resource,
scope, unit, attributes with their types, in any order, and for a sum or a histogram temporality
and monotonicity. A point that comes again replaces itself, the later received wins; a point that
differs in none of that but its value is, by the same model, that point once more. Rows of a
foreign exporter have no nanoseconds to tell two points of one second apart, so each of them
stands for itself (``ForeignRow``), as in that exporter's own tables.
"""

from spanlore.schemas.table import (
    DURABLE,
    LOW,
    MAP,
    NANOS,
    PROVENANCE,
    PROVENANCE_INDEXES,
    Column,
    Table,
    tenant_of,
)

GAUGE = "otel_metrics_gauge"
SUM = "otel_metrics_sum"
HISTOGRAM = "otel_metrics_histogram"
EXPONENTIAL_HISTOGRAM = "otel_metrics_exponential_histogram"
SUMMARY = "otel_metrics_summary"
# By the name of a metric's kind in OTLP.
BY_KIND = {
    "gauge": GAUGE,
    "sum": SUM,
    "histogram": HISTOGRAM,
    "exponential_histogram": EXPONENTIAL_HISTOGRAM,
    "summary": SUMMARY,
}

_SECONDS = "Delta(4), ZSTD(1)"
_COUNTS = "Delta(8), ZSTD(1)"

_STREAM = (
    Column("ResourceAttributes", MAP),
    Column("ResourceSchemaUrl", "String"),
    Column("ScopeName", "String"),
    Column("ScopeVersion", "String"),
    Column("ScopeAttributes", MAP),
    Column("ScopeDroppedAttrCount", "UInt32"),
    Column("ScopeSchemaUrl", "String"),
    Column("ServiceName", LOW),
    Column("MetricName", LOW),
    Column("MetricDescription", "String"),
    Column("MetricUnit", "String"),
    Column("Attributes", MAP),
    Column("StartTimeUnix", "DateTime", codec=_SECONDS),
    Column("TimeUnix", "DateTime", codec=_SECONDS),
)
_FLAGS = Column("Flags", "UInt32")
_EXEMPLARS = (
    Column("Exemplars.FilteredAttributes", f"Array({MAP})"),
    Column("Exemplars.TimeUnix", "Array(DateTime)"),
    Column("Exemplars.Value", "Array(Float64)"),
    Column("Exemplars.SpanId", "Array(String)"),
    Column("Exemplars.TraceId", "Array(String)"),
)
_COUNT_AND_SUM = (Column("Count", "UInt64", codec=_COUNTS), Column("Sum", "Float64"))
_EXTREMES = (Column("Min", "Float64"), Column("Max", "Float64"))
_TEMPORALITY = Column("AggregationTemporality", "Int32")

# NULL unless the value came as an integer.
_INTEGER = Column("IntegerValue", "Nullable(Int64)")


def _own(*more: Column, stream: str = "") -> tuple[Column, ...]:
    """Give our columns; ``stream`` is what more than its attributes tells a series from others."""
    attributes = (
        "arraySort(arrayZip(mapKeys(Attributes), mapValues(Attributes), "
        "arrayResize(AttributeTypes, length(Attributes))))"
    )
    series = (
        f"sipHash64({attributes}, mapSort(ResourceAttributes), ScopeName, ScopeVersion, "
        f"mapSort(ScopeAttributes), MetricUnit{stream})"
    )
    return (
        Column("TenantId", LOW, tenant_of("Attributes", "ResourceAttributes")),
        Column("AttributeTypes", "Array(UInt8)"),
        Column("MetricMetadata", MAP),
        Column("StartTimeUnixNano", "UInt64", _nanoseconds("StartTimeUnix"), NANOS),
        Column("TimeUnixNano", "UInt64", _nanoseconds("TimeUnix"), NANOS),
        # The columns of this row that hold 0 because the point said nothing.
        Column("Absent", f"Array({LOW})"),
        *more,
        Column("Series", "UInt64", series),
        Column("ForeignRow", "UInt64", "rand64()"),
        *PROVENANCE,
    )


def _nanoseconds(seconds: str) -> str:
    return f"toUInt64(toUnixTimestamp({seconds})) * 1000000000"


def _table(name: str, *columns: Column) -> Table:
    return Table(
        name=name,
        columns=(*_STREAM, *columns),
        engine="ReplacingMergeTree(ReceivedAt)",
        partition_by="toYYYYMM(TimeUnix)",
        order_by=(
            "(TenantId, ServiceName, MetricName, toStartOfHour(TimeUnix), Series, TimeUnixNano, "
            "StartTimeUnixNano, ForeignRow)"
        ),
        indexes=("idx_time TimeUnix TYPE minmax GRANULARITY 1", *PROVENANCE_INDEXES),
        settings=DURABLE,
    )


# Exact readers read one row a point: the store folds those that came again only when it merges.
LATEST_POINT = (
    "ORDER BY ReceivedAt DESC LIMIT 1 BY TenantId, ServiceName, MetricName, Series, TimeUnixNano, "
    "StartTimeUnixNano, ForeignRow"
)

ALL = (
    _table(GAUGE, Column("Value", "Float64"), _FLAGS, *_EXEMPLARS, *_own(_INTEGER)),
    _table(
        SUM,
        Column("Value", "Float64"),
        _FLAGS,
        *_EXEMPLARS,
        _TEMPORALITY,
        Column("IsMonotonic", "Bool"),
        *_own(_INTEGER, stream=", AggregationTemporality, IsMonotonic"),
    ),
    _table(
        HISTOGRAM,
        *_COUNT_AND_SUM,
        Column("BucketCounts", "Array(UInt64)"),
        Column("ExplicitBounds", "Array(Float64)"),
        *_EXEMPLARS,
        _FLAGS,
        *_EXTREMES,
        _TEMPORALITY,
        *_own(stream=", AggregationTemporality"),
    ),
    _table(
        EXPONENTIAL_HISTOGRAM,
        *_COUNT_AND_SUM,
        Column("Scale", "Int32"),
        Column("ZeroCount", "UInt64"),
        Column("PositiveOffset", "Int32"),
        Column("PositiveBucketCounts", "Array(UInt64)"),
        Column("NegativeOffset", "Int32"),
        Column("NegativeBucketCounts", "Array(UInt64)"),
        *_EXEMPLARS,
        _FLAGS,
        *_EXTREMES,
        _TEMPORALITY,
        *_own(Column("ZeroThreshold", "Float64"), stream=", AggregationTemporality"),
    ),
    _table(
        SUMMARY,
        *_COUNT_AND_SUM,
        Column("ValueAtQuantiles.Quantile", "Array(Float64)"),
        Column("ValueAtQuantiles.Value", "Array(Float64)"),
        _FLAGS,
        *_own(),
    ),
)

"""Data points in, rows of the exporter's tables out: what a row keeps and which points are one."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from spanlore.schemas import metric_tables, otlp, semconv, tables
from spanlore.schemas.store import Store, StoreRefused
from tests.schemas.segments import LOG_ID, RECEIVED_NS, record, segment, varint

START_NS = 1_700_000_000_123_456_789
END_NS = START_NS + 60_000_000_001
TRACE_ID, SPAN_ID = b"\x01" * 16, b"\x02" * 8
EXEMPLARS: list[dict[str, Any]] = [
    {
        "filtered_attributes": [{"key": "user", "value": {"string_value": "u1"}}],
        "time_unix_nano": END_NS - 1,
        "as_int": 7,
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
    },
    {"time_unix_nano": END_NS, "as_double": 0.5, "trace_id": bytes(16), "span_id": b"short"},
]

Put = Callable[..., None]


def request(
    *metrics: Metric, resource: dict[str, str] | None = None
) -> ExportMetricsServiceRequest:
    made = ExportMetricsServiceRequest()
    group = made.resource_metrics.add(schema_url="https://example/resource")
    for key, value in (resource or {"service.name": "svc"}).items():
        group.resource.attributes.add(key=key).value.string_value = value
    scope = group.scope_metrics.add(schema_url="https://example/scope", metrics=metrics)
    scope.scope.name, scope.scope.version = "tests", "1"
    scope.scope.dropped_attributes_count = 3
    scope.scope.attributes.add(key="s").value.bool_value = True
    return made


def point(**fields: Any) -> dict[str, Any]:
    attributes = [
        {"key": "route", "value": {"string_value": "/a"}},
        {"key": "code", "value": {"int_value": 200}},
    ]
    times = {"start_time_unix_nano": START_NS, "time_unix_nano": END_NS}
    return {"attributes": attributes, **times, **fields}


def metric(name: str, **fields: Any) -> Metric:
    return Metric(name=name, **fields)


def gauge(*points: dict[str, Any], name: str = "queue", **fields: Any) -> Metric:
    return metric(name, gauge={"data_points": points}, **fields)


@pytest.fixture
def put(store: Store, tmp_path: Path) -> Put:
    numbers = itertools.count(1)

    def insert(*requests: ExportMetricsServiceRequest | bytes) -> None:
        number = next(numbers)
        path = tmp_path / f"{number}.wal"
        several = enumerate(requests, start=number * 100)
        path.write_bytes(b"".join(record(one, seq=seq, signal=12) for seq, one in several))
        store.insert_segment(path, token=f"token {number}", into=(otlp.METRICS_IN,))

    return insert


def rows(store: Store, table: str) -> list[dict[str, Any]]:
    return store.query(f"SELECT * FROM {table} {metric_tables.LATEST_POINT}")


def count(store: Store, table: str) -> int:
    return int(store.query(f"SELECT count() AS n FROM {table}")[0]["n"])


# opentelemetry-collector-contrib v0.160, clickhouseexporter/internal/sqltemplates.
_MAP = "Map(LowCardinality(String), String)"
_HEAD = [
    ("ResourceAttributes", _MAP),
    ("ResourceSchemaUrl", "String"),
    ("ScopeName", "String"),
    ("ScopeVersion", "String"),
    ("ScopeAttributes", _MAP),
    ("ScopeDroppedAttrCount", "UInt32"),
    ("ScopeSchemaUrl", "String"),
    ("ServiceName", "LowCardinality(String)"),
    ("MetricName", "LowCardinality(String)"),
    ("MetricDescription", "String"),
    ("MetricUnit", "String"),
    ("Attributes", _MAP),
    ("StartTimeUnix", "DateTime"),
    ("TimeUnix", "DateTime"),
]
_EXEMPLARS = [
    ("Exemplars.FilteredAttributes", f"Array({_MAP})"),
    ("Exemplars.TimeUnix", "Array(DateTime)"),
    ("Exemplars.Value", "Array(Float64)"),
    ("Exemplars.SpanId", "Array(String)"),
    ("Exemplars.TraceId", "Array(String)"),
]
_FLAGS = ("Flags", "UInt32")
_COUNTED = [("Count", "UInt64"), ("Sum", "Float64")]
_TAIL = [_FLAGS, ("Min", "Float64"), ("Max", "Float64"), ("AggregationTemporality", "Int32")]
EXPORTERS = {
    "otel_metrics_gauge": [("Value", "Float64"), _FLAGS, *_EXEMPLARS],
    "otel_metrics_sum": [
        ("Value", "Float64"),
        _FLAGS,
        *_EXEMPLARS,
        ("AggregationTemporality", "Int32"),
        ("IsMonotonic", "Bool"),
    ],
    "otel_metrics_histogram": [
        *_COUNTED,
        ("BucketCounts", "Array(UInt64)"),
        ("ExplicitBounds", "Array(Float64)"),
        *_EXEMPLARS,
        *_TAIL,
    ],
    "otel_metrics_exponential_histogram": [
        *_COUNTED,
        ("Scale", "Int32"),
        ("ZeroCount", "UInt64"),
        ("PositiveOffset", "Int32"),
        ("PositiveBucketCounts", "Array(UInt64)"),
        ("NegativeOffset", "Int32"),
        ("NegativeBucketCounts", "Array(UInt64)"),
        *_EXEMPLARS,
        *_TAIL,
    ],
    "otel_metrics_summary": [
        *_COUNTED,
        ("ValueAtQuantiles.Quantile", "Array(Float64)"),
        ("ValueAtQuantiles.Value", "Array(Float64)"),
        _FLAGS,
    ],
}


def test_the_tables_begin_with_the_exporters_columns() -> None:
    for name, columns in EXPORTERS.items():
        expected = [*_HEAD, *columns]
        ours = [(column.name, column.type) for column in tables.BY_NAME[name].columns]
        assert ours[: len(expected)] == expected, name
        assert ours[len(expected)][0] == "TenantId"


def test_a_gauge_keeps_where_it_came_from_and_its_exemplars(store: Store, put: Put) -> None:
    metadata = [{"key": "prometheus.type", "value": {"string_value": "gauge"}}]
    about: dict[str, Any] = {"description": "what waits", "unit": "{item}", "metadata": metadata}
    put(request(gauge(point(as_double=0.25, exemplars=EXEMPLARS, flags=0), **about)))
    (row,) = store.query(
        f"SELECT *, toUnixTimestamp(TimeUnix) AS s, toUnixTimestamp64Nano(ReceivedAt) AS received, "
        "arrayMap(t -> toUnixTimestamp(t), Exemplars.TimeUnix) AS exemplar_s "
        f"FROM {metric_tables.GAUGE}"
    )
    assert row["ResourceAttributes"] == {"service.name": "svc"}
    assert row["ResourceSchemaUrl"] == "https://example/resource"
    assert (row["ScopeName"], row["ScopeVersion"]) == ("tests", "1")
    assert row["ScopeAttributes"] == {"s": "true"}
    assert (row["ScopeDroppedAttrCount"], row["ScopeSchemaUrl"]) == (3, "https://example/scope")
    assert (row["ServiceName"], row["MetricName"]) == ("svc", "queue")
    assert (row["MetricDescription"], row["MetricUnit"]) == ("what waits", "{item}")
    assert row["MetricMetadata"] == {"prometheus.type": "gauge"}
    assert row["Attributes"] == {"route": "/a", "code": "200"}
    assert list(row["AttributeTypes"]) == [1, 3]
    assert (row["Value"], row["IntegerValue"], list(row["Absent"])) == (0.25, None, [])
    assert row["s"] == END_NS // 10**9
    assert (row["StartTimeUnixNano"], row["TimeUnixNano"]) == (START_NS, END_NS)
    assert list(row["Exemplars.FilteredAttributes"]) == [{"user": "u1"}, {}]
    assert list(row["Exemplars.Value"]) == [7.0, 0.5]
    assert list(row["Exemplars.TraceId"]) == [TRACE_ID.hex(), ""]
    assert list(row["Exemplars.SpanId"]) == [SPAN_ID.hex(), ""]
    assert list(row["exemplar_s"]) == [(END_NS - 1) // 10**9, END_NS // 10**9]
    assert row["TenantId"] == semconv.DEFAULT_TENANT
    assert (row["LogId"], row["LogSeq"], row["received"]) == (LOG_ID, 100, RECEIVED_NS + 100)


VALUES = [
    ({"as_int": 2**53 + 1}, float(2**53), 2**53 + 1, []),
    ({"as_int": -(2**63)}, -(2.0**63), -(2**63), []),
    ({"as_int": 0}, 0.0, 0, []),
    ({"as_double": 0.0}, 0.0, None, []),
    ({"as_double": -math.inf}, -math.inf, None, []),
    ({}, 0.0, None, ["Value"]),
]


@pytest.mark.parametrize(("fields", "value", "integer", "absent"), VALUES)
def test_a_number_keeps_its_value_its_type_and_whether_it_was_there(
    store: Store,
    put: Put,
    fields: dict[str, Any],
    value: float,
    integer: int | None,
    absent: list[str],
) -> None:
    stale = int(not fields)
    put(request(gauge(point(**fields, flags=stale))))
    (row,) = rows(store, metric_tables.GAUGE)
    assert (row["Value"], row["IntegerValue"], list(row["Absent"])) == (value, integer, absent)
    assert row["Flags"] == stale


def test_not_a_number_stays_not_a_number(store: Store, put: Put) -> None:
    put(request(gauge(point(as_double=math.nan))))
    (row,) = rows(store, metric_tables.GAUGE)
    assert math.isnan(row["Value"])
    assert list(row["Absent"]) == []


@pytest.mark.parametrize(
    ("temporality", "monotonic"), [(0, False), (1, True), (2, True), (9, False)]
)
def test_a_sum_keeps_its_temporality_and_whether_it_only_grows(
    store: Store, put: Put, temporality: int, monotonic: bool
) -> None:
    put(
        request(
            metric(
                "calls",
                sum={
                    "data_points": [point(as_int=5, exemplars=EXEMPLARS)],
                    "aggregation_temporality": temporality,
                    "is_monotonic": monotonic,
                },
            )
        )
    )
    (row,) = rows(store, metric_tables.SUM)
    assert (row["AggregationTemporality"], row["IsMonotonic"]) == (temporality, monotonic)
    assert (row["Value"], row["IntegerValue"]) == (5.0, 5)
    assert list(row["Exemplars.Value"]) == [7.0, 0.5]


def test_a_histogram_keeps_its_buckets_and_which_numbers_were_there(store: Store, put: Put) -> None:
    whole = point(
        count=3, sum=1.5, min=-1.0, max=2.0, bucket_counts=[1, 2, 0], explicit_bounds=[0.5, 1.0],
        exemplars=EXEMPLARS, flags=1,
    )  # fmt: skip
    bare = point(count=2, min=0.0, time_unix_nano=END_NS + 1)
    histogram = {"data_points": [whole, bare], "aggregation_temporality": 1}
    put(request(metric("latency", histogram=histogram)))
    first, second = sorted(
        rows(store, metric_tables.HISTOGRAM), key=lambda row: int(row["TimeUnixNano"])
    )
    assert (first["Count"], first["Sum"], first["Min"], first["Max"]) == (3, 1.5, -1.0, 2.0)
    assert list(first["BucketCounts"]) == [1, 2, 0]
    assert list(first["ExplicitBounds"]) == [0.5, 1.0]
    assert (first["AggregationTemporality"], first["Flags"]) == (1, 1)
    assert list(first["Exemplars.TraceId"]) == [TRACE_ID.hex(), ""]
    assert list(first["Absent"]) == []
    assert (second["Count"], second["Sum"], second["Min"], second["Max"]) == (2, 0, 0, 0)
    assert list(second["Absent"]) == ["Sum", "Max"]
    assert list(second["BucketCounts"]) == []


def test_an_exponential_histogram_keeps_both_sides_and_its_zero(store: Store, put: Put) -> None:
    made = point(
        count=2**63, sum=9.0, scale=-3, zero_count=4, zero_threshold=1e-9, max=8.0,
        positive={"offset": -2, "bucket_counts": [1, 0, 300]},
        negative={"offset": 5, "bucket_counts": [2**40]}, exemplars=EXEMPLARS,
    )  # fmt: skip
    whole = {"data_points": [made], "aggregation_temporality": 2}
    put(request(metric("size", exponential_histogram=whole)))
    (row,) = rows(store, metric_tables.EXPONENTIAL_HISTOGRAM)
    assert (row["Count"], row["Sum"], row["Scale"], row["ZeroCount"]) == (2**63, 9.0, -3, 4)
    assert (row["PositiveOffset"], list(row["PositiveBucketCounts"])) == (-2, [1, 0, 300])
    assert (row["NegativeOffset"], list(row["NegativeBucketCounts"])) == (5, [2**40])
    assert (row["ZeroThreshold"], row["Max"], list(row["Absent"])) == (1e-9, 8.0, ["Min"])
    assert (row["AggregationTemporality"], list(row["Exemplars.Value"])) == (2, [7.0, 0.5])


def test_a_summary_keeps_its_quantiles(store: Store, put: Put) -> None:
    quantiles = [{"quantile": 0.5, "value": 10.0}, {"quantile": 0.99, "value": math.inf}]
    made = point(count=7, sum=70.0, quantile_values=quantiles, flags=1)
    put(request(metric("gc", summary={"data_points": [made]})))
    (row,) = rows(store, metric_tables.SUMMARY)
    assert (row["Count"], row["Sum"], row["Flags"]) == (7, 70.0, 1)
    assert list(row["ValueAtQuantiles.Quantile"]) == [0.5, 0.99]
    assert list(row["ValueAtQuantiles.Value"]) == [10.0, math.inf]


def test_times_out_of_range_are_clamped_and_kept_raw(store: Store, put: Put) -> None:
    times = [(0, 1), (2**64 - 1, 2**64 - 1), (0, 4_294_967_296 * 10**9)]
    points = [point(start_time_unix_nano=start, time_unix_nano=end) for start, end in times]
    put(request(gauge(*points)))
    found = store.query(
        "SELECT StartTimeUnixNano AS start, TimeUnixNano AS end, toUnixTimestamp(StartTimeUnix) "
        f"AS start_s, toUnixTimestamp(TimeUnix) AS s FROM {metric_tables.GAUGE} ORDER BY end"
    )
    assert sorted((row["start"], row["end"]) for row in found) == sorted(times)
    assert [row["s"] for row in found] == [0, 2**32 - 1, 2**32 - 1]
    assert [row["start_s"] for row in found] == [0, 0, 2**32 - 1]


def test_all_kinds_of_one_request_are_each_in_their_table(store: Store, put: Put) -> None:
    points = [point(), point(time_unix_nano=END_NS + 1)]
    kinds = metric_tables.BY_KIND
    metrics = [metric("m", **{kind: {"data_points": points}}) for kind in kinds]
    put(request(*metrics, Metric(name="of a kind to come")), request(gauge()))
    assert {table: count(store, table) for table in kinds.values()} == dict.fromkeys(
        kinds.values(), 2
    )


@pytest.mark.parametrize("kind", ["sum", "gauge"])
def test_a_metric_whose_points_come_in_two_pieces_is_refused_rather_than_half_read(
    store: Store, put: Put, kind: str
) -> None:
    # Protobuf reads a message that comes twice as one, and of a oneof the last: no client sends it.
    first = metric("calls", **{kind: {"data_points": [point(as_int=1)]}})
    second = metric("", sum={"data_points": [point(as_int=2)]})
    body = first.SerializeToString() + second.SerializeToString()
    with pytest.raises(StoreRefused):
        put(b"\x0a" + _sized(b"\x12" + _sized(b"\x12" + _sized(body))))
    assert count(store, metric_tables.SUM) == 0


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data


def test_the_tenant_is_the_tokens_else_the_points_else_the_resources(
    store: Store, tmp_path: Path
) -> None:
    own = [{"key": semconv.TENANT_ID, "value": {"string_value": "point"}}]
    with_resource = {semconv.TENANT_ID: "resource"}
    bodies = [
        record(request(gauge(point(attributes=own), name="1"), resource=with_resource), seq=1),
        record(request(gauge(point(), name="2"), resource=with_resource), seq=2),
        record(request(gauge(point(), name="3")), seq=3),
        record(request(gauge(point(attributes=own), name="4")), seq=4, tenant="token"),
    ]
    path = tmp_path / "one.wal"
    path.write_bytes(b"".join(bodies))
    store.insert_segment(path, token="one")
    found = store.query(f"SELECT TenantId FROM {metric_tables.GAUGE} ORDER BY MetricName")
    assert [row["TenantId"] for row in found] == ["point", "resource", "default", "token"]


def test_a_segment_sent_again_adds_nothing(store: Store, tmp_path: Path) -> None:
    path = segment(tmp_path, [request(gauge(point(as_int=1)))])
    for _ in range(3):
        store.insert_segment(path, token="one")
    assert count(store, metric_tables.GAUGE) == 1


def test_a_point_that_a_client_sends_again_is_one_row_and_the_later_wins(
    store: Store, put: Put
) -> None:
    put(request(gauge(point(as_int=1))), request(gauge(point(as_int=1))))
    assert count(store, metric_tables.GAUGE) == 1
    again = point(as_int=2)
    again["attributes"] = again["attributes"][::-1]
    put(request(gauge(again)))
    assert [row["IntegerValue"] for row in rows(store, metric_tables.GAUGE)] == [2]
    store.command(f"OPTIMIZE TABLE {metric_tables.GAUGE} FINAL")
    assert count(store, metric_tables.GAUGE) == 1


def test_whatever_tells_two_points_apart_keeps_them_apart(store: Store, put: Put) -> None:
    of_text = point()
    of_text["attributes"] = [
        of_text["attributes"][0],
        {"key": "code", "value": {"string_value": "200"}},
    ]
    another_scope = request(gauge(point()))
    another_scope.resource_metrics[0].scope_metrics[0].scope.name = "other"
    several = [
        request(gauge(point())),
        request(gauge(of_text)),
        request(gauge(point(attributes=[]))),
        request(gauge(point(time_unix_nano=END_NS + 1))),
        request(gauge(point(start_time_unix_nano=0))),
        request(gauge(point(), name="other")),
        request(gauge(point(), unit="s")),
        request(gauge(point()), resource={"service.name": "other"}),
        request(gauge(point()), resource={"service.name": "svc", "host.name": "h"}),
        another_scope,
    ]
    put(*several)
    store.command(f"OPTIMIZE TABLE {metric_tables.GAUGE} FINAL")
    assert count(store, metric_tables.GAUGE) == len(several)
    assert len(rows(store, metric_tables.GAUGE)) == len(several)


def test_sums_of_another_temporality_are_another_series(store: Store, put: Put) -> None:
    sums = [
        {"data_points": [point()], "aggregation_temporality": temporality, "is_monotonic": grows}
        for temporality in (1, 2)
        for grows in (True, False)
    ]
    put(*(request(metric("calls", sum=one)) for one in sums))
    assert count(store, metric_tables.SUM) == 4


def test_the_exporters_insert_fills_our_columns_and_keeps_every_row(store: Store) -> None:
    row = {
        "ResourceAttributes": {"service.name": "svc", semconv.TENANT_ID: "t"},
        "ServiceName": "svc",
        "MetricName": "queue",
        "Attributes": {"route": "/a"},
        "StartTimeUnix": 1_700_000_000,
        "TimeUnix": 1_700_000_060,
        "Value": 1.0,
    }
    store.insert(metric_tables.GAUGE, [row, {**row, "Value": 2.0}])
    store.command(f"OPTIMIZE TABLE {metric_tables.GAUGE} FINAL")
    found = rows(store, metric_tables.GAUGE)
    assert sorted(one["Value"] for one in found) == [1.0, 2.0]
    assert {one["TenantId"] for one in found} == {"t"}
    assert {one["TimeUnixNano"] for one in found} == {1_700_000_060 * 10**9}


@pytest.mark.parametrize(
    "message",
    ["Exemplar", "NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint",
     "SummaryDataPoint", "Sum", "Metric", "ScopeMetrics", "ResourceMetrics"],
)  # fmt: skip
def test_the_schema_names_the_fields_that_opentelemetry_numbers(message: str) -> None:
    body = otlp.PROTO_SCHEMA.split(f"message {message} {{")[1].split("\nmessage")[0]
    parts = body.replace("{", ";").replace("}", ";").split(";")
    fields = [part.split("=") for part in parts if "=" in part]
    ours = {name.split()[-1]: int(number) for name, number in fields}
    theirs = {field.name: field.number for field in getattr(metrics_pb2, message).DESCRIPTOR.fields}
    assert ours == theirs

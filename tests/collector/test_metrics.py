"""Metrics through a real collector process: the stock exporters, bad requests, kills, resends."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetricExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Counter, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from spanlore.collector.redaction.redactor import Redactor
from spanlore.collector.redaction.requests import redact_request
from spanlore.collector.signals import METRICS
from spanlore.schemas import metric_tables
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.collector.otlp_requests import metrics, traces

NOWHERE = "clickhouse://nobody:nothing@127.0.0.1:9/none"
NEVER_MS = 3_600_000.0
SPAN = trace.SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=trace.TraceFlags(1))


@pytest.fixture
def collector(
    tmp_path_factory: pytest.TempPathFactory, store_url: str
) -> Iterator[CollectorProcess]:
    data_dir = tmp_path_factory.mktemp("collector") / "data"
    with CollectorProcess(data_dir, store_url) as process:
        yield process


def counted(collector: CollectorProcess) -> dict[str, int]:
    points: dict[str, int] = collector.status()["data_points"]
    assert points["accepted"] + points["rejected"] + points["quarantined"] == points["received"]
    return points


def values(store: Store) -> list[int]:
    rows = store.query(
        f"SELECT IntegerValue AS n FROM {metric_tables.SUM} {metric_tables.LATEST_POINT}"
    )
    return sorted(row["n"] for row in rows)


def observed(value: float) -> Any:
    def observe(_: CallbackOptions) -> Sequence[Observation]:
        return [Observation(value, {"from": "callback"})]

    return observe


def record_one_of_each(exporter: MetricExporter, number: int) -> None:
    """Use every kind of instrument once, inside a span, and export once."""
    provider = MeterProvider(
        [PeriodicExportingMetricReader(exporter, export_interval_millis=NEVER_MS)],
        resource=Resource({"service.name": "metrics", "exporter": number}),
        exemplar_filter=AlwaysOnExemplarFilter(),
        views=[View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())],
    )
    meter = provider.get_meter("tests", "1.2", attributes={"scope": "yes"})
    with trace.use_span(trace.NonRecordingSpan(SPAN)):
        meter.create_counter("calls", "{call}", "how often").add(3, {"path": ["a", "b"]})
        meter.create_up_down_counter("open").add(-2.5)
        meter.create_histogram("latency", "s").record(0.25)
        meter.create_histogram("size", "By").record(7)
        meter.create_gauge("temperature").set(21.5)
    meter.create_observable_counter("reads", [observed(11)])
    meter.create_observable_up_down_counter("held", [observed(12)])
    meter.create_observable_gauge("level", [observed(0.5)])
    provider.shutdown()


def test_every_kind_of_instrument_of_the_stock_exporters_is_in_its_table(
    collector: CollectorProcess, store: Store
) -> None:
    delta: dict[type, AggregationTemporality] = {Counter: AggregationTemporality.DELTA}
    http = f"{collector.url}/v1/metrics"
    exporters = [
        GrpcMetricExporter(endpoint=collector.grpc_address, insecure=True),
        GrpcMetricExporter(
            endpoint=collector.grpc_address,
            insecure=True,
            compression=grpc.Compression.Gzip,
            preferred_temporality=delta,
        ),
        OTLPMetricExporter(endpoint=http),
        OTLPMetricExporter(endpoint=http, compression=Compression.Gzip),
    ]
    for number, exporter in enumerate(exporters):
        record_one_of_each(exporter, number)
    collector.flush()
    assert counted(collector) == {
        "received": 32, "accepted": 32, "rejected": 0, "quarantined": 0, "stored": 32,
    }  # fmt: skip
    sums = store.query(
        f"SELECT MetricName, count() AS n, groupArray(AggregationTemporality) AS temporality, "
        f"any(IsMonotonic) AS grows, any(Value) AS value, any(Attributes) AS a "
        f"FROM {metric_tables.SUM} GROUP BY 1 ORDER BY 1"
    )
    assert {row["MetricName"]: (row["n"], row["grows"], row["value"]) for row in sums} == {
        "calls": (4, True, 3.0),
        "held": (4, False, 12.0),
        "open": (4, False, -2.5),
        "reads": (4, True, 11.0),
    }
    assert sums[0]["a"] == {"path": '["a","b"]'}
    assert sorted(sums[0]["temporality"]) == [1, 2, 2, 2]
    gauges = store.query(
        f"SELECT MetricName, count() AS n, any(Value) AS value FROM {metric_tables.GAUGE} "
        "GROUP BY 1 ORDER BY 1"
    )
    assert [(row["MetricName"], row["n"], row["value"]) for row in gauges] == [
        ("level", 4, 0.5),
        ("temperature", 4, 21.5),
    ]


def test_histograms_of_the_stock_exporters_keep_buckets_and_exemplars(
    collector: CollectorProcess, store: Store
) -> None:
    record_one_of_each(OTLPMetricExporter(endpoint=f"{collector.url}/v1/metrics"), 0)
    collector.flush()
    (latency,) = store.query(f"SELECT * FROM {metric_tables.HISTOGRAM}")
    assert (latency["MetricName"], latency["MetricUnit"]) == ("latency", "s")
    assert (latency["Count"], latency["Sum"], latency["Min"]) == (1, 0.25, 0.25)
    assert sum(latency["BucketCounts"]) == 1
    assert len(latency["BucketCounts"]) == len(latency["ExplicitBounds"]) + 1
    assert list(latency["Exemplars.Value"]) == [0.25]
    assert list(latency["Exemplars.TraceId"]) == [f"{SPAN.trace_id:032x}"]
    assert list(latency["Exemplars.SpanId"]) == [f"{SPAN.span_id:016x}"]
    (size,) = store.query(f"SELECT * FROM {metric_tables.EXPONENTIAL_HISTOGRAM}")
    assert (size["MetricName"], size["Count"], size["Max"]) == ("size", 1, 7.0)
    assert (list(size["PositiveBucketCounts"]), sum(size["NegativeBucketCounts"])) == ([1], 0)
    assert (size["ScopeVersion"], size["ScopeAttributes"]) == ("1.2", {"scope": "yes"})
    assert size["StartTimeUnixNano"] < size["TimeUnixNano"]


def test_bad_points_are_rejected_one_by_one_and_both_protocols_say_how_many(
    collector: CollectorProcess, store: Store
) -> None:
    request = metrics(range(5))
    points = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    for at in (1, 3):
        points[at].time_unix_nano = 0
    answers = [
        collector.export(request, signal=METRICS),
        collector.post(request, path=METRICS.path).content,
    ]
    for answer in answers:
        partial = ExportMetricsServiceResponse.FromString(answer).partial_success
        assert partial.rejected_data_points == 2
        assert "time_unix_nano" in partial.error_message
    nothing_good = collector.post(metrics(range(3), name=""), path=METRICS.path)
    assert nothing_good.status_code == 200
    collector.flush()
    assert counted(collector) == {
        "received": 13, "accepted": 6, "rejected": 7, "quarantined": 0, "stored": 6,
    }  # fmt: skip
    assert values(store) == [0, 2, 4]


def test_text_that_is_not_utf8_and_nested_values_are_stored_mended(
    collector: CollectorProcess, store: Store
) -> None:
    request = metrics([1], name="NAME")
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    nested = point.attributes.add(key="nested").value.kvlist_value
    nested.values.add(key="a").value.array_value.values.add().int_value = 1
    body = request.SerializeToString().replace(b"NAME", b"na\xff\xfe")
    answer = ExportMetricsServiceResponse.FromString(collector.export(body, signal=METRICS))
    assert "1 strings were not UTF-8" in answer.partial_success.error_message
    collector.flush()
    (row,) = store.query(f"SELECT MetricName, Attributes FROM {metric_tables.SUM}")
    assert row["MetricName"] == "na\ufffd\ufffd"
    assert row["Attributes"] == {"number": "1", "nested": '{"a":[1]}'}


def test_what_is_no_request_of_metrics_is_refused_for_good(collector: CollectorProcess) -> None:
    assert collector.post(b"\xff\xff", path=METRICS.path).status_code == 400
    with pytest.raises(grpc.RpcError) as error:
        collector.export(b"\xff\xff", signal=METRICS)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "not an OTLP request of data points" in (error.value.details() or "")
    assert counted(collector)["received"] == 0


def test_points_sent_again_within_and_across_segments_are_one_row_and_all_are_counted(
    collector: CollectorProcess, store: Store
) -> None:
    for _ in range(2):
        for _ in range(2):
            collector.export(metrics(range(10)), signal=METRICS)
        collector.flush()
    assert counted(collector) == {
        "received": 40, "accepted": 40, "rejected": 0, "quarantined": 0, "stored": 40,
    }  # fmt: skip
    assert values(store) == list(range(10))
    assert collector.status()["events"].get("load_failures") is None


def test_a_request_the_store_cannot_decode_is_quarantined_and_its_points_counted(
    collector: CollectorProcess, store: Store
) -> None:
    # A packed varint that never ends: the door leaves bucket counts unread, the engine does not.
    broken = ExportMetricsServiceRequest()
    scope = broken.resource_metrics.add().scope_metrics.add()
    point = scope.metrics.add(name="size").exponential_histogram.data_points.add(time_unix_nano=1)
    point.positive.bucket_counts.extend([1, 1, 1, 1])
    body = broken.SerializeToString()
    assert body.count(b"\x01\x01\x01\x01") == 1
    collector.export(metrics(range(3)), signal=METRICS)
    collector.export(body.replace(b"\x01\x01\x01\x01", b"\xff\xff\xff\xff"), signal=METRICS)
    collector.export(traces(2))
    collector.flush()
    assert counted(collector) == {
        "received": 4, "accepted": 3, "rejected": 0, "quarantined": 1, "stored": 3,
    }  # fmt: skip
    assert values(store) == [0, 1, 2]
    assert collector.status()["spans"]["stored"] == 2
    assert len(list((collector.data_dir / "quarantine").glob("*.pb"))) == 1


def test_after_a_kill_and_a_resend_every_acknowledged_point_is_stored_once(
    tmp_path: Path, store_url: str, store: Store
) -> None:
    data_dir = tmp_path / "data"
    with CollectorProcess(data_dir, NOWHERE) as first:
        for start in range(0, 100, 10):
            first.export(metrics(range(start, start + 10)), signal=METRICS)
        first.kill()
    with CollectorProcess(data_dir, store_url) as second:
        # As a client does that did not hear the acknowledgement.
        second.export(metrics(range(90, 110)), signal=METRICS)
        second.flush()
        assert counted(second)["stored"] == 120
        assert second.stop() == 0
    assert values(store) == list(range(110))


def test_a_histogram_beside_a_secret_keeps_its_bucket_counts() -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="took")
    point = metric.exponential_histogram.data_points.add(time_unix_nano=1, count=6)
    point.positive.bucket_counts.extend([1, 2, 3])
    secret = f"ghp_{'a1B2c3D4e5' * 3}f6G7h8"
    point.attributes.add(key="note").value.string_value = secret
    loose = METRICS.loose.FromString(request.SerializeToString())
    found = redact_request(loose, Redactor(b"k" * 32))
    assert sum(found.values()) == 1
    kept = ExportMetricsServiceRequest.FromString(loose.SerializeToString())
    [told] = kept.resource_metrics[0].scope_metrics[0].metrics[0].exponential_histogram.data_points
    assert list(told.positive.bucket_counts) == [1, 2, 3]
    assert secret not in str(kept)

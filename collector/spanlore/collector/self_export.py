"""Sends what the collector knows about itself as OTLP metrics: to an endpoint, or to itself."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpExporter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from spanlore.collector.access import ANY_TENANT
from spanlore.collector.config import SELF
from spanlore.collector.counters import Counters
from spanlore.collector.intake import DURABLE_WAIT_S_MAX, Intake
from spanlore.collector.refusal import Refused
from spanlore.collector.self_metrics import SELF_METRICS, Kind, SelfMetric
from spanlore.collector.signals import METRICS
from spanlore.schemas import semconv

__all__ = ["SelfExport", "exporter_to"]

_logger = logging.getLogger(__name__)
_JOIN_S_MAX: Final = 2.0
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE

Export = Callable[[MetricsData], bool]


class SelfExport:
    """Exports the status every so many seconds and once at the end. ``start``, then ``stop``.

    What cannot be sent is counted and not kept: the next export has the totals again.
    """

    def __init__(
        self,
        status: Callable[[], Mapping[str, Any]],
        export: Export,
        *,
        counters: Counters,
        every_s: float,
    ) -> None:
        self._status = status
        self._export = export
        self._counters = counters
        self._every_s = every_s
        self._began_ns = time.time_ns()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="self-export", daemon=True)

    def start(self) -> None:
        """Begin to export."""
        self._thread.start()

    def stop(self) -> None:
        """Export once more, unless that takes too long. Safe twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S_MAX)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self._once()
        self._once()

    def _once(self) -> None:
        if not self._export(_metrics_data(self._status(), began_ns=self._began_ns)):
            self._counters.event("self_export_failures")


def exporter_to(endpoint: str, protocol: str, intake: Intake) -> Export:
    """Give what exports to an endpoint by ``grpc`` or ``http/protobuf``.

    Headers, certificates, compression and timeout are what OpenTelemetry's environment variables
    say.
    """
    if endpoint == SELF:
        return lambda data: _take(intake, data)
    kind = GrpcExporter if protocol == "grpc" else HttpExporter
    exporter = kind(endpoint=endpoint)
    return lambda data: exporter.export(data) is MetricExportResult.SUCCESS


def _take(intake: Intake, data: MetricsData) -> bool:
    """Put metrics into our own log, as the door does with a client's."""
    body = encode_metrics(data).SerializeToString()
    try:
        with intake.budget.hold(len(body)):
            taken = intake.take(body, METRICS, tenant=ANY_TENANT)
            if taken.durable is not None:
                taken.durable.result(DURABLE_WAIT_S_MAX)
    except (Refused, TimeoutError) as error:
        _logger.warning("could not store the collector's own metrics: %s", error)
        return False
    return True


def _metrics_data(status: Mapping[str, Any], *, began_ns: int) -> MetricsData:
    """Render a status document in the data model of OpenTelemetry's SDK."""
    times = (began_ns, time.time_ns())
    metrics = [metric for one in SELF_METRICS for metric in _metric(one, status, times)]
    scope = InstrumentationScope("spanlore.collector", status["resource"][semconv.SERVICE_VERSION])
    of_scope = ScopeMetrics(scope=scope, metrics=metrics, schema_url="")
    resource = Resource.create(status["resource"])
    of_resource = ResourceMetrics(resource=resource, scope_metrics=[of_scope], schema_url="")
    return MetricsData(resource_metrics=[of_resource])


def _metric(one: SelfMetric, status: Mapping[str, Any], times: tuple[int, int]) -> Iterator[Metric]:
    """Render one metric, nothing where it has no point."""
    points: list[Any] = []
    for attributes, value in one.read(status):
        if one.kind is Kind.HISTOGRAM:
            points.append(_histogram(attributes, value, times))
        else:
            points.append(NumberDataPoint(attributes, *times, value))
    if points:
        data = _data(one.kind, points)
        yield Metric(name=one.name, description=one.description, unit=one.unit, data=data)


def _histogram(
    attributes: Mapping[str, str], value: Mapping[str, Any], times: tuple[int, int]
) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes,
        *times,
        count=value["count"],
        sum=value["sum_s"],
        bucket_counts=value["counts"],
        explicit_bounds=value["bounds_s"],
        # Extremes since the start would say nothing of now.
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
    )


def _data(kind: Kind, points: list[Any]) -> Sum | Gauge | Histogram:
    if kind is Kind.HISTOGRAM:
        return Histogram(data_points=points, aggregation_temporality=_CUMULATIVE)
    if kind is Kind.GAUGE:
        return Gauge(data_points=points)
    return Sum(
        data_points=points,
        aggregation_temporality=_CUMULATIVE,
        is_monotonic=kind is Kind.COUNTER,
    )

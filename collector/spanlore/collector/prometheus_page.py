"""The page that Prometheus scrapes: text 0.0.4, or OpenMetrics where the client asks for it.

Names follow "Prometheus and OpenMetrics compatibility" of the OpenTelemetry specification: dots
become underscores, the unit and ``_total`` go to the end, the resource is ``target_info``.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from itertools import accumulate
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from spanlore.collector.http_answer import Answer
from spanlore.collector.self_metrics import SELF_METRICS, Kind, SelfMetric

_UNITS: Final = {"By": "bytes", "s": "seconds"}
# The page says how a business is doing, and is of one instant.
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


def page(status: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Answer:
    """Render a status document in the format that a request's Accept header prefers."""
    encode, content_type = choose_encoder(headers.get(b"accept", b"").decode("latin-1"))
    return Answer(
        status=HTTPStatus.OK,
        body=encode(_Page(status)),
        content_type=content_type,
        headers=_HEADERS,
    )


class _Page(Collector):
    """What prometheus_client renders."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Give every metric family of the status."""
        resource = {key.replace(".", "_"): value for key, value in self._status["resource"].items()}
        yield InfoMetricFamily("target", "What is measured here.", value=resource)
        for metric in SELF_METRICS:
            yield _family(metric, self._status)


def _family(metric: SelfMetric, status: Mapping[str, Any]) -> Metric:
    points = list(metric.read(status))
    labels = [key.replace(".", "_") for key in points[0][0]] if points else []
    name, unit = metric.name.replace(".", "_"), _UNITS.get(metric.unit, "")
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, metric.description, labels=labels, unit=unit)
        for attributes, value in points:
            values = tuple(attributes.values())
            histogram.add_metric(values, _buckets(value), sum_value=value["sum_s"])
        return histogram
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    numbers = kind(name, metric.description, labels=labels, unit=unit)
    for attributes, value in points:
        numbers.add_metric(tuple(attributes.values()), value)
    return numbers


def _buckets(histogram: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Give the buckets as Prometheus has them: each with all that is below it."""
    bounds = [*(str(bound) for bound in histogram["bounds_s"]), "+Inf"]
    return list(zip(bounds, accumulate(histogram["counts"]), strict=True))

"""What the collector knows about itself, as metrics: each is declared here, once.

The Prometheus page and OTLP are both made from this table, and it reads nothing but the status
document, so that the numbers of a page are all of one instant. To add a metric: put its number
into the status, and a line here.

Where the OpenTelemetry Collector has the same thing it has its name (``otelcol_…`` there,
``spanlore_collector_…`` on our page); the rest follows ``otel.sdk.*`` and ``process.*``.
Sources: opentelemetry.io/docs/collector/internal-telemetry, and the semantic conventions
otel/sdk-metrics and system/process-metrics.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from spanlore.collector.signals import LOGS, METRICS, TRACES

__all__ = ["SELF_METRICS", "Kind", "SelfMetric"]

Status = Mapping[str, Any]
# A point's attributes and its value: a number, or what a histogram's snapshot gives.
Points = Iterator[tuple[Mapping[str, str], Any]]


class Kind(Enum):
    """The instrument, as OpenTelemetry names them."""

    COUNTER = "Counter"
    UP_DOWN_COUNTER = "UpDownCounter"
    GAUGE = "Gauge"
    HISTOGRAM = "Histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfMetric:
    """One metric: its OpenTelemetry name, its UCUM unit, and how it is read from the status.

    ``read`` gives no point where the number cannot be had on this machine.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    read: Callable[[Status], Points]


def _one(*path: str, **attributes: str) -> Callable[[Status], Points]:
    """Read the number at a path."""

    def read(status: Status) -> Points:
        value: Any = status
        for key in path:
            value = value[key]
        if value is not None:
            yield attributes, value

    return read


def _each(attribute: str, *path: str) -> Callable[[Status], Points]:
    """Read the numbers at a path, whose keys are values of an attribute."""

    def read(status: Status) -> Points:
        [(_, values)] = _one(*path)(status)
        yield from (({attribute: key}, value) for key, value in values.items() if value is not None)

    return read


def _accepted(signal: str) -> Callable[[Status], Points]:
    """Count what this process acknowledged: a counter, so what is quarantined later stays in."""

    def read(status: Status) -> Points:
        items = status[signal]
        yield {}, items["accepted"] + items["quarantined"] - status["recovered"][signal]

    return read


def _is_well(problem: str, **attributes: str) -> Callable[[Status], Points]:
    def read(status: Status) -> Points:
        yield attributes, int(status[problem] is None)

    return read


def _all(*reads: Callable[[Status], Points]) -> Callable[[Status], Points]:
    """Read one after the other."""
    return lambda status: (point for read in reads for point in read(status))


def _of_targets(*path: str, **attributes: str) -> Callable[[Status], Points]:
    """Read the number at a path of each target that is forwarded to."""

    def read(status: Status) -> Points:
        for target in status["forwarding"]:
            yield from _one(*path, exporter=f"forward/{target['name']}", **attributes)(target)

    return read


def _targets_are_well(status: Status) -> Points:
    for target in status["forwarding"]:
        yield {"exporter": f"forward/{target['name']}"}, int(target["last_error"] is None)


def _events(status: Status) -> Points:
    """Read the events that are counted; what is counted in bytes has a metric of its own."""
    counted = ((name, n) for name, n in status["events"].items() if name != _CORRUPT)
    yield from (({"event": name}, number) for name, number in counted)


def _corrupt_bytes(status: Status) -> Points:
    yield {}, status["events"].get(_CORRUPT, 0)


def _metric(name: str, kind: Kind, unit: str, **rest: Any) -> SelfMetric:
    return SelfMetric(name=f"spanlore.collector.{name}", kind=kind, unit=unit, **rest)


def _of_signal(signal: str, words: str, unit: str) -> Iterator[SelfMetric]:
    """Declare what is counted of one signal, in the words of the OpenTelemetry Collector."""
    said = words.replace("_", " ")
    counted: Mapping[str, tuple[Callable[[Status], Points], str]] = {
        f"receiver.accepted_{words}": (
            _accepted(signal),
            f"{said} acknowledged: durable in the write-ahead log.",
        ),
        f"receiver.rejected_{words}": (
            _one(signal, "rejected"),
            f"{said} rejected one by one in a partial success.",
        ),
        f"log.recovered_{words}": (
            _one("recovered", signal),
            f"{said} of earlier processes found in the log at the start.",
        ),
        f"exporter.sent_{words}": (
            _all(_one(signal, "stored", exporter=_STORE), _of_targets("forwarded", signal)),
            f"{said} that the store or a target has.",
        ),
        f"exporter.send_failed_{words}": (
            _all(*(_of_targets(outcome, signal, outcome=outcome) for outcome in _GIVEN_UP)),
            f"{said} that a target will not get, by what became of them.",
        ),
        f"exporter.quarantined_{words}": (
            _one(signal, "quarantined", exporter=_STORE),
            f"{said} set aside because the store refuses them for good.",
        ),
    }
    for name, (read, description) in counted.items():
        described = description[0].upper() + description[1:]
        yield _metric(name, Kind.COUNTER, unit, description=described, read=read)


_CORRUPT: Final = "log_bytes_corrupt"
_STORE: Final = "store"
# What becomes of what is not forwarded: see docs/forwarding.md.
_GIVEN_UP: Final = ("rejected", "refused", "dropped")
_SIGNALS: Final = (
    (TRACES.name, "spans", "{span}"),
    (LOGS.name, "log_records", "{log_record}"),
    (METRICS.name, "metric_points", "{data_point}"),
)

SELF_METRICS: Final = (
    *(metric for signal in _SIGNALS for metric in _of_signal(*signal)),
    _metric(
        "receiver.refused_requests",
        Kind.COUNTER,
        "{request}",
        description="Requests refused whole, by reason; their records were not counted.",
        read=_each("error.type", "refused"),
    ),
    _metric(
        "receiver.over_quota_requests",
        Kind.COUNTER,
        "{request}",
        description="Of the refused requests those over the tenant's budget, by tenant.",
        read=_each("spanlore.tenant.id", "over_quota"),
    ),
    _metric(
        "receiver.ack.duration",
        Kind.HISTOGRAM,
        "s",
        description="From a request read to its records durable in the log.",
        read=_each("transport", "acks"),
    ),
    _metric(
        "receiver.inflight.size",
        Kind.UP_DOWN_COUNTER,
        "By",
        description="Bytes of requests that are being taken.",
        read=_one("inflight", "bytes"),
    ),
    _metric(
        "receiver.inflight.capacity",
        Kind.UP_DOWN_COUNTER,
        "By",
        description="Bytes of requests above which further ones are told to come back.",
        read=_one("inflight", "bytes_max"),
    ),
    _metric(
        "receiver.connections",
        Kind.UP_DOWN_COUNTER,
        "{connection}",
        description="Open connections of clients; of gRPC they are not known.",
        read=_one("connections", "http", transport="http"),
    ),
    _metric(
        "receiver.connections.capacity",
        Kind.UP_DOWN_COUNTER,
        "{connection}",
        description="Connections that are served at once.",
        read=_one("connections", "http_max", transport="http"),
    ),
    _metric(
        "redactor.redacted_secrets",
        Kind.COUNTER,
        "{secret}",
        description="Secrets taken out of requests, by kind.",
        read=_each("kind", "redacted"),
    ),
    _metric(
        "log.size",
        Kind.UP_DOWN_COUNTER,
        "By",
        description="Bytes in the write-ahead log: taken, not yet in the store.",
        read=_one("backlog", "bytes"),
    ),
    _metric(
        "log.capacity",
        Kind.UP_DOWN_COUNTER,
        "By",
        description="Bytes of the log above which requests are told to come back.",
        read=_one("log", "bytes_max"),
    ),
    _metric(
        "log.requests",
        Kind.UP_DOWN_COUNTER,
        "{request}",
        description="Requests in the log.",
        read=_one("backlog", "records"),
    ),
    _metric(
        "log.segments",
        Kind.UP_DOWN_COUNTER,
        "{segment}",
        description="Files of the log, each one insert into the store.",
        read=_one("backlog", "segments"),
    ),
    _metric(
        "log.oldest_age",
        Kind.GAUGE,
        "s",
        description="Since the oldest record in the log was received.",
        read=_one("backlog", "oldest_age_s"),
    ),
    _metric(
        "log.up",
        Kind.GAUGE,
        "",
        description="1 while the log can be written, 0 since a write failed.",
        read=_is_well("log_error"),
    ),
    _metric(
        "log.corrupt",
        Kind.COUNTER,
        "By",
        description="Damaged bytes of the log put aside at the start.",
        read=_corrupt_bytes,
    ),
    _metric(
        "disk.free",
        Kind.UP_DOWN_COUNTER,
        "By",
        description="Bytes free on the log's disk.",
        read=_one("log", "disk_free_bytes"),
    ),
    _metric(
        "disk.free.limit",
        Kind.UP_DOWN_COUNTER,
        "By",
        description="Bytes free below which requests are told to come back.",
        read=_one("log", "disk_free_bytes_min"),
    ),
    _metric(
        "exporter.operation.duration",
        Kind.HISTOGRAM,
        "s",
        description="How long a segment took to insert and to check.",
        read=_one("loads", exporter=_STORE),
    ),
    _metric(
        "exporter.up",
        Kind.GAUGE,
        "",
        description="1 while the store or target takes what it gets, 0 since the last try failed.",
        read=_all(_is_well("store_error", exporter=_STORE), _targets_are_well),
    ),
    _metric(
        "exporter.queue.requests",
        Kind.UP_DOWN_COUNTER,
        "{request}",
        description="Requests that wait for a target.",
        read=_of_targets("backlog", "records"),
    ),
    _metric(
        "exporter.queue.size",
        Kind.UP_DOWN_COUNTER,
        "By",
        description="Bytes that wait for a target.",
        read=_of_targets("backlog", "bytes"),
    ),
    _metric(
        "exporter.queue.oldest_age",
        Kind.GAUGE,
        "s",
        description="Since the oldest request that waits for a target was received.",
        read=_of_targets("backlog", "oldest_age_s"),
    ),
    _metric(
        "exporter.retries",
        Kind.COUNTER,
        "{request}",
        description="Requests that a target did not take and will be sent again.",
        read=_of_targets("retries"),
    ),
    _metric(
        "sealer.requests",
        Kind.UP_DOWN_COUNTER,
        "{request}",
        description="Requests in the store whose runs are still to be sealed.",
        read=_one("sealing", "records"),
    ),
    _metric(
        "sealer.oldest_age",
        Kind.GAUGE,
        "s",
        description="Since the first of them was loaded.",
        read=_one("sealing", "oldest_age_s"),
    ),
    _metric(
        "events",
        Kind.COUNTER,
        "{event}",
        description="What else happened, by name: tries that failed, text that was mended.",
        read=_events,
    ),
    # Not process.unix.file_descriptor.count: to Prometheus only a histogram ends in "_count".
    _metric(
        "open_files",
        Kind.UP_DOWN_COUNTER,
        "{file}",
        description="Files that the process has open; every connection is one.",
        read=_one("process", "open_files"),
    ),
    SelfMetric(
        name="process.uptime",
        kind=Kind.GAUGE,
        unit="s",
        description="The time the process has been running.",
        read=_one("process", "uptime_s"),
    ),
    SelfMetric(
        name="process.cpu.time",
        kind=Kind.COUNTER,
        unit="s",
        description="CPU seconds, of user and system together.",
        read=_one("process", "cpu_s"),
    ),
    SelfMetric(
        name="process.memory.usage",
        kind=Kind.UP_DOWN_COUNTER,
        unit="By",
        description="The amount of physical memory in use.",
        read=_one("process", "rss_bytes"),
    ),
)

"""What the collector says about itself: one set of numbers, as a page, as OTLP, as a document."""

import copy
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from spanlore.collector.config import Config, ConfigError
from spanlore.collector.counters import Counters
from spanlore.collector.histogram import Histogram
from spanlore.collector.self_metrics import SELF_METRICS, Kind
from spanlore.collector.signals import LOGS
from spanlore.schemas import metric_tables, semconv
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import logs, traces
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
OURS = "spanlore_collector_"
# What the status says that is no measure: where the log stands, and the ends of the buckets.
NO_METRIC = {"loaded_seq", "bounds_s", "count"}
# A target of forwarding has metrics too; nobody listens there.
FORWARDING = ("--forward", "nobody=http://127.0.0.1:9")


def samples(families: Iterable[Metric]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name.removeprefix(OURS), tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def page(collector: CollectorProcess, **headers: str) -> str:
    answer = collector.client.get("/metrics", headers={**collector.authorized(), **headers})
    assert answer.status_code == 200
    return answer.text


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """A collector without a store that took, rejected and refused something."""
    data_dir = tmp_path_factory.mktemp("busy") / "data"
    options = ("--allow-origin", "https://app.example", *FORWARDING)
    with CollectorProcess(data_dir, NOWHERE, *options) as process:
        process.export(traces(5))
        process.post(traces(4))
        process.export(traces([(b"too short", b"12345678"), *[(b"t" * 16, b"s" * 8)]]))
        process.export(logs(2), signal=LOGS)
        process.post(b"no protobuf")
        yield process


def test_the_page_says_what_came_and_what_became_of_it(busy: CollectorProcess) -> None:
    found = samples(plain_text(page(busy)))
    assert found["receiver_accepted_spans_total", ()] == 10
    assert found["receiver_rejected_spans_total", ()] == 1
    assert found["receiver_accepted_log_records_total", ()] == 2
    assert found["receiver_refused_requests_total", (("error_type", "undecodable"),)] == 1
    assert found["exporter_sent_spans_total", (("exporter", "store"),)] == 0
    assert found["receiver_ack_duration_seconds_count", (("transport", "grpc"),)] == 3
    assert found["receiver_ack_duration_seconds_count", (("transport", "http"),)] == 1
    infinite = (("le", "+Inf"), ("transport", "grpc"))
    assert found["receiver_ack_duration_seconds_bucket", infinite] == 3
    assert found["log_requests", ()] == 4
    assert 1 <= found["log_segments", ()] <= 4
    assert 0 < found["log_size_bytes", ()] < found["log_capacity_bytes", ()]
    assert found["log_oldest_age_seconds", ()] > 0
    assert found["disk_free_bytes", ()] > 0
    assert found["process_memory_usage_bytes", ()] > 10 << 20
    assert found["open_files", ()] > 5
    assert found["receiver_connections", (("transport", "http"),)] == 1
    wait_until(lambda: busy.status()["store_error"])
    wait_until(lambda: busy.status()["forwarding"][0]["last_error"])
    found = samples(plain_text(page(busy)))
    for exporter in ("store", "forward/nobody"):
        assert found["exporter_up", (("exporter", exporter),)] == 0
    nobody = ("exporter", "forward/nobody")
    assert found["exporter_queue_requests", (nobody,)] == 4
    assert found["exporter_retries_total", (nobody,)] >= 1
    assert found["exporter_send_failed_spans_total", (nobody, ("outcome", "refused"))] == 0
    assert found["log_up", ()] == 1
    assert found["events_total", (("event", "load_failures"),)] >= 1


def test_both_formats_hold_the_same_series(busy: CollectorProcess) -> None:
    in_text = samples(plain_text(page(busy)))
    in_open_metrics = samples(
        open_metrics.text_string_to_metric_families(  # type: ignore[no-untyped-call]
            page(busy, accept=OPEN_METRICS)
        )
    )
    assert in_text.keys() == in_open_metrics.keys()
    answer = busy.client.get("/metrics", headers={**busy.authorized(), "accept": OPEN_METRICS})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    answer = busy.client.get("/metrics", headers=busy.authorized())
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_the_page_is_for_those_with_the_token_and_for_no_other_origin(
    busy: CollectorProcess,
) -> None:
    assert busy.client.get("/metrics").status_code == 401
    assert busy.client.post("/metrics", headers=busy.authorized()).status_code == 405
    foreign = {**busy.authorized(), "origin": "https://evil.example"}
    assert busy.client.get("/metrics", headers=foreign).status_code == 403
    # A page that may send spans may still not read this.
    allowed = {**busy.authorized(), "origin": "https://app.example"}
    for path in ("/metrics", "/status"):
        asked = {**allowed, "access-control-request-method": "GET"}
        for answer in (
            busy.client.get(path, headers=allowed),
            busy.client.options(path, headers=asked),
        ):
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on this machine")
def test_promtool_finds_nothing_to_say(busy: CollectorProcess) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=page(busy),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def measured(status: Mapping[str, Any]) -> list[Any]:
    return [list(metric.read(status)) for metric in SELF_METRICS]


def numbers(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Give the path of every number in a document."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from numbers(item, *path, key)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from numbers(item, *path, at)
    elif isinstance(value, int | float):
        yield path


def test_every_number_of_the_status_is_in_a_metric(busy: CollectorProcess) -> None:
    wait_until(lambda: busy.status()["store_error"])
    status = busy.status()
    before = measured(status)
    silent = set()
    for path in numbers(status):
        changed = copy.deepcopy(status)
        part = changed
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] += 1
        if measured(changed) == before and not NO_METRIC & set(path):
            silent.add(path)
    # What was received is the sum of what became of it.
    assert silent == {(signal, "received") for signal in ("spans", "logs", "data_points")}


def test_a_counter_does_not_go_down_when_the_store_refuses_a_span() -> None:
    def accepted() -> int:
        [metric] = [one for one in SELF_METRICS if one.name.endswith("accepted_spans")]
        [(_, value)] = metric.read(counters.snapshot())
        return int(value)

    counters = Counters()
    counters.took("spans", accepted=3, rejected=0)
    assert accepted() == 3
    counters.quarantined("spans", 1)
    assert counters.snapshot()["spans"]["accepted"] == 2
    assert accepted() == 3


def test_what_an_earlier_process_acknowledged_is_not_acknowledged_again(data_dir: Path) -> None:
    with CollectorProcess(data_dir, NOWHERE) as first:
        first.export(traces(5))
        acknowledged_s = time.monotonic()
        first.kill()
    with CollectorProcess(data_dir, NOWHERE) as second:
        found = samples(plain_text(page(second)))
        assert found["receiver_accepted_spans_total", ()] == 0
        assert found["log_recovered_spans_total", ()] == 5
        assert second.status()["spans"]["received"] == 5
        waited_s = time.monotonic() - acknowledged_s
        assert second.status()["backlog"]["oldest_age_s"] >= waited_s


def test_a_duration_stands_in_the_bucket_it_fits_in() -> None:
    histogram = Histogram((0.1, 1.0))
    for duration_s in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(duration_s)
    found = histogram.snapshot()
    assert found["counts"] == [2, 1, 1]
    assert found["count"] == 4
    assert found["sum_s"] == pytest.approx(7.65)


def test_its_own_store_gets_its_metrics_where_that_is_asked_for(
    data_dir: Path, store_url: str, store: Store
) -> None:
    options = ("--self-metrics-endpoint", "self", "--self-metrics-every-ms", "3600000")
    with CollectorProcess(data_dir, store_url, *options, *FORWARDING) as collector:
        collector.export(traces(5))
        collector.flush()
        status = collector.status()
        assert collector.stop() == 0  # which exports once more
    with CollectorProcess(data_dir, store_url) as collector:
        collector.flush()
    resource = f"ServiceName = '{semconv.COLLECTOR_SERVICE}'"
    sums = store.query(
        f"SELECT MetricName, MetricUnit, Value, IsMonotonic FROM {metric_tables.SUM} "
        f"WHERE {resource} {metric_tables.LATEST_POINT}"
    )
    said = {row["MetricName"]: row for row in sums}
    accepted = said["spanlore.collector.receiver.accepted_spans"]
    assert (accepted["Value"], accepted["MetricUnit"], accepted["IsMonotonic"]) == (
        5,
        "{span}",
        True,
    )
    sent = [row for row in sums if row["MetricName"] == "spanlore.collector.exporter.sent_spans"]
    assert sorted(row["Value"] for row in sent) == [0, 5]
    assert not said["spanlore.collector.log.size"]["IsMonotonic"]
    [acks] = store.query(
        f"SELECT Count, BucketCounts, ExplicitBounds, Absent FROM {metric_tables.HISTOGRAM} "
        f"WHERE {resource} AND MetricName = 'spanlore.collector.receiver.ack.duration' "
        "AND Attributes['transport'] = 'grpc'"
    )
    assert acks["Count"] == sum(acks["BucketCounts"]) == 1
    assert len(acks["BucketCounts"]) == len(acks["ExplicitBounds"]) + 1
    gauges = store.query(f"SELECT MetricName FROM {metric_tables.GAUGE} WHERE {resource}")
    names = {row["MetricName"] for rows in (sums, gauges) for row in rows}
    told = {metric.name for metric in SELF_METRICS if list(metric.read(status))}
    histograms = {metric.name for metric in SELF_METRICS if metric.kind is Kind.HISTOGRAM}
    assert told - histograms <= names


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_another_collector_gets_its_metrics_by_otlp(
    door: CollectorProcess, data_dir: Path, protocol: str
) -> None:
    endpoint = f"http://{door.grpc_address}" if protocol == "grpc" else f"{door.url}/v1/metrics"
    options = ("--self-metrics-endpoint", endpoint, "--self-metrics-protocol", protocol)
    before = door.status()["data_points"]["accepted"]
    with CollectorProcess(
        data_dir, NOWHERE, *options, "--self-metrics-every-ms", "50", *FORWARDING
    ):
        wait_until(
            lambda: door.status()["data_points"]["accepted"] >= before + len(SELF_METRICS) - 3
        )


def test_an_endpoint_that_takes_nothing_is_counted_and_holds_nothing_up(
    door: CollectorProcess, data_dir: Path
) -> None:
    options = ("--self-metrics-endpoint", f"{door.url}/v1/nothing", "--self-metrics-every-ms", "10")
    with CollectorProcess(data_dir, NOWHERE, *options) as process:
        wait_until(lambda: process.status()["events"].get("self_export_failures"))
        process.export(traces(5))
        assert process.status()["spans"]["accepted"] == 5
        assert process.stop() == 0


def test_what_no_metrics_can_be_sent_by_is_said_at_the_start(data_dir: Path) -> None:
    config = partial(Config, data_dir=data_dir, token="t", self_metrics_protocol="http/json")
    assert config().self_metrics_protocol == "http/json"  # nothing is sent, so nothing is wrong
    with pytest.raises(ConfigError, match=r"cannot go to 'nowhere'.*or 'self'"):
        config(self_metrics_endpoint="nowhere")
    with pytest.raises(ConfigError, match="METRICS_PROTOCOL to grpc or http/protobuf"):
        config(self_metrics_endpoint="http://127.0.0.1:4318/v1/metrics")


def test_the_document_lists_every_metric() -> None:
    document = (ROOT / "collector" / "docs" / "self-metrics.md").read_text()
    rows = [line for line in document.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{metric.name}` | {metric.kind.value} | {metric.unit or '–'} | {metric.description} |"
        for metric in SELF_METRICS
    ]

"""OpenTelemetry's SDKs for Go and Java send to a real collector with their stock exporters.

Both are told where to and how by OpenTelemetry's own environment variables, and send the same.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spanlore.collector.signals import SIGNALS
from spanlore.schemas import metric_tables
from spanlore.schemas.store import Store
from spanlore.schemas.tokens import INGEST, create_token
from tests.collector.collector_process import PROTOBUF, CollectorProcess
from tests.collector.scripted_target import Reply, http_target
from tests.packages import go_modules, maven_jars

HERE = Path(__file__).parent
BUILD_S_MAX = 600
RUN_S_MAX = 120
SPANS = 12
SCOPE = "sdk tests"
START_NS = 1_790_000_000_000_000_007
KINDS = ("Internal", "Server", "Client", "Producer", "Consumer")
PROTOCOLS = ("grpc", "http/protobuf")
# What both programs put on every span besides its number.
ATTRIBUTES = {
    "text": "grüße 你好 🎈",
    "largest": str(2**63 - 1),
    "least": str(-(2**63)),
    "score": "0.5",
    "right": "true",
    "texts": '["stop","length"]',
    "numbers": "[1,-2]",
    "scores": "[0.5,-1.25]",
    "rights": "[true,false]",
}
# A budget of which the first request takes all and 2.9 s more, so that the next one waits for that.
RECORDS_PER_S_MAX = 10
BURST_RECORDS = 5 * RECORDS_PER_S_MAX
FIRST_RECORDS = BURST_RECORDS + 29
TENANT = "acme"
JAVA_TRIES_MAX = 5

pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_S_MAX + 300)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A program that sends, and the name its SDK goes by in the resource."""

    command: Sequence[str]
    language: str

    def send(self, url: str, protocol: str, count: int, **environment: str) -> list[list[str]]:
        """Send spans, compressed; give their ids: trace, own, parent's."""
        told = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_SERVICE_NAME": SCOPE,
        }
        done = subprocess.run(
            [*self.command, str(count)],
            check=False, capture_output=True, text=True, timeout=RUN_S_MAX,
            env={**os.environ, **told, **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        ids: list[list[str]] = json.loads(done.stdout)
        return ids


def go_sender(folder: Path) -> Sender:
    """Build the program for Go, which takes half a minute the first time, or skip."""
    source = HERE / "go_sender"
    program = folder / "sender"
    build = [str(go_modules(source)), "build", "-o", str(program), "."]
    subprocess.run(build, check=True, timeout=BUILD_S_MAX, cwd=source)
    return Sender(command=[str(program)], language="go")


def java_sender(folder: Path) -> Sender:
    """Fetch what the program for Java needs, which java itself compiles, or skip."""
    source = HERE / "java_sender"
    jars = maven_jars(source / "pom.xml", folder)
    program = source / "Send.java"
    command = ["java", "-Dfile.encoding=UTF-8", "--class-path", jars, str(program)]
    return Sender(command=command, language="java")


@pytest.fixture(scope="module", params=[go_sender, java_sender], ids=["go", "java"])
def sender(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sender:
    made: Sender = request.param(tmp_path_factory.mktemp("sender"))
    return made


@pytest.fixture(scope="module")
def collector(
    tmp_path_factory: pytest.TempPathFactory, migrated_url: str
) -> Iterator[CollectorProcess]:
    with CollectorProcess(tmp_path_factory.mktemp("sdks") / "data", migrated_url) as running:
        yield running
        assert running.stop() == 0


def url_of(collector: CollectorProcess, protocol: str) -> str:
    return f"http://{collector.grpc_address}" if protocol == "grpc" else collector.url


def expected(ids: list[list[str]]) -> list[dict[str, Any]]:
    """Give the rows of the spans, as far as both SDKs say the same."""
    return [
        {
            "TraceId": trace_id,
            "SpanId": span_id,
            "ParentSpanId": parent_id,
            "SpanName": "chat model",
            "SpanKind": KINDS[number % len(KINDS)],
            "ScopeName": SCOPE,
            "ScopeVersion": "1.2",
            "StartUnixNano": START_NS + number * 1_000_000,
            "Duration": 5_000_000,
            "StatusCode": "Error",
            "StatusMessage": "no luck",
            "SpanAttributes": {"number": str(number), **ATTRIBUTES},
            "Events.Name": ["seen"],
            "EventNanos": [START_NS + number * 1_000_000 + 1_000_001],
            "Events.Attributes": [{"where": "here", "times": "2"}],
            "Links.TraceId": [ids[number - 1][0]] if number else [],
            "Links.SpanId": [ids[number - 1][1]] if number else [],
            "Links.Attributes": [{"why": "before"}] if number else [],
        }
        for number, (trace_id, span_id, parent_id) in enumerate(ids)
    ]


def spans(store: Store) -> list[dict[str, Any]]:
    """Give every row of every span, also one stored twice, in the order they were made."""
    names = ", ".join(f"`{name}`" for name in expected([["", "", ""]])[0] if name != "EventNanos")
    nanos = "arrayMap(at -> toUnixTimestamp64Nano(at), Events.Timestamp) AS EventNanos"
    return store.query(
        f"SELECT {names}, {nanos} FROM otel_traces ORDER BY toInt64(SpanAttributes['number'])"
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_an_sdk_sent_is_stored_with_all_it_carried_and_nothing_else_is(
    sender: Sender, collector: CollectorProcess, store: Store, protocol: str
) -> None:
    ids = sender.send(url_of(collector, protocol), protocol, SPANS)
    assert [one[2] for one in ids] == ["", *[ids[0][1]] * (SPANS - 1)]
    collector.flush()
    assert spans(store) == expected(ids)
    [resource] = store.query(
        "SELECT DISTINCT ServiceName AS name, "
        "ResourceAttributes['telemetry.sdk.language'] AS language FROM otel_traces"
    )
    assert resource == {"name": SCOPE, "language": sender.language}
    check_metrics(store)
    [log] = store.query("SELECT * FROM otel_logs")
    assert (log["TraceId"], log["SpanId"]) == tuple(ids[-1][:2])
    assert (log["Body"], log["SeverityNumber"]) == ("all sent", 13)
    assert log["LogAttributes"] == {"where": "here", "times": "2"}


def check_metrics(store: Store) -> None:
    """See that there is one point of each of the program's metrics, besides the SDK's own."""
    of_program = f"WHERE ScopeName = '{SCOPE}'"
    [point] = store.query(f"SELECT * FROM {metric_tables.SUM} {of_program}")
    assert (point["MetricName"], point["MetricUnit"]) == ("spans.sent", "{span}")
    assert (point["IntegerValue"], point["IsMonotonic"]) == (SPANS, True)
    assert point["Attributes"] == {"how": "well"}
    [point] = store.query(f"SELECT * FROM {metric_tables.HISTOGRAM} {of_program}")
    assert (point["MetricName"], point["MetricUnit"]) == ("span.duration", "s")
    assert (point["Count"], point["Sum"], sum(point["BucketCounts"])) == (2, 1.75, 2)


def test_what_an_sdk_sends_is_compressed(sender: Sender) -> None:
    with http_target(lambda _: Reply(headers={"content-type": PROTOBUF})) as target:
        sender.send(target.url, "http/protobuf", 1)
    assert {one.path for one in target.received} == {one.path for one in SIGNALS}
    assert {one.headers["content-encoding"] for one in target.received} == {"gzip"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_exporter_that_a_busy_door_told_to_wait_waits_and_all_is_stored_once(
    tmp_path: Path, sender: Sender, store_url: str, store: Store, protocol: str
) -> None:
    budget = ("--tenant-records-per-s", str(RECORDS_PER_S_MAX))
    with CollectorProcess(tmp_path / "data", store_url, *budget) as collector:
        _, token = create_token(collector.data_dir, tenant=TENANT, scopes=[INGEST])
        ids = sender.send(
            url_of(collector, protocol), protocol, FIRST_RECORDS + 10,
            OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{token}",
            OTEL_BSP_MAX_EXPORT_BATCH_SIZE=str(FIRST_RECORDS),
            OTEL_METRICS_EXPORTER="none",
            OTEL_LOGS_EXPORTER="none",
        )  # fmt: skip
        collector.flush()
        refused = collector.status()["over_quota"][TENANT]
        if (sender.language, protocol) == ("java", "grpc"):
            # It reads no RetryInfo, and comes back after about 1, 1.5, 2.25 and 3.4 s, as ever.
            assert 1 <= refused <= JAVA_TRIES_MAX
        else:
            # Of themselves both would have come sooner, and so more often than once.
            assert refused == 1
        assert spans(store) == expected(ids)
        assert collector.stop() == 0

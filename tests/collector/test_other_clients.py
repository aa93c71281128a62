"""Stock clients of other makers that send to a real collector: OpenTelemetry JS and rotel."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.packages import npm_packages
from tests.rotel_agent import rotel
from tests.waiting import wait_until

SPANS = 20
RUN_S_MAX = 60
NODE_PACKAGES = (
    "@opentelemetry/api@1.9.1",
    "@opentelemetry/exporter-trace-otlp-grpc@0.223.1",
    "@opentelemetry/exporter-trace-otlp-http@0.223.1",
    "@opentelemetry/exporter-trace-otlp-proto@0.223.1",
    "@opentelemetry/sdk-trace-node@2.12.1",
)
SENDER = Path(__file__).with_name("send_spans.cjs")


@pytest.fixture(scope="module")
def process(
    tmp_path_factory: pytest.TempPathFactory, migrated_url: str
) -> Iterator[CollectorProcess]:
    with CollectorProcess(tmp_path_factory.mktemp("others") / "data", migrated_url) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the stock exporters; skip where there is no Node or nothing to install."""
    return npm_packages(tmp_path_factory.mktemp("js"), *NODE_PACKAGES)


def sent_by_js(
    node_modules: Path, process: CollectorProcess, kind: str, compression: str
) -> list[list[str]]:
    url = f"http://{process.grpc_address}" if kind == "grpc" else f"{process.url}/v1/traces"
    done = subprocess.run(
        ["node", str(SENDER), kind, url, compression, str(SPANS)],
        check=False, capture_output=True, text=True, timeout=RUN_S_MAX,
        env={**os.environ, "NODE_PATH": str(node_modules)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sent: list[list[str]] = json.loads(done.stdout)
    return sent


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("kind", ["grpc", "http", "proto"])
def test_spans_of_opentelemetry_js_are_in_the_store_with_all_they_carried(
    node_modules: Path, process: CollectorProcess, store: Store, kind: str, compression: str
) -> None:
    sent = sent_by_js(node_modules, process, kind, compression)
    assert len(sent) == SPANS
    process.flush()
    rows = store.query("SELECT * FROM otel_traces ORDER BY toInt64(SpanAttributes['number'])")
    found = [[row["TraceId"], row["SpanId"], row["SpanAttributes"]["number"]] for row in rows]
    assert found == sent
    for row in rows:
        assert (row["SpanName"], row["SpanKind"], row["ScopeName"], row["ScopeVersion"]) == (
            "chat model", "Client", "js tests", "1.2",
        )  # fmt: skip
        assert (row["StatusCode"], row["StatusMessage"]) == ("Error", "no luck")
        assert row["Events.Name"] == ["seen"]
        assert row["Events.Attributes"] == [{"where": "here"}]
        assert {**row["SpanAttributes"], "number": ""} == {
            "number": "", "text": "grüße 你好 🎈", "largest": "9007199254740991",
            "score": "0.5", "right": "true", "reasons": '["stop","length"]',
        }  # fmt: skip
        assert row["ResourceAttributes"]["telemetry.sdk.language"] == "nodejs"


def send(address: str) -> list[ReadableSpan]:
    """Send spans with the stock Python exporter; give them as they were."""
    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=address, insecure=True)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("rotel tests", "1.2")
    spans: list[Any] = []
    for number in range(SPANS):
        span = tracer.start_span("chat model", kind=SpanKind.CLIENT)
        span.set_attributes({"number": number, "text": "grüße 你好", "reasons": ["stop"]})
        span.end()
        spans.append(span)
    provider.shutdown()
    return spans


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_spans_that_went_through_rotel_are_in_the_store_with_all_they_carried(
    tmp_path: Path, process: CollectorProcess, store: Store, protocol: str, compression: str
) -> None:
    endpoint = f"http://{process.grpc_address}" if protocol == "grpc" else process.url
    before = process.status()["spans"]["accepted"]
    options = (
        "--exporter=otlp",
        f"--otlp-exporter-endpoint={endpoint}",
        f"--otlp-exporter-protocol={protocol}",
        f"--otlp-exporter-compression={compression}",
    )
    with rotel(tmp_path, *options) as address:
        sent = send(address)
        wait_until(lambda: process.status()["spans"]["accepted"] - before >= SPANS)
    process.flush()
    rows = store.query("SELECT * FROM otel_traces ORDER BY toInt64(SpanAttributes['number'])")
    assert [(row["TraceId"], row["SpanId"], row["StartUnixNano"]) for row in rows] == [
        (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", span.start_time)
        for span in sent
    ]
    for number, row in enumerate(rows):
        assert (row["SpanName"], row["SpanKind"], row["ScopeName"]) == (
            "chat model", "Client", "rotel tests",
        )  # fmt: skip
        assert row["SpanAttributes"] == {
            "number": str(number), "text": "grüße 你好", "reasons": '["stop"]',
        }  # fmt: skip

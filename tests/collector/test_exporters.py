import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import (
    OTLPLogExporter as GrpcLogExporter,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from spanlore.collector.refusal import overloaded, retry_info, status
from spanlore.collector.signals import TRACES
from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess


@pytest.fixture
def collector(
    tmp_path_factory: pytest.TempPathFactory, store_url: str
) -> Iterator[CollectorProcess]:
    data_dir = tmp_path_factory.mktemp("collector") / "data"
    with CollectorProcess(data_dir, store_url) as process:
        yield process


def exporters(collector: CollectorProcess) -> list[SpanExporter]:
    return [
        GrpcSpanExporter(endpoint=collector.grpc_address, insecure=True),
        GrpcSpanExporter(
            endpoint=collector.grpc_address, insecure=True, compression=grpc.Compression.Gzip
        ),
        OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces"),
        OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces", compression=Compression.Gzip),
    ]


def test_spans_of_the_stock_exporters_are_in_the_store_with_all_they_carried(
    collector: CollectorProcess, store: Store
) -> None:
    for number, exporter in enumerate(exporters(collector)):
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("tests", "1.2")
        with tracer.start_as_current_span("invoke_agent planner") as span:
            span.set_attributes(
                {
                    "gen_ai.operation.name": "invoke_agent",
                    "number": number,
                    "finish_reasons": ["stop", "length"],
                    "text": "grüße 你好",
                }
            )
            span.add_event("seen", {"where": "here"})
        provider.shutdown()
    flushed = collector.flush()
    assert flushed["loaded_seq"] == 4
    rows = store.query(
        "SELECT SpanName, ScopeName, ScopeVersion, SpanAttributes AS a, Events.Name AS events "
        "FROM otel_traces ORDER BY toInt64(SpanAttributes['number'])"
    )
    assert [row["a"]["number"] for row in rows] == ["0", "1", "2", "3"]
    for row in rows:
        assert (row["SpanName"], row["ScopeName"], row["ScopeVersion"]) == (
            "invoke_agent planner",
            "tests",
            "1.2",
        )
        assert row["a"]["finish_reasons"] == '["stop","length"]'
        assert row["a"]["text"] == "grüße 你好"
        assert row["events"] == ["seen"]


def test_logs_of_the_stock_exporters_are_in_the_store_with_nested_values_as_json(
    collector: CollectorProcess, store: Store
) -> None:
    both = [
        GrpcLogExporter(endpoint=collector.grpc_address, insecure=True),
        OTLPLogExporter(endpoint=f"{collector.url}/v1/logs"),
    ]
    for exporter in both:
        provider = LoggerProvider()
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        record = LogRecord(
            timestamp=time.time_ns(),
            event_name="gen_ai.evaluation.result",
            body={"message": {"parts": [1, {"two": None}]}},
            attributes={"list": [["a"], {"b": 2}], "score": 0.5},
        )
        provider.get_logger("tests").emit(record)
        provider.shutdown()
    collector.flush()
    rows = store.query("SELECT EventName, Body, LogAttributes AS a FROM otel_logs")
    assert len(rows) == 2
    for row in rows:
        assert row["EventName"] == "gen_ai.evaluation.result"
        assert row["Body"] == '{"message":{"parts":[1,{"two":null}]}}'
        assert row["a"] == {"list": '[["a"],{"b":2}]', "score": "0.5"}


class Overloaded:
    """A server that refuses as the collector does, so many times, and notes when it was asked."""

    def __init__(self, refusals: int) -> None:
        self.asked: list[float] = []
        self.delays: list[float] = []
        self._refusals = refusals
        self._lock = threading.Lock()
        export = grpc.unary_unary_rpc_method_handler(self._export)
        handlers = [grpc.method_handlers_generic_handler(TRACES.service, {"Export": export})]
        self._server = grpc.server(ThreadPoolExecutor(2), handlers=handlers)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def _export(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        with self._lock:
            self.asked.append(time.monotonic())
            if len(self.asked) > self._refusals:
                return b""
        refused = overloaded("log_full", "full")
        assert refused.retry_after_s is not None
        self.delays.append(refused.retry_after_s)
        context.set_trailing_metadata(
            (
                ("grpc-status-details-bin", status(refused).SerializeToString()),
                ("google.rpc.retryinfo-bin", retry_info(refused)),
            )
        )
        context.abort(grpc.StatusCode.UNAVAILABLE, refused.message)
        raise AssertionError

    def stop(self) -> None:
        self._server.stop(None).wait()


def test_the_stock_exporter_waits_as_long_as_the_refusal_says_and_then_succeeds() -> None:
    server = Overloaded(2)
    exporter = GrpcSpanExporter(endpoint=f"127.0.0.1:{server.port}", insecure=True)
    results: list[Any] = []
    try:
        provider = TracerProvider()
        span = provider.get_tracer("tests").start_span("chat")
        span.end()
        results.append(exporter.export([span]))  # type: ignore[list-item]
    finally:
        exporter.shutdown()
        server.stop()
    assert results[0].name == "SUCCESS"
    waits = [later - sooner for sooner, later in zip(server.asked, server.asked[1:], strict=False)]
    assert len(waits) == 2
    assert all(wait >= delay for wait, delay in zip(waits, server.delays, strict=True))


def test_the_stock_exporter_delivers_once_a_full_log_has_room(
    tmp_path_factory: pytest.TempPathFactory, store_url: str, store: Store
) -> None:
    data_dir = tmp_path_factory.mktemp("full") / "data"
    nowhere = "clickhouse://nobody:nothing@127.0.0.1:9/none"
    with CollectorProcess(data_dir, nowhere, "--log-max", "1") as full:
        exporter = GrpcSpanExporter(endpoint=full.grpc_address, insecure=True)
        span = TracerProvider().get_tracer("tests").start_span("chat")
        span.end()
        results: list[Any] = []
        sending = threading.Thread(target=lambda: results.append(exporter.export([span])))  # type: ignore[list-item]
        sending.start()
        port = full.grpc_address.rpartition(":")[2]
        while not full.status()["refused"].get("log_full"):
            time.sleep(0.01)
        assert full.stop() == 0
        with CollectorProcess(data_dir, store_url, "--grpc-port", port) as roomy:
            sending.join(30)
            exporter.shutdown()
            roomy.flush()
    assert results[0].name == "SUCCESS"
    assert store.query("SELECT count() AS n FROM otel_traces")[0]["n"] == 1

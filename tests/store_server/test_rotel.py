"""rotel's ClickHouse exporter (Rust, RowBinary in native blocks) writing into spanlore's tables.

Spans and logs: for metrics it writes times as DateTime64(9), and RowBinary does not say so, where
the tables of the OpenTelemetry Collector's exporter, which ours follow, have DateTime.
"""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message

from spanlore.collector.signals import LOGS, TRACES, Signal
from spanlore.schemas import semconv
from tests.collector.collector_process import unary
from tests.collector.otlp_requests import START_NS, logs, new_ids, traces
from tests.rotel_agent import rotel
from tests.store_server.store_process import StoreProcess
from tests.waiting import wait_until

SPANS = 50
SEND_S_MAX = 30


@pytest.fixture
def emptied(migrated: StoreProcess) -> Iterator[StoreProcess]:
    yield migrated
    for table in ("otel_traces", "otel_traces_trace_id_ts", "otel_logs"):
        migrated.ask(f"TRUNCATE TABLE spanlore.{table} SYNC")


def options(store: StoreProcess, compression: str) -> tuple[str, ...]:
    """Word the exporter's options; it logs in as one that may write and nothing else."""
    return (
        "--exporter=clickhouse",
        f"--clickhouse-exporter-endpoint={store.url}",
        "--clickhouse-exporter-database=spanlore",
        f"--clickhouse-exporter-user={store.ingest.user}",
        f"--clickhouse-exporter-password={store.ingest.password}",
        f"--clickhouse-exporter-compression={compression}",
    )


def send(address: str, request: Message, signal: Signal) -> None:
    with grpc.insecure_channel(address) as channel:
        export = unary(channel, f"/{signal.service}/Export")
        export(request.SerializeToString(), timeout=SEND_S_MAX, wait_for_ready=True)


def rows_come(store: StoreProcess, table: str, number: int) -> None:
    wait_until(
        lambda: int(store.ask(f"SELECT count() FROM spanlore.{table}")) == number, deadline_s=60
    )


@pytest.mark.parametrize("compression", ["lz4", "none"])
def test_spans_of_rotels_exporter_fill_its_columns_and_ours(
    tmp_path: Path, emptied: StoreProcess, compression: str
) -> None:
    ids = new_ids(SPANS)
    request = traces(ids, text="grüße 你好")
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.attributes.add(key=semconv.OPERATION_NAME).value.string_value = "chat"
        span.attributes.add(key=semconv.REQUEST_MODEL).value.string_value = "a-model"
    with rotel(tmp_path, *options(emptied, compression)) as address:
        send(address, request, TRACES)
        rows_come(emptied, "otel_traces", SPANS)
    found = emptied.ask(
        "SELECT TraceId, SpanId, SpanName, ServiceName, Duration, SpanAttributes['text'], Op,"
        " Model, toUnixTimestamp64Nano(Timestamp) FROM spanlore.otel_traces ORDER BY SpanId"
    )
    assert [tuple(line.split("\t")) for line in found.splitlines()] == [
        (trace_id.hex(), span_id.hex(), "chat", "tests", "1000000", "grüße 你好", "chat", "a-model",
         str(START_NS))
        for trace_id, span_id in sorted(ids, key=lambda pair: pair[1])
    ]  # fmt: skip
    assert int(emptied.ask("SELECT count() FROM spanlore.otel_traces_trace_id_ts")) == SPANS


def test_logs_of_rotels_exporter_are_in_their_table(tmp_path: Path, emptied: StoreProcess) -> None:
    with rotel(tmp_path, *options(emptied, "lz4")) as address:
        send(address, logs(3, body="said"), LOGS)
        rows_come(emptied, "otel_logs", 3)
    assert emptied.ask("SELECT DISTINCT Body FROM spanlore.otel_logs") == "said\n"

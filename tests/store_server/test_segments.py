"""The collector's path: a log segment, its schema inline, stored once a token."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanlore.schemas import migrate, otlp
from spanlore.schemas.store import segment_settings
from tests.schemas.segments import segment
from tests.store_server.store_process import StoreProcess

REQUESTS = 100
SPANS = 50
TEXT = "x" * 3300


def request(number: int) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    spans = made.resource_spans.add().scope_spans.add().spans
    for index in range(SPANS):
        span = spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=(index + 1).to_bytes(8, "big"),
            name="chat",
            start_time_unix_nano=1_790_000_000_000_000_000 + number,
            end_time_unix_nano=1_790_000_001_000_000_000 + number,
        )
        text = span.attributes.add(key="gen_ai.input.messages")
        text.value.string_value = TEXT
    return made


@pytest.fixture(scope="module")
def log_segment(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    requests = [request(number) for number in range(1, REQUESTS + 1)]
    path: Path = segment(tmp_path_factory.mktemp("wal"), requests)
    data = path.read_bytes()
    assert 16 * 1024 * 1024 < len(data) < 32 * 1024 * 1024
    return data


@pytest.fixture
def database(served: StoreProcess) -> Iterator[str]:
    login = served.admin
    name = "segments"
    migrate.migrate(served.database_url(login, name))
    yield name
    served.ask(f"DROP DATABASE {name} SYNC")


def load(served: StoreProcess, data: bytes, database: str, **settings: str) -> httpx.Response:
    params = {
        "query": f"INSERT INTO {otlp.TRACES_IN} FORMAT Protobuf",
        "database": database,
        **segment_settings(otlp.TRACES_IN),
        **settings,
    }
    with served.http(served.ingest) as http:
        return http.post("/", params=params, content=data)


def spans(served: StoreProcess, database: str) -> int:
    return int(served.ask(f"SELECT count() FROM {database}.otel_traces"))


def test_a_segment_is_stored_once_however_often_it_comes_with_its_token(
    served: StoreProcess, database: str, log_segment: bytes
) -> None:
    for _ in range(3):
        answer = load(served, log_segment, database, insert_deduplication_token="first")
        assert answer.status_code == 200, answer.text
        assert spans(served, database) == REQUESTS * SPANS
    counted = served.ask(
        f"SELECT count() FROM {database}.otel_traces WHERE LogSeq BETWEEN 1 AND {REQUESTS // 2}"
        " AND length(SpanAttributes['gen_ai.input.messages']) = 3300"
    )
    assert int(counted) == REQUESTS * SPANS // 2
    assert served.spool() == []


def test_a_torn_segment_is_an_error_and_stores_nothing(
    served: StoreProcess, database: str, log_segment: bytes
) -> None:
    answer = load(served, log_segment[:-100], database, insert_deduplication_token="torn")
    assert answer.status_code in {400, 500}
    assert spans(served, database) == 0


def test_a_segment_that_meets_the_memory_limit_is_an_error_and_loads_later(
    served: StoreProcess, database: str, log_segment: bytes
) -> None:
    token = {"insert_deduplication_token": "later"}
    answer = load(served, log_segment, database, **token, max_memory_usage="60000000")
    assert answer.headers["x-clickhouse-exception-code"] == "241"
    assert spans(served, database) == 0
    assert load(served, log_segment, database, **token).status_code == 200
    assert spans(served, database) == REQUESTS * SPANS

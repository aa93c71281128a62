"""Nothing is lost count of: each row of the fault matrix that a client can send, as it is counted.

Every request is answered or refused by reason, and every record of an answered one is accepted,
rejected or quarantined. `CollectorProcess.stop` sees to the same in the tests of the other rows.
"""

from collections.abc import Callable, Iterator, Sequence

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.collector.collector_process import CollectorProcess
from tests.collector.otlp_requests import as_json, new_ids, spans_of, traces
from tests.collector.test_bad_inputs import KEYS, nested

GOOD = 2


def with_value(value: AnyValue, *keys: str) -> ExportTraceServiceRequest:
    request = traces(GOOD)
    for key in keys or ("key",):
        spans_of(request)[0].attributes.add(key=key).value.CopyFrom(value)
    return request


def with_fields(**fields: object) -> ExportTraceServiceRequest:
    request = traces(GOOD)
    for name, value in fields.items():
        setattr(spans_of(request)[0], name, value)
    return request


def over_days(count: int) -> ExportTraceServiceRequest:
    request = traces(count)
    for day, span in enumerate(spans_of(request)):
        span.start_time_unix_nano = span.end_time_unix_nano = day * 86_400_000_000_000
    return request


def many_spans() -> ExportTraceServiceRequest:
    request = traces(1)
    request.resource_spans[0].scope_spans[0].spans.extend([Span(name="x")] * 50_000)
    return request


def not_utf8() -> bytes:
    return traces(GOOD, text="BADTEXT").SerializeToString().replace(b"BADTEXT", b"BAD\xff\xfeXT")


BAD_IDS = [(b"short", b"2" * 8), (b"1" * 16, bytes(8)), (b"", b"")]
TEXT = AnyValue(string_value="text")
# What is sent for a row, and how many of its records are accepted and rejected: none where the
# request is refused whole.
ROWS: dict[int, tuple[Callable[[], Message | bytes], int, int]] = {
    1: (ExportTraceServiceRequest, 0, 0),
    4: (many_spans, 0, 0),
    5: (lambda: b"\xff" * 50, 0, 0),
    6: (lambda: with_value(nested(33, "list")), 0, 0),
    7: (not_utf8, GOOD, 0),
    8: (lambda: traces([*BAD_IDS, *new_ids(GOOD)]), GOOD, len(BAD_IDS)),
    9: (lambda: with_fields(parent_span_id=b"abc"), GOOD, 0),
    10: (lambda: with_fields(name="", kind=999), GOOD, 0),
    11: (lambda: with_value(TEXT, "twice", "twice"), GOOD, 0),
    12: (lambda: with_value(TEXT, *KEYS), GOOD, 0),
    13: (lambda: with_value(AnyValue(string_value="x" * 2_000_000)), GOOD, 0),
    14: (lambda: with_value(AnyValue(double_value=float("nan"))), GOOD, 0),
    15: (lambda: with_fields(start_time_unix_nano=2**64 - 1, end_time_unix_nano=0), GOOD, 0),
    16: (lambda: over_days(400), 400, 0),
    19: (lambda: traces(new_ids(1) * GOOD), GOOD, 0),
    20: (lambda: traces([(b"1" * 16, span) for _, span in new_ids(5000)]), 5000, 0),
}  # fmt: skip
REFUSED = {4, 5, 6}
REFUSED_UNREAD: dict[int, Callable[[CollectorProcess], httpx.Response]] = {
    2: lambda process: process.post(bytes(65 << 20)),
    3: lambda process: process.post(bytes(70 << 20), is_gzip=True),
    21: lambda process: process.post(b"", content_type="text/plain"),
}


@pytest.fixture(scope="module")
def process(
    tmp_path_factory: pytest.TempPathFactory, migrated_url: str
) -> Iterator[CollectorProcess]:
    with CollectorProcess(tmp_path_factory.mktemp("counted") / "data", migrated_url) as running:
        yield running
        assert running.stop() == 0


def send(process: CollectorProcess, body: Message | bytes) -> Sequence[bool]:
    """Send a body each way that takes it; say of each whether it was answered well."""
    try:
        process.export(body)
        by_grpc = True
    except grpc.RpcError:
        by_grpc = False
    answered = [by_grpc, process.post(body, is_gzip=True).is_success]
    if isinstance(body, Message):
        answered.append(process.post(as_json(body), content_type="application/json").is_success)
    return answered


@pytest.mark.parametrize("row", ROWS)
def test_a_row_that_a_client_can_send_is_conserved(process: CollectorProcess, row: int) -> None:
    make, accepted, rejected = ROWS[row]
    before = process.check_conserved()
    answered = send(process, make())
    process.flush()
    after = process.check_conserved()
    assert set(answered) == {row not in REFUSED}
    times = sum(answered)
    grown = {kind: number - before["spans"][kind] for kind, number in after["spans"].items()}
    assert grown == {
        "received": (accepted + rejected) * times,
        "accepted": accepted * times,
        "rejected": rejected * times,
        "quarantined": 0,
        "stored": accepted * times,
    }
    refused = sum(after["refused"].values()) - sum(before["refused"].values())
    assert refused + times == len(answered)


@pytest.mark.parametrize("row", REFUSED_UNREAD)
def test_a_request_that_is_refused_before_it_is_read_is_conserved(
    process: CollectorProcess, row: int
) -> None:
    before = process.check_conserved()
    assert REFUSED_UNREAD[row](process).is_error
    after = process.check_conserved()
    assert sum(after["refused"].values()) - sum(before["refused"].values()) == 1
    assert after["spans"] == before["spans"]

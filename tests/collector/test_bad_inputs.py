"""What clients send that is odd or bad (rows 1 to 20 of the fault matrix), down to the rows.

Each test sends the same over gRPC, HTTP and JSON, and looks into the store.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanlore.schemas.store import Store
from tests.collector.collector_process import CollectorProcess
from tests.collector.otlp_requests import as_json, framed, new_ids, spans_of, traces
from tests.collector.test_check import array, kvlist

WAYS = ("grpc", "protobuf", "json")


@dataclass(frozen=True)
class Sent:
    """What became of one request: what the client was told and what is in the store."""

    refused: str
    rejected: int
    message: str
    rows: list[dict[str, Any]]


class Sending:
    """Sends a request over each way, under a trace id of its own each time."""

    def __init__(self, process: CollectorProcess, store: Store) -> None:
        self._process = process
        self._store = store

    def __call__(
        self,
        request: ExportTraceServiceRequest,
        *swaps: tuple[bytes, bytes],
        ways: Sequence[str] = WAYS,
    ) -> list[Sent]:
        before = self._process.status()["spans"]
        trace_ids = [trace_id for trace_id, _ in new_ids(len(ways))]
        answers = []
        for way, trace_id in zip(ways, trace_ids, strict=True):
            for span in spans_of(request):
                if len(span.trace_id) == 16:
                    span.trace_id = trace_id
            answers.append(self._send(request, way, swaps))
        self._process.flush()
        after = self._process.status()["spans"]
        grown = {kind: after[kind] - before[kind] for kind in after}
        assert grown["received"] == grown["accepted"] + grown["rejected"] + grown["quarantined"]
        assert grown["rejected"] == sum(rejected for _, rejected, _ in answers)
        assert grown["stored"] == grown["accepted"]
        return [
            Sent(*answer, self._rows(trace_id))
            for answer, trace_id in zip(answers, trace_ids, strict=True)
        ]

    def _rows(self, trace_id: bytes) -> list[dict[str, Any]]:
        return self._store.query(
            "SELECT * FROM otel_traces WHERE TraceId = {id:String} ORDER BY SpanId",
            {"id": trace_id.hex()},
        )

    def _send(
        self, request: ExportTraceServiceRequest, way: str, swaps: tuple[tuple[bytes, bytes], ...]
    ) -> tuple[str, int, str]:
        body = as_json(request) if way == "json" else request.SerializeToString()
        for old, new in swaps:
            assert old in body
            body = body.replace(old, new)
        if way == "grpc":
            try:
                return ("", *_partial(self._process.export(body)))
            except grpc.RpcError as error:
                return (error.code().name, 0, error.details() or "")
        if way == "protobuf":
            answer = self._process.post(body)
            if answer.status_code != 200:
                return (str(answer.status_code), 0, "")
            return ("", *_partial(answer.content))
        answer = self._process.post(body, content_type="application/json")
        if answer.status_code != 200:
            return (str(answer.status_code), 0, answer.json()["message"])
        partial = answer.json().get("partialSuccess", {})
        return ("", int(partial.get("rejectedSpans", 0)), partial.get("errorMessage", ""))


def _partial(answer: bytes) -> tuple[int, str]:
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    return partial.rejected_spans, partial.error_message


@pytest.fixture(scope="module")
def process(
    tmp_path_factory: pytest.TempPathFactory, migrated_url: str
) -> Iterator[CollectorProcess]:
    with CollectorProcess(tmp_path_factory.mktemp("bad") / "data", migrated_url) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def sending(process: CollectorProcess, store: Store) -> Sending:
    return Sending(process, store)


def attribute(span: Span, key: str, value: AnyValue) -> None:
    span.attributes.add(key=key, value=value)


def test_row_1_nothing_at_all_is_a_success(sending: Sending) -> None:
    for sent in sending(ExportTraceServiceRequest()):
        assert sent == Sent("", 0, "", [])


def test_row_4_more_spans_than_the_limit_are_refused_whole(sending: Sending) -> None:
    request = traces(1)
    spans = request.resource_spans[0].scope_spans[0].spans
    spans.extend([Span(name="x")] * 50_000)
    refused = sending(request)
    assert [sent.refused for sent in refused] == ["INVALID_ARGUMENT", "400", "400"]
    assert all(sent.rows == [] for sent in refused)


def nested(depth: int, kind: str) -> AnyValue:
    value = AnyValue(string_value="bottom")
    for _ in range(depth - 1):
        value = kvlist({"k": value}) if kind == "map" else array([value])
    return value


@pytest.mark.parametrize("kind", ["list", "map"])
def test_row_6_what_is_nested_deeper_than_32_is_refused_and_32_is_not(
    sending: Sending, kind: str
) -> None:
    request = traces(1)
    attribute(spans_of(request)[0], "deep", nested(32, kind))
    for sent in sending(request):
        assert sent.refused == ""
        found = json.loads(sent.rows[0]["SpanAttributes"]["deep"])
        for _ in range(31):
            found = found["k"] if kind == "map" else found[0]
        assert found == "bottom"
    del spans_of(request)[0].attributes[:]
    attribute(spans_of(request)[0], "deep", nested(33, kind))
    assert [s.refused for s in sending(request)] == ["INVALID_ARGUMENT", "400", "400"]


def test_row_7_text_that_is_not_utf8_is_mended_with_a_warning(sending: Sending) -> None:
    request = traces(3, text="BADTEXT")
    for sent in sending(request, (b"BADTEXT", b"B\xff\xc3DT\xffT")):
        assert (sent.refused, sent.rejected) == ("", 0)
        assert "3 strings were not UTF-8" in sent.message
        texts = [row["SpanAttributes"]["text"] for row in sent.rows]
        assert texts == ["B��DT�T"] * 3


def test_row_8_spans_with_ids_that_are_none_are_rejected_one_by_one(sending: Sending) -> None:
    good = new_ids(2)
    bad = [(b"short", b"2" * 8), (b"1" * 16, b"2" * 9), (b"1" * 16, bytes(8)), (b"", b"")]
    for sent in sending(traces([good[0], *bad, good[1]])):
        assert (sent.refused, sent.rejected, len(sent.rows)) == ("", 4, 2)
        assert "4 spans were rejected: trace_id must be 16 bytes" in sent.message


def test_row_9_a_parent_that_is_no_id_is_kept_with_a_warning_and_makes_no_root(
    sending: Sending,
) -> None:
    request = traces(2)
    spans_of(request)[0].parent_span_id = b"abc"
    for sent in sending(request):
        assert (sent.refused, sent.rejected) == ("", 0)
        assert "1 spans have a parent_span_id that is not 8 bytes" in sent.message
        assert [row["ParentSpanId"] for row in sent.rows] == ["616263", ""]


def test_row_10_no_name_and_kinds_and_fields_nobody_knows_are_taken(sending: Sending) -> None:
    request = traces(1, kind=999)
    span = spans_of(request)[0]
    span.name = ""
    span.MergeFromString(b"\xc2\x3e\x03new")
    for sent in sending(request):
        assert (sent.refused, sent.message) == ("", "")
        assert sent.rows[0]["SpanKind"] == "Unspecified"


def told(*members: bytes) -> bytes:
    """Give a span's attribute whose value is these members of AnyValue."""
    return framed(9, framed(1, b"told"), framed(2, *members))


FIRST = AnyValue(string_value="first").SerializeToString()
FIVE = AnyValue(int_value=5).SerializeToString()
HALF = array([AnyValue(string_value="half")]).SerializeToString()
# What a protobuf parser reads and the store's does not, by what the attribute then is.
ODD_WIRE = {
    "two members": (told(FIRST, FIVE), "5"),
    "a value in two parts": (framed(9, framed(1, b"told"), framed(2, HALF), framed(2, FIVE)), "5"),
    "an array in two parts": (told(HALF, HALF), '["half","half"]'),
    "two members in an array": (told(framed(5, framed(1, FIRST, FIVE))), "[5]"),
    "a truth of two": (told(b"\x10\x02"), "true"),
    "an unknown group": (told(FIVE) + b"\x93\x03\x08\x01\x94\x03", "5"),
    "a time as a varint": (told(FIVE) + b"\x38\x01", "5"),
}


def test_row_10_what_only_the_stores_parser_refuses_is_stored_as_any_other_reads_it(
    process: CollectorProcess, store: Store
) -> None:
    ids = new_ids(len(ODD_WIRE))
    for (name, (odd, _)), (trace_id, span_id) in zip(ODD_WIRE.items(), ids, strict=True):
        span = Span(name=name, trace_id=trace_id, span_id=span_id).SerializeToString() + odd
        assert process.export(framed(1, framed(2, framed(2, span)))) == b""
    process.flush()
    rows = store.query("SELECT SpanName, SpanAttributes['told'] AS told FROM otel_traces")
    assert {row["SpanName"]: row["told"] for row in rows} == {
        name: value for name, (_, value) in ODD_WIRE.items()
    }


def test_row_11_a_key_that_comes_twice_loses_no_span(sending: Sending) -> None:
    request = traces(1)
    for text in ("first", "last"):
        attribute(spans_of(request)[0], "twice", AnyValue(string_value=text))
    for sent in sending(request):
        assert (sent.refused, len(sent.rows)) == ("", 1)


KEYS = (
    "__proto__", "constructor", "", "nul\0key", "'; DROP TABLE otel_traces; --", '"', "`", "\\",
    "{id:String}", "k" * 65536, "ключ", "a.b[0]", "\r\nx: y", "%s", "../../etc/passwd",
)  # fmt: skip


def test_row_12_a_key_is_data_whatever_it_is(sending: Sending) -> None:
    request = traces(1)
    for number, key in enumerate(KEYS):
        attribute(spans_of(request)[0], key, AnyValue(string_value=str(number)))
    for sent in sending(request):
        assert (sent.refused, sent.message) == ("", "")
        found = sent.rows[0]["SpanAttributes"]
        assert {key: found[key] for key in KEYS} == {
            key: str(number) for number, key in enumerate(KEYS)
        }


def test_row_13_a_value_of_twenty_megabytes_is_stored(sending: Sending) -> None:
    request = traces(1, text="x" * 20_000_000)
    for sent in sending(request, ways=["json"]):
        assert sent.refused == ""
        assert len(sent.rows[0]["SpanAttributes"]["text"]) == 20_000_000


def test_row_14_numbers_at_their_ends_and_empty_values_come_through(sending: Sending) -> None:
    values = {
        "nan": AnyValue(double_value=float("nan")),
        "inf": AnyValue(double_value=float("inf")),
        "-inf": AnyValue(double_value=float("-inf")),
        "-0.0": AnyValue(double_value=-0.0),
        "min": AnyValue(int_value=-(2**63)),
        "max": AnyValue(int_value=2**63 - 1),
        "empty": AnyValue(),
        "bytes": AnyValue(bytes_value=b"\0\xff"),
        "false": AnyValue(bool_value=False),
    }
    request = traces(1)
    for key, value in values.items():
        attribute(spans_of(request)[0], key, value)
    for sent in sending(request):
        found = sent.rows[0]["SpanAttributes"]
        assert {key: found[key] for key in values} == {
            "nan": "nan", "inf": "inf", "-inf": "-inf", "-0.0": "-0", "min": str(-(2**63)),
            "max": str(2**63 - 1), "empty": "", "bytes": "AP8=", "false": "false",
        }  # fmt: skip


def test_row_15_times_that_cannot_be_are_stored_raw_with_no_negative_duration(
    sending: Sending,
) -> None:
    times = [(0, 0), (5, 3), (2**63 + 7, 2**64 - 1), (2**64 - 1, 0)]
    request = traces(new_ids(len(times)))
    for span, (start, end) in zip(spans_of(request), times, strict=True):
        span.start_time_unix_nano, span.end_time_unix_nano = start, end
    for sent in sending(request):
        assert [(row["StartUnixNano"], row["EndUnixNano"]) for row in sent.rows] == times
        assert [row["Duration"] for row in sent.rows] == [0, 0, 2**63 - 8, 0]


def test_row_16_spans_over_four_hundred_days_are_all_stored(sending: Sending) -> None:
    request = traces(400)
    day_ns = 86_400_000_000_000
    for number, span in enumerate(spans_of(request)):
        span.start_time_unix_nano = span.end_time_unix_nano = (20_000 + number) * day_ns
    for sent in sending(request):
        assert (sent.refused, len(sent.rows)) == ("", 400)


def test_row_19_the_same_request_a_hundred_times_is_one_row_to_a_reader(
    process: CollectorProcess, store: Store
) -> None:
    request = traces(1)
    for _ in range(100):
        assert process.export(request) == b""
    process.flush()
    rows = store.query(
        "SELECT SpanId FROM otel_traces WHERE TraceId = {id:String} "
        "ORDER BY RowVersion DESC LIMIT 1 BY TenantId, TraceId, SpanId",
        {"id": spans_of(request)[0].trace_id.hex()},
    )
    assert len(rows) == 1


def test_row_23_a_tenant_is_never_taken_from_a_header(
    process: CollectorProcess, store: Store
) -> None:
    ids = new_ids(2)
    process.post(traces(ids[:1]), x_tenant="forged", x_scope_orgid="forged")
    process.export(traces(ids[1:]), metadata=(("x-tenant", "forged"),))
    process.flush()
    found = store.query(
        "SELECT TenantId FROM otel_traces WHERE TraceId IN {ids:Array(String)}",
        {"ids": [trace_id.hex() for trace_id, _ in ids]},
    )
    assert [row["TenantId"] for row in found] == ["default", "default"]

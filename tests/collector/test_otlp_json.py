import json
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_INFO
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanlore.collector.check import Limits, check
from spanlore.collector.otlp_json import answer_of, request_of
from spanlore.collector.refusal import Refused
from spanlore.collector.signals import LOGS, METRICS, TRACES
from tests.collector.otlp_requests import as_json, logs, metrics, spans_of, traces
from tests.collector.test_check import VALUES

MESSAGES_MAX = 1_000_000
TRACE_ID = "5B8EFFF798038103D269B633813FC60C"
SPAN_ID = "eee19b7ec3c1b174"


def request(body: bytes | str) -> ExportTraceServiceRequest:
    data = body if isinstance(body, bytes) else body.encode()
    return ExportTraceServiceRequest.FromString(request_of(data, TRACES, messages_max=MESSAGES_MAX))


def span(**fields: Any) -> Span:
    return spans_of(request(spans_json({"traceId": TRACE_ID, "spanId": SPAN_ID, **fields})))[0]


def spans_json(*spans: Any) -> str:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})


def value(document: Any) -> AnyValue:
    return span(attributes=[{"key": "k", "value": document}]).attributes[0].value


def refusal(body: bytes | str) -> Refused:
    with pytest.raises(Refused) as refused:
        request(body)
    assert not refused.value.retryable
    return refused.value


@given(st.lists(VALUES, max_size=5))
def test_a_request_as_json_becomes_the_bytes_of_the_same_request(values: list[AnyValue]) -> None:
    sent = traces(2, kind=3, flags=257, trace_state="a=b", dropped_events_count=7)
    for number, one in enumerate(values):
        spans_of(sent)[0].attributes.add(key=f"k{number}", value=one)
    found = request_of(as_json(sent), TRACES, messages_max=MESSAGES_MAX)
    assert found == sent.SerializeToString()


def test_logs_go_the_same_way() -> None:
    sent = logs(2, body="grüße 你好 🎈")
    sent.resource_logs[0].scope_logs[0].log_records[0].severity_number = SEVERITY_NUMBER_INFO
    found = request_of(as_json(sent), LOGS, messages_max=MESSAGES_MAX)
    assert found == sent.SerializeToString()


def test_metrics_go_the_same_way_with_all_their_buckets() -> None:
    sent = metrics(range(2))
    added = sent.resource_metrics[0].scope_metrics[0].metrics
    added.add(name="g").gauge.data_points.add(as_double=1.5)
    point = added.add(name="h").histogram.data_points.add(count=3, sum=1.5)
    point.bucket_counts.extend([1, 2])
    point.explicit_bounds.append(0.5)
    scaled = added.add(name="e").exponential_histogram.data_points.add(count=6, scale=-1)
    scaled.positive.bucket_counts.extend([1, 2, 3])
    scaled.negative.offset = -2
    scaled.negative.bucket_counts.append(2**63)
    added.add(name="s").summary.data_points.add().quantile_values.add(quantile=0.5, value=2)
    found = request_of(as_json(sent), METRICS, messages_max=MESSAGES_MAX)
    assert found == sent.SerializeToString()


def test_ids_are_hex_in_any_case() -> None:
    found = span(parentSpanId=SPAN_ID.upper())
    assert found.trace_id.hex() == TRACE_ID.lower()
    assert found.span_id == found.parent_span_id == bytes.fromhex(SPAN_ID)


def test_an_id_that_is_no_hex_is_an_id_of_no_length_that_is_valid() -> None:
    found = span(traceId="not hex at all", spanId="AAAAAAAAAAA=", parentSpanId="zz")
    assert [len(found.trace_id), len(found.span_id), len(found.parent_span_id)] == [1, 1, 1]


@pytest.mark.parametrize("number", [9007199254740991, "9007199254740991", 9007199254740991.0])
def test_a_64_bit_integer_is_a_number_or_a_string(number: object) -> None:
    assert value({"intValue": number}).int_value == 9007199254740991
    assert span(startTimeUnixNano=number).start_time_unix_nano == 9007199254740991


def test_the_ends_of_the_integers_come_through() -> None:
    assert value({"intValue": str(-(2**63))}).int_value == -(2**63)
    assert span(endTimeUnixNano=str(2**64 - 1)).end_time_unix_nano == 2**64 - 1


def test_enums_are_numbers_known_or_not_and_their_names_are_understood() -> None:
    assert span(kind=3).kind == 3
    assert span(kind=999).kind == 999
    assert span(kind="SPAN_KIND_CLIENT", status={"code": 2}).kind == 3


def test_unknown_and_snake_case_names_and_nulls_are_ignored() -> None:
    found = span(trace_state="no", newInTheNextVersion={"deep": [1, {}]}, name=None, events=None)
    assert (found.trace_state, found.name, len(found.events)) == ("", "", 0)


def test_bytes_are_base64_of_either_alphabet_padded_or_not() -> None:
    for text in ("+/8=", "-_8=", "-_8"):
        assert value({"bytesValue": text}).bytes_value == b"\xfb\xff"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_number_for_comes_as_a_string(text: str) -> None:
    found = value({"doubleValue": text}).double_value
    assert struct.pack("<d", found) == struct.pack("<d", float(text))


def test_an_empty_value_stays_empty_and_an_empty_list_stays_a_list() -> None:
    assert value({}).WhichOneof("value") is None
    assert value({"arrayValue": {}}).WhichOneof("value") == "array_value"
    assert value({"kvlistValue": {"values": []}}).WhichOneof("value") == "kvlist_value"


@pytest.mark.parametrize("bad", [b"\xff", b"\\ud83d"])
def test_text_that_is_none_is_mended_as_it_is_in_protobuf(bad: bytes) -> None:
    body = as_json(traces(2, text="XXXX")).replace(b"XXXX", b"a" + bad + b"b", 1)
    limits = Limits(message_bytes_max=1 << 20, records_max=10, submessages_max=MESSAGES_MAX)
    checked = check(request_of(body, TRACES, messages_max=MESSAGES_MAX), TRACES, limits=limits)
    assert (checked.kept, checked.mended_strings) == (2, 1)
    first = spans_of(ExportTraceServiceRequest.FromString(checked.body))[0]
    assert first.attributes[0].value.string_value == "a�b"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": 5}, "Span.name: int is no string"),
        ({"startTimeUnixNano": -1}, "Span.startTimeUnixNano"),
        ({"startTimeUnixNano": "soon"}, "Span.startTimeUnixNano"),
        ({"startTimeUnixNano": 1.5}, "Span.startTimeUnixNano: 1.5 is no integer"),
        ({"droppedEventsCount": True}, "bool is no integer"),
        ({"kind": "SPAN_KIND_NEW"}, "Span.kind"),
        ({"kind": "\ud83d"}, "Span.kind"),
        ({"attributes": {}}, "Span.attributes is no array"),
        ({"attributes": [None]}, "KeyValue is no object"),
        ({"attributes": [{"key": "k", "value": {"bytesValue": "%"}}]}, "AnyValue.bytesValue"),
        ({"attributes": [{"key": "k", "value": {"boolValue": "true"}}]}, "neither true nor false"),
        ({"attributes": [{"key": "k", "value": {"doubleValue": [1]}}]}, "list is no number"),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(fields: dict[str, Any], said: str) -> None:
    refused = refusal(spans_json({"traceId": TRACE_ID, **fields}))
    assert (refused.reason, said in refused.message) == ("undecodable", True), refused.message


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b"null", b"{", b'{"resourceSpans":NaN}', b"\xff\xfe{\x00}\x00"]
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert refusal(body).reason == "undecodable"


def test_depth_is_bounded_whatever_is_nested() -> None:
    inner = '{"arrayValue":{"values":[' * 60 + "{}" + "]}}" * 60
    attribute = '{"attributes":[{"key":"k","value":' + inner + "}]}"
    deep = '{"resourceSpans":[{"resource":' + attribute + "}]}"
    assert refusal(deep).reason == "too_deep"
    assert refusal('{"unknown":' + "[" * 100_000 + "]" * 100_000 + "}").reason == "too_deep"


def test_a_million_small_values_are_refused_and_long_texts_of_json_are_not() -> None:
    def size_of(body: bytes, messages_max: int) -> int:
        return len(request_of(body, TRACES, messages_max=messages_max))

    many = b'{"unknown":[' + b'"",' * 700 + b'""]}'
    with pytest.raises(Refused) as refused:
        size_of(many, 100)
    assert refused.value.reason == "too_many"
    quoted = json.dumps([{"a": 1}] * 700)
    assert size_of(as_json(traces(1, text=quoted)), 100) > 4000


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    with suppress(Refused):
        request(body)


def test_answers_are_camel_case_and_an_empty_one_has_nothing() -> None:
    assert answer_of(TRACES.answer(0, ""), TRACES) == b"{}"
    assert json.loads(answer_of(TRACES.answer(2, "why"), TRACES)) == {
        "partialSuccess": {"rejectedSpans": "2", "errorMessage": "why"}
    }
    assert json.loads(answer_of(LOGS.answer(0, "warning"), LOGS)) == {
        "partialSuccess": {"errorMessage": "warning"}
    }

import base64
import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanlore.schemas import otlp, semconv, tables, views
from spanlore.schemas.store import Store, StoreRefused
from tests.schemas.segments import LOG_ID, RECEIVED_NS, record, segment

HOUR_NS = 3_600_000_000_000
START_NS = 1_700_000_000_123_456_789


def request(*spans: Span, resource: dict[str, str] | None = None) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    for key, value in (resource or {}).items():
        group.resource.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "tests", "1"
    scope.spans.extend(spans)
    return made


def span(number: int = 1, /, **fields: Any) -> Span:
    values: dict[str, Any] = {
        "trace_id": b"\x01" * 16,
        "span_id": number.to_bytes(8, "big"),
        "name": "chat",
        "start_time_unix_nano": START_NS,
        "end_time_unix_nano": START_NS + 1_000,
    }
    return Span(**{**values, **fields})


def attribute(key: str, value: AnyValue) -> KeyValue:
    return KeyValue(key=key, value=value)


def spans_of(store: Store) -> list[dict[str, Any]]:
    return store.query(f"SELECT * FROM {tables.TRACES} {tables.LATEST_SPAN}")


@pytest.mark.parametrize("name", [view.name for view in views.ALL if view.is_way_in])
def test_a_view_reaches_into_no_tuple_by_a_path_but_of_its_input(name: str) -> None:
    [select] = [view.select for view in views.ALL if view.name == name]
    unquoted = re.sub(r"'[^']*'|`[^`]*`", "", select)
    paths = set(re.findall(r"[a-z_]\w*(?:\.\w+)+", unquoted))
    assert paths <= {"traces.resource_spans", "logs.resource_logs", "metrics.resource_metrics"}


def test_the_view_of_spans_joins_no_conditions() -> None:
    unquoted = re.sub(r"'[^']*'|`[^`]*`", "", otlp.traces_view_sql())
    assert not {"AND", "OR", "NOT", "BETWEEN"} & set(unquoted.split())


VALUES = [
    (AnyValue(string_value="plain"), "plain", 1),
    (AnyValue(string_value=""), "", 1),
    (AnyValue(bool_value=False), "false", 2),
    (AnyValue(bool_value=True), "true", 2),
    (AnyValue(int_value=0), "0", 3),
    (AnyValue(int_value=-(2**63)), str(-(2**63)), 3),
    (AnyValue(int_value=2**63 - 1), str(2**63 - 1), 3),
    (AnyValue(double_value=0.5), "0.5", 4),
    (AnyValue(double_value=-math.inf), "-inf", 4),
    (AnyValue(double_value=math.nan), "nan", 4),
    (AnyValue(bytes_value=b"\x00\xff"), base64.b64encode(b"\x00\xff").decode(), 7),
    (AnyValue(array_value=ArrayValue()), "[]", 5),
    (AnyValue(), "", 0),
]


@pytest.mark.parametrize(("value", "text", "kind"), VALUES)
def test_an_attribute_keeps_its_value_and_its_type(
    store: Store, tmp_path: Path, value: AnyValue, text: str, kind: int
) -> None:
    made = request(span(attributes=[attribute("key", value)]))
    store.insert_segment(segment(tmp_path, [made]), token="one")
    (row,) = spans_of(store)
    assert row["SpanAttributes"] == {"key": text}
    assert list(row["SpanAttributeTypes"]) == [kind]


def test_a_flat_array_becomes_json(store: Store, tmp_path: Path) -> None:
    members = [
        AnyValue(string_value='quote " and \\'),
        AnyValue(int_value=-3),
        AnyValue(double_value=1.5),
        AnyValue(double_value=math.nan),
        AnyValue(bool_value=True),
        AnyValue(bytes_value=b"\x01"),
        AnyValue(),
    ]
    array = AnyValue(array_value=ArrayValue(values=members))
    made = request(span(attributes=[attribute("key", array)]))
    store.insert_segment(segment(tmp_path, [made]), token="one")
    (row,) = spans_of(store)
    expected = ['quote " and \\', -3, 1.5, "nan", True, "AQ==", None]
    assert json.loads(row["SpanAttributes"]["key"]) == expected


def test_a_value_the_door_made_json_keeps_its_text_and_is_marked(
    store: Store, tmp_path: Path
) -> None:
    # Field 100 of AnyValue is ours, so it is written by hand: {"a":[1]} as a string.
    text = b'{"a":[1]}'
    value = b"\xa2\x06" + bytes([len(text)]) + text
    key_value = b"\x0a\x03key\x12" + bytes([len(value)]) + value
    plain = span().SerializeToString() + b"\x4a" + bytes([len(key_value)]) + key_value
    scope_spans = b"\x12" + _sized(plain)
    body = b"\x0a" + _sized(b"\x12" + _sized(scope_spans))
    store.insert_segment(segment(tmp_path, [body]), token="one")
    (row,) = spans_of(store)
    assert row["SpanAttributes"] == {"key": '{"a":[1]}'}
    assert list(row["SpanAttributeTypes"]) == [100]


def _sized(data: bytes) -> bytes:
    assert len(data) < 16_384
    size = [len(data)] if len(data) < 128 else [len(data) & 127 | 128, len(data) >> 7]
    return bytes(size) + data


def test_a_span_fills_the_exporters_columns(store: Store, tmp_path: Path) -> None:
    made = request(
        span(
            parent_span_id=b"\x09" * 8,
            trace_state="a=b",
            kind=Span.SPAN_KIND_CLIENT,
            status={"code": 2, "message": "bad"},
            events=[
                {
                    "time_unix_nano": START_NS + 5,
                    "name": "event",
                    "attributes": [attribute("e", AnyValue(int_value=1))],
                }
            ],
            links=[{"trace_id": b"\x02" * 16, "span_id": b"\x03" * 8, "trace_state": "c=d"}],
        ),
        resource={"service.name": "svc"},
    )
    store.insert_segment(segment(tmp_path, [made]), token="one")
    (row,) = store.query(
        "SELECT *, toUnixTimestamp64Nano(Timestamp) AS ns, "
        "toUnixTimestamp64Nano(ReceivedAt) AS received, "
        "arrayMap(t -> toUnixTimestamp64Nano(t), `Events.Timestamp`) AS event_ns "
        f"FROM {tables.TRACES}"
    )
    assert row["ns"] == START_NS
    assert row["TraceId"] == "01" * 16
    assert row["SpanId"] == "0000000000000001"
    assert row["ParentSpanId"] == "09" * 8
    assert row["TraceState"] == "a=b"
    assert row["SpanKind"] == "Client"
    assert row["ServiceName"] == "svc"
    assert row["ScopeName"] == "tests"
    assert row["ScopeVersion"] == "1"
    assert row["Duration"] == 1_000
    assert (row["StatusCode"], row["StatusMessage"]) == ("Error", "bad")
    assert list(row["event_ns"]) == [START_NS + 5]
    assert list(row["Events.Name"]) == ["event"]
    assert list(row["Events.Attributes"]) == [{"e": "1"}]
    assert list(row["Links.TraceId"]) == ["02" * 16]
    assert list(row["Links.SpanId"]) == ["03" * 8]
    assert list(row["Links.TraceState"]) == ["c=d"]
    assert (row["LogId"], row["LogSeq"], row["received"]) == (LOG_ID, 1, RECEIVED_NS + 1)


def test_times_out_of_range_are_clamped_and_kept_raw(store: Store, tmp_path: Path) -> None:
    times = [(0, 0), (2**64 - 1, 2**64 - 1), (START_NS, START_NS - 5), (2**63, 2**63 + 7)]
    spans = [
        span(number, start_time_unix_nano=start, end_time_unix_nano=end)
        for number, (start, end) in enumerate(times, start=1)
    ]
    store.insert_segment(segment(tmp_path, [request(*spans)]), token="one")
    rows = store.query(
        f"SELECT StartUnixNano, EndUnixNano, Duration, toYear(Timestamp) AS year, Incomplete "
        f"FROM {tables.TRACES} ORDER BY SpanId"
    )
    assert [(row["StartUnixNano"], row["EndUnixNano"]) for row in rows] == times
    assert [row["Duration"] for row in rows] == [0, 0, 0, 7]
    assert [row["year"] for row in rows] == [1970, 2262, 2023, 2262]
    assert [row["Incomplete"] for row in rows] == [1, 0, 0, 0]


def test_four_hundred_days_in_one_segment_are_all_stored(store: Store, tmp_path: Path) -> None:
    spans = [
        span(day + 1, start_time_unix_nano=START_NS + day * 24 * HOUR_NS) for day in range(400)
    ]
    store.insert_segment(segment(tmp_path, [request(*spans)]), token="one")
    assert store.query(f"SELECT count() AS n FROM {tables.TRACES}") == [{"n": 400}]


def test_the_tenant_is_the_tokens_else_the_spans_else_the_resources(
    store: Store, tmp_path: Path
) -> None:
    own = attribute(semconv.TENANT_ID, AnyValue(string_value="span"))
    with_resource = {semconv.TENANT_ID: "resource"}
    bodies = [
        record(request(span(1, attributes=[own]), resource=with_resource), seq=1),
        record(request(span(2), resource=with_resource), seq=2),
        record(request(span(3)), seq=3),
        record(request(span(4, attributes=[own]), resource=with_resource), seq=4, tenant="token"),
    ]
    path = tmp_path / "one.wal"
    path.write_bytes(b"".join(bodies))
    store.insert_segment(path, token="one")
    rows = store.query(f"SELECT TenantId FROM {tables.TRACES} ORDER BY SpanId")
    assert [row["TenantId"] for row in rows] == ["span", "resource", "default", "token"]


def test_a_segment_sent_again_adds_nothing(store: Store, tmp_path: Path) -> None:
    path = segment(tmp_path, [request(span(1), span(2))])
    for _ in range(3):
        store.insert_segment(path, token="one")
    assert store.query(f"SELECT count() AS n FROM {tables.TRACES}") == [{"n": 2}]


def test_a_span_received_again_a_day_later_is_one_row_for_readers(
    store: Store, tmp_path: Path
) -> None:
    first = record(request(span()), seq=1)
    path = tmp_path / "one.wal"
    path.write_bytes(first)
    store.insert_segment(path, token="one")
    late = request(span(name="later"))
    path.write_bytes(record(late, seq=24 * HOUR_NS))
    store.insert_segment(path, token="two")
    (row,) = spans_of(store)
    assert row["SpanName"] == "later"
    store.command(f"OPTIMIZE TABLE {tables.TRACES} FINAL")
    assert store.query(f"SELECT count() AS n FROM {tables.TRACES}") == [{"n": 1}]


def test_a_complete_span_beats_an_incomplete_one_received_later(
    store: Store, tmp_path: Path
) -> None:
    marked = attribute(semconv.INCOMPLETE, AnyValue(bool_value=True))
    requests = [request(span(name="whole")), request(span(name="part", attributes=[marked]))]
    store.insert_segment(segment(tmp_path, requests), token="one")
    (row,) = spans_of(store)
    assert row["SpanName"] == "whole"


def test_a_span_that_a_segment_holds_twice_is_one_for_readers_and_one_row_when_merged(
    store: Store, tmp_path: Path
) -> None:
    requests = [request(span(name="first")), request(span(name="later"))]
    store.insert_segment(segment(tmp_path, requests), token="one")
    assert [row["SpanName"] for row in spans_of(store)] == ["later"]
    final = store.query(f"SELECT SpanName FROM {tables.TRACES} FINAL")
    assert final == [{"SpanName": "later"}]
    store.command(f"OPTIMIZE TABLE {tables.TRACES} FINAL")
    assert store.query(f"SELECT SpanName FROM {tables.TRACES}") == [{"SpanName": "later"}]


def test_a_kind_or_a_status_that_has_no_name_is_as_one_not_said(
    store: Store, tmp_path: Path
) -> None:
    said = (-1, 0, 1, 2, 3, 5, 6)
    sent = [
        span(number, kind=value, status=Status(code=value))  # type: ignore[arg-type]
        for number, value in enumerate(said, 1)
    ]
    store.insert_segment(segment(tmp_path, [request(*sent)]), token="one")
    rows = store.query(f"SELECT SpanKind, StatusCode FROM {tables.TRACES} ORDER BY SpanId")
    assert [(row["SpanKind"], row["StatusCode"]) for row in rows] == [
        ("Unspecified", "Unset"),
        ("Unspecified", "Unset"),
        ("Internal", "Ok"),
        ("Server", "Error"),
        ("Client", "Unset"),
        ("Consumer", "Unset"),
        ("Unspecified", "Unset"),
    ]


def test_many_small_spans_are_one_part_so_that_a_token_covers_them(
    store: Store, tmp_path: Path
) -> None:
    requests = [
        request(*(span(number * 1_000 + i + 1) for i in range(1_000))) for number in range(150)
    ]
    store.insert_segment(segment(tmp_path, requests), token="one")
    counted = store.query(f"SELECT count() AS n, uniqExact(_part) AS parts FROM {tables.TRACES}")
    assert counted == [{"n": 150_000, "parts": 1}]


def test_a_broken_message_refuses_the_whole_segment(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "one.wal"
    path.write_bytes(record(request(span()), seq=1) + record(b"\x0a\xff\xff", seq=2))
    with pytest.raises(StoreRefused):
        store.insert_segment(path, token="one")
    assert store.query(f"SELECT count() AS n FROM {tables.TRACES}") == [{"n": 0}]


def test_the_exporters_insert_fills_our_columns(store: Store) -> None:
    store.insert(
        tables.TRACES,
        [
            {
                "Timestamp": 1_700_000_000_000_000_000,
                "TraceId": "aa" * 16,
                "SpanId": "bb" * 8,
                "ParentSpanId": "",
                "TraceState": "",
                "SpanName": "chat m",
                "SpanKind": "Client",
                "ServiceName": "svc",
                "ResourceAttributes": {"service.name": "svc"},
                "ScopeName": "",
                "ScopeVersion": "",
                "SpanAttributes": {
                    semconv.OPERATION_NAME: "chat",
                    semconv.REQUEST_MODEL: "m",
                    semconv.USAGE_INPUT_TOKENS: "12",
                    semconv.USER_ID: "u",
                    semconv.TENANT_ID: "t",
                    semconv.INPUT_MESSAGES: "[]",
                },
                "Duration": 5,
                "StatusCode": "Unset",
                "StatusMessage": "",
                "Events.Timestamp": [],
                "Events.Name": [],
                "Events.Attributes": [],
                "Links.TraceId": [],
                "Links.SpanId": [],
                "Links.TraceState": [],
                "Links.Attributes": [],
            }
        ],
    )
    (row,) = store.query(f"SELECT *, InputMessages FROM {tables.TRACES}")
    assert (row["Op"], row["Model"], row["UserId"], row["TenantId"]) == ("chat", "m", "u", "t")
    assert (row["InputTokens"], row["OutputTokens"]) == (12, None)
    assert row["InputMessages"] == "[]"
    assert row["EndUnixNano"] - row["StartUnixNano"] == 5
    times = store.query(f"SELECT TraceId FROM {tables.TRACE_TIMES}")
    assert times == [{"TraceId": "aa" * 16}]


def test_an_evaluation_event_becomes_a_judgement(store: Store, tmp_path: Path) -> None:
    made = ExportLogsServiceRequest()
    entry = made.resource_logs.add().scope_logs.add().log_records.add()
    entry.time_unix_nano = START_NS
    entry.trace_id, entry.span_id = b"\x01" * 16, b"\x02" * 8
    entry.event_name = semconv.EVENT_EVALUATION
    said = {
        semconv.EVALUATION_NAME: AnyValue(string_value="task_success"),
        semconv.EVALUATION_SCORE: AnyValue(double_value=0.5),
        semconv.EVALUATION_LABEL: AnyValue(string_value="PASS"),
        semconv.JUDGEMENT_SOURCE: AnyValue(string_value="human"),
    }
    entry.attributes.extend(attribute(key, value) for key, value in said.items())
    path = segment(tmp_path, [made])
    store.insert_segment(path, token="one")
    store.insert_segment(path, token="one again")
    (row,) = store.query(f"SELECT * FROM {tables.JUDGEMENTS} FINAL")
    assert (row["Name"], row["Score"], row["Label"], row["Source"]) == (
        "task_success",
        0.5,
        "pass",
        "human",
    )
    assert row["TraceId"] == "01" * 16


def test_the_schema_names_the_fields_that_opentelemetry_numbers() -> None:
    """A renumbered field would be lost without a word, so the numbers are compared."""
    ours = _numbers(otlp.PROTO_SCHEMA, "Span")
    theirs = {field.name: field.number for field in Span.DESCRIPTOR.fields}
    assert ours.items() <= theirs.items()


def _numbers(schema: str, message: str) -> dict[str, int]:
    body = schema.split(f"message {message} {{")[1].split("}", maxsplit=1)[0]
    fields = [field.split("=") for field in body.split(";") if "=" in field]
    return {name.split()[-1]: int(number) for name, number in fields}


tokens = itertools.count()
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.one_of(
    text.map(lambda value: AnyValue(string_value=value)),
    st.booleans().map(lambda value: AnyValue(bool_value=value)),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: AnyValue(int_value=value)),
    st.binary(max_size=20).map(lambda value: AnyValue(bytes_value=value)),
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.dictionaries(text, scalars, max_size=6), min_size=1, max_size=20))
def test_whatever_the_attributes_are_they_come_out_as_they_went_in(
    store: Store, tmp_path: Path, several: list[dict[str, AnyValue]]
) -> None:
    store.command(f"TRUNCATE TABLE {tables.TRACES}")
    spans = [
        span(number, attributes=[attribute(*item) for item in sorted(one.items(), key=str)])
        for number, one in enumerate(several, start=1)
    ]
    store.insert_segment(segment(tmp_path, [request(*spans)]), token=str(next(tokens)))
    rows = store.query(f"SELECT SpanAttributes FROM {tables.TRACES} ORDER BY SpanId")
    assert [row["SpanAttributes"] for row in rows] == [
        {key: _expected(value) for key, value in one.items()} for one in several
    ]


def _expected(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "bool_value":
            return str(value.bool_value).lower()
        case "int_value":
            return str(value.int_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case _:
            return value.string_value

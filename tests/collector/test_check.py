import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from spanlore.collector.check import Checked, Limits, check
from spanlore.collector.refusal import Code, Refused
from spanlore.collector.signals import LOGS, METRICS, SIGNALS, TRACES, Signal
from spanlore.collector.wire import varint
from tests.collector.otlp_requests import framed, logs, metrics, new_ids, spans_of, traces

LIMITS = Limits(message_bytes_max=64 << 20, records_max=50_000, submessages_max=1_000_000)

SCALARS = st.one_of(
    st.builds(lambda v: AnyValue(string_value=v), st.text(max_size=8)),
    st.builds(lambda v: AnyValue(bool_value=v), st.booleans()),
    st.builds(lambda v: AnyValue(int_value=v), st.integers(-(2**63), 2**63 - 1)),
    # JSON has one NaN.
    st.builds(lambda v: AnyValue(double_value=v), st.floats(allow_nan=False) | st.just(math.nan)),
    st.builds(lambda v: AnyValue(bytes_value=v), st.binary(max_size=8)),
    st.builds(AnyValue),
)


def array(values: list[AnyValue]) -> AnyValue:
    value = AnyValue()
    value.array_value.SetInParent()
    value.array_value.values.extend(values)
    return value


def kvlist(values: dict[str, AnyValue]) -> AnyValue:
    value = AnyValue()
    value.kvlist_value.SetInParent()
    for key, item in values.items():
        value.kvlist_value.values.add(key=key, value=item)
    return value


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(array),
        st.dictionaries(st.text(max_size=5), inner, max_size=3).map(kvlist),
    ),
    max_leaves=6,
)


def is_nested(value: AnyValue) -> bool:
    """The full walk that the check's one pass in C stands for."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return any(
            item.WhichOneof("value") in ("array_value", "kvlist_value")
            for item in value.array_value.values
        )
    return kind == "kvlist_value"


def places(request: ExportTraceServiceRequest) -> list[Any]:
    """Every list of attributes in a request of one span."""
    group = request.resource_spans[0]
    scope = group.scope_spans[0]
    span = scope.spans[0]
    event = span.events[0] if span.events else span.events.add()
    link = span.links[0] if span.links else span.links.add(trace_id=b"1" * 16, span_id=b"2" * 8)
    lists: list[Any] = [group.resource, scope.scope, span, event, link]
    return [item.attributes for item in lists]


def checked_traces(request: ExportTraceServiceRequest) -> Checked:
    return check(request.SerializeToString(), TRACES, limits=LIMITS)


def loose_value(checked: Checked, key: bytes) -> Any:
    request = TRACES.loose.FromString(checked.body)
    for attributes in places(request):
        for attribute in attributes:
            if attribute.key == key:
                return attribute.value
    raise AssertionError(key)


@given(st.lists(VALUES, max_size=5), st.data())
def test_the_one_pass_flags_exactly_the_requests_that_a_full_walk_would(
    values: list[AnyValue], data: st.DataObject
) -> None:
    request = traces(1)
    lists = places(request)
    for value in values:
        lists[data.draw(st.integers(0, 4))].add(key="k", value=value)
    found = TRACES.strict.FromString(request.SerializeToString()).IsInitialized()
    assert found is not any(is_nested(value) for value in values)


@given(VALUES)
def test_the_one_pass_looks_into_a_log_body(value: AnyValue) -> None:
    request = logs(1)
    request.resource_logs[0].scope_logs[0].log_records[0].body.CopyFrom(value)
    found = LOGS.strict.FromString(request.SerializeToString()).IsInitialized()
    assert found is not is_nested(value)


@given(st.lists(VALUES, max_size=5), st.data())
def test_after_the_check_nothing_nested_is_left_and_every_scalar_is_as_it_was(
    values: list[AnyValue], data: st.DataObject
) -> None:
    request = traces(1)
    lists = places(request)
    for value in values:
        lists[data.draw(st.integers(0, 4))].add(key="k", value=value)
    checked = checked_traces(request)
    after = TRACES.loose.FromString(checked.body)
    for before, now in zip(places(request), places(after), strict=True):
        for old, new in zip(before, now, strict=True):
            if is_nested(old.value):
                assert json.loads(new.value.json_value) == plain(old.value)
            else:
                assert new.value.SerializeToString() == old.value.SerializeToString()


def plain(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "kvlist_value":
            return {item.key: plain(item.value) for item in value.kvlist_value.values}
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "double_value":
            special = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
            return special.get(str(value.double_value), value.double_value)
        case None:
            return None
        case kind:
            return getattr(value, kind)


def test_a_clean_request_goes_on_byte_for_byte() -> None:
    body = traces(3).SerializeToString()
    assert check(body, TRACES, limits=LIMITS) == Checked(body=body, kept=3)


def test_an_odd_encoding_hides_no_nested_value() -> None:
    # The oneof's last member wins: a string first, then a kvlist, with an overlong tag.
    value = b"\x0a\x00" + b"\xb2\x00\x02\x0a\x00"
    attribute = b"\x0a\x01k\x12" + bytes([len(value)]) + value
    resource = b"\x0a" + bytes([len(attribute)]) + attribute
    group = b"\x0a" + bytes([len(resource)]) + resource
    checked = check(b"\x0a" + bytes([len(group)]) + group, TRACES, limits=LIMITS)
    request = TRACES.loose.FromString(checked.body)
    assert request.resource_spans[0].resource.attributes[0].value.json_value == b'{"":null}'


# {"\xff": no value}, which is neither flat nor UTF-8, in an array.
HIDDEN = framed(5, framed(1, framed(6, framed(1, framed(1, b"\xff")))))


def test_a_later_member_hides_no_text_that_is_not_utf8() -> None:
    body = framed(5, HIDDEN, AnyValue(string_value="said").SerializeToString())
    checked = check(framed(1, framed(2, framed(2, body))), LOGS, limits=LIMITS)
    request = ExportLogsServiceRequest.FromString(checked.body)
    assert request.resource_logs[0].scope_logs[0].log_records[0].body.string_value == "said"
    assert b"\xff" not in checked.body


def test_nothing_hides_in_the_kind_of_a_metric_that_a_later_kind_replaces() -> None:
    point = b"\x19" + bytes([1] * 8)
    attribute = framed(7, framed(1, b"k"), framed(2, HIDDEN))
    metric = framed(1, b"calls") + framed(7, framed(1, point + attribute))
    body = framed(1, framed(2, framed(2, metric + framed(5, framed(1, point)))))
    checked = check(body, METRICS, limits=LIMITS)
    assert (checked.kept, checked.rejected) == (1, 0)
    request = ExportMetricsServiceRequest.FromString(checked.body)
    assert len(request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points) == 1
    assert b"\xff" not in checked.body


def test_nested_values_become_compact_json() -> None:
    request = traces(1)
    value = kvlist(
        {
            "b": AnyValue(bytes_value=b"\x00\xff"),
            "i": AnyValue(int_value=-(2**63)),
            "d": AnyValue(double_value=float("-inf")),
            "l": array([AnyValue(string_value="ä"), AnyValue(bool_value=True), AnyValue()]),
        }
    )
    spans_of(request)[0].attributes.add(key="nested", value=value)
    found = loose_value(checked_traces(request), b"nested").json_value.decode()
    assert found == '{"b":"AP8=","i":-9223372036854775808,"d":"-Infinity","l":["ä",true,null]}'


def test_the_logs_own_json_member_is_not_taken_from_a_client() -> None:
    request = TRACES.loose.FromString(traces(1).SerializeToString())
    attribute = request.resource_spans[0].resource.attributes.add(key=b"forged")
    attribute.value.json_value = b"{not json"
    checked = check(request.SerializeToString(), TRACES, limits=LIMITS)
    assert loose_value(checked, b"forged").WhichOneof("value") is None


@pytest.mark.parametrize(
    "ids",
    [(b"", b"2" * 8), (b"1" * 15, b"2" * 8), (b"1" * 16, b"2" * 9), (bytes(16), b"2" * 8),
     (b"1" * 16, bytes(8))],
)  # fmt: skip
def test_a_span_without_identity_is_rejected_alone(ids: tuple[bytes, bytes]) -> None:
    good = new_ids(3)
    checked = checked_traces(traces([good[0], ids, good[1], good[2]]))
    assert (checked.kept, checked.rejected) == (3, 1)
    assert "1 spans were rejected" in checked.message
    after = spans_of(ExportTraceServiceRequest.FromString(checked.body))
    assert [(span.trace_id, span.span_id) for span in after] == good
    assert after[0].attributes[0].value.string_value == "hello"


def test_a_parent_of_eight_zeros_is_no_parent() -> None:
    checked = checked_traces(traces(2, parent_span_id=bytes(8)))
    assert checked.kept == 2
    spans = spans_of(ExportTraceServiceRequest.FromString(checked.body))
    assert [span.parent_span_id for span in spans] == [b"", b""]


def test_text_that_is_not_utf8_is_mended_and_every_span_kept() -> None:
    body = traces(5, text="XXXX").SerializeToString()
    checked = check(body.replace(b"XXXX", b"a\xff\xc3b", 2), TRACES, limits=LIMITS)
    assert (checked.kept, checked.rejected, checked.mended_strings) == (5, 0, 2)
    texts = [
        span.attributes[0].value.string_value
        for span in spans_of(ExportTraceServiceRequest.FromString(checked.body))
    ]
    assert texts == ["a��b"] * 2 + ["XXXX"] * 3


def test_keys_names_and_repeated_strings_are_mended_too() -> None:
    request = traces(1)
    request.resource_spans[0].resource.entity_refs.add(type="t").id_keys.append("IDKEY")
    span = spans_of(request)[0]
    span.name, span.status.message = "NAME1", "STATUS"
    span.events.add(name="EVENT")
    span.links.add(trace_id=b"1" * 16, span_id=b"2" * 8, trace_state="STATE")
    span.attributes[1].value.array_value.values[0].string_value = "ARRAY"
    body = request.SerializeToString()
    for text in (b"IDKEY", b"NAME1", b"STATUS", b"ARRAY", b"EVENT", b"STATE"):
        body = body.replace(text, b"\xff" * len(text))
    checked = check(body, TRACES, limits=LIMITS)
    assert checked.mended_strings == 6
    assert spans_of(ExportTraceServiceRequest.FromString(checked.body))[0].name == "�" * 5


def test_a_log_record_with_an_invalid_id_is_kept_without_it() -> None:
    request = logs(2)
    records = request.resource_logs[0].scope_logs[0].log_records
    records[0].trace_id, records[0].span_id = b"short", bytes(8)
    records[1].trace_id, records[1].span_id = b"1" * 16, b"2" * 8
    checked = check(request.SerializeToString(), LOGS, limits=LIMITS)
    assert (checked.kept, checked.rejected) == (2, 0)
    after = ExportLogsServiceRequest.FromString(checked.body)
    found = [(r.trace_id, r.span_id) for r in after.resource_logs[0].scope_logs[0].log_records]
    assert found == [(b"", b""), (b"1" * 16, b"2" * 8)]


KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def metrics_of_all_kinds() -> ExportMetricsServiceRequest:
    """A metric of each kind with one data point, and an exemplar where the kind has any."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for kind in KINDS:
        points = getattr(scope.metrics.add(name=kind), kind).data_points
        point = points.add(time_unix_nano=1)
        if kind != "summary":
            point.exemplars.add(as_int=1)
    buckets = scope.metrics[3].exponential_histogram.data_points[0].positive
    buckets.bucket_counts.extend([1, 2**40, 3])
    return request


def attributes_of(request: Any) -> list[Any]:
    """Every list of attributes in a request of metrics of all kinds."""
    group = request.resource_metrics[0]
    scope = group.scope_metrics[0]
    lists = [group.resource.attributes, scope.scope.attributes]
    for kind, metric in zip(KINDS, scope.metrics, strict=True):
        point = getattr(metric, kind).data_points[0]
        lists += [metric.metadata, point.attributes]
        if kind != "summary":
            lists.append(point.exemplars[0].filtered_attributes)
    return lists


@given(VALUES, st.integers(0, 15))
def test_a_nested_value_is_found_wherever_metrics_have_attributes(value: AnyValue, at: int) -> None:
    request = metrics_of_all_kinds()
    attributes_of(request)[at].add(key="k", value=value)
    checked = check(request.SerializeToString(), METRICS, limits=LIMITS)
    assert (checked.kept, checked.rejected) == (5, 0)
    found = attributes_of(METRICS.loose.FromString(checked.body))[at][0].value
    if is_nested(value):
        assert json.loads(found.json_value) == plain(value)
    else:
        assert checked.body == request.SerializeToString()


def test_rewriting_metrics_loses_nothing_else() -> None:
    request = metrics_of_all_kinds()
    request.resource_metrics[0].scope_metrics[0].metrics[0].description = "XXXX"
    body = request.SerializeToString().replace(b"XXXX", b"\xff\xff\xff\xff")
    checked = check(body, METRICS, limits=LIMITS)
    assert (checked.kept, checked.rejected, checked.mended_strings) == (5, 0, 1)
    request.resource_metrics[0].scope_metrics[0].metrics[0].description = "\ufffd" * 4
    assert ExportMetricsServiceRequest.FromString(checked.body) == request


def test_a_data_point_that_nothing_tells_from_others_is_rejected_alone() -> None:
    request = metrics(range(3))
    points = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    points[1].time_unix_nano = 0
    request.resource_metrics.extend(metrics(range(5), name="").resource_metrics)
    checked = check(request.SerializeToString(), METRICS, limits=LIMITS)
    assert (checked.kept, checked.rejected) == (2, 6)
    assert checked.message.startswith("6 data points were rejected: a metric must have a name")
    after = ExportMetricsServiceRequest.FromString(checked.body)
    kept = after.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    assert [point.as_int for point in kept] == [0, 2]


def test_a_start_time_of_zero_and_a_value_that_is_absent_are_taken_as_they_are() -> None:
    request = metrics([1])
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    point.ClearField("as_int")
    body = request.SerializeToString()
    assert check(body, METRICS, limits=LIMITS) == Checked(body=body, kept=1)


def test_packed_bucket_counts_take_no_more_memory_than_they_came_with() -> None:
    request = metrics_of_all_kinds()
    points = request.resource_metrics[0].scope_metrics[0].metrics[3].exponential_histogram
    points.data_points[0].positive.bucket_counts.extend([0] * 100_000)
    body = request.SerializeToString()
    read = METRICS.strict.FromString(body).resource_metrics[0].scope_metrics[0].metrics[3]
    buckets = read.exponential_histogram.data_points[0].positive
    assert "bucket_counts" not in buckets.DESCRIPTOR.fields_by_name
    assert check(body, METRICS, limits=LIMITS).body == body


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x05abc", b"{}", b"\x0a\x02\x08"])
def test_what_is_no_request_is_refused_for_good(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        check(body, TRACES, limits=LIMITS)
    assert (refused.value.code, refused.value.reason) == (Code.INVALID_ARGUMENT, "undecodable")


def test_more_spans_than_the_limit_are_refused_for_good() -> None:
    body = traces(11).SerializeToString()
    limits = Limits(message_bytes_max=1 << 20, records_max=10, submessages_max=1000)
    with pytest.raises(Refused) as refused:
        check(body, TRACES, limits=limits)
    assert (refused.value.code, refused.value.reason) == (Code.INVALID_ARGUMENT, "too_many")


def test_a_request_above_the_size_limit_is_refused_for_good() -> None:
    limits = Limits(message_bytes_max=10, records_max=10, submessages_max=1000)
    with pytest.raises(Refused) as refused:
        check(bytes(11), TRACES, limits=limits)
    assert (refused.value.code, refused.value.retryable) == (Code.RESOURCE_EXHAUSTED, False)


def test_a_value_nested_beyond_the_parsers_depth_is_refused() -> None:
    value = b"\x18\x01"
    for tag in (b"\x0a", b"\x2a") * 60:
        value = tag + varint(len(value)) + value
    for tag in (b"\x12", b"\x0a", b"\x0a", b"\x0a"):
        value = tag + varint(len(value)) + value
    with pytest.raises(Refused) as refused:
        check(value, TRACES, limits=LIMITS)
    assert refused.value.code is Code.INVALID_ARGUMENT


@given(st.binary(max_size=400))
def test_any_bytes_are_checked_or_refused(body: bytes) -> None:
    for signal in SIGNALS:
        assert answer(body, signal) in (None, Code.INVALID_ARGUMENT)


def answer(body: bytes, signal: Signal) -> Code | None:
    try:
        check(body, signal, limits=LIMITS)
    except Refused as refused:
        return refused.code
    return None

"""Requests for the fuzzer to begin with: small, each with something that the door treats in its
own way. Made here and nowhere stored.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanlore.collector.signals import LOGS, METRICS, SIGNALS, TRACES
from spanlore.schemas import zstandard
from tests.collector.otlp_requests import START_NS, as_json, framed
from tests.collector.planted_secrets import MADE_KINDS, planted
from tests.fuzz.case import PACKINGS, Case

SECRETS: Final = tuple(one.text.encode() for one in islice(planted(5), MADE_KINDS))
_TRACE_ID: Final = bytes(range(1, 17))
_SPAN_ID: Final = bytes(range(1, 9))


def nested(levels: int) -> bytes:
    """Give an AnyValue of arrays and maps within each other, however deep."""
    value = AnyValue(string_value="deep").SerializeToString()
    for level in range(levels):
        if level % 2:
            value = framed(AnyValue.ARRAY_VALUE_FIELD_NUMBER, framed(1, value))
        else:
            item = KeyValue(key="k").SerializeToString() + framed(2, value)
            value = framed(AnyValue.KVLIST_VALUE_FIELD_NUMBER, framed(1, item))
    return value


def _values() -> Iterator[AnyValue]:
    yield AnyValue(string_value="grüße 你好")
    yield AnyValue(string_value=json.dumps({"user": "ada", "password": "7horse-battery"}))
    yield AnyValue(int_value=-(2**63))
    yield AnyValue(double_value=float("nan"))
    yield AnyValue(bytes_value=b"\xff\x00")
    yield AnyValue(bool_value=True)
    yield AnyValue()
    yield from (AnyValue.FromString(nested(levels)) for levels in (1, 2, 5, 30))


def _attributes() -> list[KeyValue]:
    found = [KeyValue(key=f"k{number}", value=value) for number, value in enumerate(_values())]
    return [*found, KeyValue(key="api_key", value=AnyValue(string_value="7a8b9c0d1e2f"))]


def _traces(value: KeyValue, text: str) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(value)
    scope = group.scope_spans.add()
    scope.scope.name = "fuzz"
    span = scope.spans.add(trace_id=_TRACE_ID, span_id=_SPAN_ID, name=text, kind=3)
    span.start_time_unix_nano, span.end_time_unix_nano = START_NS, START_NS + 1
    span.attributes.append(value)
    span.events.add(name=text, time_unix_nano=START_NS).attributes.append(value)
    span.links.add(trace_id=_TRACE_ID, span_id=_SPAN_ID).attributes.append(value)
    scope.spans.add(trace_id=_TRACE_ID, span_id=bytes(8), parent_span_id=b"short")
    return request


def _logs(value: KeyValue, text: str) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(schema_url=text)
    group.resource.attributes.append(value)
    record = group.scope_logs.add().log_records.add(
        time_unix_nano=START_NS, trace_id=_TRACE_ID, span_id=b"bad", severity_text=text
    )
    record.body.CopyFrom(value.value)
    record.attributes.append(value)
    return request


def _metrics(value: KeyValue, text: str) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    gauge = scope.metrics.add(name=text).gauge.data_points.add(as_int=1, time_unix_nano=START_NS)
    gauge.attributes.append(value)
    exemplar = gauge.exemplars.add(as_double=1.5, trace_id=_TRACE_ID, span_id=_SPAN_ID)
    exemplar.filtered_attributes.append(value)
    scope.metrics.add(name="sum").sum.data_points.add(as_double=0.5)
    histogram = scope.metrics.add(name="h").histogram.data_points.add(time_unix_nano=START_NS)
    histogram.bucket_counts.extend((1, 2))
    histogram.explicit_bounds.append(0.5)
    exponential = scope.metrics.add(name="e").exponential_histogram.data_points.add(
        time_unix_nano=START_NS
    )
    exponential.positive.bucket_counts.extend((1, 2, 3))
    summary = scope.metrics.add().summary.data_points.add(time_unix_nano=START_NS)
    summary.quantile_values.add(quantile=0.5, value=1)
    return request


_MAKE: Final = {TRACES.name: _traces, LOGS.name: _logs, METRICS.name: _metrics}


def requests() -> Iterator[tuple[int, Message]]:
    """Give every seed's request with the number of its signal."""
    for number, signal in enumerate(SIGNALS):
        for value in _attributes():
            yield number, _MAKE[signal.name](value, "chat")
        for secret in SECRETS:
            text = secret.decode()
            value = KeyValue(key="said", value=AnyValue(string_value=text))
            yield number, _MAKE[signal.name](value, text)


def packed(body: bytes, packing: str) -> bytes:
    """Compress a body as a client does; x-gzip in two members."""
    match packing:
        case "gzip":
            return gzip.compress(body, mtime=0)
        case "x-gzip":
            half = len(body) // 2
            return gzip.compress(body[:half], mtime=0) + gzip.compress(body[half:], mtime=0)
        case "deflate":
            return zlib.compress(body)
        case "zstd":
            stream = zstandard.compressor()
            return bytes(stream.compress(body) + stream.flush())
        case _:
            return body


def cases() -> Iterator[Case]:
    """Give the seeds: every request in both formats, and now and then compressed."""
    for number, (signal, request) in enumerate(requests()):
        packing = PACKINGS[number % len(PACKINGS)]
        for is_json, body in ((False, request.SerializeToString()), (True, as_json(request))):
            yield Case(signal=signal, is_json=is_json, is_tight=number % 2 == 1, body=body)
            if packing:
                small = packed(body, packing)
                yield Case(signal=signal, is_json=is_json, packing=packing, body=small)

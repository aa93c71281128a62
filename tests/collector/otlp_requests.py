"""Builds OTLP requests for tests."""

import base64
import itertools
import json
import os
from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanlore.collector.wire import LENGTH, varint

START_NS = 1_790_000_000_000_000_000
_numbers = itertools.count(1)


def new_ids(count: int) -> list[tuple[bytes, bytes]]:
    """Give (trace id, span id) pairs that no other call gives."""
    return [(os.urandom(16), next(_numbers).to_bytes(8, "big")) for _ in range(count)]


def traces(
    ids: Sequence[tuple[bytes, bytes]] | int = 1, *, text: str = "hello", **fields: Any
) -> ExportTraceServiceRequest:
    """Build a request with a span for each pair of ids; ``fields`` are set on every span."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    attribute = group.resource.attributes.add(key="service.name")
    attribute.value.string_value = "tests"
    scope = group.scope_spans.add()
    for trace_id, span_id in new_ids(ids) if isinstance(ids, int) else ids:
        span = scope.spans.add(trace_id=trace_id, span_id=span_id, name="chat", **fields)
        span.start_time_unix_nano = START_NS
        span.end_time_unix_nano = START_NS + 1_000_000
        span.attributes.add(key="text").value.string_value = text
        reasons = span.attributes.add(key="gen_ai.response.finish_reasons").value
        reasons.array_value.values.add().string_value = "stop"
    return request


def spans_of(request: ExportTraceServiceRequest) -> list[Span]:
    """Give every span of a request."""
    return [
        span
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def hex_ids(ids: Sequence[tuple[bytes, bytes]]) -> set[tuple[str, str]]:
    """Give ids as the store has them."""
    return {(trace_id.hex(), span_id.hex()) for trace_id, span_id in ids}


def logs(count: int = 1, *, body: str = "hello") -> ExportLogsServiceRequest:
    """Build a request with log records."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for _ in range(count):
        scope.log_records.add(time_unix_nano=START_NS).body.string_value = body
    return request


def metrics(numbers: Sequence[int], *, name: str = "calls") -> ExportMetricsServiceRequest:
    """Build a request with a data point of one counter for each number, which is its value."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.add(key="service.name").value.string_value = "tests"
    total = group.scope_metrics.add().metrics.add(name=name).sum
    total.is_monotonic = True
    for number in numbers:
        point = total.data_points.add(as_int=number, time_unix_nano=START_NS)
        point.attributes.add(key="number").value.int_value = number
    return request


def framed(number: int, *parts: bytes) -> bytes:
    """Give a field of wire type LENGTH, as what builds no message writes it."""
    value = b"".join(parts)
    return varint(number << 3 | LENGTH) + varint(len(value)) + value


def as_json(request: Message) -> bytes:
    """Write a request as OTLP's JSON: as protobuf's, but ids in hex and enums as numbers."""
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    return json.dumps(_with_hex_ids(document), ensure_ascii=False).encode()


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(item).hex()
        if key in ("traceId", "spanId", "parentSpanId")
        else _with_hex_ids(item)
        for key, item in value.items()
    }

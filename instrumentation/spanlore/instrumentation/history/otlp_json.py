"""OTLP as JSON lines, one export request a line, as the Collector's file exporter writes them.

Source: the OTLP specification, "JSON Protobuf Encoding" and "OTLP File Exporter": proto3's JSON
mapping, but ids are hex; one line holds spans, log records or metrics.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanlore.instrumentation.history import json_text
from spanlore.instrumentation.history.batches import Batch
from spanlore.instrumentation.history.files import BadLine, Line
from spanlore.instrumentation.history.formats import OTLP_KEYS, NotImportable
from spanlore.schemas import semconv

_ID_KEYS = ("traceId", "spanId", "parentSpanId")


class Requests:
    """Lines turned into batches: each is sent as it is; a trace counts as a run once."""

    def __init__(self) -> None:
        self._traces: set[bytes] = set()

    def batch_of(self, line: Line) -> Batch | BadLine:
        """Return a line's request, or what is wrong with it."""
        try:
            request = _request(json_text.parse(line.text))
        except (json_text.NotJson, NotImportable) as error:
            return BadLine(line.file, line.number, f"{error}; correct or remove the line")
        except RecursionError:
            return BadLine(line.file, line.number, "nested too deeply; flatten the values")
        if isinstance(request, ExportLogsServiceRequest):
            return _batch_of_logs(request)
        traces = [span.trace_id for span in _spans(request)]
        new = {*traces} - self._traces
        self._traces |= new
        return Batch(
            traces=request.SerializeToString(),
            logs=b"",
            runs=len(new),
            spans=len(traces),
            judgements=0,
        )


def _request(value: Any) -> ExportTraceServiceRequest | ExportLogsServiceRequest:
    """Return the request of a line's value; raise NotImportable."""
    keys = [key for key in OTLP_KEYS if isinstance(value, dict) and key in value]
    if keys not in (["resourceSpans"], ["resourceLogs"]):
        said = f"it has {' and '.join(keys)}" if keys else "it has neither"
        raise NotImportable(
            f"no request of spans or log records (resourceSpans or resourceLogs): {said}"
        )
    request = (
        ExportTraceServiceRequest() if keys == ["resourceSpans"] else ExportLogsServiceRequest()
    )
    try:
        json_format.ParseDict(_with_ids(value), request, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise NotImportable(f"not OTLP/JSON ({error})") from error
    return request


def _with_ids(value: Any) -> Any:
    """Return a value with its hex ids in the base64 that proto3's JSON mapping has for bytes."""
    if isinstance(value, list):
        return [_with_ids(member) for member in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: _as_base64(key, each) if key in _ID_KEYS and isinstance(each, str) else _with_ids(each)
        for key, each in value.items()
    }


def _as_base64(key: str, text: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(text)).decode()
    except ValueError as error:
        raise NotImportable(f"the {key} {text[:40]!r} is not hex") from error


def _batch_of_logs(request: ExportLogsServiceRequest) -> Batch:
    records = [
        record
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]
    judgements = sum(one.event_name == semconv.EVENT_EVALUATION for one in records)
    return Batch(
        traces=b"", logs=request.SerializeToString(), runs=0, spans=0, judgements=judgements
    )


def _spans(request: ExportTraceServiceRequest) -> Iterator[Any]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans

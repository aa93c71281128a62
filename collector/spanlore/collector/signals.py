"""The OTLP signals the collector takes, and the message classes that read them.

Four private readings of each request are built from OTLP's own descriptors:

- *strict* reads a request as it is, and its ``IsInitialized()`` is False exactly where a value
  stands that the store's schema cannot hold: a kvlist, or an array with anything but scalars in
  it. Those members are declared as a message with a required field that nobody sets, so that one
  walk in C finds them, in any encoding. No member of a oneof replaces another here: what came
  before is in the bytes, and whoever reads it must not find more than was looked at.
- *loose* takes every string as bytes, so that text which is not UTF-8 can be read and repaired,
  and knows ``AnyValue.json_value``; it leaves the bucket counts of histograms unread.
- *whole* takes strings as bytes too, and has every field of OTLP: JSON is written into it.
- *counting* reads no further than to what is counted, which costs next to nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from spanlore.schemas import metric_tables, otlp, tables

JSON_VALUE_NUMBER: Final = 100

_Field = descriptor_pb2.FieldDescriptorProto
_File = descriptor_pb2.FileDescriptorProto
_MODULES = (
    common_pb2,
    resource_pb2,
    trace_pb2,
    logs_pb2,
    metrics_pb2,
    trace_service_pb2,
    logs_service_pb2,
    metrics_service_pb2,
)
_COMMON = "opentelemetry/proto/common/v1/common.proto"
_METRICS = "opentelemetry/proto/metrics/v1/metrics.proto"
# Messages that the counting reading leaves as bytes.
_UNREAD = {
    "Resource",
    "InstrumentationScope",
    "Span",
    "LogRecord",
    "NumberDataPoint",
    "HistogramDataPoint",
    "ExponentialHistogramDataPoint",
    "SummaryDataPoint",
}
_COMMON_PACKAGE = ".opentelemetry.proto.common.v1."
_NEVER = ".spanlore.Never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One OTLP signal: where it comes in, how it is read, how it stands in the log.

    ``name`` is what is counted: spans, logs, data points. ``groups`` and ``scopes`` are the names
    of the repeated fields from the request down to a scope, ``records_of`` gives the lists of what
    is counted in one; ``log_field`` is its field in the log's record, ``table_in`` where the store
    takes it and ``tables`` where it then stands.
    """

    name: str
    path: str
    service: str
    log_field: int
    groups: str
    scopes: str
    records_of: Callable[[Any], Iterator[Any]]
    strict: type[Any]
    loose: type[Any]
    counting: type[Any]
    whole: type[Any]
    answer: Callable[[int, str], bytes]
    table_in: str
    tables: tuple[str, ...]

    @property
    def words(self) -> str:
        """The name as messages say it."""
        return self.name.replace("_", " ")

    def scopes_of(self, request: Any) -> Iterator[Any]:
        """Give every scope's message of a parsed request."""
        for group in getattr(request, self.groups):
            yield from getattr(group, self.scopes)

    def count_of(self, body: bytes) -> int:
        """Count the spans, log records or data points of a request. Raises DecodeError."""
        return self.count(self.counting.FromString(body))

    def count(self, request: Any) -> int:
        """Count the spans, log records or data points of a parsed request."""
        return sum(
            len(records) for scope in self.scopes_of(request) for records in self.records_of(scope)
        )


def _files() -> Iterator[_File]:
    for module in _MODULES:
        file = _File()
        module.DESCRIPTOR.CopyToProto(file)
        yield file


def _never() -> _File:
    """Make a proto2 file with the message that is never complete."""
    file = _File(name="spanlore/never.proto", package="spanlore", syntax="proto2")
    message = file.message_type.add(name="Never")
    message.field.add(name="never", number=1000, type=_Field.TYPE_BOOL, label=_Field.LABEL_REQUIRED)
    return file


def _message(file: _File, name: str) -> descriptor_pb2.DescriptorProto:
    return next(message for message in file.message_type if message.name == name)


def _let_members_stand_together(message: descriptor_pb2.DescriptorProto) -> None:
    """Take the oneof from a message: a member that another follows is then read, and found."""
    del message.oneof_decl[:]
    for field in message.field:
        field.ClearField("oneof_index")


def _point_at(message: descriptor_pb2.DescriptorProto, type_name: str, *fields: str) -> None:
    for field in message.field:
        if field.name in fields:
            field.type = _Field.TYPE_MESSAGE
            field.type_name = type_name


def _keep_only(message: descriptor_pb2.DescriptorProto, *names: str) -> None:
    kept = [field for field in message.field if field.name in names]
    del message.field[:]
    message.field.extend(kept)


def _add_json_value(any_value: descriptor_pb2.DescriptorProto) -> None:
    any_value.field.add(
        name="json_value",
        number=JSON_VALUE_NUMBER,
        type=_Field.TYPE_BYTES,
        label=_Field.LABEL_OPTIONAL,
        oneof_index=0,
    )


def _make_lean(file: _File) -> None:
    """Leave a histogram's bucket counts unread: packed, they take eight times their bytes.

    What is not declared is kept as it came, so a rewrite loses nothing.
    """
    if file.name == _METRICS:
        buckets = _message(file, "ExponentialHistogramDataPoint").nested_type
        for message in buckets:
            _keep_only(message, "offset")


def _make_strict(file: _File) -> None:
    _make_lean(file)
    if file.name == _METRICS:
        _let_members_stand_together(_message(file, "Metric"))
    if file.name != _COMMON:
        return
    file.dependency.append("spanlore/never.proto")
    any_value = _message(file, "AnyValue")
    _add_json_value(any_value)
    # The walk looks at every field that is declared: what holds neither a message nor text is
    # not, and then it takes a third less time.
    _keep_only(any_value, "string_value", "array_value", "kvlist_value", "json_value")
    _let_members_stand_together(any_value)
    _keep_only(_message(file, "KeyValue"), "key", "value")
    element = file.message_type.add()
    element.CopyFrom(any_value)
    element.name = "ElementValue"
    # A client's own json_value is pointed at Never too: that member is the log's alone.
    _point_at(any_value, _NEVER, "kvlist_value", "json_value")
    _point_at(element, _NEVER, "kvlist_value", "array_value", "json_value")
    _point_at(_message(file, "ArrayValue"), _COMMON_PACKAGE + "ElementValue", "values")


def _make_whole(file: _File) -> None:
    _take_text_as_bytes(file.message_type)


def _make_loose(file: _File) -> None:
    _make_lean(file)
    _make_whole(file)
    if file.name == _COMMON:
        _add_json_value(_message(file, "AnyValue"))


def _take_text_as_bytes(messages: Iterable[descriptor_pb2.DescriptorProto]) -> None:
    for message in messages:
        _take_text_as_bytes(message.nested_type)
        for field in message.field:
            if field.type == _Field.TYPE_STRING:
                field.type = _Field.TYPE_BYTES


def _make_counting(file: _File) -> None:
    """Leave everything below what is counted unread, and text as bytes."""
    _take_text_as_bytes(file.message_type)
    for message in file.message_type:
        for field in message.field:
            if field.type_name.rpartition(".")[2] in _UNREAD:
                field.type = _Field.TYPE_BYTES
                field.ClearField("type_name")


def _build(change: Callable[[_File], None]) -> Callable[[Descriptor], type[Any]]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_never())
    for file in _files():
        change(file)
        pool.Add(file)
    return lambda message: message_factory.GetMessageClass(
        pool.FindMessageTypeByName(message.full_name)
    )


def _answer(response: type[Any], rejected_field: str) -> Callable[[int, str], bytes]:
    """Give what makes a signal's answer of how many were rejected and what is said of it."""

    def answer(rejected: int, message: str) -> bytes:
        made = response()
        if rejected or message:
            setattr(made.partial_success, rejected_field, rejected)
            made.partial_success.error_message = message
        return bytes(made.SerializeToString())

    return answer


def _data_points(scope: Any) -> Iterator[Any]:
    for metric in scope.metrics:
        yield from data_points_of(metric)


def data_points_of(metric: Any) -> Iterator[Any]:
    """Give the list of a metric's data points, nothing for a kind that this version knows not.

    Of a metric with two kinds the strict reading gives both lists, the others that of the last.
    """
    for kind in metric_tables.BY_KIND:
        if metric.HasField(kind):
            yield getattr(metric, kind).data_points


def drop_unknown(request: Any) -> None:
    """Take the fields that OTLP does not have from a request of the loose reading.

    None from metrics: the bucket counts that this reading leaves unread would go with them.
    """
    if not isinstance(request, METRICS.loose):
        request.DiscardUnknownFields()


_strict = _build(_make_strict)
_loose = _build(_make_loose)
_counting = _build(_make_counting)
_whole = _build(_make_whole)

TRACES: Final = Signal(
    name="spans",
    path="/v1/traces",
    service="opentelemetry.proto.collector.trace.v1.TraceService",
    log_field=10,
    groups="resource_spans",
    scopes="scope_spans",
    records_of=lambda scope: iter((scope.spans,)),
    strict=_strict(trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR),
    loose=_loose(trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR),
    counting=_counting(trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR),
    whole=_whole(trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR),
    answer=_answer(trace_service_pb2.ExportTraceServiceResponse, "rejected_spans"),
    table_in=otlp.TRACES_IN,
    tables=(tables.TRACES,),
)
LOGS: Final = Signal(
    name="logs",
    path="/v1/logs",
    service="opentelemetry.proto.collector.logs.v1.LogsService",
    log_field=11,
    groups="resource_logs",
    scopes="scope_logs",
    records_of=lambda scope: iter((scope.log_records,)),
    strict=_strict(logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR),
    loose=_loose(logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR),
    counting=_counting(logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR),
    whole=_whole(logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR),
    answer=_answer(logs_service_pb2.ExportLogsServiceResponse, "rejected_log_records"),
    table_in=otlp.LOGS_IN,
    tables=(tables.LOGS,),
)
METRICS: Final = Signal(
    name="data_points",
    path="/v1/metrics",
    service="opentelemetry.proto.collector.metrics.v1.MetricsService",
    log_field=12,
    groups="resource_metrics",
    scopes="scope_metrics",
    records_of=_data_points,
    strict=_strict(metrics_service_pb2.ExportMetricsServiceRequest.DESCRIPTOR),
    loose=_loose(metrics_service_pb2.ExportMetricsServiceRequest.DESCRIPTOR),
    counting=_counting(metrics_service_pb2.ExportMetricsServiceRequest.DESCRIPTOR),
    whole=_whole(metrics_service_pb2.ExportMetricsServiceRequest.DESCRIPTOR),
    answer=_answer(metrics_service_pb2.ExportMetricsServiceResponse, "rejected_data_points"),
    table_in=otlp.METRICS_IN,
    tables=tuple(metric_tables.BY_KIND.values()),
)
SIGNALS: Final = (TRACES, LOGS, METRICS)
BY_LOG_FIELD: Final = {signal.log_field: signal for signal in SIGNALS}

"""Bytes of a request → what may go into the log, or a refusal. Pure.

The normal request is scanned for secrets, parsed and walked once each, in C; Python looks only at
ids.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from spanlore.collector.redaction.redactor import Redactor
from spanlore.collector.redaction.requests import redact_request
from spanlore.collector.refusal import malformed, too_large
from spanlore.collector.repair import (
    NO_SPAN_ID,
    NO_TRACE_ID,
    SPAN_ID_BYTES,
    TRACE_ID_BYTES,
    Rewritten,
    read_loose,
    rewrite,
)
from spanlore.collector.signals import LOGS, METRICS, TRACES, Signal, data_points_of
from spanlore.collector.wire import (
    TooManyMessagesError,
    WireError,
    limit_messages,
    shape_of,
    tags_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may hold: bytes after inflation, records, messages of any kind."""

    message_bytes_max: int
    records_max: int
    submessages_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A request fit for the log: its bytes and how many of its records are in them.

    ``rejected`` records are not; ``message`` says why, in English, for the client. ``redacted`` is
    how many secrets of each kind were taken out.
    """

    body: bytes
    kept: int
    rejected: int = 0
    mended_strings: int = 0
    redacted: Mapping[str, int] = field(default_factory=dict)
    bad_parents: int = 0
    message: str = ""


_SHAPES: Final = {
    TRACES.name: shape_of(trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR),
    LOGS.name: shape_of(logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR),
    METRICS.name: shape_of(metrics_service_pb2.ExportMetricsServiceRequest.DESCRIPTOR),
}
_TAGS: Final = {name: tags_of(shape) for name, shape in _SHAPES.items()}


def check(
    body: bytes, signal: Signal, *, limits: Limits, redactor: Redactor | None = None
) -> Checked:
    """Check one request; with a redactor, without the secrets in it.

    Raises Refused (permanent): above a limit, or not a request of this signal.
    """
    if len(body) > limits.message_bytes_max:
        raise too_large(
            f"the request has {len(body)} bytes, the limit is {limits.message_bytes_max}"
        )
    _limit_messages(body, signal, limits)
    if redactor is None or not redactor.suspects(body):
        return _fit(body, signal, limits)
    request = read_loose(body, signal)
    redacted = redact_request(request, redactor)
    return replace(_fit(request.SerializeToString(), signal, limits), redacted=redacted)


def _fit(body: bytes, signal: Signal, limits: Limits) -> Checked:
    """Check that the store can take a request, or rewrite it so that it can."""
    try:
        request = signal.strict.FromString(body)
    except DecodeError:
        # Broken, or whole but with text that is not UTF-8: the rewrite tells which.
        return _rewritten(body, signal, limits)
    kept = signal.count(request)
    _limit_records(kept, signal, limits)
    if not _IS_CLEAN[signal.name](request) or not request.IsInitialized():
        del request
        return _rewritten(body, signal, limits)
    return Checked(body=body, kept=kept)


def _limit_messages(body: bytes, signal: Signal, limits: Limits) -> None:
    try:
        limit_messages(
            body,
            _SHAPES[signal.name],
            tags=_TAGS[signal.name],
            messages_max=limits.submessages_max,
        )
    except TooManyMessagesError as error:
        raise malformed("too_many", f"{error}; send smaller batches") from error
    except WireError as error:
        raise malformed("undecodable", f"not an OTLP request of {signal.words}: {error}") from error


def _limit_records(found: int, signal: Signal, limits: Limits) -> None:
    if found > limits.records_max:
        msg = f"{found} {signal.words} in one request, the limit is {limits.records_max}"
        raise malformed("too_many", f"{msg}; send smaller batches")


def _spans_are_clean(request: Any) -> bool:
    """Whether every span has two ids that identify it, and a parent that can be one or none."""
    for group in request.resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                trace_id = span.trace_id
                span_id = span.span_id
                parent_id = span.parent_span_id
                if (
                    len(trace_id) != TRACE_ID_BYTES
                    or len(span_id) != SPAN_ID_BYTES
                    or trace_id == NO_TRACE_ID
                    or NO_SPAN_ID in (span_id, parent_id)
                    or (parent_id and len(parent_id) != SPAN_ID_BYTES)
                ):
                    return False
    return True


def _logs_are_clean(request: Any) -> bool:
    """Whether every log record has valid ids or none."""
    for group in request.resource_logs:
        for scope in group.scope_logs:
            for record in scope.log_records:
                trace_id = record.trace_id
                span_id = record.span_id
                if trace_id and (len(trace_id) != TRACE_ID_BYTES or trace_id == NO_TRACE_ID):
                    return False
                if span_id and (len(span_id) != SPAN_ID_BYTES or span_id == NO_SPAN_ID):
                    return False
    return True


def _points_are_clean(request: Any) -> bool:
    """Whether each metric is of one kind, and it has a name and its data points a time.

    Without, nothing tells them from others.
    """
    for scope in METRICS.scopes_of(request):
        for metric in scope.metrics:
            lists = list(data_points_of(metric))
            if len(lists) > 1:
                return False
            for points in lists:
                if points and (
                    not metric.name or not all(point.time_unix_nano for point in points)
                ):
                    return False
    return True


_IS_CLEAN: Final[Mapping[str, Callable[[Any], bool]]] = {
    TRACES.name: _spans_are_clean,
    LOGS.name: _logs_are_clean,
    METRICS.name: _points_are_clean,
}
# Why records are rejected one by one; no log record is.
_REJECTED: Final = {
    TRACES.name: "trace_id must be 16 bytes and span_id 8, neither all zero",
    METRICS.name: "a metric must have a name, and a data point its time_unix_nano",
}


def _rewritten(body: bytes, signal: Signal, limits: Limits) -> Checked:
    rewritten = rewrite(body, signal)
    _limit_records(rewritten.kept + rewritten.rejected, signal, limits)
    return Checked(
        body=rewritten.body,
        kept=rewritten.kept,
        rejected=rewritten.rejected,
        mended_strings=rewritten.mended_strings,
        bad_parents=rewritten.bad_parents,
        message="; ".join(_remarks(rewritten, signal)),
    )


def _remarks(rewritten: Rewritten, signal: Signal) -> Iterator[str]:
    """Say what the client should know, though its request was taken."""
    if rewritten.rejected:
        yield f"{rewritten.rejected} {signal.words} were rejected: {_REJECTED[signal.name]}"
    if rewritten.mended_strings:
        yield f"{rewritten.mended_strings} strings were not UTF-8 and were mended with U+FFFD"
    if rewritten.bad_parents:
        yield f"{rewritten.bad_parents} spans have a parent_span_id that is not 8 bytes"

"""Rewrites a request that the store could not take as it came. Only flagged requests come here.

A rewrite works on the loose reading (every string as bytes) and does three things: spans with an
id that identifies nothing and data points without a name or time are left out, text that is not
UTF-8 gets U+FFFD, and a nested value becomes ``AnyValue.json_value``. A parent that can be none is
counted and stays as it is: without it the span would be taken for a root.
"""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from spanlore.collector.refusal import malformed
from spanlore.collector.signals import LOGS, TRACES, Signal, data_points_of, drop_unknown

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
NO_TRACE_ID = bytes(TRACE_ID_BYTES)
NO_SPAN_ID = bytes(SPAN_ID_BYTES)
# Values within values. Maps could not be read any deeper: protobuf follows a hundred messages.
DEPTH_MAX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A request the store can take: its bytes, how many records it kept, left out and mended."""

    body: bytes
    kept: int
    rejected: int
    mended_strings: int
    bad_parents: int


def rewrite(body: bytes, signal: Signal) -> Rewritten:
    """Rewrite a request into what the store can take.

    Raises Refused (permanent) where the bytes are no such request at all.
    """
    request = read_loose(body, signal)
    rejected = bad_parents = 0
    for scope in signal.scopes_of(request):
        if signal is TRACES:
            rejected += _drop_unidentified(scope.spans)
            bad_parents += sum(map(_has_bad_parent, scope.spans))
        elif signal is LOGS:
            _clear_bad_ids(scope.log_records)
        else:
            rejected += sum(map(_drop_untold, scope.metrics))
    mended = _mend(request)
    return Rewritten(
        body=request.SerializeToString(),
        kept=signal.count(request),
        rejected=rejected,
        mended_strings=mended,
        bad_parents=bad_parents,
    )


def normal_form(body: bytes, signal: Signal) -> bytes:
    """Write a request of the log as protobuf's own encoders do: each field once, none unknown.

    Another parser than protobuf's may refuse what is odd and not wrong.
    """
    request = signal.loose.FromString(body)
    drop_unknown(request)
    return bytes(request.SerializeToString())


def read_loose(body: bytes, signal: Signal) -> Any:
    """Read a request with every string as bytes. Raises Refused where it is no such request."""
    try:
        return signal.loose.FromString(body)
    except DecodeError as error:
        # The decoder says it in no other way.
        reason = "too_deep" if "MaxDepth" in str(error) else "undecodable"
        raise malformed(reason, f"not an OTLP request of {signal.words}: {error}") from error


def is_identified(trace_id: bytes, span_id: bytes) -> bool:
    """Say whether the two ids are of the right length and not all zero."""
    return (
        len(trace_id) == TRACE_ID_BYTES
        and len(span_id) == SPAN_ID_BYTES
        and trace_id != NO_TRACE_ID
        and span_id != NO_SPAN_ID
    )


def _has_bad_parent(span: Any) -> bool:
    return len(span.parent_span_id) not in {0, SPAN_ID_BYTES}


def _drop_unidentified(spans: Any) -> int:
    good = [span for span in spans if is_identified(span.trace_id, span.span_id)]
    for span in good:
        # Eight zeros are some clients' way to say "no parent"; OTLP's is an empty field.
        if span.parent_span_id == NO_SPAN_ID:
            span.ClearField("parent_span_id")
    return _keep(spans, good)


def _drop_untold(metric: Any) -> int:
    """Leave out what nothing tells from another point: of a metric without a name, or no time."""
    return sum(
        _keep(points, [point for point in points if metric.name and point.time_unix_nano])
        for points in data_points_of(metric)
    )


def _keep(records: Any, good: Sequence[Any]) -> int:
    """Leave only ``good`` in a repeated field; give how many went."""
    dropped = len(records) - len(good)
    if dropped:
        kept = [type(one).FromString(one.SerializeToString()) for one in good]
        del records[:]
        records.extend(kept)
    return dropped


def _clear_bad_ids(records: Any) -> None:
    """Take a log record with an invalid id as one without a trace (OTLP, logs.proto)."""
    for record in records:
        if len(record.trace_id) != TRACE_ID_BYTES or record.trace_id == NO_TRACE_ID:
            record.ClearField("trace_id")
        if len(record.span_id) != SPAN_ID_BYTES or record.span_id == NO_SPAN_ID:
            record.ClearField("span_id")


def _mend(request: Any) -> int:
    """Mend every string and nested value below a message; give how many strings were mended."""
    mended = 0
    stack = [request]
    while stack:
        message = stack.pop()
        if message.DESCRIPTOR.name == "AnyValue":
            mended += _mend_value(message)
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                stack.extend(value if field.is_repeated else (value,))
            elif field.type == FieldDescriptor.TYPE_BYTES and not _is_raw(field):
                mended += _mend_field(message, field, value)
    return mended


def _is_raw(field: FieldDescriptor) -> bool:
    """Whether OTLP itself has this field as bytes (in the loose reading strings are bytes too)."""
    return field.name in {"trace_id", "span_id", "parent_span_id", "bytes_value"}


def _mend_field(message: Any, field: FieldDescriptor, value: Any) -> int:
    if field.is_repeated:
        texts = [_text(item) for item in value]
        changed = sum(text != item for text, item in zip(texts, value, strict=True))
        value[:] = texts
        return int(changed)
    text = _text(value)
    if text == value:
        return 0
    setattr(message, field.name, text)
    return 1


def _text(value: bytes) -> bytes:
    return value.decode("utf-8", "replace").encode()


def _mend_value(value: Any) -> int:
    """Mend one AnyValue: a string's UTF-8, or a nested value into JSON."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return _mend_field(
            value, value.DESCRIPTOR.fields_by_name["string_value"], value.string_value
        )
    if kind == "json_value":
        # Only the log speaks this member; from a client it is a field nobody knows.
        value.ClearField("json_value")
    elif kind == "kvlist_value" or (kind == "array_value" and _is_nested(value.array_value)):
        value.json_value = to_json(value)
    elif kind == "array_value":
        return sum(_mend_value(item) for item in value.array_value.values)
    return 0


def _is_nested(array: Any) -> bool:
    return any(
        item.WhichOneof("value") in {"kvlist_value", "array_value", "json_value"}
        for item in array.values
    )


def to_json(value: Any) -> bytes:
    """Give an AnyValue of the loose reading as compact JSON, UTF-8.

    Bytes are base64, integers JSON integers, NaN and the infinities strings, no value null. Raises
    Refused (permanent) for more than DEPTH_MAX values within each other.
    """
    return json.dumps(
        _plain(value, deep=1), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    ).encode()


def _plain(value: Any, *, deep: int) -> Any:
    if deep > DEPTH_MAX:
        raise malformed("too_deep", f"more than {DEPTH_MAX} values nested in each other")
    kind = value.WhichOneof("value")
    match kind:
        case "kvlist_value":
            return {
                item.key.decode("utf-8", "replace"): _plain(item.value, deep=deep + 1)
                for item in value.kvlist_value.values
            }
        case "array_value":
            return [_plain(item, deep=deep + 1) for item in value.array_value.values]
        case _:
            return _plain_scalar(kind, value)


def _plain_scalar(kind: str | None, value: Any) -> Any:
    match kind:
        case "string_value":
            return value.string_value.decode("utf-8", "replace")
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "double_value" if not math.isfinite(value.double_value):
            return _NOT_FINITE.get(value.double_value, "NaN")
        case None | "json_value":
            return None
        case _:
            return getattr(value, kind)


_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}

"""Attributes of spans, log records and resources, as OTLP has them."""

from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from spanlore.instrumentation.history import json_text
from spanlore.schemas import semconv

Value = str | bool | int | float | tuple[str, ...] | None


def attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    """Return the attributes whose value is known (not None), in their order."""
    return [
        KeyValue(key=key, value=_any_value(value))
        for key, value in values.items()
        if value is not None
    ]


def extra_attributes(extra: Mapping[str, Any], *, prefix: str = "") -> dict[str, Value]:
    """Name what the format does not know: scalars keep their type, the rest becomes JSON."""
    return {
        f"{semconv.IMPORT_EXTRA_PREFIX}{prefix}{key}": _scalar(value)
        for key, value in extra.items()
    }


def message_list(messages: Iterable[str]) -> str:
    """Join the JSON of messages to the JSON of their list."""
    return f"[{','.join(messages)}]"


def _scalar(value: Any) -> Value:
    return value if isinstance(value, str | bool | int | float) else json_text.text_of(value)


def _any_value(value: Value) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        fits = -(1 << 63) <= value < 1 << 63
        return AnyValue(int_value=value) if fits else AnyValue(string_value=str(value))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    members = [AnyValue(string_value=member) for member in value or ()]
    return AnyValue(array_value=ArrayValue(values=members))

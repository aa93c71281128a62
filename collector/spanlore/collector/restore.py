"""Gives a request its OTLP form again: what the log holds as JSON become nested values.

The log's form is made for the store (see `repair`): a nested value stands in it as
``AnyValue.json_value``, which no other receiver knows. JSON has no bytes, NaN or infinities, so
within a nested value those come back as the strings that they became.
"""

import json
from typing import Any

from spanlore.collector.signals import JSON_VALUE_NUMBER, Signal
from spanlore.collector.wire import LENGTH, varint

_JSON_VALUE_TAG = varint(JSON_VALUE_NUMBER << 3 | LENGTH)
_MEMBERS = {bool: "bool_value", int: "int_value", float: "double_value"}


def restore(body: bytes, signal: Signal) -> bytes:
    """Give a request of the log as any OTLP receiver reads it; most are that already."""
    if _JSON_VALUE_TAG not in body:
        return body
    request = signal.loose.FromString(body)
    restored = 0
    stack = [request]
    while stack:
        message = stack.pop()
        if message.DESCRIPTOR.name == "AnyValue" and message.HasField("json_value"):
            _set(message, json.loads(message.json_value))
            restored += 1
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                stack.extend(value if field.is_repeated else (value,))
    return bytes(request.SerializeToString()) if restored else body


def _set(any_value: Any, value: Any) -> None:
    """Set an AnyValue of the loose reading to what JSON says."""
    match value:
        case None:
            any_value.ClearField("json_value")
        case dict():
            any_value.kvlist_value.SetInParent()
            for key, inner in value.items():
                _set(any_value.kvlist_value.values.add(key=key.encode()).value, inner)
        case list():
            any_value.array_value.SetInParent()
            for inner in value:
                _set(any_value.array_value.values.add(), inner)
        case str():
            any_value.string_value = value.encode()
        case _:
            setattr(any_value, _MEMBERS[type(value)], value)

"""OTLP as JSON: a request in, the protobuf bytes of the same request out; answers the other way.

Text goes over as the bytes it was, so that the check that follows mends what is not UTF-8 in JSON
as in protobuf. Source: the OTLP specification, "JSON Protobuf Encoding": ids are hex, names
lowerCamelCase, unknown names ignored; the rest is proto3's JSON mapping.
"""

import base64
import codecs
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from google.protobuf import descriptor_pool, json_format
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
)
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from spanlore.collector.refusal import malformed
from spanlore.collector.signals import SIGNALS, Signal

_ID_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
# Of a length that no id has: the span is then rejected, and not the whole request.
_NOT_AN_ID: Final = b"\xff"
# What protobuf's own decoder follows.
_MESSAGES_DEEP_MAX: Final = 100
# An attribute is two messages and at most twelve of these.
_TOKENS_PER_MESSAGE_MAX: Final = 6
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)|[{\[,]', re.DOTALL)
_BAD_TEXT: Final = "spanlore.bad_text"


def _bad_bytes(error: UnicodeError) -> tuple[bytes, int]:
    """Write what is no text as bytes that are no UTF-8, one for each: U+FFFD in the end."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return b"\xff" * (error.end - error.start), error.end


codecs.register_error(_BAD_TEXT, _bad_bytes)


class _TooDeepError(Exception):
    """Messages within messages, further than protobuf's decoder would follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A field under its JSON name: how its scalar is read, or else the fields of its message."""

    name: str
    is_repeated: bool
    read: Callable[[Any], Any]
    fields: "Mapping[str, _Field] | None"


def request_of(body: bytes, signal: Signal, *, messages_max: int) -> bytes:
    """Give the protobuf bytes of a request that came as JSON. Raises Refused (permanent)."""
    _limit_tokens(body, messages_max * _TOKENS_PER_MESSAGE_MAX)
    request = signal.whole()
    try:
        document = json.loads(body.decode("utf-8", "surrogateescape"), parse_constant=_no_constant)
        _fill(request, document, _REQUESTS[signal.name], deep=0)
    except (RecursionError, _TooDeepError) as error:
        raise malformed("too_deep", "the JSON is nested deeper than OTLP is read") from error
    except ValueError as error:
        msg = f"not an OTLP {signal.name} request as JSON: {error}"
        raise malformed("undecodable", msg) from error
    return bytes(request.SerializeToString())


def answer_of(answer: bytes, signal: Signal) -> bytes:
    """Give a protobuf answer of a signal as JSON."""
    return to_json(GetMessageClass(_export(signal).output_type).FromString(answer))


def to_json(message: Message) -> bytes:
    """Give a message without ids as JSON."""
    return json_format.MessageToJson(message, indent=None).encode()


def _export(signal: Signal) -> MethodDescriptor:
    service = descriptor_pool.Default().FindServiceByName(signal.service)
    return service.methods_by_name["Export"]


def _limit_tokens(body: bytes, tokens_max: int) -> None:
    """Refuse what would be too many Python objects; only a large body is looked at closely."""
    if sum(map(body.count, (b"{", b"[", b",", b'"'))) <= tokens_max:
        return
    for number, _ in enumerate(_TOKEN.finditer(body)):
        if number >= tokens_max:
            msg = f"more than {tokens_max} names and values in one request; send smaller batches"
            raise malformed("too_many", msg)


def _fill(message: Any, document: Any, fields: Mapping[str, _Field], *, deep: int) -> None:
    """Set what a document says of a message. Raises ValueError or _TooDeepError."""
    if deep > _MESSAGES_DEEP_MAX:
        raise _TooDeepError
    if not isinstance(document, dict):
        raise ValueError(f"{message.DESCRIPTOR.name} is no object")  # noqa: TRY004 - a bad request
    for key, value in document.items():
        field = fields.get(key)
        if field is None or value is None:
            continue
        if field.is_repeated:
            _extend(message, field, value, deep=deep)
        elif field.fields is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            _fill(inner, value, field.fields, deep=deep + 1)
        else:
            try:
                setattr(message, field.name, field.read(value))
            except (TypeError, ValueError, OverflowError) as error:
                raise ValueError(f"{message.DESCRIPTOR.name}.{key}: {error}") from error


def _extend(message: Any, field: _Field, values: Any, *, deep: int) -> None:
    name = f"{message.DESCRIPTOR.name}.{field.name}"
    if not isinstance(values, list):
        raise ValueError(f"{name} is no array")  # noqa: TRY004 - a bad request
    target = getattr(message, field.name)
    if field.fields is None:
        try:
            target.extend(map(field.read, values))
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{name}: {error}") from error
        return
    for value in values:
        _fill(target.add(), value, field.fields, deep=deep + 1)


def _fields_of(message: Descriptor, known: dict[str, dict[str, _Field]]) -> Mapping[str, _Field]:
    """Give the fields of a message type by their JSON names; it may contain itself."""
    if message.full_name not in known:
        fields = known[message.full_name] = {}
        for field in message.fields:
            inner = field.message_type
            fields[field.json_name] = _Field(
                name=field.name,
                is_repeated=bool(field.is_repeated),
                read=_reader(field),
                fields=None if inner is None else _fields_of(inner, known),
            )
    return known[message.full_name]


def _reader(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.enum_type is not None:
        return _enum_reader(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _id if field.name in _ID_FIELDS else _bytes
    readers = {
        FieldDescriptor.TYPE_STRING: _text,
        FieldDescriptor.TYPE_BOOL: _boolean,
        FieldDescriptor.TYPE_DOUBLE: _number,
        FieldDescriptor.TYPE_FLOAT: _number,
    }
    return readers.get(field.type, _integer)


def _enum_reader(enum: EnumDescriptor) -> Callable[[Any], int]:
    """Make a reader of numbers; names, which OTLP forbids and some clients send, are known too."""
    # protobuf's own mapping cannot be asked for a name that is no text.
    numbers = {name: value.number for name, value in enum.values_by_name.items()}

    def read(value: Any) -> int:
        return numbers[value] if isinstance(value, str) and value in numbers else _integer(value)

    return read


def _text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no string")
    return value.encode("utf-8", _BAD_TEXT)


def _id(value: Any) -> bytes:
    try:
        return bytes.fromhex(_text(value).decode("ascii"))
    except ValueError:
        return _NOT_AN_ID


def _bytes(value: Any) -> bytes:
    """Read base64 of either alphabet, padded or not."""
    text = _text(value).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{type(value).__name__} is neither true nor false")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{type(value).__name__} is no integer")
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value} is no integer")
    return int(value)


def _number(value: Any) -> float:
    """Read a number; NaN, Infinity and -Infinity are strings in JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{type(value).__name__} is no number")
    return float(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON; send it as the string")


def _requests() -> Mapping[str, Mapping[str, _Field]]:
    known: dict[str, dict[str, _Field]] = {}
    return {signal.name: _fields_of(_export(signal).input_type, known) for signal in SIGNALS}


_REQUESTS: Final = _requests()

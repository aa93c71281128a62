"""Protobuf's wire format where the collector handles it by hand: varints and a bounded walk."""

from collections.abc import Iterator, Mapping
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5
VARINT_BYTES_MAX: Final = 10

_FIXED_SIZES: Final = {FIXED64: 8, FIXED32: 4}
_CONTINUES = 0x80
_ONE_BYTE_END = b"\x80"
# The smallest message on the wire: one byte of tag, one of length.
_MESSAGE_BYTES_MIN = 2
# Below this a body may hold nothing but empty messages, and parsing it stays under 200 MiB.
_WALK_BYTES_MIN = 2 << 20


class WireError(Exception):
    """Bytes that are not protobuf's wire format."""


class TooManyMessagesError(Exception):
    """A request with more submessages than its limit: parsing it would take too much memory."""


def varint(value: int) -> bytes:
    """Encode an unsigned integer."""
    out = bytearray()
    while value >= _CONTINUES:
        out.append(value & 0x7F | _CONTINUES)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Decode the unsigned integer that begins at ``at``; give it and the offset behind it.

    Raises WireError where it runs past the data's end or past ten bytes.
    """
    value = shift = 0
    for offset in range(at, min(at + VARINT_BYTES_MAX, len(data))):
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        if byte < _CONTINUES:
            return value, offset + 1
        shift += 7
    raise WireError(f"no varint at offset {at}")


def fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Give (field number, wire type, start, end) of each field's value between two offsets.

    Raises WireError at the first thing that is no field.
    """
    at = start
    while at < end:
        tag, at = read_varint(data, at)
        kind = tag & 7
        if kind == LENGTH:
            size, at = read_varint(data, at)
        elif kind == VARINT:
            size = read_varint(data, at)[1] - at
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise WireError(f"wire type {kind} at offset {at}")
        if at + size > end:
            raise WireError(f"a field at offset {at} runs past its message")
        yield tag >> 3, kind, at, at + size
        at += size


Shape = Mapping[int, "Shape"]


def shape_of(message: Descriptor, known: dict[str, Shape] | None = None) -> Shape:
    """Give the submessages of a message type by field number, each with its own (it may recurse).

    A repeated string counts as a submessage: in memory it costs as much as an empty one.
    """
    known = {} if known is None else known
    if message.full_name not in known:
        shape: dict[int, Shape] = {}
        known[message.full_name] = shape
        for field in message.fields:
            if field.message_type is not None:
                shape[field.number] = shape_of(field.message_type, known)
            elif field.is_repeated and field.type == FieldDescriptor.TYPE_STRING:
                shape[field.number] = {}
    return known[message.full_name]


def tags_of(shape: Shape, seen: dict[int, Shape] | None = None) -> bytes:
    """Give every byte that can begin a submessage's tag, in its short and in an overlong form."""
    seen = {} if seen is None else seen
    seen[id(shape)] = shape
    tags = set()
    for number, inner in shape.items():
        first = varint(number << 3 | LENGTH)[0]
        tags |= {first, first | _CONTINUES}
        if id(inner) not in seen:
            tags |= set(tags_of(inner, seen))
    return bytes(sorted(tags))


def limit_messages(body: bytes, shape: Shape, *, tags: bytes, messages_max: int) -> None:
    """Raise TooManyMessagesError where parsing ``body`` would make too many messages.

    A small body cannot; a middle one is cleared by counting the bytes that could begin one (in
    C); only what is left is walked field by field. Raises WireError for what is not protobuf.
    """
    if len(body) <= min(_WALK_BYTES_MIN, messages_max * _MESSAGE_BYTES_MIN):
        return
    if len(body) - len(body.translate(None, tags)) <= messages_max:
        return
    left = messages_max
    stack: list[tuple[Shape, int, int]] = [(shape, 0, len(body))]
    while stack:
        inner, start, end = stack.pop()
        found = _submessages(body, inner, start=start, end=end, found_max=left)
        if len(found) > left:
            raise TooManyMessagesError(f"more than {messages_max} messages in one request")
        left -= len(found)
        stack += found


def _submessages(
    body: bytes, shape: Shape, *, start: int, end: int, found_max: int
) -> list[tuple[Shape, int, int]]:
    """Give the submessages of one message, as shape, start and end; stop at one above the limit.

    One-byte varints are read inline: this loop is what a large request costs.
    """
    found: list[tuple[Shape, int, int]] = []
    at = start
    while at < end:
        tag = body[at]
        at += 1
        if tag >= _CONTINUES:
            tag, at = read_varint(body, at - 1)
        kind = tag & 7
        if kind != LENGTH:
            at = _behind(body, at, kind)
            continue
        size = body[at] if at < end else _CONTINUES
        at += 1
        if size >= _CONTINUES:
            size, at = read_varint(body, at - 1)
        if tag >> 3 in shape:
            found.append((shape[tag >> 3], at, at + size))
            if len(found) > found_max:
                return found
        at += size
    if at != end:
        raise WireError(f"a field runs past its message at offset {end}")
    return found


def _behind(body: bytes, at: int, kind: int) -> int:
    """Give the offset behind a value that is not length-delimited."""
    if kind == VARINT:
        return at + 1 if body[at : at + 1] < _ONE_BYTE_END else read_varint(body, at)[1]
    if kind not in _FIXED_SIZES:
        raise WireError(f"wire type {kind} at offset {at}")
    return at + _FIXED_SIZES[kind]

"""The write-ahead log's record: a varint-framed protobuf message that ClickHouse reads as it is.

message WalRecord {            // on the wire in this order
  fixed32 crc32c = 4;          // CRC-32C of every byte of the record behind this field
  string  tenant = 1;
  fixed64 received_ns = 2;
  uint64  seq = 3;
  fixed32 log_id = 5;
  oneof signal { traces = 10; logs = 11; metrics = 12; }
}
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import google_crc32c

from spanlore.collector.signals import BY_LOG_FIELD, Signal
from spanlore.collector.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    VARINT_BYTES_MAX,
    WireError,
    fields,
    read_varint,
    varint,
)

_CRC_TAG = bytes([4 << 3 | FIXED32])
_CRC_FIELD_BYTES = 5
_TENANT_TAG = bytes([1 << 3 | LENGTH])
_RECEIVED_TAG = bytes([2 << 3 | FIXED64])
_SEQ_TAG = bytes([3 << 3 | VARINT])
_LOG_ID_TAG = bytes([5 << 3 | FIXED32])
TENANT_BYTES_MAX: Final = 1024
# A frame's length, the CRC and every field before the request.
_HEAD_BYTES_MAX = TENANT_BYTES_MAX + 76


class BadRecordError(Exception):
    """A file's bytes are no record from ``offset`` on.

    ``torn`` says that they look like a write that was cut off, not like damage.
    """

    def __init__(self, message: str, *, offset: int, torn: bool) -> None:
        super().__init__(message)
        self.offset = offset
        self.torn = torn


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record read back: where its frame stands in the file and what it holds."""

    start: int
    end: int
    seq: int
    log_id: int
    received_ns: int
    tenant: str
    signal: Signal
    body: bytes


def encode(
    body: bytes, signal: Signal, *, tenant: str, received_ns: int, seq: int, log_id: int
) -> bytes:
    """Give the bytes that stand before ``body`` in the file: frame length, CRC and fields."""
    name = tenant.encode()
    head = b"".join(
        (
            _TENANT_TAG + varint(len(name)) + name if name else b"",
            _RECEIVED_TAG + struct.pack("<Q", received_ns),
            _SEQ_TAG + varint(seq),
            _LOG_ID_TAG + struct.pack("<I", log_id),
            varint(signal.log_field << 3 | LENGTH) + varint(len(body)),
        )
    )
    crc = google_crc32c.extend(google_crc32c.value(head), body)
    length = varint(_CRC_FIELD_BYTES + len(head) + len(body))
    return length + _CRC_TAG + struct.pack("<I", crc) + head


def read(data: bytes) -> Iterator[Record]:
    """Give the records of a segment in order. Raises BadRecordError where they end early."""
    at = 0
    while at < len(data):
        record = _read_one(data, at)
        yield record
        at = record.end


def read_at(descriptor: int, at: int) -> Record:
    """Give the record that begins at an offset of an open file. Raises BadRecordError, OSError."""
    try:
        length, start = read_varint(os.pread(descriptor, VARINT_BYTES_MAX, at), 0)
    except WireError as error:
        raise _bad(at, str(error)) from error
    found = _read_one(os.pread(descriptor, start + length, at), 0)
    return replace(found, start=at, end=at + found.end)


def _read_one(data: bytes, at: int) -> Record:
    try:
        length, start = read_varint(data, at)
    except WireError as error:
        raise _bad(at, str(error), torn=_is_torn(data, at)) from error
    end = start + length
    if end > len(data) or length <= _CRC_FIELD_BYTES:
        message = f"a record of {length} bytes with {len(data) - start} left"
        raise _bad(at, message, torn=_is_torn(data, at))
    behind_crc = start + _CRC_FIELD_BYTES
    if data[start : start + 1] != _CRC_TAG:
        raise _bad(at, "no checksum where it belongs")
    (crc,) = struct.unpack_from("<I", data, start + 1)
    if google_crc32c.value(data[behind_crc:end]) != crc:
        raise _bad(at, "the checksum does not match")
    try:
        return _decode(data, at, start=behind_crc, end=end)
    except (WireError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise _bad(at, f"a record of another form: {error!r}") from error


def _decode(data: bytes, at: int, *, start: int, end: int) -> Record:
    found = {number: (begin, finish) for number, _, begin, finish in fields(data, start, end)}
    tenant = data[slice(*found[1])].decode() if 1 in found else ""
    log_field = next(number for number in found if number in BY_LOG_FIELD)
    return Record(
        start=at,
        end=end,
        seq=read_varint(data, found[3][0])[0],
        log_id=struct.unpack_from("<I", data, found[5][0])[0],
        received_ns=struct.unpack_from("<Q", data, found[2][0])[0],
        tenant=tenant,
        signal=BY_LOG_FIELD[log_field],
        body=data[slice(*found[log_field])],
    )


def _bad(at: int, message: str, *, torn: bool = False) -> BadRecordError:
    return BadRecordError(f"{message} at offset {at}", offset=at, torn=torn)


def _is_torn(data: bytes, at: int) -> bool:
    """Whether a record that runs past the end looks like a beginning, or like nothing written.

    A flipped bit in a frame's length would also make it run past the end, so the length must
    agree with the one inside.
    """
    rest = data[at : at + _HEAD_BYTES_MAX]
    if not data[at:].strip(b"\0"):
        return True
    try:
        length, start = read_varint(rest, 0)
        if rest[start : start + 1] not in (b"", _CRC_TAG):
            return False
        inner = _inner_end(rest, start + _CRC_FIELD_BYTES)
    except WireError:
        return len(rest) < _HEAD_BYTES_MAX and len(data) - at < _HEAD_BYTES_MAX
    return start + length == inner and at + inner > len(data)


def _inner_end(head: bytes, at: int) -> int:
    """Give where the request inside a record ends. Raises WireError when the head is cut off."""
    while True:
        tag, at = read_varint(head, at)
        kind = tag & 7
        if kind == LENGTH:
            size, at = read_varint(head, at)
            at += size
            if tag >> 3 in BY_LOG_FIELD:
                return at
        elif kind == VARINT:
            at = read_varint(head, at)[1]
        elif kind in (FIXED32, FIXED64):
            at += 4 if kind == FIXED32 else 8
        else:
            msg = f"wire type {kind} in a record's head"
            raise WireError(msg)

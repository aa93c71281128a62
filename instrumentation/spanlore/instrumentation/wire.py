"""Protobuf's wire format, as far as a span needs it: numbers of any length and fields with one."""

from typing import Final

_ONE_BYTE: Final = 0x80
_TWO_BYTES_MAX: Final = 1 << 14
VARINTS: Final = [
    bytes([n]) if n < _ONE_BYTE else bytes([n & 0x7F | 0x80, n >> 7]) for n in range(0x1000)
]
VARINTS_MAX: Final = len(VARINTS)


def varint(number: int) -> bytes:
    """Return a number that is not negative as it is written."""
    if number < VARINTS_MAX:
        return VARINTS[number]
    if number < _TWO_BYTES_MAX:
        return bytes((number & 0x7F | 0x80, number >> 7))
    written = bytearray()
    while number >= _ONE_BYTE:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def field(tag: bytes, body: bytes) -> bytes:
    """Return a field whose length stands before it."""
    return tag + varint(len(body)) + body


def utf8(text: str) -> bytes:
    """Encode text; half an emoji, as a stream that was cut leaves it, costs only itself."""
    return text.encode("utf-8", "replace")

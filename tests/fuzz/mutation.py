"""Changes to a request that keep most of its structure, so that what lies deep is reached.

Pure: the same generator of random numbers makes the same change.
"""

import json
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

from spanlore.collector.signals import SIGNALS
from spanlore.collector.wire import FIXED32, FIXED64, LENGTH, VARINT, WireError, fields, varint
from tests.collector.otlp_requests import framed
from tests.fuzz.case import PACKINGS, Case
from tests.fuzz.seeds import SECRETS, cases, nested, packed

_DESCENDS: Final = 0.85
_ANEW: Final = 0.02
_HEAD: Final = 0.02
_PACKS: Final = 0.02
_COPIES_MAX: Final = 80

_TEXTS: Final = (
    *SECRETS,
    b"",
    b"\xff",
    b"caf\xc3",
    b"\xed\xa0\x80",
    b"__proto__",
    b"TICKET-42",
    b'{"a": "{\\"password\\": \\"7horse\\"}"}',
    b"a" * 300,
    b"{" * 200,
    b"\\" * 99 + b'"password\\": \\"x\\"',
)
_IDS: Final = (bytes(16), bytes(8), bytes(range(16)), bytes(range(8)), b"\x01", b"\xff" * 17)
_NUMBERS: Final = (0, 1, 127, 128, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
_FIXED: Final = tuple(
    struct.pack("<d", number)
    for number in (0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"))
) + tuple(struct.pack("<Q", number) for number in _NUMBERS)
_JSON_VALUES: Final[tuple[Any, ...]] = (
    *(text.decode("utf-8", "surrogateescape") for text in _TEXTS),
    *_NUMBERS,
    -1,
    -(2**63) - 1,
    10**400,
    1.5,
    1e308,
    float("nan"),
    float("inf"),
    None,
    True,
    [],
    {},
    [[]],
    "\ud800",
    "9" * 5000,
    "NaN",
    "0x10",
    " 1_0 ",
    "AA==",
    "-_8",
    "SPAN_KIND_SERVER",
    {"kvlistValue": {"values": [{"key": "password", "value": {"stringValue": "7horse"}}]}},
    {"arrayValue": {"values": [{"arrayValue": {"values": [{"intValue": "1"}]}}]}},
)


def often_mutated(case: Case, rng: random.Random, *, changes: int, body_bytes_max: int) -> Case:
    """Give a case with so many changes, or fewer: what is longer than asked for is changed no more.

    A change can make a body 80 times longer; four of them would take more memory than there is.
    """
    for _ in range(changes):
        if len(case.body) > body_bytes_max:
            break
        case = mutated(case, rng)
    return case


def mutated(case: Case, rng: random.Random) -> Case:
    """Give a case with one change in its structure."""
    chance = rng.random()
    if chance < _ANEW:
        return rng.choice(_donors())
    if chance < _ANEW + _HEAD:
        return replace(
            case,
            signal=rng.randrange(len(SIGNALS)),
            is_json=rng.random() < 1 / 2,
            is_tight=rng.random() < 1 / 2,
        )
    if chance < _ANEW + _HEAD + _PACKS:
        packing = rng.choice(PACKINGS)
        return replace(case, packing=packing, body=packed(case.body, packing))
    if case.packing:
        return replace(case, body=_cut(case.body, rng))
    change = changed_json if case.is_json else changed_message
    return replace(case, body=change(case.body, rng))


@cache
def _donors() -> Sequence[Case]:
    return tuple(cases())


def _donor(rng: random.Random, *, is_json: bool) -> bytes:
    while True:
        case = rng.choice(_donors())
        if case.is_json is is_json and not case.packing:
            return case.body


def _cut(data: bytes, rng: random.Random) -> bytes:
    """Leave out, repeat or overwrite a stretch of bytes."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.randrange(1, 9))
    middle = rng.choice((b"", data[start:end] * 2, rng.randbytes(end - start), b"\xff"))
    return data[:start] + middle + data[end:]


Span = tuple[int, int, int, int, int]


def _spans(message: bytes) -> list[Span]:
    """Give (begin of tag, number, wire type, start, end) of a message's fields."""
    found = []
    begin = 0
    for number, kind, start, end in fields(message, 0, len(message)):
        found.append((begin, number, kind, start, end))
        begin = end
    return found


def changed_message(message: bytes, rng: random.Random) -> bytes:
    """Change something in a protobuf message or in one within it."""
    try:
        spans = _spans(message)
    except WireError:
        return _cut(message, rng)
    if not spans:
        return rng.choice(_TEXTS + _IDS)
    begin, number, kind, start, end = spans[rng.randrange(len(spans))]
    if kind == LENGTH and end > start and rng.random() < _DESCENDS:
        inner = changed_message(message[start:end], rng)
        return message[:begin] + framed(number, inner) + message[end:]
    change = rng.choice(_CHANGES)
    return message[:begin] + change(message[begin:end], (number, kind), rng) + message[end:]


Change = Callable[[bytes, tuple[int, int], random.Random], bytes]


def _without(_field_bytes: bytes, _tag: tuple[int, int], _rng: random.Random) -> bytes:
    return b""


def _repeated(field: bytes, _tag: tuple[int, int], rng: random.Random) -> bytes:
    return field * rng.choice((2, 3, _COPIES_MAX))


def _revalued(_field_bytes: bytes, tag: tuple[int, int], rng: random.Random) -> bytes:
    number, kind = tag
    if kind == LENGTH:
        return framed(number, rng.choice(_TEXTS + _IDS))
    head = varint(number << 3 | kind)
    if kind == VARINT:
        return head + varint(rng.choice(_NUMBERS))
    size = 8 if kind == FIXED64 else 4
    return head + rng.choice(_FIXED)[:size]


def _renumbered(field: bytes, tag: tuple[int, int], rng: random.Random) -> bytes:
    number = rng.choice((*range(1, 17), 100, 2**29 - 1))
    kind = rng.choice((tag[1], tag[1], VARINT, FIXED64, LENGTH, 3, 4, FIXED32, 7))
    return varint(number << 3 | kind) + field[1:]


def _deepened(_field_bytes: bytes, tag: tuple[int, int], rng: random.Random) -> bytes:
    return framed(tag[0], nested(rng.choice((1, 2, 3, 31, 32, 33, 50, 120))))


def _spliced(field: bytes, tag: tuple[int, int], rng: random.Random) -> bytes:
    """Put a message from another request in a field's place, or behind it."""
    message = _donor(rng, is_json=False)
    for _ in range(rng.randrange(6)):
        inner = [span for span in _spans_or_none(message) if span[2] == LENGTH]
        if not inner:
            break
        *_, start, end = rng.choice(inner)
        message = message[start:end]
    return (field if rng.random() < 1 / 2 else b"") + framed(tag[0], message)


def _spans_or_none(message: bytes) -> list[Span]:
    try:
        return _spans(message)
    except WireError:
        return []


def _overlong(field: bytes, _tag: tuple[int, int], rng: random.Random) -> bytes:
    """Write the tag in more bytes than it needs."""
    more = b"\x80" * rng.randrange(1, 10) + b"\x00"
    return bytes((field[0] | 0x80,)) + more[1:] + field[1:]


def _damaged(field: bytes, _tag: tuple[int, int], rng: random.Random) -> bytes:
    return _cut(field, rng)


_CHANGES: Final[tuple[Change, ...]] = (
    _without,
    _repeated,
    _revalued,
    _revalued,
    _renumbered,
    _deepened,
    _spliced,
    _overlong,
    _damaged,
)


def changed_json(body: bytes, rng: random.Random) -> bytes:
    """Change something in a JSON document, or in its bytes."""
    if rng.random() < _HEAD:
        return _cut(body, rng)
    try:
        document = json.loads(body.decode("utf-8", "surrogateescape"))
        changed = _changed(document, rng)
        text = json.dumps(changed, ensure_ascii=rng.random() < 1 / 2)
    except (ValueError, RecursionError):
        return _cut(body, rng)
    return text.encode("utf-8", "surrogatepass")


def _changed(value: Any, rng: random.Random) -> Any:
    """Change a JSON value in place, or give another for it."""
    keys: Sequence[Any] = ()
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    if not keys or rng.random() > _DESCENDS:
        return _other(value, rng)
    key = rng.choice(keys)
    if rng.random() < _DESCENDS or isinstance(value, list):
        value[key] = _changed(value[key], rng)
    else:
        moved = value.pop(key)
        value[rng.choice((*keys, "unknown", "", "key", "values", "stringValue"))] = moved
    return value


def _other(value: Any, rng: random.Random) -> Any:
    match rng.randrange(5):
        case 0:
            return [value] * rng.choice((0, 1, 2, _COPIES_MAX))
        case 1:
            deep: Any = value
            for _ in range(rng.choice((1, 30, 101, 300))):
                deep = {"arrayValue": {"values": [deep]}}
            return deep
        case 2:
            return json.loads(_donor(rng, is_json=True))
        case _:
            return rng.choice(_JSON_VALUES)

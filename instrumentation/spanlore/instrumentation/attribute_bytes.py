"""Attributes as OTLP's bytes: what a key needs is made once, a value that comes again is kept.

Texts may be written before anybody looked into them for secrets, so that those of some spans can be
looked at together (`Unseen`): one look at many costs half of many looks.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import Any, Final

from spanlore.instrumentation.grown_texts import GROWN_BYTES_MIN
from spanlore.instrumentation.redaction import mark_of, secret_kind, without_secrets
from spanlore.instrumentation.wire import VARINTS, VARINTS_MAX, field, utf8, varint
from spanlore.schemas import semconv
from spanlore.schemas.secret_names import is_secret_name

VALUE_BYTES_MAX: Final = 16 * 1024 * 1024
# What is kept of keys and of values as they were written.
KEPT_BYTES_MAX: Final = 4 * 1024 * 1024

_DOUBLE = struct.Struct("<d").pack
_INT64_MASK = (1 << 64) - 1
_INT64_MAX = 1 << 63
_VARINT_BYTES_MAX = 10
_DEPTH_MAX = 24
# Nothing shorter is looked at: `password=abcd`.
_SECRET_BYTES_MIN = 13
# Names of models, tools, agents and users come again and again, and so do the parts of a harness,
# which are long, in every call of an agent.
_SHORT_MAX = 64
_KEPT_MAX = {
    semconv.SYSTEM_INSTRUCTIONS: 65_536,
    semconv.TOOL_DEFINITIONS: 65_536,
    # Ids that hardly another span bears.
    semconv.RESPONSE_ID: 0,
    semconv.TOOL_CALL_ID: 0,
}
# A key, or a value beside its bytes, in Python's memory: about so much.
_KEY_BYTES = 2_048
_VALUE_BYTES = 256


# What is kept, where, under which value.
Values = list[tuple[dict[str, bytes], str, bytes]]


class _Key:
    """What is written before and after an attribute's key, and its values that came before."""

    __slots__ = (
        "double",
        "ints",
        "is_secret",
        "kept_max",
        "lists",
        "middle",
        "middle_bytes",
        "name",
        "tag",
        "texts",
    )

    def __init__(self, tag: bytes, key: str) -> None:
        self.tag = tag
        self.name = key
        self.middle = field(b"\x0a", utf8(key)) + b"\x12"
        self.middle_bytes = len(self.middle)
        self.is_secret = is_secret_name(utf8(key))
        # A text of no more characters is kept.
        self.kept_max = _KEPT_MAX.get(key, _SHORT_MAX)
        self.texts: dict[str, bytes] = {}
        self.lists: dict[str, bytes] = {}
        # What stands before a whole number, by the bytes that it takes.
        self.ints = [self.head(b"\x18", size) for size in range(_VARINT_BYTES_MAX + 1)]
        self.double = self.head(b"\x21", 8)

    def head(self, value_head: bytes, size: int) -> bytes:
        """Return all that stands before the bytes of a value, which begins with its own tag."""
        inner = len(value_head) + size
        outer = self.middle_bytes + len(varint(inner)) + inner
        return b"".join((self.tag, varint(outer), self.middle, varint(inner), value_head))


class _Kept:
    """The keys, by the tag of the field they stand in, and how much is kept with them."""

    def __init__(self) -> None:
        self.keys: dict[bytes, dict[str, _Key]] = {}
        self.bytes = 0

    def keys_of(self, tag: bytes) -> dict[str, _Key]:
        return self.keys.setdefault(tag, {})

    def key(self, tag: bytes, key: str) -> _Key:
        self._take(_KEY_BYTES + len(key))
        known = self.keys_of(tag)[key] = _Key(tag, key)
        return known

    def values(self, values: Values) -> None:
        self._take(sum([_VALUE_BYTES + 2 * len(written) for _, _, written in values]))
        for known, value, written in values:
            known[value] = written

    def _take(self, size: int) -> None:
        if self.bytes + size > KEPT_BYTES_MAX:
            self.keys.clear()
            self.bytes = 0
        self.bytes += size


kept = _Kept()


@dataclass(slots=True)
class Unseen:
    """Texts that were written and that nobody looked into yet, and what is to be kept then."""

    texts: list[bytes] = made_by(default_factory=list)
    values: Values = made_by(default_factory=list)

    def keep(self, *, without: set[bytes]) -> None:
        """Keep what was written of values that come again, but of texts that hold a secret."""
        if without:
            self.values = [each for each in self.values if utf8(each[1]) not in without]
        kept.values(self.values)


def attribute_pieces(
    attributes: Mapping[str, Any], tag: bytes, unseen: Unseen | None
) -> list[bytes]:
    """Return what joined is all attributes; without ``unseen`` no secrets are in it."""
    pieces: list[bytes] = []
    add = pieces.append
    keys = kept.keys_of(tag)
    for key, value in attributes.items():
        known = keys.get(key) or kept.key(tag, key)
        kind = type(value)
        if kind is str:
            if len(value) > known.kept_max:
                pieces += _text(known, value, unseen)
            else:
                add(known.texts.get(value) or _kept_text(known, value, unseen))
        elif kind is int and 0 <= value < _INT64_MAX:
            number = VARINTS[value] if value < VARINTS_MAX else varint(value)
            add(known.ints[len(number)] + number)
        elif kind is float:
            add(known.double + _DOUBLE(value))
        elif kind is tuple and len(value) == 1 and type(value[0]) is str:
            add(known.lists.get(value[0]) or _list_of_one(known, value[0]))
        else:
            written = _value(value)
            pieces += (known.head(b"", len(written)), written)
    return pieces


def looked_into(text: str) -> bytes:
    """Encode what a person or a model may have written: bounded, without secrets."""
    written = utf8(text)
    if len(written) < _SECRET_BYTES_MIN:
        return written
    if len(written) > VALUE_BYTES_MAX:
        written = written[:VALUE_BYTES_MAX].decode("utf-8", "ignore").encode()
    return without_secrets(written)


def _text(known: _Key, value: str, unseen: Unseen | None) -> tuple[bytes, ...]:
    text = utf8(value)
    size = len(text)
    if unseen is None or known.is_secret or size >= GROWN_BYTES_MIN:
        text = looked_into(value)
        if known.is_secret and (kind := secret_kind(known.name, text)):
            text = mark_of(kind)
        size = len(text)
    elif size >= _SECRET_BYTES_MIN:
        unseen.texts.append(text)
    length = VARINTS[size] if size < VARINTS_MAX else varint(size)
    inner = 1 + len(length) + size
    inner_length = VARINTS[inner] if inner < VARINTS_MAX else varint(inner)
    outer = known.middle_bytes + len(inner_length) + inner
    outer_length = VARINTS[outer] if outer < VARINTS_MAX else varint(outer)
    return known.tag, outer_length, known.middle, inner_length, b"\x0a", length, text


def _kept_text(known: _Key, value: str, unseen: Unseen | None) -> bytes:
    written = b"".join(_text(known, value, unseen))
    if unseen is None:
        kept.values([(known.texts, value, written)])
    else:
        unseen.values.append((known.texts, value, written))
    return written


def _list_of_one(known: _Key, value: str) -> bytes:
    """Write a list of one text, as why a model stopped is told."""
    written = _value((value,))
    written = known.head(b"", len(written)) + written
    if len(value) <= _SHORT_MAX:
        kept.values([(known.lists, value, written)])
    return written


def _value(value: Any, depth: int = 0) -> bytes:
    kind = type(value)
    if kind is str:
        return field(b"\x0a", looked_into(value))
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int and -_INT64_MAX <= value < _INT64_MAX:
        return b"\x18" + varint(value & _INT64_MASK)
    if kind is float:
        return b"\x21" + _DOUBLE(value)
    return _rare_value(value, depth)


def _rare_value(value: Any, depth: int) -> bytes:
    for plain in (str, int, float):
        if isinstance(value, plain) and type(value) is not plain:
            return _value(plain(value))
    if isinstance(value, bytes):
        return field(b"\x3a", value[:VALUE_BYTES_MAX])
    if value is None or depth >= _DEPTH_MAX:
        return b""
    if isinstance(value, Mapping):
        return field(b"\x32", b"".join([_pair(*pair, depth=depth) for pair in value.items()]))
    if isinstance(value, Sequence):
        return field(b"\x2a", _values(value, depth))
    return field(b"\x0a", looked_into(str(value)))


def _pair(key: Any, value: Any, *, depth: int) -> bytes:
    name = field(b"\x0a", utf8(str(key)))
    return field(b"\x0a", name + field(b"\x12", _value(value, depth + 1)))


def _values(values: Iterable[Any], depth: int) -> bytes:
    return b"".join([field(b"\x0a", _value(each, depth + 1)) for each in values])

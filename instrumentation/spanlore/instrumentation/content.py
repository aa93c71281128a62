"""Arguments and results as JSON text: bounded in size and depth, and without side effects.

Only what is plainly data is written out. Of other objects the type is named: to look into them
might run a query, or read a stream that the program still needs.
"""

import dataclasses
import datetime as dt
import decimal
import json
import math
import pathlib
import uuid
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

CHARACTERS_MAX = 256 * 1024
_NODES_MAX = 20_000
_DEPTH_MAX = 24
_INTEGER_BITS_MAX = 1_024
_CUT = "…"


def json_text(value: Any) -> str:
    """Return the value as JSON; what is too long, too deep or no data is cut or named."""
    return _json(_Writer().plain(value, 0))


def plain_text(value: Any) -> str:
    """Return text as it is, within the limit, and everything else as JSON."""
    if isinstance(value, ListText):
        return str(value)
    return _Writer().text(value) if isinstance(value, str) else json_text(value)


class ListText:
    """A list that comes item by item: each is written down as it comes, and none is held."""

    def __init__(self) -> None:
        self._writer = _Writer()
        self._written: list[Any] = []
        self._left_out = 0

    def add(self, item: Any) -> None:
        """Write it down where there is room, and count it where there is none."""
        if self._left_out or not self._writer.has_room():
            self._left_out += 1
        else:
            self._written.append(self._writer.plain(item, 1))

    def __str__(self) -> str:
        more = [f"{_CUT} {self._left_out} more"] if self._left_out else []
        return _json([*self._written, *more])


def _json(plain: Any) -> str:
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class _Writer:
    """Copies a value into plain JSON data while there is room left."""

    def __init__(self) -> None:
        self._nodes = _NODES_MAX
        self._characters = CHARACTERS_MAX

    def plain(self, value: Any, depth: int) -> Any:
        self._nodes -= 1
        if self._nodes < 0 or depth > _DEPTH_MAX:
            return _CUT
        if value is None or isinstance(value, bool):
            return value
        for kinds, write in _WRITERS:
            if isinstance(value, kinds):
                return write(self, value, depth)
        return self._object(value, depth)

    def text(self, value: str) -> str:
        kept = value[: self._characters]
        self._characters -= len(kept)
        if len(kept) < len(value):
            kept += _CUT
        # A lone surrogate cannot be sent.
        return kept if kept.isascii() else kept.encode("utf-8", "replace").decode()

    def number(self, value: float) -> int | float | str:
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        bits = value.bit_length()
        return value if bits <= _INTEGER_BITS_MAX else f"<an integer of {bits} bits>"

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for key, each in value.items():
            if not self.has_room():
                written[_CUT] = f"{len(value) - len(written)} more"
                break
            written[self.text(str(key))] = self.plain(each, depth + 1)
        return written

    def sequence(self, value: Any, depth: int) -> list[Any]:
        written: list[Any] = []
        for each in value:
            if not self.has_room():
                written.append(f"{_CUT} {len(value) - len(written)} more")
                break
            written.append(self.plain(each, depth + 1))
        return written

    def _object(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if dataclasses.is_dataclass(kind):
            names = [each.name for each in dataclasses.fields(kind)]
            return self.mapping({name: getattr(value, name, None) for name in names}, depth)
        if callable(dump := getattr(kind, "model_dump", None)):  # Pydantic's
            return self.plain(dump(value), depth + 1)
        return f"<{kind.__module__}.{kind.__qualname__}>"

    def has_room(self) -> bool:
        return self._nodes > 0 and self._characters > 0


_NAMED_AS_TEXT = (
    dt.date,
    dt.time,
    dt.timedelta,
    decimal.Decimal,
    pathlib.PurePath,
    uuid.UUID,
)

_Write = Callable[[_Writer, Any, int], Any]
_WRITERS: tuple[tuple[Any, _Write], ...] = (
    (Enum, lambda writer, value, depth: writer.plain(value.value, depth + 1)),
    (str, lambda writer, value, _: writer.text(value)),
    ((int, float), lambda writer, value, _: writer.number(value)),
    ((bytes, bytearray, memoryview), lambda _w, value, _: f"<{len(value)} bytes>"),
    (dict, lambda writer, value, depth: writer.mapping(value, depth)),
    ((list, tuple, set, frozenset), lambda writer, value, depth: writer.sequence(value, depth)),
    (_NAMED_AS_TEXT, lambda writer, value, _: writer.text(str(value))),
)

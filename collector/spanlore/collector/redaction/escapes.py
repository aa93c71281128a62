"""A text with its JSON and percent escapes undone, and edits there carried back into the text."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

# JSON within JSON within a JSON string, and that in a URL.
_LEVELS_MAX: Final = 4

_ESCAPE: Final = re.compile(rb"\\(?:u00[0-7][0-9a-fA-F]|[\"\\/bfnrt])|%[0-7][0-9a-fA-F]")
_CHARACTERS: Final = {
    b'\\"': b'"',
    b"\\\\": b"\\",
    b"\\/": b"/",
    b"\\b": b"\b",
    b"\\f": b"\f",
    b"\\n": b"\n",
    b"\\r": b"\r",
    b"\\t": b"\t",
}


class Edit(NamedTuple):
    """New bytes for those from ``start`` to ``end``."""

    start: int
    end: int
    new: bytes


class View:
    """A text with one level of escapes undone; ``back`` gives the source's offset of one in it."""

    def __init__(self, source: bytes) -> None:
        self.text = _ESCAPE.sub(_character, source)
        self._source = source
        self._starts: list[int] = []
        self._shifts: list[int] = []

    def back(self, at: int) -> int:
        """Give where in the source the character at an offset begins."""
        if not self._starts:
            self._measure()
        return at + self._shifts[bisect_right(self._starts, at) - 1]

    def _measure(self) -> None:
        """Note from where on in the text how many bytes of the source are gone."""
        self._starts, self._shifts = [0], [0]
        gone = 0
        for escape in _ESCAPE.finditer(self._source):
            gone += escape.end() - escape.start() - 1
            self._starts.append(escape.end() - gone)
            self._shifts.append(gone)


def views_of(source: bytes) -> list[View]:
    """Give the views of a text, each of the one before, as long as there is something to undo."""
    path: list[View] = []
    text = source
    while len(path) < _LEVELS_MAX:
        view = View(text)
        if view.text == text:
            break
        path.append(view)
        text = view.text
    return path


def edited(source: bytes, path: Sequence[View], edits: Iterable[Edit]) -> bytes:
    """Give the source with edits, in order, of the last view in the path (or of itself)."""
    pieces: list[bytes] = []
    at = 0
    for start, end, new in edits:
        for view in reversed(path):
            start, end = view.back(start), view.back(end)  # noqa: PLW2901 - the same place
        pieces += (source[at:start], new)
        at = end
    return b"".join((*pieces, source[at:]))


def _character(escape: re.Match[bytes]) -> bytes:
    found = escape[0]
    known = _CHARACTERS.get(found)
    return known if known is not None else bytes([int(found[-2:], 16)])

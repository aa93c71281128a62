"""Where a value sits in the text of a JSON file: to change one thing and nothing around it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder()
_DEPTH_MAX = 200
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """The characters ``text[begin:end]`` of one value, quotation marks included."""

    begin: int
    end: int


def spans_of(text: str) -> dict[Path, Span]:
    """Return where every value of a JSON text stands, by its path of keys and positions.

    Raises ValueError when the text is not JSON (or nested deeper than 200). A byte order mark
    is skipped. Of a key given twice the last one counts, as for ``json.loads``.
    """
    found: dict[Path, Span] = {}
    json.loads(text.removeprefix("\ufeff"))
    start = _skip(text, 1 if text.startswith("\ufeff") else 0)
    _value(text, start, path=(), found=found)
    return found


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """``text`` in the place of the characters ``[begin:end]`` of a file."""

    begin: int
    end: int
    text: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return the text after all edits, whose places are those before any; none may overlap.

    Of several insertions at one place the first given comes first.
    """
    for edit in sorted(edits, key=lambda one: one.begin)[::-1]:
        text = text[: edit.begin] + edit.text + text[edit.end :]
    return text


def appended(text: str, span: Span, more: str) -> str:
    """Return the text with ``more`` put at the end of the string at the span.

    The string's own escapes stay as they are written.
    """
    return edited(text, [appending(text, span, more)])


def appending(text: str, span: Span, more: str) -> Edit:
    """Return the edit that puts ``more`` at the end of the string at the span."""
    return Edit(span.end - 1, span.end - 1, _written(text, more)[1:-1])


def replacing(text: str, span: Span, value: Any) -> Edit:
    """Return the edit that puts a value in the place of the one at the span."""
    return Edit(span.begin, span.end, _written(text, value))


def adding_first(text: str, span: Span, member: tuple[str, Any], *, own_line: bool) -> Edit:
    """Return the edit that makes a member the first of the object at the span.

    With ``own_line`` it stands as the first member does now, else on that one's line.
    """
    first = _skip(text, span.begin + 1)
    said = _member(text, first, member)
    if text[first] == "}":
        return Edit(span.begin + 1, first, said)
    return Edit(first, first, f"{said},{_gap(text, span, own_line=own_line)}")


def adding_last(text: str, span: Span, member: tuple[str, Any], *, own_line: bool) -> Edit:
    """Return the edit that makes a member the last of the object at the span, which has some."""
    said = _member(text, _skip(text, span.begin + 1), member)
    return _after_last(text, span, said, own_line=own_line)


def adding_items(text: str, span: Span, items: Iterable[Any], *, own_line: bool) -> Edit:
    """Return the edit that puts items at the end of the array at the span."""
    written = [_written(text, item) for item in items]
    if text[_skip(text, span.begin + 1)] == "]":
        return Edit(span.begin, span.end, f"[{', '.join(written)}]")
    between = f",{_gap(text, span, own_line=own_line)}"
    return _after_last(text, span, between.join(written), own_line=own_line)


def _after_last(text: str, span: Span, said: str, *, own_line: bool) -> Edit:
    end = len(text[: span.end - 1].rstrip(_SPACE))
    return Edit(end, end, f",{_gap(text, span, own_line=own_line)}{said}")


def _gap(text: str, span: Span, *, own_line: bool) -> str:
    """Return what stands between a bracket and the first thing in it, else a single space."""
    gap = text[span.begin + 1 : _skip(text, span.begin + 1)]
    return gap if own_line and gap else " "


def _member(text: str, first: int, member: tuple[str, Any]) -> str:
    """Write a member with the colon that the first one has."""
    colon = ": "
    if text[first] == '"':
        end = _DECODER.raw_decode(text, first)[1]
        between = text[end : _skip(text, _skip(text, end) + 1)]
        colon = colon if "\n" in between else between
    return f"{_written(text, member[0])}{colon}{_written(text, member[1])}"


def _written(text: str, value: Any) -> str:
    return json.dumps(value, ensure_ascii=text.isascii())


def _value(text: str, at: int, *, path: Path, found: dict[Path, Span]) -> int:
    if len(path) > _DEPTH_MAX:
        message = f"nested deeper than {_DEPTH_MAX}"
        raise ValueError(message)
    if text[at] == "{":
        end = _members(text, at, path=path, found=found)
    elif text[at] == "[":
        end = _items(text, at, path=path, found=found)
    else:
        end = _DECODER.raw_decode(text, at)[1]
    found[path] = Span(at, end)
    return end


def _members(text: str, at: int, *, path: Path, found: dict[Path, Span]) -> int:
    at = _skip(text, at + 1)
    while text[at] != "}":
        at = _skip(text, at + 1) if text[at] == "," else at
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        at = _skip(text, _value(text, at, path=(*path, key), found=found))
    return at + 1


def _items(text: str, at: int, *, path: Path, found: dict[Path, Span]) -> int:
    at, position = _skip(text, at + 1), 0
    while text[at] != "]":
        at = _skip(text, at + 1) if text[at] == "," else at
        at = _skip(text, _value(text, at, path=(*path, position), found=found))
        position += 1
    return at + 1


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at

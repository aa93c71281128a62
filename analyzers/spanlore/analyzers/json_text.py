"""Where a value sits in the text of a JSON file: to change one string and nothing around it."""

import json
from dataclasses import dataclass

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


def appended(text: str, span: Span, more: str) -> str:
    """Return the text with ``more`` put at the end of the string at the span.

    The string's own escapes stay as they are written.
    """
    written = json.dumps(more, ensure_ascii=text.isascii())[1:-1]
    return text[: span.end - 1] + written + text[span.end - 1 :]


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

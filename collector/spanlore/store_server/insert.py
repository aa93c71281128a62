"""Split an INSERT from the data that follows it. Pure.

ClickHouse's grammar: ``INSERT INTO [TABLE] [db.]table [(columns)] [SETTINGS ...]`` and then
``FORMAT name`` data, ``VALUES`` data, ``SELECT ...`` or ``FROM INFILE ...``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from spanlore.store_server.tokens import Token, tokens

_OPEN = {"(": ")", "{": "}", "[": "]"}


class Source(Enum):
    """Where an INSERT takes its rows from."""

    DATA = "data in a named format"
    VALUES = "data in the Values format"
    SELECT = "a query"
    INFILE = "a file named by the statement"
    OPEN = "the statement does not say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """An INSERT, cut up. Offsets are into the text it was read from.

    ``target_end`` is where the table and its columns end, ``clauses_end`` where the settings
    behind them end, ``data_at`` where the data starts. ``infile`` is the path behind FROM INFILE
    where nothing but a format follows it. ``to_function`` is INSERT INTO FUNCTION.
    """

    source: Source
    target_end: int
    clauses_end: int
    data_at: int
    format_name: str
    infile: str
    to_function: bool

    def from_file(self, text: str, *, path: str, default_format: str) -> str:
        """Word the same INSERT with its rows taken from ``path``."""
        form = self.format_name or default_format
        quoted = path.replace("\\", "\\\\").replace("'", "\\'")
        target = text[: self.target_end].rstrip()
        clauses = text[self.target_end : self.clauses_end].strip()
        return f"{target} FROM INFILE '{quoted}' COMPRESSION 'none' {clauses} FORMAT {form}"


class _Pieces:
    """The tokens of an INSERT with one token of look-ahead."""

    def __init__(self, text: str) -> None:
        self._rest: Iterator[Token] = tokens(text)
        self._last_end = 0
        self.next: Token | None = next(self._rest, None)

    @property
    def end(self) -> int:
        """Where the last taken token ended."""
        return self._last_end

    def take(self) -> Token | None:
        token = self.next
        if token is not None:
            self._last_end = token.end
            self.next = next(self._rest, None)
        return token

    def at_word(self, *words: str) -> bool:
        return self.next is not None and self.next.is_word(*words)

    def at_sign(self, sign: str) -> bool:
        return self.next is not None and self.next.kind == "sign" and self.next.text == sign

    def skip_brackets(self, opening: str) -> None:
        depth = 0
        while (token := self.take()) is not None:
            if token.kind == "sign" and token.text == opening:
                depth += 1
            elif token.kind == "sign" and token.text == _OPEN[opening]:
                depth -= 1
                if depth == 0:
                    return


def read_insert(text: str) -> Insert | None:
    """Cut an INSERT up; None when ``text`` (Latin-1 decoded) is something else."""
    pieces = _Pieces(text)
    if not pieces.at_word("INSERT"):
        return None
    pieces.take()
    if pieces.at_word("INTO"):
        pieces.take()
    if pieces.at_word("TABLE"):
        pieces.take()
    to_function = _skip_target(pieces)
    target_end = pieces.end
    _skip_clauses(pieces)
    clauses_end = pieces.end
    source = _source(pieces)
    infile = _infile(pieces) if source is Source.INFILE else ""
    format_name = _format(pieces, source)
    return Insert(
        source=source,
        target_end=target_end,
        clauses_end=clauses_end,
        data_at=_data_start(text, pieces.end) if source is Source.DATA else pieces.end,
        format_name=format_name,
        infile=infile if pieces.next is None else "",
        to_function=to_function,
    )


def _skip_target(pieces: _Pieces) -> bool:
    """Step over ``db.table`` or ``FUNCTION name(...)`` and the column list."""
    to_function = pieces.at_word("FUNCTION")
    if to_function:
        pieces.take()
    _skip_name(pieces)
    while pieces.at_sign("."):
        pieces.take()
        _skip_name(pieces)
    if to_function and pieces.at_sign("("):
        pieces.skip_brackets("(")
    if pieces.at_sign("("):
        pieces.skip_brackets("(")
    return to_function


def _skip_name(pieces: _Pieces) -> None:
    if pieces.at_sign("{"):
        pieces.skip_brackets("{")
    else:
        pieces.take()


def _skip_clauses(pieces: _Pieces) -> None:
    """Step over ``SETTINGS name = value, ...``, where a name may be any word."""
    if not pieces.at_word("SETTINGS"):
        return
    pieces.take()
    while True:
        pieces.take()
        if pieces.at_sign("="):
            pieces.take()
            _skip_value(pieces)
        if not pieces.at_sign(","):
            return
        pieces.take()


def _skip_value(pieces: _Pieces) -> None:
    if pieces.at_sign("-"):
        pieces.take()
    token = pieces.next
    if token is not None and token.kind == "sign" and token.text in _OPEN:
        pieces.skip_brackets(token.text)
    else:
        pieces.take()


def _source(pieces: _Pieces) -> Source:
    """Say what the statement takes its rows from."""
    if pieces.at_word("FORMAT"):
        return Source.DATA
    if pieces.at_word("VALUES"):
        return Source.VALUES
    if pieces.at_word("FROM"):
        return Source.INFILE
    if pieces.next is None or pieces.at_sign(";"):
        return Source.OPEN
    return Source.SELECT


def _infile(pieces: _Pieces) -> str:
    """Step over ``FROM INFILE 'path'`` and give the path as it is written, "" for anything else."""
    pieces.take()
    if not pieces.at_word("INFILE"):
        return ""
    pieces.take()
    path = pieces.take()
    return path.text[1:-1] if path is not None and path.kind == "string" else ""


def _format(pieces: _Pieces, source: Source) -> str:
    """Step over the format of the rows and give its name."""
    if source is Source.VALUES:
        pieces.take()
        return "Values"
    if not pieces.at_word("FORMAT"):
        return ""
    pieces.take()
    name = pieces.take()
    return name.text if name else ""


def _data_start(text: str, end: int) -> int:
    """Find the first byte of data behind ``FORMAT name``: behind ``;``, blanks, one newline."""
    end = _skip_blanks(text, end)
    if text[end : end + 1] == ";":
        end = _skip_blanks(text, end + 1)
    end += text[end : end + 1] == "\r"
    return end + (text[end : end + 1] == "\n")


def _skip_blanks(text: str, end: int) -> int:
    while text[end : end + 1] in {" ", "\t", "\f"}:
        end += 1
    return end

"""What one request asks of the engine. Pure: bytes and parameters in, a Statement out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Final

from spanlore.schemas.credentials import EVERY_TENANT
from spanlore.store_server.errors import (
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    QUERY_IS_TOO_LARGE,
    UNKNOWN_SETTING,
    QueryError,
)
from spanlore.store_server.insert import Insert, Source, read_insert
from spanlore.store_server.tokens import Token, outer_tokens, tokens

QUERY_BYTES_MAX: Final = 1024 * 1024  # text of one statement, as ClickHouse's HTTP buffer

# Formats that chDB streams and whose blocks, one after another, are the whole answer.
STREAMED_FORMATS: Final = frozenset(
    {"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"}
)
# What makes such an answer more than its blocks.
_WHOLE_ANSWER_SETTINGS: Final = frozenset({"extremes", "output_format_json_array_of_rows"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and of which tenant a reader sees the rows."""

    role: str
    user: str
    tenant: str = EVERY_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the transport says about a statement.

    ``names_columns`` tells that its asker wants the columns of an answer without rows, too.
    """

    caller: Caller
    readonly: bool
    database: str
    default_format: str
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    session_id: str = ""
    session_timeout_s: float = 60.0
    native_revision: int = 0
    names_columns: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement, ready for the engine. ``loads`` tells that its rows come from a file."""

    sql: str
    output_format: str
    insert: Insert | None
    loads: bool
    around: Surroundings

    @property
    def changes_session(self) -> bool:
        """Tell whether later statements of the same session must see what this one did."""
        words = [token.text.upper() for _, token in zip(range(4), tokens(self.sql), strict=False)]
        if words[:1] in (["SET"], ["USE"]):
            return True
        return words[:1] == ["CREATE"] and bool({"TEMPORARY", "TEMP"} & set(words))

    @property
    def streams(self) -> bool:
        """Tell whether the answer may be sent block by block."""
        if self.output_format not in STREAMED_FORMATS or self.insert is not None:
            return False
        if _WHOLE_ANSWER_SETTINGS & set(self.around.settings):
            return False
        return not any(token.is_word("TOTALS") for token in tokens(self.sql))


@dataclass(frozen=True, slots=True)
class FormatClause:
    """A trailing ``FORMAT name`` of a query and where it stands."""

    name: str
    start: int
    end: int


_END: Final = Token("end", "", -1, -1)


def format_clause(sql: str) -> FormatClause | None:
    """Find the FORMAT clause outside every bracket; None where the query has none."""
    found = None
    before: list[Token] = []  # the last two tokens
    for token in chain(outer_tokens(sql), (_END,)):
        closes = token.text in {"", ";"} or token.is_word("SETTINGS")
        if closes and len(before) > 1 and before[0].is_word("FORMAT") and before[1].kind == "word":
            found = FormatClause(before[1].text, before[0].start, before[1].end)
        before = [*before[-1:], token]
    return found


def without_format(sql: str) -> str:
    """Give the query without its FORMAT clause and closing semicolon."""
    clause = format_clause(sql)
    if clause is not None:
        sql = sql[: clause.start] + sql[clause.end :]
    return sql.rstrip().rstrip(";")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a body divides: the statement's text, and the data behind it.

    ``insert`` with ``loads`` means that ``data`` and what follows of the body go to the spool.
    Text that loads, or names a file, is Latin-1 decoded.
    """

    text: str
    insert: Insert | None
    loads: bool
    data: bytes

    @property
    def infile(self) -> str:
        """The file that the statement names, which somebody has to check."""
        return self.insert.infile if self.insert else ""


def divide(head: bytes, *, complete: bool) -> Plan:
    """Divide the beginning of a body, or all of it where ``complete``.

    Raises QueryError when the statement does not fit in QUERY_BYTES_MAX or is not UTF-8.
    """
    latin = head.decode("latin-1")
    insert = read_insert(latin)
    if insert is None:
        return _whole(head, complete=complete)
    if insert.source is Source.INFILE:
        if not (insert.infile and complete):
            raise QueryError(NOT_IMPLEMENTED, "FROM INFILE with more than a format: send the data")
        return Plan(text=latin, insert=insert, loads=False, data=b"")
    if insert.source is Source.VALUES and complete and _is_utf8(head):
        return Plan(text=_text(head), insert=insert, loads=False, data=b"")
    if insert.source is Source.SELECT:
        return Plan(text=_whole(head, complete=complete).text, insert=insert, loads=False, data=b"")
    start = insert.data_at
    if insert.source is Source.OPEN and complete and not head[start:].strip():
        # ``INSERT INTO t (SELECT 1)``, or nothing to insert: the engine knows which.
        return Plan(text=_text(head), insert=insert, loads=False, data=b"")
    # Offsets are into Latin-1 text; the statement's own text is UTF-8, where they are bytes.
    return Plan(text=latin[:start], insert=insert, loads=True, data=head[start:])


def _whole(head: bytes, *, complete: bool) -> Plan:
    if not complete:
        raise QueryError(
            QUERY_IS_TOO_LARGE, f"the statement is longer than {QUERY_BYTES_MAX} bytes"
        )
    return Plan(text=_text(head), insert=None, loads=False, data=b"")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise QueryError(BAD_ARGUMENTS, f"the statement is not UTF-8: {error}") from error


def statement(plan: Plan, around: Surroundings, *, file: str = "") -> Statement:
    """Make the Statement of a plan; ``file`` is the one that its data went to, or that it names."""
    if plan.insert is not None and (plan.loads or plan.infile):
        form = around.default_format or "Values"
        latin = plan.insert.from_file(plan.text, path=file, default_format=form)
        sql = _text(latin.encode("latin-1"))
        return Statement(
            sql=sql, output_format="TabSeparated", insert=plan.insert, loads=True, around=around
        )
    if _writes_a_file(plan.text):
        raise QueryError(NOT_IMPLEMENTED, "INTO OUTFILE names a file of the server")
    clause = None if plan.insert else format_clause(plan.text)
    form = clause.name if clause else around.default_format or "TabSeparated"
    return Statement(
        sql=plan.text, output_format=form, insert=plan.insert, loads=False, around=around
    )


def _writes_a_file(sql: str) -> bool:
    if "OUTFILE" not in sql.upper():
        return False
    return any(
        first.is_word("INTO") and second.is_word("OUTFILE")
        for first, second in pairwise(tokens(sql))
    )


_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def set_statement(settings: Mapping[str, str]) -> str:
    """Word ``SET a = '...', b = '...'``; raises QueryError for what is no setting's name."""
    for name in settings:
        if not _SETTING_NAME.fullmatch(name):
            raise QueryError(UNKNOWN_SETTING, f"Unknown setting {name!r}")
    return "SET " + ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items())


def quoted(text: str) -> str:
    """Quote a string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


def quoted_identifier(name: str) -> str:
    """Quote a name."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"

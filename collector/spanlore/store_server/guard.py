"""Who may run what. The engine's own parser decides, and what it cannot tell is refused."""

from typing import Final, Protocol

from spanlore.schemas import learning_tables
from spanlore.store_server import reader
from spanlore.store_server.errors import ACCESS_DENIED, READONLY, SYNTAX_ERROR, QueryError
from spanlore.store_server.statement import Statement
from spanlore.store_server.syntax import Syntax
from spanlore.store_server.tokens import tokens

ADMIN: Final = "admin"
INGEST: Final = "ingest"
READER: Final = "reader"

_READ_ONLY: Final = "READ_ONLY"

# What was learned, what people decided and what came of it: who may send spans may not write here.
_DECISIONS: Final = frozenset(
    {
        learning_tables.ANALYSES,
        learning_tables.EFFECTS,
        learning_tables.FINDINGS,
        learning_tables.ERASING,
        learning_tables.LEARNING_LOG,
        learning_tables.LESSONS,
        learning_tables.REVOKED_TRACES,
        learning_tables.RUN_FACTS,
    }
)

# Table functions that stay inside the engine; all others reach files, sockets or the process.
_INNER_TABLE_FUNCTIONS: Final = frozenset(
    {
        "format",
        "fuzzjson",
        "generaterandom",
        "generate_series",
        "generateseries",
        "input",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "values",
        "view",
        "zeros",
        "zeros_mt",
    }
)
# Scalar functions that reach out.
_OUTER_FUNCTIONS: Final = frozenset({"file", "catboostevaluate", "getserversetting"})
_OUTER_PREFIXES: Final = ("ai",)
# The engine's tree does not show the functions in these.
_HIDING: Final = frozenset({"ColumnsApplyTransformer", "ShowTables"})


class Parser(Protocol):
    """What the guard asks the engine about a statement without running it."""

    def query_class(self, sql: str) -> tuple[str, int]:
        """Give (class, number of statements)."""

    def syntax(self, sql: str) -> Syntax:
        """Give what the parser saw in it."""

    def functions(self) -> frozenset[str]:
        """Give the lower-case names of all functions that the engine has."""

    def table_functions(self) -> frozenset[str]:
        """Give the lower-case names of all table functions that the engine has."""


def check(statement: Statement, parser: Parser) -> str:
    """Give the engine's class of ``statement``; raises QueryError where its asker may not run it.

    ``admin`` runs everything, one statement at a time; ``ingest`` inserts into tables and reads;
    ``reader`` asks what ``reader.check`` lets it; a GET request only reads, whoever asks.
    """
    role = statement.around.caller.role
    if statement.loads and role == ADMIN and not statement.around.readonly:
        return "MUTATING"
    query_class, count = parser.query_class(statement.sql)
    if count > 1:
        raise QueryError(SYNTAX_ERROR, "Multi-statements are not allowed: send them one by one")
    if statement.around.readonly and query_class != _READ_ONLY:
        raise QueryError(READONLY, "a GET request only reads: use POST to change something")
    if role == ADMIN:
        return query_class
    if role == READER:
        _check_reader(statement, query_class, parser)
    elif role == INGEST:
        _check_ingest(statement, query_class, parser)
    else:
        raise QueryError(ACCESS_DENIED, f"the role {role!r} may run nothing")
    return query_class


def _check_reader(statement: Statement, query_class: str, parser: Parser) -> None:
    if next(tokens(statement.sql), None) is None:
        raise QueryError(SYNTAX_ERROR, "Syntax error: Empty query")
    syntax = parser.syntax(statement.sql)  # what is no SQL at all is told so by the engine
    if query_class != _READ_ONLY or statement.insert is not None:
        raise QueryError(ACCESS_DENIED, "Not enough privileges: a reader may SELECT only")
    reader.check(
        statement.sql,
        syntax,
        functions=parser.functions(),
        tenant=statement.around.caller.tenant,
    )


def _check_ingest(statement: Statement, query_class: str, parser: Parser) -> None:
    inserts = statement.insert is not None and not statement.insert.to_function
    if query_class != _READ_ONLY and not inserts:
        raise QueryError(ACCESS_DENIED, "Not enough privileges: ingest may INSERT and SELECT only")
    syntax = parser.syntax(statement.sql)
    # chDB's database "default" has every file of the machine as a table, by its path.
    if any("/" in name for name in syntax.identifiers):
        raise QueryError(ACCESS_DENIED, "Not enough privileges: ingest may not name files")
    named = {name.rpartition(".")[2] for name in syntax.identifiers}
    if inserts and not _DECISIONS.isdisjoint(named):
        raise QueryError(ACCESS_DENIED, "Not enough privileges: ingest may not write decisions")
    if not _HIDING.isdisjoint(syntax.kinds) and "(" in statement.sql:
        raise QueryError(ACCESS_DENIED, "Not enough privileges: ingest may not APPLY functions")
    # The engine also takes a function by its bare name: ``arrayMap(file, ['x'])``.
    used = syntax.functions | {name.lower() for name in syntax.names} & parser.functions()
    outer = used & (parser.table_functions() - _INNER_TABLE_FUNCTIONS | _OUTER_FUNCTIONS)
    outer |= {name for name in used if name.startswith(_OUTER_PREFIXES)}
    if outer:
        names = ", ".join(sorted(outer))
        raise QueryError(ACCESS_DENIED, f"Not enough privileges: ingest may not use {names}")

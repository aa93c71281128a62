"""What a reader may ask: the parts of a query, functions, system tables, settings and caps.

The engine's own grants and the confinement of the process stand behind this; it stands before what
they do not know of: functions, tables that every role may read, and what a query may cost.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from spanlore.schemas.credentials import EVERY_TENANT
from spanlore.schemas.tables import DATABASE
from spanlore.store_server.errors import (
    ACCESS_DENIED,
    BAD_ARGUMENTS,
    READONLY,
    QueryError,
)
from spanlore.store_server.syntax import Syntax

TIME_S_MAX: Final = 30
ANSWER_S_MAX: Final = 60  # of running and of the client's reading, together
STUCK_S_MAX: Final = 30  # from being killed to being gone
MEMORY_BYTES_MAX: Final = 1024 * 1024 * 1024
RESULT_ROWS_MAX: Final = 1_000_000
RESULT_BYTES_MAX: Final = 256 * 1024 * 1024
THREADS_MAX: Final = 4
BLOCK_ROWS_MAX: Final = 65_409  # the engine's own; time and memory are looked at between two blocks

# A client may lower these, and what it asks beyond them is cut to them. 0 means no limit there.
_CAPS: Final = {
    "max_execution_time": TIME_S_MAX,
    "max_memory_usage": MEMORY_BYTES_MAX,
    "max_result_rows": RESULT_ROWS_MAX,
    "max_result_bytes": RESULT_BYTES_MAX,
    "max_threads": THREADS_MAX,
    "max_block_size": BLOCK_ROWS_MAX,
}
# What a client may set as it likes: how values are written, and how null and time are taken.
_FREE: Final = frozenset(
    {
        "date_time_input_format",
        "date_time_output_format",
        "extremes",
        "group_by_use_nulls",
        "join_use_nulls",
        "log_comment",
        "max_rows_to_read",
        "output_format_csv_delimiter",
        "output_format_json_array_of_rows",
        "output_format_json_named_tuples_as_objects",
        "output_format_json_quote_64bit_floats",
        "output_format_json_quote_64bit_integers",
        "output_format_json_quote_decimals",
        "output_format_json_quote_denormals",
        "output_format_write_statistics",
        "result_overflow_mode",
        "session_timezone",
        "timeout_overflow_mode",
        "union_default_mode",
    }
)
# Nobody changes these: nothing goes to disk or is kept for another, and memory is counted finely.
_FIXED: Final = {
    "max_bytes_before_external_group_by": "0",
    "max_bytes_before_external_sort": "0",
    "max_bytes_ratio_before_external_group_by": "0",
    "max_bytes_ratio_before_external_sort": "0",
    "max_untracked_memory": "1048576",
    "use_query_cache": "0",
}

_DATABASES: Final = frozenset({"default", DATABASE})
_HARMLESS_SYSTEM_TABLES: Final = frozenset(
    {
        "aggregate_function_combinators",
        "data_type_families",
        "databases",
        "formats",
        "functions",
        "keywords",
        "numbers",
        "one",
        "settings",
        "table_functions",
        "time_zones",
        "zeros",
    }
)
# These tell how much a table holds, which is every tenant's together.
_CATALOGUE: Final = frozenset({"columns", "tables", "schemata"})
_SYSTEM_DATABASES: Final = frozenset({"information_schema", "system"})

# Every part of a query that the engine shows in full. What it does not, such as the function of an
# APPLY, cannot be looked into and is refused, as are statements of other kinds.
_PARTS: Final = frozenset(
    {
        "ArrayJoin",
        "Asterisk",
        "ColumnsExceptTransformer",
        "ColumnsListMatcher",
        "ColumnsRegexpMatcher",
        "ColumnsReplaceTransformer",
        "ColumnsReplaceTransformer::Replacement",
        "ColumnsTransformerList",
        "DescribeQuery",
        "ExistsTableQuery",
        "Explain",
        "ExpressionList",
        "Function",
        "Identifier",
        "InterpolateElement",
        "Literal",
        "OrderByElement",
        "QualifiedAsterisk",
        "QualifiedColumnsListMatcher",
        "QualifiedColumnsRegexpMatcher",
        "SampleRatio",
        "SelectIntersectExceptQuery",
        "SelectQuery",
        "SelectWithUnionQuery",
        "ShowTables",
        "Subquery",
        "TableExpression",
        "TableIdentifier",
        "TableJoin",
        "TablesInSelectQuery",
        "TablesInSelectQueryElement",
        "WindowDefinition",
        "WindowListElement",
        "WithElement",
    }
)
# These analyze a query and run no more of it than the query itself would, which is checked as one.
# Others count what is stored, every tenant's together, or connect to elsewhere.
_EXPLAINS: Final = frozenset({"EXPLAIN", "EXPLAIN AST", "EXPLAIN QUERY TREE", "EXPLAIN SYNTAX"})
# The engine shows nothing of these statements, so only their plainest form is taken.
_PLAIN_SHOW = re.compile(
    r"\s*SHOW\s+(?:FULL\s+)?(?:DATABASES|TABLES)\b[^(]*", re.IGNORECASE | re.ASCII
)


def listed_functions() -> frozenset[str]:
    """Read the lower-case names of the functions that a reader may use."""
    text = Path(__file__).with_name("reader_functions.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(" ".join(lines).split())


_FUNCTIONS: Final = listed_functions()
_COMBINATOR = re.compile(
    "(?:if|array|map|state|merge|foreach|distinct|ordefault|ornull|resample|simplestate"
    "|argmin|argmax|tuple|null)$"
)


def database(asked: str) -> str:
    """Give the database that a reader's names are of; raises QueryError for the engine's own."""
    name = asked or DATABASE
    if name not in _DATABASES:
        raise QueryError(ACCESS_DENIED, f"a reader's database is {DATABASE}, not {name}")
    return name


def settings(asked: Mapping[str, str]) -> dict[str, str]:
    """Give a reader's settings: what it asks for, within its caps; raises QueryError."""
    found = {name: str(cap) for name, cap in _CAPS.items()} | _FIXED
    for name, value in asked.items():
        if name in _CAPS:
            found[name] = _lowered(name, value)
        elif name in _FREE:
            found[name] = value
        else:
            raise QueryError(READONLY, f"Cannot modify '{name}' setting in readonly mode")
    return found


def _lowered(name: str, value: str) -> str:
    try:
        number = float(value)
    except ValueError as error:
        raise QueryError(BAD_ARGUMENTS, f"{name} is not a number: {value!r}") from error
    cap = _CAPS[name]
    return value if 0 < number <= cap else str(cap)


def allows_function(name: str) -> bool:
    """Tell whether a reader may use the function of this lower-case name, of any kind."""
    while name not in _FUNCTIONS:
        shorter = _COMBINATOR.sub("", name)
        if shorter == name:
            return False
        name = shorter
    return True


def check(sql: str, syntax: Syntax, *, functions: frozenset[str], tenant: str) -> None:
    """Raise QueryError where a reader may not run the query ``sql``.

    ``functions`` are the lower-case names of all functions that the engine has.
    """
    hidden = syntax.kinds - _PARTS
    if hidden:
        raise _refusal(f"run {', '.join(sorted(hidden))}")
    if not syntax.explains <= _EXPLAINS:
        raise _refusal(
            f"run {', '.join(sorted(syntax.explains - _EXPLAINS))}: only EXPLAIN AST, SYNTAX, "
            "QUERY TREE and PLAN, without settings"
        )
    if "ShowTables" in syntax.kinds and not _is_plain_show(sql):
        raise _refusal("SHOW more than DATABASES and TABLES, with FROM and LIKE")
    if any("/" in name for name in syntax.identifiers):
        raise _refusal("name files")
    # The engine also takes a function by its bare name: ``arrayMap(file, ['x'])``.
    used = syntax.functions | {name.lower() for name in syntax.names} & functions
    outer = {name for name in used if not allows_function(name)}
    if outer:
        raise _refusal(f"use {', '.join(sorted(outer))}")
    secret = {name for name in syntax.names if not _may_name(name.lower(), tenant)}
    if secret:
        raise _refusal(f"read {', '.join(sorted(secret))}")


def _is_plain_show(sql: str) -> bool:
    return _PLAIN_SHOW.fullmatch(sql) is not None and "where" not in sql.lower()


def _may_name(name: str, tenant: str) -> bool:
    database, _, rest = name.partition(".")
    if database not in _SYSTEM_DATABASES or not rest:
        return True
    table = rest.partition(".")[0]
    return table in _HARMLESS_SYSTEM_TABLES or (table in _CATALOGUE and tenant == EVERY_TENANT)


def _refusal(what: str) -> QueryError:
    return QueryError(ACCESS_DENIED, f"Not enough privileges: a reader may not {what}")

"""Which rows of the store are one user's, and how they leave it: SQL that runs on any ClickHouse.

The engine keeps the text of a statement that deletes, so none names a user or a run: what is to go
stands in the table ``erasing``, under a random name for each erasing, until all of it is gone. An
erasing that was cut short is found there, and goes on.

A trace is the user's where its run is, or where spans of it name them and no run of another's. With
it go the rows that name no tenant, as these are of the run's (``tables.OF_RUNS_TENANT``).
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from spanlore.schemas import dialects, learning_tables, metric_tables, semconv, tables
from spanlore.schemas.learning_tables import ERASING
from spanlore.schemas.store import Store

__all__ = [
    "COPIED",
    "FINDING",
    "LESSON",
    "Erasure",
    "Ids",
    "begun",
    "ids_of",
    "tenants_of",
]

LESSON: Final = "lesson"  # of the user alone
COPIED: Final = "copied"  # a lesson whose rows are made anew from the log
FINDING: Final = "finding"
_TRACE, _USER, _NAMED, _SESSION, _ANSWER, _HARNESS = (
    "trace",
    "user",
    "named",
    "session",
    "answer",
    "harness",
)
_SYNC: Final = "SETTINGS mutations_sync = 2"

_OF_USER: Final = "TenantId = {tenant:String} AND UserId = {user:String}"
_TENANTS: Final = f"arrayJoin(arrayDistinct([{{tenant:String}}, '{semconv.DEFAULT_TENANT}']))"
_RUNS: Final = f"SELECT TraceId, TenantId, UserId, SessionId FROM {tables.RUNS} {tables.LATEST_RUN}"
_TRACES_SQL: Final = f"""
SELECT TraceId FROM ({_RUNS}) WHERE {_OF_USER}
UNION DISTINCT SELECT TraceId FROM {tables.TRACES} WHERE {_OF_USER} AND TraceId != ''
    AND TraceId NOT IN (SELECT TraceId FROM ({_RUNS}) WHERE NOT ({_OF_USER}))"""
_SPANS: Final = f"""{tables.TRACES}
WHERE (TenantId, TraceId) IN (SELECT {_TENANTS} AS TenantId, TraceId FROM ({_TRACES_SQL}))"""

# What of the user's is looked for in the tables: pairs of a tenant and an id, by kind.
_IDS_SQL: Final[Mapping[str, str]] = {
    _USER: "SELECT {tenant:String} AS TenantId, {user:String} AS Id",
    # Every trace in which a span names them, also others' runs. It is noted before the
    # next, so that of a run that comes in between the whole goes, and not these spans alone.
    _NAMED: f"SELECT DISTINCT TenantId, TraceId AS Id FROM {tables.TRACES} WHERE {_OF_USER}",
    _TRACE: f"SELECT {_TENANTS} AS TenantId, TraceId AS Id FROM ({_TRACES_SQL})",
    _SESSION: f"""SELECT {_TENANTS} AS TenantId, SessionId AS Id FROM (
    SELECT DISTINCT SessionId FROM ({_RUNS}) WHERE SessionId != '' AND {_OF_USER}
        AND SessionId NOT IN (SELECT SessionId FROM ({_RUNS}) WHERE NOT ({_OF_USER})))""",
    _ANSWER: f"""SELECT {_TENANTS} AS TenantId, Id FROM (
    SELECT DISTINCT {dialects.span_attribute(semconv.RESPONSE_ID)} AS Id FROM {_SPANS})
WHERE Id != ''""",
    _HARNESS: f"""SELECT '' AS TenantId, Id FROM (
    SELECT DISTINCT toString(arrayJoin([InstructionsHash, ToolDefinitionsHash])) AS Id
    FROM {_SPANS})""",
    LESSON: "SELECT '' AS TenantId, arrayJoin({lesson_ids:Array(String)}) AS Id",
}
_NAMING: Final = (semconv.USER_ID, *dialects.SYNONYMS[semconv.USER_ID])


def _attributes(*maps: str) -> str:
    """SQL for whether one of these maps of attributes names the user."""
    pairs = (f"(TenantId, {one}['{key}']) IN (<user>)" for one in maps for key in _NAMING)
    return " OR ".join(pairs)


_BY_TRACE: Final = "(TenantId, TraceId) IN (<trace>)"
_BY_USER: Final = "(TenantId, UserId) IN (<user>)"
_OF_EITHER: Final = f"{_BY_TRACE} OR {_BY_USER}"
# Not the spans of a run that begins meanwhile, the rest of which would stay.
_SPANS_GO: Final = f"{_BY_TRACE} OR ({_BY_USER} AND (TenantId, TraceId) IN (<named>))"
_BY_LESSON: Final = "LessonId IN (SELECT Id FROM (<lesson>))"
_LOG_SAYS: Final = "(TenantId, LogAttributes['{}']) IN (<{}>)"
# A trace id of theirs under which no span of others stands.
_NO_LONGER_A_TRACE: Final = f"""TraceId IN (SELECT Id FROM (<trace>)) AND TraceId NOT IN (
    SELECT TraceId FROM {tables.TRACES}
    WHERE TraceId IN (SELECT Id FROM (<trace>)) AND NOT ({_SPANS_GO}))"""

# By table, which rows go. Spans go before what goes because they have gone.
_GOES: Final[Mapping[str, str]] = {
    tables.JUDGEMENTS: _BY_TRACE,
    learning_tables.OVERRIDES: _OF_EITHER,
    learning_tables.EXPOSURES: _OF_EITHER,
    learning_tables.RUN_FACTS: f"{_BY_TRACE} OR (TenantId, TraceId) IN (<named>)",
    learning_tables.LESSON_NOTES: f"{_BY_LESSON} OR OtherId IN (SELECT Id FROM (<lesson>))",
    tables.LOGS: f"""{_BY_TRACE} OR {_attributes("LogAttributes", "ResourceAttributes")}
    OR (TraceId = '' AND ({_LOG_SAYS.format(semconv.CONVERSATION_ID, _SESSION)}
        OR {_LOG_SAYS.format(semconv.SESSION_ID, _SESSION)}
        OR {_LOG_SAYS.format(semconv.RESPONSE_ID, _ANSWER)}))""",
    **dict.fromkeys(
        metric_tables.BY_KIND.values(), _attributes("Attributes", "ResourceAttributes")
    ),
    tables.RUNS: _BY_TRACE,
    tables.TRACES: _SPANS_GO,
    tables.TRACE_TIMES: _NO_LONGER_A_TRACE,
    learning_tables.REVOKED_TRACES: _NO_LONGER_A_TRACE,
    tables.HARNESS_PARTS: f"""toString(RawHash) IN (SELECT Id FROM (<harness>))
    AND toString(RawHash) NOT IN (
        SELECT toString(arrayJoin([InstructionsHash, ToolDefinitionsHash])) FROM {tables.TRACES}
        WHERE NOT ({_SPANS_GO}))""",
}
_EXEMPLAR_TABLES: Final = tuple(
    table.name
    for table in metric_tables.ALL
    if any(column.name == "Exemplars.TraceId" for column in table.columns)
)
_USERS_LESSON: Final = "Scope = 'user' AND ScopeKey = {user:String}"
_TENANTS_SQL: Final = "\nUNION DISTINCT ".join(
    [
        *(
            f"SELECT TenantId FROM {table} WHERE UserId = {{user:String}}"
            for table in (
                tables.TRACES,
                tables.RUNS,
                learning_tables.OVERRIDES,
                learning_tables.EXPOSURES,
            )
        ),
        *(
            f"SELECT TenantId FROM {table} WHERE "
            + " OR ".join(f"{column}['{key}'] = {{user:String}}" for key in _NAMING)
            for table, column in (
                (tables.LOGS, "LogAttributes"),
                *((name, "Attributes") for name in metric_tables.BY_KIND.values()),
            )
        ),
        f"SELECT TenantId FROM {learning_tables.LESSONS} WHERE {_USERS_LESSON}",
        f"SELECT TenantId FROM {ERASING} WHERE Kind = '{_USER}' AND Id = {{user:String}}",
    ]
)


_BEGUN_SQL: Final = f"""SELECT Erasure FROM {ERASING}
WHERE Kind = '{_USER}' AND TenantId = {{tenant:String}} AND Id = {{user:String}} LIMIT 1"""


def tenants_of(store: Store, user: str) -> list[str]:
    """Return the tenants in which anything names a user. Raises StoreError."""
    rows = store.query(f"SELECT DISTINCT TenantId FROM ({_TENANTS_SQL})", {"user": user})
    return sorted(row["TenantId"] for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """A select for each kind of what is a user's, and the parameters of all of them."""

    selects: Mapping[str, str]
    asked: Mapping[str, Any]

    def query(self, store: Store, sql: str) -> list[dict[str, Any]]:
        """Run a SELECT in which ``<kind>`` stands for the pairs of a kind. Raises StoreError."""
        return store.query(self.put_in(sql), self.asked)

    def put_in(self, sql: str) -> str:
        """Put the selects in the places that name them; ``<ids>`` is an array of the traces."""
        sql = sql.replace("<ids>", f"(SELECT groupArray(Id) FROM ({self.selects[_TRACE]}))")
        for kind, select in self.selects.items():
            sql = sql.replace(f"<{kind}>", select)
        return sql

    def trace_ids(self, store: Store) -> frozenset[str]:
        """Return the traces that are the user's. Raises StoreError."""
        rows = self.query(store, "SELECT DISTINCT Id FROM (<trace>)")
        return frozenset(row["Id"] for row in rows)

    def counted(self, store: Store) -> dict[str, int]:
        """Return how many rows of each table go. Raises StoreError."""
        return {table: self.count(store, table) for table in _GOES}

    def count(self, store: Store, table: str) -> int:
        """Return how many rows of a table go. Raises StoreError."""
        [row] = self.query(store, f"SELECT count() AS n FROM {table} WHERE {_GOES[table]}")
        return int(row["n"])


def ids_of(*, tenant: str, user: str, lesson_ids: Iterable[str] = ()) -> Ids:
    """Return what is a user's, as the store is now, without an erasing."""
    asked = {"tenant": tenant, "user": user, "lesson_ids": sorted(lesson_ids)}
    return Ids(selects=_IDS_SQL, asked=asked)


def begun(store: Store, *, tenant: str, user: str) -> "Erasure":
    """Begin an erasing, or go on with one that was cut short. Raises StoreError."""
    asked = {"tenant": tenant, "user": user}
    known = store.query(_BEGUN_SQL, asked)
    name = known[0]["Erasure"] if known else secrets.token_hex(8)
    for kind, sql in _IDS_SQL.items():
        if kind != LESSON:
            found = f"SELECT '{name}', '{kind}', TenantId, Id FROM ({sql})"
            store.command(f"INSERT INTO {ERASING} {found}", asked)
    return Erasure(store, name)


class Erasure:
    """One erasing: ``ids`` are what stands in ``erasing`` under its name."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        selects = {kind: self._of(kind) for kind in (*_IDS_SQL, COPIED, FINDING)}
        self.ids = Ids(selects=selects, asked={})

    def add(self, kind: str, ids: Iterable[str]) -> None:
        """Note more that is to go: LESSON, COPIED or FINDING. Raises StoreError."""
        self._store.insert(
            ERASING,
            [{"Erasure": self._name, "Kind": kind, "TenantId": "", "Id": one} for one in ids],
        )

    def delete(self, table: str, condition: str) -> None:
        """Delete rows for good; the condition names kinds as ``Ids`` has it. Raises StoreError."""
        found = self.ids.put_in(condition)
        self._store.command(f"ALTER TABLE {table} DELETE WHERE {found} {_SYNC}")

    def delete_rows(self) -> dict[str, int]:
        """Delete the rows that are the user's; return how many of each table. Raises StoreError."""
        for table in _EXEMPLAR_TABLES:
            self._store.command(self.ids.put_in(_EXEMPLARS_SQL.format(table=table)))
        gone = {}
        for table, condition in _GOES.items():
            gone[table] = self.ids.count(self._store, table)
            if gone[table]:
                self.delete(table, condition)
        return gone

    def end(self) -> None:
        """Take the erasing itself off the store. Raises StoreError."""
        self._store.command(f"ALTER TABLE {ERASING} DELETE WHERE Erasure = '{self._name}' {_SYNC}")

    def _of(self, kind: str) -> str:
        named = f"Erasure = '{self._name}' AND Kind = '{kind}'"
        return f"SELECT TenantId, Id FROM {ERASING} WHERE {named}"


# An exemplar of a run of theirs stays a value, of a metric that is many users'.
_EXEMPLARS_SQL: Final = (
    "ALTER TABLE {table} UPDATE "
    + ", ".join(
        f"`Exemplars.{column}` = arrayMap((said, id) -> if(has(<ids>, id), {empty}, said), "
        f"`Exemplars.{column}`, `Exemplars.TraceId`)"
        for column, empty in (("FilteredAttributes", "map()"), ("SpanId", "''"), ("TraceId", "''"))
    )
    + f"""
WHERE hasAny(`Exemplars.TraceId`, <ids>) AND TenantId IN (SELECT TenantId FROM (<trace>))
{_SYNC}"""
)

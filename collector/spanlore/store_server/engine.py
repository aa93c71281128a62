"""chDB: handles, running, streaming and killing. The only module that imports it.

A handle is used by one thread at a time and, except in a session, by one statement. Data is never
given to chDB's ``send_insert``: it answers success when the write side fails.
"""

import json
import logging
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import chdb

from spanlore.store_server import guard, native, query_settings, reader
from spanlore.store_server.errors import (
    ACCESS_DENIED,
    BAD_ARGUMENTS,
    QUERY_WAS_CANCELLED,
    TOO_MANY_ROWS_OR_BYTES,
    QueryError,
    from_engine,
    moved,
)
from spanlore.store_server.grants import READER_ROLE
from spanlore.store_server.sessions import Sessions
from spanlore.store_server.statement import (
    Statement,
    quoted_identifier,
    set_statement,
    without_format,
)
from spanlore.store_server.syntax import Syntax

_log = logging.getLogger(__name__)

_SHOW_TREE: Final = "EXPLAIN AST "
_NOT_STREAMABLE: Final = "Streaming query is not supported"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the engine says about itself."""

    version: str
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a statement did, as X-ClickHouse-Summary counts it."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_ns: int = 0


@dataclass(slots=True)
class Job:
    """A statement being run; ``qid`` is how a running one is found and killed."""

    statement: Statement
    qid: str = field(default_factory=lambda: uuid.uuid4().hex)
    cancelled: threading.Event = field(default_factory=threading.Event)
    gives_rows: bool = False

    @property
    def tag(self) -> str:
        """The comment that marks the statement in system.processes."""
        return f"/* qid:{self.qid} */"


Emit = Callable[[bytes], None]
Blocks = Generator[bytes, None, None]


class Handle:
    """One chDB connection: its own SET and USE, never shared between threads."""

    def __init__(self, address: str) -> None:
        try:
            self._connection = chdb.connect(address)
        except RuntimeError as error:
            raise from_engine(str(error)) from error

    def query(self, sql: str, form: str, parameters: dict[str, str] | None = None) -> Any:
        """Run one statement and give chDB's result; raises QueryError."""
        try:
            return self._connection.query(sql, form, params=parameters or {})
        except RuntimeError as error:
            raise from_engine(str(error)) from error

    def stream(self, sql: str, form: str, parameters: dict[str, str] | None = None) -> Blocks:
        """Run one query and yield its blocks; raises QueryError at once or between blocks.

        Closing the iterator cancels the query.
        """
        try:
            result = self._connection.send_query(sql, form, params=parameters or {})
        except RuntimeError as error:
            raise from_engine(str(error)) from error
        return self._blocks(result)

    @staticmethod
    def _blocks(result: Any) -> Blocks:
        try:
            for block in result:
                yield block.bytes()
        except RuntimeError as error:
            raise from_engine(str(error)) from error
        finally:
            result.close()

    def rows(self, sql: str, parameters: dict[str, str] | None = None) -> list[list[Any]]:
        """Run a small query and give its rows."""
        data = self.query(sql, "JSONCompactEachRow", parameters).bytes()
        return [json.loads(line) for line in data.splitlines()]

    # classify_query is private to chDB: without it nothing can be told, so nothing runs.
    def query_class(self, sql: str) -> tuple[str, int]:
        """Say what the engine's parser takes ``sql`` for: (class, number of statements)."""
        try:
            found = self._connection._conn.classify_query(sql, "")  # noqa: SLF001
            return str(found["query_class"].name), int(found["statement_count"])
        except (AttributeError, KeyError, TypeError, RuntimeError) as error:
            raise QueryError(
                ACCESS_DENIED, f"the engine cannot classify the statement: {error}"
            ) from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass(frozen=True, slots=True)
class _Parser:
    """Answers the guard's questions on one handle."""

    handle: Handle
    parameters: dict[str, str]
    known_functions: frozenset[str]
    known_table_functions: frozenset[str]

    def query_class(self, sql: str) -> tuple[str, int]:
        return self.handle.query_class(sql)

    def syntax(self, sql: str) -> Syntax:
        try:
            tree = self.handle.query(f"{_SHOW_TREE}{sql}", "TSVRaw", self.parameters).bytes()
        except QueryError as error:
            raise moved(error, -len(_SHOW_TREE)) from error
        return Syntax.read(tree.decode("utf-8", "replace"))

    def functions(self) -> frozenset[str]:
        return self.known_functions

    def table_functions(self) -> frozenset[str]:
        return self.known_table_functions


class Engine:
    """The one chDB of this process. ``open``, then ``run`` from any thread, then ``close``."""

    def __init__(
        self, store_dir: Path, *, access_file: Path, memory_bytes_max: int, sessions_max: int
    ) -> None:
        # The engine reads options behind the first two, and files it should load by the others.
        if not set("?&*{}").isdisjoint(str(store_dir)):
            raise QueryError(
                BAD_ARGUMENTS,
                f"a data directory may not contain any of ? & * {{ }}, choose another: {store_dir}",
            )
        options = f"config-file={access_file}&max_server_memory_usage={memory_bytes_max}"
        self._address = f"{store_dir}?{options}"
        self._anchor = Handle(self._address)  # keeps the engine up between statements
        [[version, timezone]] = self._anchor.rows("SELECT version(), timezone()")
        self.facts = Facts(str(version), str(timezone))
        self._functions = self._names_in("system.functions")
        self._table_functions = self._names_in("system.table_functions")
        self._sessions: Sessions[Handle] = Sessions(self._open, count_max=sessions_max)

    def _names_in(self, table: str) -> frozenset[str]:
        names = self._anchor.rows(f"SELECT lower(name) FROM {table}")
        return frozenset(str(name) for [name] in names)

    def broken_parts(self) -> list[str]:
        """Name the parts that could not be read and were set aside, as database.table: part.

        The engine opens a table without them and says nothing.
        """
        found = self._anchor.rows(
            "SELECT database, table, name FROM system.detached_parts"
            " WHERE startsWith(reason, 'broken') ORDER BY ALL"
        )
        return [f"{database}.{table}: {name}" for database, table, name in found]

    def _open(self) -> Handle:
        return Handle(self._address)

    def kill(self, qid: str) -> None:
        """Kill the statement of a job, where it runs. Safe when it does not."""
        handle = self._open()
        try:
            handle.query(f"KILL QUERY WHERE query LIKE '/* qid:{qid} */%' ASYNC", "Null")
        finally:
            handle.close()

    def close(self) -> None:
        """Close every handle; nothing may be running."""
        self._sessions.close()
        self._anchor.close()

    def run(self, job: Job, emit: Emit) -> Summary:
        """Run a statement, giving its answer to ``emit`` piece by piece; raises QueryError."""
        around = job.statement.around
        if around.caller.role == guard.READER:
            return self._run_for_reader(job, emit)
        with self._sessions.handle(
            around.session_id,
            keeps=job.statement.changes_session,
            timeout_s=around.session_timeout_s,
        ) as lease:
            if around.database:
                lease.handle.query(f"USE {quoted_identifier(around.database)}", "Null")
            with _settings(lease.handle, job.statement, restores=lease.kept):
                return self._run_on(lease.handle, job, emit)

    def _run_for_reader(self, job: Job, emit: Emit) -> Summary:
        """Run on a handle of its own, which has given up all other rights for good."""
        job.statement = query_settings.lifted(job.statement)
        around = job.statement.around
        settings = reader.settings(around.settings)
        handle = self._open()
        try:
            handle.query(f"USE {quoted_identifier(reader.database(around.database))}", "Null")
            handle.query(set_statement(settings), "Null")
            handle.query(f"SET ROLE {READER_ROLE}", "Null")
            handle.query("SET readonly = 1", "Null")
            return self._run_on(handle, job, _capped(emit))
        finally:
            handle.close()

    def _run_on(self, handle: Handle, job: Job, emit: Emit) -> Summary:
        statement = job.statement
        parameters = dict(statement.around.parameters)
        parser = _Parser(handle, parameters, self._functions, self._table_functions)
        job.gives_rows = guard.check(statement, parser) == "READ_ONLY"
        if job.cancelled.is_set():
            raise QueryError(QUERY_WAS_CANCELLED, "the client went away before the query began")
        if not (job.gives_rows and statement.streams):
            return _whole(handle, job, emit)
        try:
            sql = f"{job.tag} {statement.sql}"
            blocks = handle.stream(sql, statement.output_format, parameters)
        except QueryError as error:
            if _NOT_STREAMABLE not in error.message:
                raise
            return _whole(handle, job, emit)
        return _streamed(handle, job, emit=emit, blocks=blocks)


def _capped(emit: Emit) -> Emit:
    """Count what a reader is sent: the engine counts a column that says one thing as one value."""
    sent_bytes = 0

    def capped(piece: bytes) -> None:
        nonlocal sent_bytes
        sent_bytes += len(piece)
        if sent_bytes > reader.RESULT_BYTES_MAX:
            raise QueryError(
                TOO_MANY_ROWS_OR_BYTES,
                f"the answer is larger than {reader.RESULT_BYTES_MAX} bytes: ask for less of it",
            )
        emit(piece)

    return capped


@contextmanager
def _settings(handle: Handle, statement: Statement, *, restores: bool) -> Iterator[None]:
    """Apply a statement's settings to a handle and, on a kept one, put the old values back."""
    settings = dict(statement.around.settings)
    before: list[list[Any]] = []
    if settings:
        apply = set_statement(settings)
        if restores:
            names = ", ".join(f"'{name}'" for name in settings)
            before = handle.rows(
                "SELECT name, value, changed FROM system.settings"
                " WHERE has({names:Array(String)}, name)",
                {"names": f"[{names}]"},
            )
        handle.query(apply, "Null")
    try:
        yield
    finally:
        for name, value, changed in before:
            old = set_statement({name: value}) if changed else f"SET {name} = DEFAULT"
            handle.query(old, "Null")


def _whole(handle: Handle, job: Job, emit: Emit) -> Summary:
    """Run a statement whose answer comes in one piece."""
    statement = job.statement
    result = handle.query(
        f"{job.tag} {statement.sql}", statement.output_format, dict(statement.around.parameters)
    )
    data = result.bytes() or b""
    if statement.output_format == "Native" and (data or job.gives_rows):
        data = _native_whole(handle, job, data)
    if data:
        job.gives_rows = True
        emit(data)
    return _summary(result, inserted=statement.insert is not None)


def _streamed(handle: Handle, job: Job, *, emit: Emit, blocks: Blocks) -> Summary:
    """Pass a query's blocks on as they come."""
    statement = job.statement
    revision = statement.around.native_revision
    prefix = native.BLOCK_INFO if statement.output_format == "Native" and revision > 0 else b""
    count = 0
    try:
        for block in blocks:
            if job.cancelled.is_set():
                raise QueryError(QUERY_WAS_CANCELLED, "the client went away")
            count += 1
            emit(prefix + block)
    finally:
        blocks.close()
    if count == 0 and statement.output_format == "Native" and statement.around.names_columns:
        emit(_native_header(handle, job))
    return Summary()


def _native_whole(handle: Handle, job: Job, data: bytes) -> bytes:
    """Prefix the one block of an answer that chDB would not stream (SHOW, DESCRIBE, EXPLAIN)."""
    if not data:
        return _native_header(handle, job)
    return (native.BLOCK_INFO if job.statement.around.native_revision > 0 else b"") + data


def _native_header(handle: Handle, job: Job) -> bytes:
    """Make the block without rows that chDB does not write, by asking for the columns."""
    around = job.statement.around
    query = without_format(job.statement.sql)
    parameters = dict(around.parameters)
    try:
        found = handle.rows(f"{job.tag} DESCRIBE ({query}\n)", parameters)
        columns = [(str(row[0]), str(row[1])) for row in found]
    except QueryError:  # not a SELECT: its own JSON names the columns
        answer = handle.query(f"{job.tag} {query}\nFORMAT JSON", "JSON", parameters).bytes()
        columns = [(column["name"], column["type"]) for column in json.loads(answer)["meta"]]
    return native.header(columns, revision=around.native_revision)


def _summary(result: Any, *, inserted: bool) -> Summary:
    rows, size = int(result.rows_read()), int(result.bytes_read())
    elapsed = int(result.elapsed() * 1e9)
    if inserted:
        return Summary(
            read_rows=rows,
            read_bytes=size,
            written_rows=rows,
            written_bytes=size,
            elapsed_ns=elapsed,
        )
    return Summary(read_rows=rows, read_bytes=size, elapsed_ns=elapsed)

"""The one door to ClickHouse, embedded or a server: over HTTP, through clickhouse-connect.

Everything that reads or writes the store goes through here, so that the embedded store process,
a server and a cluster differ by a URL alone.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver import options
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from clickhouse_connect.driver.httputil import default_pool_manager
from urllib3.exceptions import HTTPError

from spanlore.schemas import otlp, tables
from spanlore.schemas.empty_answer import BARE, EMPTY_ANSWER
from spanlore.schemas.loopback import is_loopback

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# It also logs what it raises, in words that say nothing; here everything raised is translated.
logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)

_DEFAULT_PORT = 8123
_CONNECT_TIMEOUT_S = 5
_QUERY_TIMEOUT_S = 300
# The engine quotes the whole statement in some of its errors.
_ERROR_CHARACTERS_MAX = 1_000
_CODE = re.compile(r"[Cc]ode: (\d+)")

# ClickHouse error codes of a passing state of the store: the same statement may succeed later.
# Names: src/Common/ErrorCodes.cpp. Whatever is not here says that the statement or its data is bad.
_PASSING = frozenset(
    {
        60,  # UNKNOWN_TABLE: migrations have not run yet
        74,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
        75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR: a full disk, where its space was not reserved
        76,  # CANNOT_OPEN_FILE: too many are open
        81,  # UNKNOWN_DATABASE
        159,  # TIMEOUT_EXCEEDED
        160,  # TOO_SLOW
        173,  # CANNOT_ALLOCATE_MEMORY
        201,  # QUOTA_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        516,  # AUTHENTICATION_FAILED
        999,  # KEEPER_EXCEPTION
        1002,  # UNKNOWN_EXCEPTION
    }
)

# STD_EXCEPTION has many causes; what the disk said is one that passes.
_STD_EXCEPTION = 1001
_DISK_SAID = ("filesystem error", "filesystem_error", "No space left on device")

# One segment is one block is one token: a replay with other block boundaries would lose rows
# silently, so these travel with every segment and change only together with the token's namespace.
_SEGMENT_SETTINGS: Mapping[str, str] = {
    "format_schema_source": "string",
    "format_schema": otlp.PROTO_SCHEMA,
    "format_schema_message_name": otlp.MESSAGE_NAME,
    "input_format_protobuf_oneof_presence": "1",
    "input_format_parallel_parsing": "0",
    "max_threads": "1",
    "max_insert_threads": "1",
    "max_insert_block_size": "10000000",
    "max_insert_block_size_bytes": "0",
    "min_insert_block_size_rows": "10000000",
    "min_insert_block_size_bytes": "1073741824",
    "max_partitions_per_insert_block": "0",
    # To merge the views' large expressions costs more CPU than the merged ones save.
    "query_plan_merge_expressions": "0",
    "deduplicate_blocks_in_dependent_materialized_views": "1",
    "async_insert": "0",
}
# A span that a segment holds twice is folded when its part is merged, like one that two segments
# hold, and exact readers fold it before that: to look for such at the insert copies every row once
# more. Points of metrics are folded at once, since their readers do not.
_SETTINGS_BY_INPUT: Mapping[str, Mapping[str, str]] = {otlp.TRACES_IN: {"optimize_on_insert": "0"}}


def segment_settings(table_in: str) -> dict[str, str]:
    """Give the settings that a segment is inserted with into one input table."""
    return {**_SEGMENT_SETTINGS, **_SETTINGS_BY_INPUT.get(table_in, {})}


class StoreError(Exception):
    """The store did not do what was asked."""


class StoreUnreachable(StoreError):
    """The store could not be reached or is in a passing bad state: trying again may help."""


class StoreRefused(StoreError):
    """The store refused the statement or its data: trying the same again will not help."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A store URL taken apart."""

    host: str
    port: int
    user: str
    password: str
    database: str
    secure: bool

    @classmethod
    def parse(cls, url: str) -> "StoreAddress":
        """Read ``clickhouse://user:password@host:8123/database`` (``clickhouses://`` for TLS).

        Raises ValueError, saying what is wrong, for any other form.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("clickhouse", "clickhouses") or not parts.hostname:
            message = (
                f"not a store URL: {redacted(url)!r}; "
                "write clickhouse://user:password@host:8123/database"
            )
            raise ValueError(message)
        return cls(
            host=parts.hostname,
            port=parts.port or _DEFAULT_PORT,
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            database=parts.path.strip("/") or tables.DATABASE,
            secure=parts.scheme == "clickhouses",
        )


def redacted(url: str) -> str:
    """Return the URL without its password, for messages."""
    return re.sub(r"(//[^:/@]*):.*@", r"\1:***@", url)


class Store:
    """A connection to the store. Not shared between threads: each opens its own."""

    def __init__(self, client: "Client", address: StoreAddress) -> None:
        self._client = client
        self.address = address
        self._reads_files = is_loopback(address.host)

    @classmethod
    def connect(cls, url: str, *, database: str | None = None) -> "Store":
        """Open a connection.

        ``database`` overrides the one in the URL (migrations connect before theirs exists).
        Raises StoreUnreachable when nothing answers, ValueError for a malformed URL.
        """
        return cls.open(StoreAddress.parse(url), database=database)

    @classmethod
    def open(cls, address: StoreAddress, *, database: str | None = None) -> "Store":
        """Open a connection to an address, as ``connect``: another process needs one of its own."""
        with _translated(f"connect to the store at {address.host}:{address.port}"):
            client = clickhouse_connect.get_client(
                host=address.host,
                port=address.port,
                username=address.user,
                password=address.password,
                secure=address.secure,
                database=database if database is not None else address.database,
                connect_timeout=_CONNECT_TIMEOUT_S,
                send_receive_timeout=_QUERY_TIMEOUT_S,
                autogenerate_session_id=False,
                form_encode_query_params=True,  # a few thousand ids are too long for a URL
                client_name="spanlore",
                # A proxy of the environment cannot reach this machine's own loopback.
                pool_mgr=default_pool_manager() if is_loopback(address.host) else None,
            )
        return cls(client, address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run a SELECT and return its rows as dicts.

        Parameters are ``{name:Type}`` in the SQL (bound by the store), or ``%(name)s`` (quoted
        here, for long lists of values); a statement uses one form or the other.
        """
        with _translated("query the store"):
            result = self._client.query(
                sql, parameters=dict(params or {}), transport_settings={EMPTY_ANSWER: BARE}
            )
        return list(result.named_results())

    def columns(self, sql: str, params: Mapping[str, Any] | None = None) -> dict[str, list[Any]]:
        """Run a SELECT and return its columns by name, all of one length; params as in query."""
        with _translated("query the store"):
            result = self._client.query(sql, parameters=dict(params or {}), column_oriented=True)
        values = result.result_columns or [[] for _ in result.column_names]
        return {
            name: list(column) for name, column in zip(result.column_names, values, strict=True)
        }

    def stream(
        self, sql: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Run a SELECT and yield its rows as they come, for answers that no memory should hold.

        Parameters as in query. Other statements may run while it is read.
        """
        with (
            _translated("query the store"),
            self._client.query_row_block_stream(sql, parameters=dict(params or {})) as blocks,
        ):
            for block in blocks:
                yield from block

    def command(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Run a statement that returns no rows."""
        with _translated("run a statement on the store"):
            self._client.command(sql, parameters=dict(params or {}), settings=dict(settings or {}))

    def raw(
        self, sql: str, *, fmt: str = "TSVWithNames", settings: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """Run a statement and yield the answer's bytes as the store formats them."""
        with (
            _translated("query the store"),
            self._client.raw_stream(sql, fmt=fmt, settings=dict(settings or {})) as stream,
        ):
            yield from iter(lambda: stream.read(1 << 16), b"")

    def insert(
        self, table: str, rows: Sequence[Mapping[str, Any]], *, token: str | None = None
    ) -> None:
        """Insert rows (dicts with the same keys, which are column names) into a table.

        Of several inserts with one ``token`` into a table with a deduplication window the first
        is stored, whatever the others hold; they succeed and leave nothing.
        """
        if not rows:
            return
        names = list(rows[0])
        settings = {} if token is None else {"insert_deduplication_token": token}
        with _translated(f"insert into {table}"):
            self._client.insert(
                table,
                [[row[name] for name in names] for row in rows],
                column_names=names,
                settings=settings,
            )

    def insert_segment(self, path: Path, *, token: str, into: Sequence[str] = otlp.INPUTS) -> None:
        """Insert one write-ahead-log segment, exactly once for its token.

        The engine decodes the file as it is: where it lies, if the store has the collector's data
        directory for its own, else as it is sent. Each input table in ``into`` takes what is of its
        signal and skips the rest. Raises StoreUnreachable when the segment should be tried
        again as it is, StoreRefused when the store will never take it whole.
        """
        for table in into:
            settings = {**segment_settings(table), "insert_deduplication_token": token}
            with _translated(f"load {path.name}"):
                if self._reads_files and self._insert_in_place(table, path, settings):
                    continue
                with path.open("rb") as body:
                    self._client.raw_insert(
                        table, insert_block=body, fmt="Protobuf", settings=settings
                    )
                # The data was good, so it was the path that the store would not have.
                self._reads_files = False

    def _insert_in_place(self, table: str, path: Path, settings: Mapping[str, str]) -> bool:
        """Have the store read a file by itself; False where it will not, now or ever.

        Every ClickHouse server refuses this statement, and so does our store for another's file.
        """
        sql = f"INSERT INTO {table} FROM INFILE '{path.resolve()}' FORMAT Protobuf"
        try:
            self._client.command(sql, settings=dict(settings))
        except ClickHouseError as error:
            if isinstance(_store_error("", error), StoreRefused):
                return False
            raise
        return True

    def close(self) -> None:
        """Close the connection; safe twice."""
        self._client.close()


def leave_out_pandas() -> None:
    """Keep the driver from importing pandas and numpy at its first insert, for nothing.

    For a process that gives and takes plain rows: it takes 0.3 s of CPU and 80 MiB.
    """
    options.pd = options.np = None


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn the driver's exceptions into ours, which say whether trying again may help."""
    try:
        yield
    except ClickHouseError as error:
        raise _store_error(doing, error) from error
    except (HTTPError, OSError) as error:
        raise StoreUnreachable(f"could not {doing}: {_network_said(error) or error}") from error


def _network_said(error: BaseException) -> str:
    """Give what the network said at the root of an error, such as "Connection refused"."""
    root = error
    while isinstance(cause := root.__cause__ or root.__context__, HTTPError | OSError):
        root = cause
    if isinstance(root, OSError) and root.strerror:
        return root.strerror
    return "" if root is error else str(root)


def _store_error(doing: str, error: ClickHouseError) -> StoreError:
    text = " ".join(str(error).split())
    found = _CODE.search(text)
    code = int(found.group(1)) if found else 0
    shown = text if len(text) <= _ERROR_CHARACTERS_MAX else f"{text[:_ERROR_CHARACTERS_MAX]}…"
    message = f"could not {doing}: {shown}"
    if code in _PASSING or (code == _STD_EXCEPTION and any(said in text for said in _DISK_SAID)):
        return StoreUnreachable(message)
    # Without a code it is not ClickHouse that answered: the network, or a proxy before the store.
    if not code and (isinstance(error, OperationalError) or type(error) is DatabaseError):
        said = _network_said(error)
        return StoreUnreachable(f"could not {doing}: {said}" if said else message)
    return StoreRefused(message, code=code)

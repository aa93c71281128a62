"""What a system has stored, read from its store beside it: rows, span ids, bytes on the disk."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from spanlore.schemas import tables
from spanlore.schemas.store import Store

Reading = TypeVar("Reading")

_POLL_S: Final = 0.25
# ClickHouse looks for merges at once after an insert or a merge, then ever more rarely.
_QUIET_S: Final = 5.0
_NOTHING_COMES_S: Final = 45.0
_SETTLE_S_MAX: Final = 300.0
_BUSY_S_MAX: Final = 30.0

_PARTS_SQL: Final = """SELECT
    (SELECT count() FROM system.merges) AS merges,
    (SELECT groupArray(name) FROM (
        SELECT concat(table, '/', name) AS name FROM system.parts
        WHERE active AND database = currentDatabase() ORDER BY name)) AS parts"""
_HELD_SQL: Final = f"""SELECT
    (SELECT count() FROM {tables.TRACES}) AS rows,
    (SELECT uniqExact(TraceId, SpanId) FROM {tables.TRACES}) AS spans,
    (SELECT sum(bytes_on_disk) FROM system.parts
        WHERE active AND database = currentDatabase()) AS disk_bytes,
    (SELECT count() FROM system.parts
        WHERE active AND database = currentDatabase() AND table = '{tables.TRACES}') AS parts"""


class NotSettledError(Exception):
    """A store did not end to merge in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a store holds: rows, distinct spans, bytes of all its tables, parts of the spans'."""

    rows: int
    spans: int
    disk_bytes: int
    parts: int


class Stored(Protocol):
    """A system's store, looked at from beside."""

    def rows(self) -> int:
        """Count the rows of spans."""

    def span_ids(self) -> set[str]:
        """Give the ids of all spans, in hex."""

    def work(self) -> object:
        """Give what changes while the store still works on what it has; None: it works now."""

    def held(self) -> Held:
        """Measure what the store holds."""

    def close(self) -> None:
        """Close the connection."""


class ClickHouse:
    """The table otel_traces behind ClickHouse's protocol, whoever wrote it."""

    def __init__(self, url: str) -> None:
        self._store = Store.connect(url)

    def rows(self) -> int:
        """Count the rows of spans."""
        return int(self._store.query(f"SELECT count() AS n FROM {tables.TRACES}")[0]["n"])

    def span_ids(self) -> set[str]:
        """Give the ids of all spans, in hex."""
        return {row[0] for row in self._store.stream(f"SELECT SpanId FROM {tables.TRACES}")}

    def work(self) -> object:
        """Give the parts there are; None while any are merged."""
        row = self._store.query(_PARTS_SQL)[0]
        return None if row["merges"] else row["parts"]

    def held(self) -> Held:
        """Measure what the store holds."""
        row = self._store.query(_HELD_SQL)[0]
        return Held(**{name: int(value) for name, value in row.items()})

    def close(self) -> None:
        """Close the connection."""
        self._store.close()


class Sqlite:
    """A table of spans in an SQLite file; ``id_column`` holds a span's id in hex."""

    def __init__(self, path: Path, *, table: str = "spans", id_column: str = "span_id") -> None:
        self._path = path
        self._table = table
        self._id_column = id_column

    def rows(self) -> int:
        """Count the rows of spans."""
        with self._cursor() as cursor:
            return int(cursor.execute(f"SELECT count(*) FROM {self._table}").fetchone()[0])

    def span_ids(self) -> set[str]:
        """Give the ids of all spans, in hex."""
        with self._cursor() as cursor:
            found = cursor.execute(f"SELECT {self._id_column} FROM {self._table}")
            return {str(row[0]).removeprefix("0x") for row in found}

    def work(self) -> object:
        """Give how large the files are."""
        return self._disk_bytes()

    def held(self) -> Held:
        """Measure what the file holds, its own log included."""
        ids = self.span_ids()
        return Held(rows=self.rows(), spans=len(ids), disk_bytes=self._disk_bytes(), parts=1)

    def close(self) -> None:
        """Nothing is kept open."""

    def _disk_bytes(self) -> int:
        return sum(file.stat().st_size for file in self._path.parent.glob(f"{self._path.name}*"))

    @contextmanager
    def _cursor(self) -> Iterator[sqlite3.Cursor]:
        address = f"file:{self._path}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S_MAX)) as connection:
            yield connection.cursor()


def wait_stored(stored: Stored, spans: int, *, nothing_comes_s: float = _NOTHING_COMES_S) -> bool:
    """Wait until this many rows are stored, or until none has come for a while.

    Gives whether all came: what a collector dropped after it had acknowledged it never does.
    """
    before, since_s = -1, time.monotonic()
    while time.monotonic() - since_s < nothing_comes_s:
        rows = stored.rows()
        if rows >= spans:
            return True
        if rows != before:
            before, since_s = rows, time.monotonic()
        time.sleep(_POLL_S)
    return False


def wait_quiet(stored: Stored, read: Callable[[], Reading]) -> Reading:
    """Wait until the store works no more (merges nothing); give ``read()`` of that moment.

    The moment is when it became quiet, not when that was known. Raises NotSettledError.
    """
    deadline_s = time.monotonic() + _SETTLE_S_MAX
    before: object = None
    reading, quiet_since_s = read(), time.monotonic()
    while time.monotonic() < deadline_s:
        now = stored.work()
        if now is None or now != before:
            before = now
            reading, quiet_since_s = read(), time.monotonic()
        elif time.monotonic() - quiet_since_s >= _QUIET_S:
            return reading
        time.sleep(_POLL_S)
    msg = f"the store still works after {_SETTLE_S_MAX:.0f} s"
    raise NotSettledError(msg)

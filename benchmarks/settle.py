"""Wait until a store has every span and has merged what it merges; look at what it holds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from spanlore.schemas import tables
from spanlore.schemas.store import Store

Reading = TypeVar("Reading")

_POLL_S: Final = 0.25
# ClickHouse looks for merges at once after an insert or a merge, then ever more rarely.
_QUIET_S: Final = 5.0
_NOTHING_COMES_S: Final = 45.0
_SETTLE_S_MAX: Final = 300.0

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


def wait_stored(store: Store, spans: int) -> bool:
    """Wait until this many rows are stored, or until none has come for a while.

    Gives whether all came: what a collector dropped after it had acknowledged it never does.
    """
    before, since_s = -1, time.monotonic()
    while time.monotonic() - since_s < _NOTHING_COMES_S:
        stored = int(store.query(f"SELECT count() AS n FROM {tables.TRACES}")[0]["n"])
        if stored >= spans:
            return True
        if stored != before:
            before, since_s = stored, time.monotonic()
        time.sleep(_POLL_S)
    return False


def wait_merged(store: Store, read: Callable[[], Reading]) -> Reading:
    """Wait until nothing is merged and no part comes or goes; give ``read()`` of that moment.

    The moment is when it became quiet, not when that was known. Raises NotSettledError.
    """
    deadline_s = time.monotonic() + _SETTLE_S_MAX
    before: object = None
    reading, quiet_since_s = read(), time.monotonic()
    while time.monotonic() < deadline_s:
        row = store.query(_PARTS_SQL)[0]
        if row["merges"] or row["parts"] != before:
            before = row["parts"]
            reading, quiet_since_s = read(), time.monotonic()
        elif time.monotonic() - quiet_since_s >= _QUIET_S:
            return reading
        time.sleep(_POLL_S)
    msg = f"the store still merges after {_SETTLE_S_MAX:.0f} s"
    raise NotSettledError(msg)


def held(store: Store) -> Held:
    """Count what the store holds."""
    row = store.query(_HELD_SQL)[0]
    return Held(**{name: int(value) for name, value in row.items()})

"""Loads sealed segments into the store, in order, and deletes a file only when its rows are there.

A segment is one insert for each signal in it, all with its one deduplication token (no two signals
share a table), so trying again is always safe. What the store refuses for good is bisected down to
the record, and that record, if its normal form is refused too, goes to the quarantine.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from spanlore.collector import record
from spanlore.collector.counters import Counters
from spanlore.collector.log import Log
from spanlore.collector.quarantine import quarantine
from spanlore.collector.record import BadRecordError, Record
from spanlore.collector.repair import normal_form
from spanlore.collector.segment import PART_SUFFIX, Segment, cut, write_private
from spanlore.collector.signals import METRICS, SIGNALS, TRACES, Signal, data_points_of
from spanlore.schemas import metric_tables, tables
from spanlore.schemas.store import StoreError, StoreRefused, StoreUnreachable

_logger = logging.getLogger(__name__)

_POLL_S = 0.5
_BACKOFF_S_MIN = 0.1
_BACKOFF_S_MAX = 5.0
_JOIN_S_MAX = 2.0
# A count that is short is tried again under the same token, then under new ones, then set aside.
_SHORT_SAME_TOKEN_MAX = 2
_SHORT_MAX = 4
_IDS_PER_QUERY_MAX = 2000
_COUNT_SQL = (
    "SELECT count() AS n FROM {table} WHERE LogId = {{log_id:UInt32}} "
    "AND LogSeq BETWEEN {{first:UInt64}} AND {{last:UInt64}}"
)


class SegmentStore(Protocol):
    """What the loader needs of a store; see `spanlore.schemas.store.Store`."""

    def insert_segment(self, path: Path, *, token: str, into: Sequence[str]) -> None:
        """Insert what these input tables take of one segment, once for its token."""

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run a SELECT."""

    def close(self) -> None:
        """Close the connection."""


class StoredLessError(Exception):
    """The store said yes to a segment and does not have all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """A record that the store refuses for good, and why."""

    record: Record
    reason: str


@dataclass(slots=True)
class _Attempts:
    """What was tried with the segment at the head of the log."""

    failed: int = 0
    short: int = 0
    is_stored: bool = False
    poison: list[Poison] = field(default_factory=list)

    def token(self, segment: Segment) -> str:
        """Give the token to insert with."""
        if self.short <= _SHORT_SAME_TOKEN_MAX:
            return segment.token
        return f"{segment.token}-again{self.short}"

    @property
    def backoff_s(self) -> float:
        """Seconds to wait before the next try."""
        tries = min(self.failed + self.short, 10)
        return float(min(_BACKOFF_S_MAX, _BACKOFF_S_MIN * 2**tries))


class Loader:
    """The one thread that moves the log into the store. ``start``, then ``stop``.

    ``connect`` opens the store and raises StoreUnreachable where it cannot. ``on_loaded`` is
    called with (log id, first seq, last seq) of each segment before its file goes, so after a
    crash it may be called again for the same rows; ``on_idle`` while there is nothing to load.
    """

    def __init__(
        self,
        log: Log,
        connect: Callable[[], SegmentStore],
        *,
        quarantine_dir: Path,
        counters: Counters,
        on_loaded: Callable[[int, int, int], None],
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._connect = connect
        self._quarantine_dir = quarantine_dir
        self._counters = counters
        self._on_loaded = on_loaded
        self._on_idle = on_idle
        self._store: SegmentStore | None = None
        self._stopping = threading.Event()
        self._last_error: str | None = None
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the segment in hand (or leave it to the next start). Safe twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S_MAX)

    @property
    def last_error(self) -> str | None:
        """Why the last try failed; None since one succeeded."""
        if not self._thread.is_alive() and not self._stopping.is_set():
            return "the loader is not running: restart the collector, and report what it logged"
        return self._last_error

    def _run(self) -> None:
        attempts = _Attempts()
        while not self._stopping.is_set():
            segment = self._log.oldest(_POLL_S)
            if segment is None:
                self._idle()
            elif self._try(segment, attempts):
                attempts = _Attempts()
            else:
                self._stopping.wait(attempts.backoff_s)
        self._disconnect()

    def _try(self, segment: Segment, attempts: _Attempts) -> bool:
        """Try to load one segment; False where it stays and should be tried again."""
        try:
            if not attempts.is_stored:
                started_s = time.monotonic()
                self._store_segment(segment, attempts)
                self._counters.loaded(time.monotonic() - started_s)
                attempts.is_stored = True
            self._on_loaded(segment.log_id, segment.first_seq, segment.last_seq)
            self._finish(segment, attempts)
        except StoredLessError as error:
            attempts.short += 1
            self._note(segment, error)
            if attempts.short <= _SHORT_MAX:
                return False
            return self._set_aside(segment, str(error))
        except BadRecordError as error:
            return self._set_aside(segment, f"damaged after it was written: {error}")
        except (StoreUnreachable, StoreRefused, OSError) as error:
            attempts.failed += 1
            self._note(segment, error)
            self._disconnect()
            return False
        self._last_error = None
        return True

    def _idle(self) -> None:
        try:
            self._on_idle()
        except StoreError as error:
            self._counters.event("idle_failures")
            _logger.warning("could not look after the store: %s", error)

    def _note(self, segment: Segment, error: Exception) -> None:
        self._counters.event("load_failures")
        if self._last_error != str(error):
            _logger.warning("could not load %s, will try again: %s", segment.path.name, error)
        self._last_error = str(error)

    def _store_segment(self, segment: Segment, attempts: _Attempts) -> None:
        """Insert a segment and see that it is there."""
        cut_to_size(segment)
        self._store = self._store or self._connect()
        token = attempts.token(segment)
        attempts.poison = []
        is_left_over = segment.log_id != self._log.log_id
        for signal in SIGNALS:
            number = segment.items.get(signal.name, 0)
            # Of what an earlier process left, the store may have the rows and no longer the token:
            # its engine syncs those and not these.
            if number and not (is_left_over and _found(self._store, segment, signal) == number):
                attempts.poison += _insert(self._store, segment, signal=signal, token=token)
        check_stored(self._store, segment, attempts.poison)

    def _finish(self, segment: Segment, attempts: _Attempts) -> None:
        """Set the poison aside, count, and let the file go."""
        for poison in attempts.poison:
            found = poison.record
            name = f"{segment.path.stem}-{found.seq:016x}"
            data = segment.path.read_bytes()[found.start : found.end]
            quarantine(self._quarantine_dir, name, data=data, reason=poison.reason)
        self._log.done(segment)
        poisoned = items_of(poison.record for poison in attempts.poison)
        for signal, number in poisoned.items():
            self._counters.quarantined(signal, number)
        self._counters.stored(Counter(segment.items) - poisoned)

    def _set_aside(self, segment: Segment, reason: str) -> bool:
        """Quarantine a whole segment; False where the disk does not let us, yet."""
        try:
            data = segment.path.read_bytes()
            quarantine(self._quarantine_dir, segment.path.stem, data=data, reason=reason)
            self._log.done(segment)
        except OSError as error:
            self._note(segment, error)
            return False
        for signal, number in segment.items.items():
            self._counters.quarantined(signal, number)
        return True

    def _disconnect(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None


def cut_to_size(segment: Segment) -> None:
    """Cut off what a failed write left behind a segment's end. Raises OSError."""
    if segment.path.stat().st_size != segment.size_bytes:
        cut(segment.path, segment.size_bytes)


def items_of(records: Iterator[Record]) -> "Counter[str]":
    """Count what records hold, by signal."""
    found: Counter[str] = Counter()
    for item in records:
        request = item.signal.loose.FromString(item.body)
        found[item.signal.name] += item.signal.count(request)
    return found


def _insert(
    store: SegmentStore, segment: Segment, *, signal: Signal, token: str
) -> Iterator[Poison]:
    """Insert what a segment holds of one signal; give the records that the store refuses."""
    try:
        store.insert_segment(segment.path, token=token, into=(signal.table_in,))
    except StoreRefused as error:
        _refuse_all_or_none(store, segment, signal=signal, error=error)
        found = record.read(segment.path.read_bytes())
        records = [one for one in found if one.signal is signal]
        yield from _bisect(store, segment, records=records, token=token, why=str(error))


def _refuse_all_or_none(
    store: SegmentStore, segment: Segment, *, signal: Signal, error: StoreRefused
) -> None:
    """Find out whether the store refuses this data or every insert.

    An empty segment has nothing to refuse: where that fails too, the store is not set up right,
    and no record is to blame. Raises StoreUnreachable then.
    """
    empty = segment.path.with_suffix(PART_SUFFIX)
    write_private(empty, b"")
    try:
        store.insert_segment(empty, token=f"{segment.token}-empty", into=(signal.table_in,))
    except StoreRefused as again:
        message = f"the store refuses every insert: {error}"
        raise StoreUnreachable(message) from again
    finally:
        empty.unlink(missing_ok=True)


def _bisect(
    store: SegmentStore, segment: Segment, *, records: Sequence[Record], token: str, why: str
) -> Iterator[Poison]:
    """Store every record but those the store refuses in any form; give those.

    Halves and tokens derive from the segment alone, so a bisection that is cut short does
    exactly the same again. ``why`` is what the store said to these records together, which are
    all of one signal; what stands between them is of others, and skipped.
    """
    if len(records) == 1:
        yield from _insert_normal(store, segment, found=records[0], token=token, why=why)
        return
    middle = len(records) // 2
    for half in (records[:middle], records[middle:]):
        name = f"{token}-{half[0].seq:x}-{half[-1].seq:x}"
        part = segment.path.with_name(name + PART_SUFFIX)
        with segment.path.open("rb") as file:
            file.seek(half[0].start)
            write_private(part, file.read(half[-1].end - half[0].start))
        try:
            store.insert_segment(part, token=name, into=(half[0].signal.table_in,))
        except StoreRefused as error:
            yield from _bisect(store, segment, records=half, token=token, why=str(error))
        finally:
            part.unlink(missing_ok=True)


def _insert_normal(
    store: SegmentStore, segment: Segment, *, found: Record, token: str, why: str
) -> Iterator[Poison]:
    """Store the normal form of a record that the store refuses; give it where it has no other."""
    poison = Poison(record=found, reason=why)
    body = normal_form(found.body, found.signal)
    if body == found.body:
        yield poison
        return
    head = record.encode(
        body,
        found.signal,
        tenant=found.tenant,
        received_ns=found.received_ns,
        seq=found.seq,
        log_id=found.log_id,
    )
    name = f"{token}-{found.seq:x}-normal"
    part = segment.path.with_name(name + PART_SUFFIX)
    write_private(part, head + body)
    try:
        store.insert_segment(part, token=name, into=(found.signal.table_in,))
    except StoreRefused:
        yield poison
    finally:
        part.unlink(missing_ok=True)


def check_stored(store: SegmentStore, segment: Segment, poison: Sequence[Poison]) -> None:
    """See that the store holds every record of a segment but the poison.

    Raises StoredLessError where it does not. Spans and data points may be fewer rows than they
    were records (the same one twice is one row, and a later version of it carries another seq);
    then each is looked for by what identifies it.
    """
    expected = Counter(segment.items) - items_of(item.record for item in poison)
    refused = {item.record.seq for item in poison}
    for signal in SIGNALS:
        number = expected[signal.name]
        found = _found(store, segment, signal) if number else 0
        if found >= number:
            continue
        look_for = _LOOK_FOR.get(signal.name)
        missing = look_for(store, segment, refused) if look_for else number - found
        if missing:
            msg = f"{missing} of {number} {signal.words} of {segment.path.name} are not there"
            raise StoredLessError(f"{msg}: the store said yes and did not keep them")


def _found(store: SegmentStore, segment: Segment, signal: Signal) -> int:
    """Count the rows that the store has of one signal of a segment."""
    marks = {"log_id": segment.log_id, "first": segment.first_seq, "last": segment.last_seq}
    counts = (store.query(_COUNT_SQL.format(table=table), marks) for table in signal.tables)
    return sum(int(rows[0]["n"]) for rows in counts)


def _scopes(segment: Segment, signal: Signal, refused: AbstractSet[int]) -> Iterator[Any]:
    """Give every scope of one signal that a segment holds, but those the store refused."""
    for found in record.read(segment.path.read_bytes()):
        if found.signal is signal and found.seq not in refused:
            yield from signal.scopes_of(signal.loose.FromString(found.body))


def _missing_spans(store: SegmentStore, segment: Segment, refused: AbstractSet[int]) -> int:
    """Count the spans of a segment of which the store has no version at all."""
    ids = {
        (span.trace_id.hex(), span.span_id.hex())
        for scope in _scopes(segment, TRACES, refused)
        for span in scope.spans
    }
    present = 0
    ordered = sorted(ids)
    for start in range(0, len(ordered), _IDS_PER_QUERY_MAX):
        some = ordered[start : start + _IDS_PER_QUERY_MAX]
        # The ids are hex digits made here, so they cannot end the literal they stand in.
        traces = ", ".join(f"'{trace_id}'" for trace_id in sorted({pair[0] for pair in some}))
        pairs = ", ".join(f"('{trace_id}', '{span_id}')" for trace_id, span_id in some)
        rows = store.query(
            f"SELECT uniqExact(TraceId, SpanId) AS n FROM {tables.TRACES} "
            f"WHERE TraceId IN ({traces}) AND (TraceId, SpanId) IN ({pairs})"
        )
        present += int(rows[0]["n"])
    return len(ids) - present


def _missing_points(store: SegmentStore, segment: Segment, refused: AbstractSet[int]) -> int:
    """Count the data points of a segment that the store has no row of.

    They are looked for by metric and times, without the series, which only the engine can tell:
    an insert is whole or not at all, so what is missing is missing for all series of a metric.
    """
    points = {
        (metric.WhichOneof("data"), name, point.start_time_unix_nano, point.time_unix_nano)
        for scope in _scopes(segment, METRICS, refused)
        for metric in scope.metrics
        for name in [metric.name.decode()]
        for found in data_points_of(metric)
        for point in found
    }
    missing = 0
    for kind, table in metric_tables.BY_KIND.items():
        ordered = sorted(point[1:] for point in points if point[0] == kind)
        for start in range(0, len(ordered), _IDS_PER_QUERY_MAX):
            some = ordered[start : start + _IDS_PER_QUERY_MAX]
            rows = store.query(
                f"SELECT uniqExact(MetricName, StartTimeUnixNano, TimeUnixNano) AS n FROM {table} "
                "WHERE MetricName IN %(names)s "
                "AND (MetricName, StartTimeUnixNano, TimeUnixNano) IN %(points)s",
                {"names": tuple({point[0] for point in some}), "points": tuple(some)},
            )
            missing += len(some) - int(rows[0]["n"])
    return missing


# How a signal is looked for whose rows may be fewer than its records; of logs there is none.
_LOOK_FOR: Mapping[str, Callable[[SegmentStore, Segment, AbstractSet[int]], int]] = {
    TRACES.name: _missing_spans,
    METRICS.name: _missing_points,
}

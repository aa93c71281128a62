"""The write-ahead log: what was acknowledged stands here, on the disk, until the store has it.

Appends from any thread go to one writer thread, which writes a group, syncs once, and then
acknowledges the whole group. A segment that is full, or old while nobody loads, is sealed and
waits in order for the loader.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from spanlore.collector import disk, record
from spanlore.collector.refusal import overloaded
from spanlore.collector.segment import Segment, age_s, cut, name_of
from spanlore.collector.signals import Signal

_logger = logging.getLogger(__name__)

_GROUP_RECORDS_MAX = 256
_MEBIBYTE = 1 << 20


class TooLittleSpaceError(OSError):
    """The disk would have less free than it must keep; with ``bytes_wanted`` free it will do."""

    def __init__(self, directory: Path, *, bytes_wanted: int, bytes_free: int) -> None:
        super().__init__(
            f"less than {bytes_wanted / _MEBIBYTE:,.0f} MiB is free on the disk of {directory} "
            f"(it has {bytes_free / _MEBIBYTE:,.0f} MiB): free some, or start with a lower "
            "--disk-free-min (bytes)"
        )
        self.bytes_wanted = bytes_wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """Bounds of the log: of a segment and of all of them, and what the disk must keep free.

    A segment is full with so many bytes or items (spans, logs, data points): the store decodes it
    whole, and small items take it a multiple of their bytes. One that is not full is sealed when it
    is ``segment_age_s_max`` old, but not sooner than ``segment_rest_s`` after the last one: to load
    one costs the same CPU whatever is in it.
    """

    segment_bytes_target: int
    segment_bytes_max: int
    segment_items_target: int
    segment_age_s_max: float
    segment_rest_s: float
    log_bytes_max: int
    disk_free_bytes_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A checked request on its way into the log. ``durable`` gives its seq once it is synced."""

    signal: Signal
    body: bytes
    items: int
    received_ns: int
    rejected: int = 0
    tenant: str = ""
    durable: "Future[int]" = field(default_factory=Future)


class Follower(Protocol):
    """Who reads the log's files as they grow. Called by the writer: it must not raise or wait."""

    def opened(self, path: Path) -> None:
        """Take note of a new file, before its first record."""

    def grew(self, path: Path, group: Sequence[Entry], *, size_bytes: int) -> None:
        """Take note of records that are durable, before anybody is answered."""

    def sealed(self, path: Path) -> None:
        """Take note that a file grows no more."""

    def make_room(self, bytes_wanted: int) -> None:
        """Give up what only this follower still keeps on the disk, as far as it is wanted."""


@dataclass(slots=True, kw_only=True)
class _Open:
    """The segment being written. ``size_bytes`` never counts what is not synced."""

    path: Path
    descriptor: int
    first_seq: int
    opened_at_s: float
    last_seq: int = 0
    records: int = 0
    size_bytes: int = 0
    items: dict[str, int] = field(default_factory=dict)


class Log:
    """One directory's write-ahead log. ``start`` it, ``append``, ``close``.

    ``recovered`` are the sealed segments of earlier processes, oldest first. ``on_durable`` is
    called with each group after its sync and before anybody is answered.
    """

    def __init__(
        self,
        directory: Path,
        log_id: int,
        *,
        limits: LogLimits,
        recovered: Sequence[Segment] = (),
        on_durable: Callable[[Sequence[Entry]], None] = lambda _: None,
        followers: Sequence[Follower] = (),
    ) -> None:
        self.log_id = log_id
        self._directory = directory
        self._limits = limits
        self._on_durable = on_durable
        self._followers = followers
        self._changed = threading.Condition()
        self._queue: deque[Entry | Future[int]] = deque()
        self._sealed: deque[Segment] = deque(recovered)
        self._held_bytes = sum(segment.size_bytes for segment in recovered)
        self._sealed_count = len(self._sealed)
        self._done_count = 0
        self._loaded_seq = 0
        self._loader_waits = False
        self._sealed_at_s = -math.inf
        self._closing = False
        self._last_error: OSError | None = None
        self._too_much_bytes = 0  # of the last request, where there was no room for it
        self._next_seq = 1
        self._open: _Open | None = None
        self._writer = threading.Thread(target=self._write, name="wal-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._writer.start()

    def append(self, entry: Entry) -> "Future[int]":
        """Queue an entry; its future gives the seq, or Refused (retryable) if it was not written.

        Raises Refused (retryable) when the log is full or closing.
        """
        with self._changed:
            if self._closing:
                raise overloaded("stopping", "the collector is stopping: send again")
            if self._held_bytes + len(entry.body) > self._limits.log_bytes_max:
                self._too_much_bytes = len(entry.body)
                raise overloaded(
                    "log_full", "the write-ahead log is full, the store is behind: send again"
                )
            self._held_bytes += len(entry.body)
            self._too_much_bytes = 0
            # From here on nobody can cancel it: a client that left does not undo a write.
            entry.durable.set_running_or_notify_cancel()
            self._queue.append(entry)
            self._changed.notify_all()
        return entry.durable

    def seal(self) -> "Future[int]":
        """Seal what was appended so far; the future gives a mark for ``wait_loaded``."""
        mark: Future[int] = Future()
        mark.set_running_or_notify_cancel()
        with self._changed:
            if self._closing:
                raise overloaded("stopping", "the collector is stopping")
            self._queue.append(mark)
            self._changed.notify_all()
        return mark

    def wait_loaded(self, mark: int, timeout_s: float) -> bool:
        """Wait until every segment sealed before the mark is done; False when time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: self._done_count >= mark, timeout_s)

    def oldest(self, timeout_s: float) -> Segment | None:
        """Wait for the oldest sealed segment (it stays until ``done``); None when time is up.

        While somebody waits here, an open segment is sealed as soon as it is old enough.
        """
        with self._changed:
            self._loader_waits = True
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._sealed, timeout_s)
            finally:
                self._loader_waits = False
            return self._sealed[0] if self._sealed else None

    def done(self, segment: Segment) -> None:
        """Delete the oldest segment: the store has it."""
        disk.remove(segment.path)
        with self._changed:
            self._sealed.remove(segment)
            self._held_bytes -= segment.size_bytes
            self._done_count += 1
            if segment.log_id == self.log_id:
                self._loaded_seq = segment.last_seq
            self._changed.notify_all()

    def backlog(self) -> dict[str, float]:
        """Give what is not yet in the store, and how many seconds ago its oldest record came."""
        with self._changed:
            waiting: list[Segment | _Open] = [*self._sealed]
            if self._open is not None and self._open.records:
                waiting.append(self._open)
            queued = [entry for entry in self._queue if isinstance(entry, Entry)]
            ages_s = [time.monotonic() - part.opened_at_s for part in waiting]
            ages_s += [age_s(entry.received_ns) for entry in queued[:1]]
            return {
                "segments": len(waiting),
                "records": sum(part.records for part in waiting) + len(queued),
                "bytes": self._held_bytes,
                "oldest_age_s": round(max(ages_s, default=0.0), 3),
            }

    def disk_free_bytes(self) -> int:
        """Give what is free for us on the log's disk. Raises OSError."""
        return disk.free_bytes(self._directory)

    @property
    def loaded_seq(self) -> int:
        """The last seq of this log that the store has."""
        return self._loaded_seq

    @property
    def sealed_count(self) -> int:
        """How many segments were ever sealed: the mark of all that is in the log now."""
        return self._sealed_count

    @property
    def last_error(self) -> str | None:
        """What the disk said to the last write that failed; None since one succeeded."""
        return None if self._last_error is None else str(self._last_error)

    def refusal(self) -> str | None:
        """Say why nothing is taken now; None while something is, as far as is known."""
        failed = self._last_error
        if self._held_bytes + self._too_much_bytes > self._limits.log_bytes_max:
            return f"the write-ahead log is full ({self._held_bytes:,} bytes): the store is behind"
        if failed is not None and not isinstance(failed, TooLittleSpaceError):
            return f"the write-ahead log cannot be written: {failed}"
        if self._followers and failed is None:
            return None  # they may give up what they keep on the disk
        wanted = self._limits.disk_free_bytes_min if failed is None else failed.bytes_wanted
        try:
            self._need_free(wanted)
        except OSError as error:
            return str(error)
        return None

    def close(self) -> None:
        """Write what is queued, seal, and stop. Safe twice and without ``start``."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._writer.is_alive():
            self._writer.join()

    def _write(self) -> None:
        """Be the writer thread; whatever ends it, nobody is left waiting."""
        try:
            while self._write_once():
                pass
        finally:
            self._refuse_queued()

    def _write_once(self) -> bool:
        """Wait for work and do it; False when the log is closed and all is written."""
        with self._changed:
            while not self._queue and not self._closing and not self._is_due():
                self._changed.wait(self._until_due_s())
            group, mark = self._take_group()
            ending = self._closing and not self._queue
        if group:
            self._commit(group)
        if mark is not None or ending or self._is_due() or self._is_full():
            self._seal_open()
        if mark is not None:
            mark.set_result(self._sealed_count)
        return not ending

    def _refuse_queued(self) -> None:
        with self._changed:
            self._closing = True
            queued = list(self._queue)
            self._queue.clear()
        for waiting in queued:
            future = waiting.durable if isinstance(waiting, Entry) else waiting
            future.set_exception(overloaded("stopping", "the write-ahead log has stopped"))

    def _until_due_s(self) -> float | None:
        if self._open is None or not self._loader_waits or self._sealed:
            return None
        due_s = max(
            self._open.opened_at_s + self._limits.segment_age_s_max,
            self._sealed_at_s + self._limits.segment_rest_s,
        )
        return max(0.0, due_s - time.monotonic())

    def _is_due(self) -> bool:
        return self._until_due_s() == 0.0

    def _is_full(self) -> bool:
        return self._open is not None and (
            self._open.size_bytes >= self._limits.segment_bytes_target
            or sum(self._open.items.values()) >= self._limits.segment_items_target
        )

    def _take_group(self) -> "tuple[list[Entry], Future[int] | None]":
        """Take what fits into one segment and one sync, up to the next request to seal."""
        group: list[Entry] = []
        room = self._limits.segment_bytes_max - (self._open.size_bytes if self._open else 0)
        while self._queue and len(group) < _GROUP_RECORDS_MAX:
            entry = self._queue[0]
            if not isinstance(entry, Entry):
                self._queue.popleft()
                return group, entry
            if len(entry.body) > room and (group or self._open):
                if not group:
                    self._seal_open()
                    room = self._limits.segment_bytes_max
                    continue
                break
            room -= len(entry.body)
            group.append(entry)
            self._queue.popleft()
        return group, None

    def _commit(self, group: Sequence[Entry]) -> None:
        """Write and sync a group, then answer it: all durable, or none taken."""
        first_seq = self._next_seq
        self._next_seq += len(group)
        size = sum(len(entry.body) for entry in group)
        try:
            self._check_free(size)
            part = self._open or self._create(first_seq)
            written = self._write_group(part, group, first_seq)
        except OSError as error:
            self._abandon(error)
            self._answer_failed(group, size, error)
            return
        with self._changed:
            part.size_bytes += written
            part.last_seq = first_seq + len(group) - 1
            part.records += len(group)
            for entry in group:
                part.items[entry.signal.name] = part.items.get(entry.signal.name, 0) + entry.items
            self._held_bytes += written - size
            self._last_error = None
        for follower in self._followers:
            follower.grew(part.path, group, size_bytes=part.size_bytes)
        self._on_durable(group)
        for seq, entry in enumerate(group, first_seq):
            entry.durable.set_result(seq)

    def _check_free(self, size: int) -> None:
        wanted = self._limits.disk_free_bytes_min + size
        for follower in self._followers:
            follower.make_room(wanted - self.disk_free_bytes())
        self._need_free(wanted)

    def _need_free(self, bytes_wanted: int) -> None:
        free = self.disk_free_bytes()
        if free < bytes_wanted:
            raise TooLittleSpaceError(self._directory, bytes_wanted=bytes_wanted, bytes_free=free)

    def _create(self, first_seq: int) -> _Open:
        path = self._directory / name_of(self.log_id, first_seq)
        descriptor = disk.create(path)
        part = _Open(
            path=path, descriptor=descriptor, first_seq=first_seq, opened_at_s=time.monotonic()
        )
        with self._changed:
            self._open = part
        disk.sync_data(descriptor)
        disk.sync_dir(self._directory)
        for follower in self._followers:
            follower.opened(path)
        return part

    def _write_group(self, part: _Open, group: Sequence[Entry], first_seq: int) -> int:
        buffers: list[bytes | memoryview] = []
        for seq, entry in enumerate(group, first_seq):
            head = record.encode(
                entry.body,
                entry.signal,
                tenant=entry.tenant,
                received_ns=entry.received_ns,
                seq=seq,
                log_id=self.log_id,
            )
            buffers += (head, entry.body)
        total = sum(len(buffer) for buffer in buffers)
        disk.write_all(part.descriptor, buffers)
        disk.sync_data(part.descriptor)
        return total

    def _abandon(self, error: OSError) -> None:
        """Seal the open segment where it was last durable: after an error its file is suspect."""
        self._last_error = error
        _logger.error("the write-ahead log could not write to %s: %s", self._directory, error)
        part = self._open
        if part is None:
            return
        try:
            cut(part.path, part.size_bytes)
        except OSError as again:
            # The loader cuts the file before it loads it; until then only the tail is wrong.
            _logger.warning("could not cut %s back: %s", part.path.name, again)
        self._seal_open()

    def _answer_failed(self, group: Sequence[Entry], size: int, error: OSError) -> None:
        with self._changed:
            self._held_bytes -= size
        refused = overloaded("log_error", f"the write-ahead log cannot be written: {error}")
        for entry in group:
            entry.durable.set_exception(refused)

    def _seal_open(self) -> None:
        """Close the open segment and hand it to the loader; an empty one just goes."""
        with self._changed:
            part, self._open = self._open, None
            if part is None:
                return
            try:
                disk.close(part.descriptor)
                if not part.records:
                    disk.remove(part.path)
            except OSError as error:
                # Everything counted is synced; an empty file left behind is cleared at a start.
                _logger.warning("could not close %s: %s", part.path.name, error)
            for follower in self._followers:
                follower.sealed(part.path)
            if not part.records:
                return
            segment = Segment(
                path=part.path,
                log_id=self.log_id,
                first_seq=part.first_seq,
                last_seq=part.last_seq,
                records=part.records,
                size_bytes=part.size_bytes,
                items=dict(part.items),
                opened_at_s=part.opened_at_s,
            )
            self._sealed.append(segment)
            self._sealed_at_s = time.monotonic()
            self._sealed_count += 1
            self._changed.notify_all()

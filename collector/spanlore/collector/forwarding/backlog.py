"""The durable queue of one forwarding target: the log's own files, under names of the target's.

Each file of the write-ahead log gets, before its first record, a second name (a hard link) in
every target's directory. So nothing is copied; a file's bytes go when the store and every target
have let go of their name for it; and what a target has not got is told by what stands in its
directory, whatever died when. A cursor over the log's names alone would not do: log ids are random,
so names do not say which file came first, and a file the store has would have to be told at every
start from one that it has not.

Within the oldest file a small file named `cursor` says how far the target is, about once a second.
After a kill what is behind it is sent once more: at least once, as OTLP has it.

The store is never held up, nor are clients: above ``bytes_max``, and where the disk runs full, the
oldest files of a target that cannot keep up are dropped, and counted.
"""

import json
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from google.protobuf.message import DecodeError

from spanlore.collector import disk, record
from spanlore.collector.log import Entry
from spanlore.collector.record import BadRecordError, Record
from spanlore.collector.recover import LOCK_NAME
from spanlore.collector.segment import make_private_dir, read_name, write_private

_logger = logging.getLogger(__name__)

_CURSOR_NAME = "cursor"
_PROBE_NAME = "probe"
_SAVE_S = 1.0
# What a file takes on most file systems, however small it is.
_BLOCK_BYTES = 4096


@dataclass(slots=True, kw_only=True)
class Amount:
    """So many bytes, records, and items by signal."""

    bytes: int = 0
    records: int = 0
    items: "Counter[str]" = field(default_factory=Counter)

    def add(self, *, size: int, records: int, items: "Counter[str]") -> None:
        """Add to it."""
        self.bytes += size
        self.records += records
        self.items.update(items)


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """One file of the log as a target has it: what is in it, and what of it is settled.

    ``read_to`` is where the next record to take begins. The whole of a file of an earlier process
    is known once it is counted.
    """

    path: Path
    whole: Amount = field(default_factory=Amount)
    settled: Amount = field(default_factory=Amount)
    read_to: int = 0
    is_sealed: bool = False
    is_counted: bool = True

    @property
    def disk_bytes(self) -> int:
        """What it takes on the disk."""
        return -(-self.whole.bytes // _BLOCK_BYTES) * _BLOCK_BYTES

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it is left to send, and nothing will come."""
        return self.is_sealed and self.is_counted and self.settled.bytes >= self.whole.bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waiting:
    """A record taken out to be sent, and how many items it holds."""

    part: Part
    record: Record
    items: int


class Backlog:
    """One target's queue in one directory.

    The log's writer calls ``opened``, ``grew``, ``sealed`` and ``make_room``; one sending thread
    calls ``wait``, ``take``, ``settle`` and ``save``; anybody ``status``. ``problem`` is what the
    disk said when something could not be kept; None since it could again.
    """

    def __init__(self, directory: Path, log_dir: Path, *, bytes_max: int) -> None:
        self.dropped = Amount()
        self.problem: str | None = None
        self._directory = directory
        self._log_dir = log_dir
        self._bytes_max = bytes_max
        self._changed = threading.Condition()
        self._parts: deque[Part] = deque()
        self._by_name: dict[str, Part] = {}
        self._taken: list[Waiting] = []
        self._disk_bytes = 0
        self._left = Amount()
        self._since_ns = time.time_ns()
        self._is_dropping = False
        self._saved: tuple[str, int] | None = None
        self._saved_at_s = 0.0

    def open(self) -> None:
        """Find what an earlier process left, and see that links can be made. Raises OSError."""
        make_private_dir(self._directory.parent)
        make_private_dir(self._directory)
        probe = self._directory / _PROBE_NAME
        probe.unlink(missing_ok=True)
        os.link(self._log_dir / LOCK_NAME, probe)
        probe.unlink()
        name, offset = self._read_cursor()
        found = [file for file in self._directory.iterdir() if read_name(file.name)]
        for stat, file in sorted(
            ((file.stat(), file) for file in found),
            key=lambda item: (item[0].st_mtime_ns, item[1].name),
        ):
            part = Part(path=file, is_sealed=True, is_counted=False)
            part.whole.bytes = stat.st_size
            part.settled.bytes = part.read_to = offset if file.name == name else 0
            self._since_ns = min(self._since_ns, stat.st_mtime_ns)
            self._add(part)

    def opened(self, path: Path) -> None:
        """Take a name for a new file of the log, before anything is written to it."""
        mine = self._directory / path.name
        try:
            os.link(path, mine)
            disk.sync_dir(self._directory)
        except OSError as error:
            # What comes in this file is counted as dropped; clients and store go on.
            self._tell(f"cannot keep {path.name} for forwarding: {error}")
            return
        self.problem = None
        with self._changed:
            self._add(Part(path=mine))

    def grew(self, path: Path, group: Sequence[Entry], *, size_bytes: int) -> None:
        """Take note of records that are durable now; ``size_bytes`` is the file's."""
        items: Counter[str] = Counter()
        for entry in group:
            items[entry.signal.name] += entry.items
        with self._changed:
            part = self._by_name.get(path.name)
            if part is None:
                size = sum(len(entry.body) for entry in group)
                self.dropped.add(size=size, records=len(group), items=items)
                return
            if not self._left.records:
                self._since_ns = group[0].received_ns
            grown = size_bytes - part.whole.bytes
            self._disk_bytes -= part.disk_bytes
            part.whole.add(size=grown, records=len(group), items=items)
            self._disk_bytes += part.disk_bytes
            self._left.add(size=grown, records=len(group), items=items)
            self._drop_above_max()
            self._changed.notify_all()

    def sealed(self, path: Path) -> None:
        """Take note that a file grows no more."""
        with self._changed:
            part = self._by_name.get(path.name)
            if part is not None:
                part.is_sealed = True
                self._let_go_if_settled(part)

    def make_room(self, bytes_wanted: int) -> None:
        """Drop the oldest files that the store has, until as many bytes are free again."""
        if bytes_wanted <= 0:
            return
        with self._changed:
            for part in list(self._parts):
                if bytes_wanted <= 0 or not part.is_sealed:
                    return
                if not (self._log_dir / part.path.name).exists():
                    bytes_wanted -= part.disk_bytes
                    self._drop(part)

    def count(self) -> None:
        """Read what an earlier process left, so that its records are counted."""
        with self._changed:
            left = [part for part in self._parts if not part.is_counted]
        for part in left:
            self._count(part)

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to send; False when time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: self._left.records > 0, timeout_s)

    def take(self, *, records_max: int, bytes_max: int) -> list[Waiting]:
        """Give the oldest records that are not settled, in order; one at least, where there is one.

        Those that were given before and are not settled are among them.
        """
        with self._changed:
            room = records_max - len(self._taken)
            bytes_room = bytes_max - sum(len(one.record.body) for one in self._taken)
            unread = tuple(
                islice(
                    (
                        (part, part.read_to, part.whole.bytes)
                        for part in self._parts
                        if part.is_counted and part.read_to < part.whole.bytes
                    ),
                    records_max,
                )
            )
        for part, start, end in unread:
            if room <= 0 or bytes_room <= 0:
                break
            found = self._read(part, start, end, records_max=room, bytes_max=bytes_room)
            room -= len(found)
            bytes_room -= sum(len(one.record.body) for one in found)
            with self._changed:
                if self._by_name.get(part.path.name) is part:
                    self._taken += found
                    part.read_to = found[-1].record.end if found else end
        with self._changed:
            return list(self._taken)

    def settle(self, waiting: Waiting) -> bool:
        """Let a record go; False where it was dropped, and counted so, before."""
        with self._changed:
            if waiting not in self._taken:
                return False
            self._taken.remove(waiting)
            part, found = waiting.part, waiting.record
            size = found.end - found.start
            items = Counter({found.signal.name: waiting.items})
            part.settled.add(size=size, records=1, items=items)
            self._left.bytes -= size
            self._left.records -= 1
            self._left.items -= items
            self._since_ns = found.received_ns
            self._is_dropping = False
            self._let_go_if_settled(part)
            return True

    def save(self, *, at_once: bool = False) -> None:
        """Keep on disk how far the target is; about once a second, and only when it moved."""
        now_s = time.monotonic()
        if not at_once and now_s - self._saved_at_s < _SAVE_S:
            return
        with self._changed:
            place = self._place()
        if place is None or place == self._saved:
            return
        try:
            document = {"file": place[0], "offset": place[1]}
            write_private(self._directory / _CURSOR_NAME, json.dumps(document).encode())
        except OSError as error:
            # What is sent once more after a kill is all that hangs on it.
            self._tell(f"cannot keep how far forwarding is: {error}")
        self._saved, self._saved_at_s = place, now_s

    def status(self) -> dict[str, float]:
        """Give records and bytes not yet settled, and the oldest one's age in seconds."""
        with self._changed:
            oldest_ns = min((one.record.received_ns for one in self._taken), default=self._since_ns)
            age_s = max(0, time.time_ns() - oldest_ns) / 1e9 if self._left.records else 0.0
            return {
                "records": self._left.records,
                "bytes": self._left.bytes,
                "oldest_age_s": round(age_s, 3),
            }

    def _place(self) -> tuple[str, int] | None:
        """Give the oldest file and the offset before which all of it is settled."""
        if not self._parts:
            return None
        part = self._parts[0]
        starts = [one.record.start for one in self._taken if one.part is part]
        return part.path.name, min(starts, default=part.read_to)

    def _read_cursor(self) -> tuple[str, int]:
        try:
            found = json.loads((self._directory / _CURSOR_NAME).read_bytes())
            return str(found["file"]), int(found["offset"])
        except FileNotFoundError:
            return "", 0
        except (OSError, ValueError, TypeError, KeyError) as error:
            _logger.warning("could not read how far forwarding was, will send again: %s", error)
            return "", 0

    def _read(
        self, part: Part, at: int, end: int, *, records_max: int, bytes_max: int
    ) -> list[Waiting]:
        """Read some records of a part; what cannot be read is dropped with what is behind it."""
        found: list[Waiting] = []
        try:
            descriptor = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                while at < end and len(found) < records_max and bytes_max > 0:
                    one = record.read_at(descriptor, at)
                    items = one.signal.count_of(one.body)
                    found.append(Waiting(part=part, record=one, items=items))
                    bytes_max -= len(one.body)
                    at = one.end
            finally:
                os.close(descriptor)
        except (BadRecordError, DecodeError, OSError) as error:
            self._tell(f"dropped what cannot be read of {part.path.name}: {error}")
            with self._changed:
                self._drop(part)
            return []
        return found

    def _count(self, part: Part) -> None:
        """Read a part of an earlier process whole; its end may be torn."""
        whole, settled = Amount(), Amount()
        good = 0
        try:
            for one in record.read(part.path.read_bytes()):
                items = Counter({one.signal.name: one.signal.count_of(one.body)})
                whole.add(size=one.end - one.start, records=1, items=items)
                if one.end <= part.read_to:
                    settled.add(size=one.end - one.start, records=1, items=items)
                good = one.end
        except (BadRecordError, DecodeError, OSError) as error:
            _logger.warning("%s is forwarded up to byte %d: %s", part.path, good, error)
        with self._changed:
            if part.is_counted or part not in self._parts:
                return
            self._disk_bytes -= part.disk_bytes
            self._left.bytes -= part.whole.bytes - part.settled.bytes
            part.whole, part.settled, part.read_to = whole, settled, settled.bytes
            part.is_counted = True
            self._disk_bytes += part.disk_bytes
            self._left.add(
                size=whole.bytes - settled.bytes,
                records=whole.records - settled.records,
                items=whole.items - settled.items,
            )
            self._let_go_if_settled(part)
            self._drop_above_max()

    def _add(self, part: Part) -> None:
        self._parts.append(part)
        self._by_name[part.path.name] = part
        self._disk_bytes += part.disk_bytes
        self._left.bytes += part.whole.bytes - part.settled.bytes

    def _let_go_if_settled(self, part: Part) -> None:
        if part.is_settled and self._by_name.get(part.path.name) is part:
            self._let_go(part)

    def _drop_above_max(self) -> None:
        while self._disk_bytes > self._bytes_max and self._parts[0].is_sealed:
            self._drop(self._parts[0])

    def _drop(self, part: Part) -> None:
        """Give a part up and count what of it was not settled."""
        if not part.is_counted:
            self._count(part)
        if self._by_name.get(part.path.name) is not part:
            return
        size = part.whole.bytes - part.settled.bytes
        records = part.whole.records - part.settled.records
        items = part.whole.items - part.settled.items
        self.dropped.add(size=size, records=records, items=items)
        self._left.bytes -= size
        self._left.records -= records
        self._left.items -= items
        self._taken = [one for one in self._taken if one.part is not part]
        if not self._is_dropping:
            _logger.warning(
                "%s is full: dropping its oldest, %s first; the status counts them",
                self._directory,
                part.path.name,
            )
        self._is_dropping = True
        self._let_go(part)

    def _let_go(self, part: Part) -> None:
        self._parts.remove(part)
        del self._by_name[part.path.name]
        self._disk_bytes -= part.disk_bytes
        try:
            part.path.unlink(missing_ok=True)
        except OSError as error:
            self._tell(f"cannot remove {part.path}: {error}")

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            _logger.error("%s", problem)
        self.problem = problem

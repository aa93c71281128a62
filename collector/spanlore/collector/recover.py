"""Opens a write-ahead log's directory: takes it for this process and reads what is left in it.

Opening never fails on any content of a segment. What cannot be read goes to the quarantine, what
can is loaded. Only a directory that may not be used (in use, or not ours) is an error.
"""

import errno
import fcntl
import logging
import os
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from spanlore.collector import disk, record
from spanlore.collector.counters import Counters
from spanlore.collector.quarantine import quarantine
from spanlore.collector.record import BadRecordError, Record
from spanlore.collector.segment import (
    PART_SUFFIX,
    Segment,
    age_s,
    cut,
    make_private_dir,
    read_name,
    write_private,
)

_logger = logging.getLogger(__name__)

LOCK_NAME = "lock"
_LOG_ID_NAME = "log_id"


class LogDirectoryError(Exception):
    """The directory cannot be used; the message says why and the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDirectory:
    """A log's directory that is ours until ``release``: a fresh log id and the segments left.

    Every start takes a new log id, so a seq is never used twice within one: what an earlier
    process had handed out need not be known.
    """

    path: Path
    log_id: int
    segments: tuple[Segment, ...]
    lock: int

    def release(self) -> None:
        """Let another process have the directory."""
        os.close(self.lock)


def open_directory(path: Path, quarantine_dir: Path, *, counters: Counters) -> OpenedDirectory:
    """Take the directory and recover its segments, oldest first.

    Raises LogDirectoryError when another process has it or it may not be read or written.
    """
    try:
        make_private_dir(path)
        lock = _lock(path)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        segments = _recover_all(path, quarantine_dir, counters)
        log_id = _new_log_id({segment.log_id for segment in segments})
        write_private(path / _LOG_ID_NAME, f"{log_id:08x}\n".encode())
    except OSError as error:
        os.close(lock)
        raise _unusable(path, error) from error
    return OpenedDirectory(path=path, log_id=log_id, segments=segments, lock=lock)


def _lock(path: Path) -> int:
    lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _unusable(path: Path, error: OSError) -> LogDirectoryError:
    if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
        return LogDirectoryError(
            f"another collector is using {path}: stop it, or give this one another --data-dir"
        )
    return LogDirectoryError(
        f"the write-ahead log at {path} cannot be used ({error}): "
        "make the directory and its files readable and writable for this user"
    )


def _new_log_id(used: set[int]) -> int:
    while (log_id := secrets.randbits(32)) in used | {0}:
        pass
    return log_id


def _recover_all(path: Path, quarantine_dir: Path, counters: Counters) -> tuple[Segment, ...]:
    found: list[tuple[int, Segment]] = []
    for file in sorted(path.iterdir()):
        if file.suffix in (PART_SUFFIX, ".draft"):
            disk.remove(file)
        name = read_name(file.name)
        if name is None or not file.is_file():
            continue
        try:
            recovered = _recover(file, name, quarantine_dir=quarantine_dir, counters=counters)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise
            # A file on a failing disk stays where it is, for a later start.
            counters.event("log_files_unreadable")
            _logger.warning("left %s unread: %s", file, error)
            continue
        if recovered is not None:
            found.append(recovered)
    return tuple(segment for _, segment in sorted(found, key=lambda item: item[0]))


def _recover(
    file: Path, name: tuple[int, int], *, quarantine_dir: Path, counters: Counters
) -> tuple[int, Segment] | None:
    """Read a segment as far as it is good and cut the rest off.

    Gives the time its first record came in and the segment, None where nothing in it is good.
    """
    data = file.read_bytes()
    good: list[Record] = []
    items: Counter[str] = Counter()
    bad: BadRecordError | None = None
    try:
        for found in record.read(data):
            _expect(found, name, good)
            items[found.signal.name] += _count(found)
            good.append(found)
    except BadRecordError as error:
        bad = error
    size = good[-1].end if good else 0
    if bad is not None:
        _set_aside(file, data[size:], bad=bad, quarantine_dir=quarantine_dir, counters=counters)
    if not good:
        disk.remove(file)
        disk.sync_dir(file.parent)
        counters.event("log_files_empty")
        return None
    if bad is not None:
        cut(file, size)
    counters.recovered(items)
    counters.event("log_records_recovered", len(good))
    segment = Segment(
        path=file,
        log_id=name[0],
        first_seq=good[0].seq,
        last_seq=good[-1].seq,
        records=len(good),
        size_bytes=size,
        items=dict(items),
        opened_at_s=time.monotonic() - age_s(good[0].received_ns),
    )
    return good[0].received_ns, segment


def _expect(found: Record, name: tuple[int, int], before: list[Record]) -> None:
    """Check that a record belongs where it stands: its log, and a seq above the one before."""
    in_order = found.seq > before[-1].seq if before else found.seq == name[1]
    if found.log_id != name[0] or not in_order:
        msg = f"record {found.log_id:08x}-{found.seq} does not belong into this file"
        raise BadRecordError(msg, offset=found.start, torn=False)


def _count(found: Record) -> int:
    """Count what a record holds."""
    try:
        return found.signal.count(found.signal.loose.FromString(found.body))
    except DecodeError as error:
        # Its checksum is right, so it was written like this: keep it out of the store.
        msg = f"record {found.seq} is no request of {found.signal.words}: {error}"
        raise BadRecordError(msg, offset=found.start, torn=False) from error


def _set_aside(
    file: Path, rest: bytes, *, bad: BadRecordError, quarantine_dir: Path, counters: Counters
) -> None:
    """Count what is cut off a file and, unless it is a write cut short, keep it."""
    if bad.torn:
        counters.event("log_torn_tails")
        _logger.warning("cut the torn end off %s: %d bytes", file.name, len(rest))
        return
    counters.event("log_files_corrupt")
    counters.event("log_bytes_corrupt", len(rest))
    _logger.error("%s is damaged (%s): %d bytes to quarantine", file.name, bad, len(rest))
    reason = f"damaged write-ahead log: {bad}"
    quarantine(quarantine_dir, f"{file.stem}-at-{bad.offset}", data=rest, reason=reason)

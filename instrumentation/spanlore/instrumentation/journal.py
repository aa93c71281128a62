"""The journal: what no collector has taken yet, on disk, so that no end of a process loses it.

A process writes its own files, one after the other, and holds a lock on each; a file whose lock
is free was left by a process that died, or ended while no collector was there (`left_behind`).

    <data directory>/journal/<service>/<process start>-<pid>-<number>.journal     0600, in 0700

A file is a sequence of records: a head (bytes of the body, CRC-32, items, kind) and a body, first
one of JSON that says whose it is. A record is written with one `write` and never changed. Nothing
is synced to the disk: what `write` gave to the kernel survives the end of the process, however it
comes, and not that of the machine. When all of a file was taken, the file goes.
"""

import fcntl
import json
import os
import re
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

FILE_BYTES_MAX: Final = 8 * 1024 * 1024
JOURNAL_BYTES_MAX: Final = 512 * 1024 * 1024
# Left free on the disk for the program.
FREE_BYTES_MIN: Final = 256 * 1024 * 1024
_WORTH_EMPTYING_BYTES: Final = 1024 * 1024
_RECORD_BYTES_MAX: Final = 64 * 1024 * 1024
_HEAD = struct.Struct("<IIIB")
_OFFSET = struct.Struct("<Q")
_SUFFIX: Final = ".journal"
BEING_MADE: Final = ".new"
VERSION: Final = 1


class Kind(IntEnum):
    """What a record holds. DONE: everything up to that offset was taken or given up."""

    ABOUT = 1
    ENDED = 2
    STARTED = 3
    EVENTS = 4
    DONE = 5


@dataclass(slots=True)
class _File:
    path: Path
    descriptor: int
    size: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record's body stands."""

    file: _File
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as it was read; ``end`` is where the next one begins."""

    kind: int
    items: int
    body: bytes
    end: int


def journals_dir(data_dir: Path) -> Path:
    """Return the folder of all services' journals."""
    return data_dir / "journal"


def journal_dir(data_dir: Path, service: str) -> Path:
    """Return the folder of a service; its name is told from others that would read alike."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", service)[:64].lstrip(".")
    if plain != service or not plain:
        plain = f"{plain}-{sha256(service.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return journals_dir(data_dir) / plain


class Journal:
    """The files of this process. Any method may be called from any thread; OSError passes out.

    ``about`` says whose it is (``service``, ``destination``) and is asked when the first record
    comes, as is ``folder``. Where there is no room for another file the oldest goes, of this
    process or of a dead one; what stood in it is counted by whoever comes to ``read`` it.
    """

    def __init__(
        self,
        folder: Callable[[], Path],
        about: Callable[[], Mapping[str, Any]],
        *,
        bytes_max: int = JOURNAL_BYTES_MAX,
        file_bytes_max: int = FILE_BYTES_MAX,
    ) -> None:
        self._folder_of = folder
        self._about_of = about
        self._bytes_max = bytes_max
        self._file_bytes_max = file_bytes_max
        self._files: list[_File] = []
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._process = f"{time.time_ns():020d}-{os.getpid()}"
        self._number = 0

    def forget(self) -> None:
        """Begin anew in a forked child; the locks stay the parent's, who still has the files."""
        for file in self._files:
            with suppress(OSError):
                os.close(file.descriptor)
        self._files = []
        self._begin()

    @property
    def folder(self) -> Path:
        return self._folder_of()

    @property
    def about(self) -> Mapping[str, Any]:
        return self._about_of()

    def append(self, kind: Kind, body: bytes, *, items: int, is_awaited: bool) -> Place:
        """Write a record down; what ``is_awaited`` keeps its file until it is ``done``."""
        with self._lock:
            file = self._files[-1] if self._files else self._opened()
            place = _written(file, kind, body, items=items)
            file.waiting += is_awaited
            return place

    def read(self, place: Place) -> bytes | None:
        """Read what stands there; None where it had to go."""
        with self._lock:
            if place.file not in self._files:
                return None
            return os.pread(place.file.descriptor, place.size, place.offset)

    def done(self, place: Place) -> None:
        """Forget a record that was taken or refused, and its file with the last of it."""
        with self._lock:
            file = place.file
            if file not in self._files:
                return
            file.waiting -= 1
            if file.waiting == 0 and file is not self._files[-1]:
                self._remove(file)
            else:
                _written(file, Kind.DONE, _OFFSET.pack(place.offset), items=0)

    def is_full(self) -> bool:
        """Say whether the file should give way to a new one: it is large, or all of it is done."""
        with self._lock:
            if not self._files:
                return False
            size, waiting = self._files[-1].size, self._files[-1].waiting
        return size >= self._file_bytes_max or (size >= _WORTH_EMPTYING_BYTES and not waiting)

    def begin_file(self) -> None:
        """Begin a new file; spans that go on are to be written into it again."""
        with self._lock:
            before = self._files[-1]
            self._opened()
            if before.waiting == 0:
                self._remove(before)

    def leave(self) -> None:
        """Take away a file of which nothing waits, and leave the others to whoever comes next."""
        with self._lock:
            for file in list(self._files):
                if file.waiting == 0:
                    self._remove(file)
                else:
                    os.close(file.descriptor)
            self._files = []

    def _opened(self) -> _File:
        """Make a file that is ours before anybody can see it."""
        folder = self.folder
        _make_private(folder)
        self._make_room(folder)
        self._number += 1
        path = folder / f"{self._process}-{self._number:06d}{_SUFFIX}"
        hidden = path.with_suffix(BEING_MADE)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        file = _File(path, os.open(hidden, flags, 0o600))
        try:
            fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            said = json.dumps({"version": VERSION, "pid": os.getpid(), **self.about})
            _written(file, Kind.ABOUT, said.encode(), items=0)
            hidden.rename(path)
        except OSError:
            os.close(file.descriptor)
            hidden.unlink(missing_ok=True)
            raise
        self._files.append(file)
        return file

    def _make_room(self, folder: Path) -> None:
        """Drop the oldest files where there is no room for another: ours, or of the dead."""
        space = os.statvfs(folder)
        sizes = {path: _size(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))}
        over = sum(sizes.values()) + self._file_bytes_max - self._bytes_max
        over = max(over, FREE_BYTES_MIN - space.f_bavail * space.f_frsize)
        for path, size in sizes.items():
            if over <= 0:
                return
            own = next((file for file in self._files if file.path == path), None)
            if own is not None:
                self._remove(own)
            elif (descriptor := locked(path)) is not None:
                path.unlink(missing_ok=True)
                os.close(descriptor)
            else:
                continue
            over -= size
        if over > 0:
            raise OSError(f"no room in {folder}")

    def _remove(self, file: _File) -> None:
        self._files.remove(file)
        file.path.unlink(missing_ok=True)
        os.close(file.descriptor)


def locked(path: Path) -> int | None:
    """Lock a file that nobody holds and return its descriptor; None where somebody does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.fstat(descriptor).st_nlink > 0
    except OSError:
        is_there = False
    if is_there:
        return descriptor
    os.close(descriptor)
    return None


def records(data: bytes) -> Iterator[Record]:
    """Read records as far as they are whole: a process or a machine may have died in the last."""
    at = 0
    while at + _HEAD.size <= len(data):
        size, crc, items, kind = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        body = data[at : at + size]
        if size > _RECORD_BYTES_MAX or len(body) < size or zlib.crc32(body) != crc:
            return
        yield Record(kind=kind, items=items, body=body, end=at + size)
        at += size


def done_offset(record: Record) -> int:
    """Return how far a DONE record says that all is done."""
    return int(_OFFSET.unpack(record.body)[0]) if len(record.body) == _OFFSET.size else 0


def process_of(path: Path) -> str:
    """Return what the names of all files of one process begin with."""
    return path.stem.rpartition("-")[0]


def mark_done(descriptor: int, offset: int) -> None:
    """Write into a locked file that all up to there was taken."""
    body = _OFFSET.pack(offset)
    os.write(descriptor, _HEAD.pack(len(body), zlib.crc32(body), 0, Kind.DONE) + body)


def _written(file: _File, kind: Kind, body: bytes, *, items: int) -> Place:
    head = _HEAD.pack(len(body), zlib.crc32(body), items, kind)
    wanted = len(head) + len(body)
    if os.writev(file.descriptor, (head, body)) != wanted:
        os.ftruncate(file.descriptor, file.size)
        raise OSError(f"{file.path} could not be written whole")
    place = Place(file, file.size + len(head), len(body))
    file.size += wanted
    return place


def _make_private(folder: Path) -> None:
    """Make the folder, and those above it that are ours, readable by this user alone."""
    for each in (folder.parent.parent, folder.parent, folder):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700, parents=True)
    if folder.stat().st_uid != os.geteuid():
        raise OSError(f"{folder} is another user's")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

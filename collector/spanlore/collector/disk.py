"""Everything the write-ahead log asks of the disk, one function each.

The log's tests put a disk that loses power in the place of these functions, so whatever the log
changes on the disk goes through here and is called as ``disk.name``.
"""

import os
from collections import deque
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

# What one writev takes at least, on any system.
_BUFFERS_PER_WRITE_MAX = 512
_fdatasync = getattr(os, "fdatasync", os.fsync)  # macOS has none


def create(path: Path, *, replaces: bool = False) -> int:
    """Create a file that only its owner may read, and give its descriptor to write to.

    Raises FileExistsError where it is there already, unless it ``replaces`` that.
    """
    how = os.O_TRUNC if replaces else os.O_EXCL
    return os.open(path, os.O_WRONLY | os.O_CREAT | how | os.O_CLOEXEC, 0o600)


def write(descriptor: int, buffers: Sequence[bytes | memoryview]) -> int:
    """Append buffers; give how many bytes were taken, which may be fewer."""
    return os.writev(descriptor, buffers)


def write_all(descriptor: int, buffers: Sequence[bytes | memoryview]) -> None:
    """Write every byte of the buffers; a write may take less than it was given."""
    left = deque(buffers)
    while left:
        taken = write(descriptor, list(islice(left, _BUFFERS_PER_WRITE_MAX)))
        while left and taken >= len(left[0]):
            taken -= len(left.popleft())
        if taken:
            left[0] = memoryview(left[0])[taken:]


def sync_data(descriptor: int) -> None:
    """Make durable what a file holds, not its name."""
    _fdatasync(descriptor)


def sync_file(path: Path) -> None:
    """Make durable what a closed file holds."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        _fdatasync(descriptor)
    finally:
        os.close(descriptor)


def close(descriptor: int) -> None:
    """Close a file; this makes nothing durable."""
    os.close(descriptor)


def truncate(path: Path, size_bytes: int) -> None:
    """Cut a file."""
    os.truncate(path, size_bytes)


def remove(path: Path) -> None:
    """Remove a file's name where it is there."""
    path.unlink(missing_ok=True)


def replace(path: Path, by: Path) -> None:
    """Give a file another's name, at once."""
    by.replace(path)


def make_dir(path: Path) -> None:
    """Make a directory that only its owner may enter, where there is none."""
    path.mkdir(mode=0o700, exist_ok=True)


def sync_dir(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(path: Path) -> int:
    """Give how many bytes there is still space for."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize

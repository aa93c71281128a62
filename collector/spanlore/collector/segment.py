"""A sealed segment of the write-ahead log: a file that no longer grows."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spanlore.collector import disk

# A slice of a segment that the store refused, made to find out why; never the only copy.
PART_SUFFIX: Final = ".part"

_NAME = re.compile(r"([0-9a-f]{8})-([0-9a-f]{16})\.wal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A sealed segment.

    ``size_bytes`` is how much of the file is the log (a failed write may have left more), and
    ``items`` how many records of each signal's name it holds. ``sealed_at_s`` and
    ``opened_at_s`` are monotonic seconds.
    """

    path: Path
    log_id: int
    first_seq: int
    last_seq: int
    records: int
    size_bytes: int
    items: Mapping[str, int] = field(default_factory=dict)
    opened_at_s: float = 0.0

    @property
    def token(self) -> str:
        """The deduplication token of its insert: the same file, the same token for ever."""
        return self.path.stem


def age_s(received_ns: int) -> float:
    """Give the seconds since a record was received; a clock that was set back makes none less."""
    return max(0.0, (time.time_ns() - received_ns) / 1e9)


def name_of(log_id: int, first_seq: int) -> str:
    """Give the file name of a segment."""
    return f"{log_id:08x}-{first_seq:016x}.wal"


def read_name(name: str) -> tuple[int, int] | None:
    """Give (log id, first seq) of a segment's file name, None for any other name."""
    match = _NAME.fullmatch(name)
    return (int(match[1], 16), int(match[2], 16)) if match else None


def make_private_dir(path: Path) -> None:
    """Make a directory that only its owner may enter, and its name durable."""
    if not path.parent.exists():
        make_private_dir(path.parent)
    disk.make_dir(path)
    disk.sync_dir(path.parent)


def cut(path: Path, size_bytes: int) -> None:
    """Cut a file, durably: what is behind does not come back."""
    disk.truncate(path, size_bytes)
    disk.sync_file(path)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, durable and whole or not at all."""
    draft = path.with_name(path.name + ".draft")
    descriptor = disk.create(draft, replaces=True)
    try:
        disk.write_all(descriptor, [data])
        disk.sync_data(descriptor)
    finally:
        disk.close(descriptor)
    disk.replace(path, by=draft)
    disk.sync_dir(path.parent)

"""A disk that fails and loses power: what `spanlore.collector.disk` does, over a real directory.

What a process sees is the real directory. Beside it stands what would be left if the power went
now: bytes of a file reach that with a sync of the file, names with a sync of their directory.
When the power goes, each block and each name that was not synced is left or lost by chance, in no
order, and a file's size may be anything between the old one and the new one.
"""

import errno
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from spanlore.collector import disk

# Smaller than a record, so that one write is left in pieces.
BLOCK_BYTES = 64
FAULTS = {
    "create": errno.ENOSPC,
    "write": errno.ENOSPC,
    "sync_data": errno.EIO,
    "sync_dir": errno.EIO,
    "truncate": errno.EIO,
    "remove": errno.EIO,
    "replace": errno.EIO,
}


class PowerLossError(BaseException):
    """The power went: nothing that is running goes on."""


@dataclass(eq=False)
class _File:
    """A file or a directory: what a process sees of it, and what is durable."""

    is_dir: bool = False
    seen: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    dirty: set[int] = field(default_factory=set)
    is_suspect: bool = False

    def write(self, data: bytes) -> None:
        start = len(self.seen)
        self.seen += data
        self.dirty |= set(range(start // BLOCK_BYTES, len(self.seen) // BLOCK_BYTES + 1))

    def settle(self, is_left: Callable[[], bool], size_bytes: int) -> None:
        """Let blocks that are not durable become so by chance. A lost one is not tried again."""
        end = max(len(self.seen), len(self.durable))
        mixed = bytearray(self.durable.ljust(end, b"\0"))
        for block in sorted(self.dirty):
            piece = slice(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)
            if is_left():
                mixed[piece] = self.seen[piece].ljust(len(mixed[piece]), b"\0")
        self.durable = mixed[:size_bytes]
        self.dirty.clear()


_Change = tuple[Path, _File | None]


def _chance(rng: random.Random) -> Callable[[], bool]:
    """Give a coin; nothing or all being left are the likeliest of what can happen."""
    likely = rng.choice((0.0, 0.5, 1.0))
    return lambda: rng.random() < likely


class LossyDisk:
    """Stands in for the functions of `disk` below ``root`` between ``install`` and ``remove_all``.

    ``fail`` makes the next call of one name fail; ``lose_power_in`` raises PowerLossError after so
    many calls; ``reboot`` leaves what a kill (the disk is whole) or a loss of power leaves.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[Path, _File] = {root: _File(is_dir=True)}
        self._durable_names = dict(self._names)
        self._changes: list[list[_Change]] = []
        self._open: dict[int, _File] = {}
        self._failing: dict[str, random.Random] = {}
        self._calls_left: int | None = None
        self.faults = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in (*FAULTS, "close", "make_dir", "sync_file", "free_bytes"):
            patch.setattr(disk, name, getattr(self, name))

    def fail(self, name: str, rng: random.Random) -> None:
        self._failing[name] = rng

    def lose_power_in(self, calls: int | None) -> None:
        self._calls_left = calls

    def reboot(self, rng: random.Random | None) -> None:
        """Start anew: after a kill without ``rng``, after a loss of power with it."""
        for descriptor in list(self._open):
            self._open.pop(descriptor)
            _REAL["close"](descriptor)
        self._failing.clear()
        self._calls_left = None
        if rng is not None:
            self._lose(rng)

    def _lose(self, rng: random.Random) -> None:
        names_kept, blocks_kept = _chance(rng), _chance(rng)
        for changes in self._changes:
            if names_kept():
                self._apply(changes)
        self._changes = []
        for file in dict.fromkeys(self._durable_names.values()):
            sizes = (len(file.durable), len(file.seen))
            size = rng.choice((*sizes, rng.randint(min(sizes), max(sizes))))
            file.settle(blocks_kept, size)
            file.seen = bytearray(file.durable)
            file.is_suspect = False
        shutil.rmtree(self.root)
        self._names = {}
        for path, file in sorted(self._durable_names.items()):
            if path != self.root and path.parent not in self._names:
                continue
            self._names[path] = file
            if file.is_dir:
                path.mkdir()
            else:
                path.write_bytes(file.seen)
        self._durable_names = dict(self._names)

    def _apply(self, changes: Sequence[_Change]) -> None:
        for path, file in changes:
            if file is None:
                self._durable_names.pop(path, None)
            else:
                self._durable_names[path] = file

    def _change(self, *changes: _Change) -> None:
        """Change names at once, of which a loss of power leaves all or none."""
        self._changes.append(list(changes))
        for path, file in changes:
            if file is None:
                self._names.pop(path, None)
            else:
                self._names[path] = file

    def _called(self, name: str) -> random.Random | None:
        """Count a call; give the chance by which it fails where it shall."""
        if self._calls_left is not None:
            self._calls_left -= 1
            if self._calls_left < 0:
                raise PowerLossError
        rng = self._failing.pop(name, None)
        self.faults += rng is not None
        return rng

    def _may_fail(self, name: str) -> None:
        if self._called(name) is not None:
            raise OSError(FAULTS[name], f"{name} fails")

    def create(self, path: Path, *, replaces: bool = False) -> int:
        self._may_fail("create")
        descriptor: int = _REAL["create"](path, replaces=replaces)
        file = _File()
        self._change((path, file))
        self._open[descriptor] = file
        return descriptor

    def write(self, descriptor: int, buffers: Sequence[bytes | memoryview]) -> int:
        file = self._open[descriptor]
        assert not file.is_suspect, "a file is written on after its sync failed"
        data = b"".join(buffers)
        try:
            rng = self._called("write")
        except PowerLossError:
            file.write(data)
            raise
        if rng is not None:
            # A disk that is full takes what fits and fails when it is asked again.
            data = data[: rng.randrange(len(data))]
            if not data:
                raise OSError(FAULTS["write"], "write fails")
            self.fail("write", rng)
        file.write(data)
        return int(_REAL["write"](descriptor, [data]))

    def sync_data(self, descriptor: int) -> None:
        file = self._open[descriptor]
        assert not file.is_suspect, "a file is synced again after its sync failed"
        rng = self._called("sync_data")
        if rng is None:
            file.settle(lambda: True, len(file.seen))
            return
        file.settle(_chance(rng), rng.choice((len(file.durable), len(file.seen))))
        file.is_suspect = True
        raise OSError(FAULTS["sync_data"], "sync_data fails")

    def sync_file(self, path: Path) -> None:
        self._may_fail("sync_data")
        file = self._names[path]
        file.settle(lambda: True, len(file.seen))

    def close(self, descriptor: int) -> None:
        if self._open.pop(descriptor, None) is not None:
            _REAL["close"](descriptor)

    def truncate(self, path: Path, size_bytes: int) -> None:
        self._may_fail("truncate")
        _REAL["truncate"](path, size_bytes)
        del self._names[path].seen[size_bytes:]

    def remove(self, path: Path) -> None:
        self._may_fail("remove")
        _REAL["remove"](path)
        self._change((path, None))

    def replace(self, path: Path, by: Path) -> None:
        self._may_fail("replace")
        _REAL["replace"](path, by)
        self._change((path, self._names[by]), (by, None))

    def make_dir(self, path: Path) -> None:
        self._called("make_dir")
        if not path.exists():
            self._change((path, _File(is_dir=True)))
        _REAL["make_dir"](path)

    def sync_dir(self, path: Path) -> None:
        self._may_fail("sync_dir")
        for changes in self._changes:
            if any(name.parent == path for name, _ in changes):
                self._apply(changes)
        self._changes = [
            changes
            for changes in self._changes
            if not any(name.parent == path for name, _ in changes)
        ]

    def free_bytes(self, _: Path) -> int:
        self._called("free_bytes")
        return 1 << 40


_REAL: dict[str, Callable[..., Any]] = {
    name: getattr(disk, name)
    for name in ("create", "write", "close", "truncate", "remove", "replace", "make_dir")
}

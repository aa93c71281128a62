"""Bodies on their way into the store: one private file each, in a directory emptied at start."""

import errno
import os
import shutil
import uuid
from pathlib import Path
from typing import Final

from spanlore.schemas.full_disk import FULL
from spanlore.store_server.errors import LIMIT_EXCEEDED, NOT_ENOUGH_SPACE, QueryError

_FULL: Final = FULL | {errno.EFBIG}  # a process's share too


def prepare(spool_dir: Path) -> None:
    """Make the directory, and empty it of what a killed process left behind."""
    spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for entry in spool_dir.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


class SpoolFile:
    """One body as a file named ``name`` in ``spool_dir``; ``remove`` it whatever happens.

    Writing raises QueryError: NOT_ENOUGH_SPACE (trying again helps, once there is space) or
    LIMIT_EXCEEDED (it does not).
    """

    def __init__(self, spool_dir: Path, *, bytes_max: int) -> None:
        self.name = f"{uuid.uuid4().hex}.body"
        self.size = 0
        self._path = spool_dir / self.name
        self._bytes_max = bytes_max
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise _full(error) from error

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        self.size += len(data)
        if self.size > self._bytes_max:
            raise QueryError(
                LIMIT_EXCEEDED, f"the body is larger than {self._bytes_max} bytes: send it in parts"
            )
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise _full(error) from error

    def close(self) -> None:
        """End writing. Safe twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def remove(self) -> None:
        """Delete the file. Safe twice."""
        self.close()
        self._path.unlink(missing_ok=True)


def _full(error: OSError) -> Exception:
    if error.errno not in _FULL:
        return error
    return QueryError(
        NOT_ENOUGH_SPACE, f"no space to spool the body ({error.strerror}): free some and try again"
    )

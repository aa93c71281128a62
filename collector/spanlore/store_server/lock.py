"""One process a data directory: an advisory lock on a file that says whose it is."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from spanlore.store_server.errors import LockHeldError

LOCK_NAME = "store.lock"


class DirectoryLock:
    """Hold ``data_dir`` for this process until closed; the kernel frees it when we die.

    Raises LockHeldError, naming the holder's process id, when another process has it.
    """

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = data_dir / LOCK_NAME
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise LockHeldError(
                f"the data directory {data_dir} is in use by process {holder}: "
                "use that store, stop it with `spanlore down`, or name another --data-dir"
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Give the directory back. Safe twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

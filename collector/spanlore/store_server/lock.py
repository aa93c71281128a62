"""One process a data directory: an advisory lock on a file that says whose it is."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from spanlore.schemas.owner_file import Owned, own
from spanlore.store_server.errors import LockHeldError

LOCK_NAME = "store.lock"


class DirectoryLock:
    """Hold ``data_dir`` for this process until closed; the kernel frees it when we die.

    Raises LockHeldError, naming the holder's process id, when another process has it.
    """

    def __init__(self, data_dir: Path) -> None:
        try:
            self._fd = own(data_dir / LOCK_NAME)
        except Owned as error:
            raise LockHeldError(
                f"the data directory {data_dir} is in use by process {error.pid}: "
                "use that store, stop it with `spanlore down`, or name another --data-dir"
            ) from error

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

"""One process a file: an advisory lock on a file that says whose it is."""

import fcntl
import os
from pathlib import Path


class Owned(Exception):
    """Another living process owns the file; ``pid`` is what it wrote down, or "unknown"."""

    def __init__(self, pid: str) -> None:
        super().__init__(f"owned by process {pid}")
        self.pid = pid


def own(path: Path) -> int:
    """Own the file until its descriptor, which is returned, is closed or the process dies.

    Its folder is made (0700) where it is not there. Raises Owned, and OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            said = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            raise Owned(said or "unknown") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor

"""One review door a data directory: an advisory lock on a file that says whose it is."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["LOCK_NAME", "LockHeld", "locked"]

LOCK_NAME = "review.lock"


class LockHeld(Exception):
    """Another review door runs on the data directory; the message names its process."""


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Be the only review door on ``data_dir``; the kernel frees it when the process dies.

    Raises LockHeld, or OSError when the directory cannot be used.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise LockHeld(
                f"a review door already runs on {data_dir} (pid {holder}): use that one, stop it "
                "with `spanlore down`, or name another --data-dir"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)

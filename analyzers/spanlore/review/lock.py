"""One review door a data directory: an advisory lock on a file that says whose it is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spanlore.schemas.owner_file import Owned, own

__all__ = ["LOCK_NAME", "LockHeld", "locked"]

LOCK_NAME = "review.lock"


class LockHeld(Exception):
    """Another review door runs on the data directory; the message names its process."""


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Be the only review door on ``data_dir``; the kernel frees it when the process dies.

    Raises LockHeld, or OSError when the directory cannot be used.
    """
    try:
        descriptor = own(data_dir / LOCK_NAME)
    except Owned as error:
        raise LockHeld(
            f"a review door already runs on {data_dir} (pid {error.pid}): use that one, stop it "
            "with `spanlore down`, or name another --data-dir"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)

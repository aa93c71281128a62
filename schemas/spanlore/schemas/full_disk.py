"""What is said where something cannot start because a disk is full."""

import errno
import os
from pathlib import Path
from typing import Final

# A disk, or a user's share of it. A full disk may have bytes left, and no room for further files.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def reason(error: OSError, data_dir: Path) -> str:
    """Say what is full and what to do next; of any other error what it says itself."""
    if error.errno not in FULL:
        return str(error)
    where = Path(error.filename or data_dir)
    return (
        f"the disk that holds {where} is full ({error.strerror}{_left(data_dir)}): free some space "
        "on it, or name another --data-dir, and start again; what was accepted before is kept"
    )


def _left(data_dir: Path) -> str:
    try:
        found = os.statvfs(data_dir)
    except OSError:
        return ""
    return f"; {found.f_bavail * found.f_frsize:,} bytes and {found.f_favail:,} files are left"

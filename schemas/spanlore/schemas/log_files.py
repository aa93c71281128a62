"""Where a collector's write-ahead log lies, from which a store on this machine may read itself."""

import re
from pathlib import Path
from typing import Final

# What the log calls its segments, and the loader the parts of one.
_NAME: Final = re.compile(r"[0-9a-z-]+\.(?:wal|part)")


def log_dir(data_dir: Path) -> Path:
    """Give the folder of the log of the collector that has this data directory."""
    return data_dir / "wal"


def is_log_file(path: str, directory: Path) -> bool:
    """Say whether a path is, letter by letter, that of a file of the log in ``directory``."""
    folder, _, name = path.rpartition("/")
    return folder == str(directory) and _NAME.fullmatch(name) is not None

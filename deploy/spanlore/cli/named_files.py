"""Files of a data directory, beside the store's own, that name somebody."""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["files_naming"]

# The store's own files are compressed: what is in them is asked of the store.
_STORE = "store"


def files_naming(data_dir: Path, user: str) -> list[Path]:
    """Return the files that hold a user's name; none for a name as short as any text has it."""
    from spanlore.collector.erase_quarantined import text_value
    from spanlore.review.scrub import WORD_CHARACTERS_MIN, whole_name

    if len(user) < WORD_CHARACTERS_MIN:
        return []
    pattern = re.compile(whole_name(user).encode() + b"|" + re.escape(text_value(user)))
    return sorted(path for path in _files(data_dir) if _holds(path, pattern))


def _files(data_dir: Path) -> Iterator[Path]:
    for entry in data_dir.iterdir() if data_dir.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            yield from () if entry.name == _STORE else _files(entry)
        elif entry.is_file():
            yield entry


def _holds(path: Path, pattern: re.Pattern[bytes]) -> bool:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return pattern.search(data) is not None
    except (ValueError, OSError):  # empty, or gone meanwhile
        return False

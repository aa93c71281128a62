"""A file that only its owner may read, never seen half made."""

import os
import secrets
from pathlib import Path


def draft(path: Path, text: str) -> Path:
    """Write a file beside its place, whole, on the disk and for nobody else to read; give it.

    The caller links or renames it to its place. Raises OSError.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return beside

"""The key that marks secrets, made once in the data directory."""

import secrets
from pathlib import Path

from spanlore.collector.segment import make_private_dir, write_private

FILE_NAME = "redaction.key"
_KEY_BYTES = 32


class KeyFileError(Exception):
    """The key cannot be used; the message says why and the next step."""


def load_or_create_key(data_dir: Path) -> bytes:
    """Give the key in ``data_dir``, made where there is none. Raises KeyFileError or OSError."""
    path = data_dir / FILE_NAME
    if not path.exists():
        make_private_dir(data_dir)
        write_private(path, f"{secrets.token_hex(_KEY_BYTES)}\n".encode())
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError as error:
        raise KeyFileError(
            f"{path} holds no key: restore it, or delete it to make a new one (marks made with "
            "the old one no longer match)"
        ) from error
    if len(key) != _KEY_BYTES:
        raise KeyFileError(f"{path} holds {len(key)} bytes instead of {_KEY_BYTES}: restore it")
    return key

"""What chDB's Native output lacks on the wire: block prefixes and blocks without rows.

Sources: ClickHouse's NativeWriter.cpp, clickhouse-go's lib/proto/block.go.
"""

from collections.abc import Sequence
from typing import Final

# BlockInfo: field 1 (is_overflows) = 0, field 2 (bucket_num) = -1, end of fields.
BLOCK_INFO: Final = bytes.fromhex("0100 02ffffffff 00".replace(" ", ""))

# From this revision on a column carries a byte that tells of custom serialization; chDB writes
# none, so clients must be told an older one.
CUSTOM_SERIALIZATION_REVISION: Final = 54454
ANSWERED_REVISION: Final = CUSTOM_SERIALIZATION_REVISION - 1

# clickhouse-go asks this first and then decodes by the revision it is answered.
VERSION_QUERY: Final = "SELECT displayName(), version(), revision(), timezone()"

_CONTINUED: Final = 0x80  # the bit of a varint's byte that says another follows


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= _CONTINUED:
        out.append(value % _CONTINUED | _CONTINUED)
        value //= _CONTINUED
    out.append(value)
    return bytes(out)


def _string(text: str) -> bytes:
    data = text.encode()
    return _varint(len(data)) + data


def header(columns: Sequence[tuple[str, str]], *, revision: int) -> bytes:
    """Make a block without rows, which still names columns and their types."""
    prefix = BLOCK_INFO if revision > 0 else b""
    body = b"".join(_string(name) + _string(kind) for name, kind in columns)
    return prefix + _varint(len(columns)) + _varint(0) + body


def version_answer(*, display_name: str, version: str, timezone: str, revision: int) -> bytes:
    """Answer VERSION_QUERY as a server of the asked revision would."""
    custom = b"\0" if revision >= CUSTOM_SERIALIZATION_REVISION else b""
    columns = (
        ("displayName()", "String", _string(display_name)),
        ("version()", "String", _string(version)),
        ("revision()", "UInt32", ANSWERED_REVISION.to_bytes(4, "little")),
        ("timezone()", "String", _string(timezone)),
    )
    prefix = BLOCK_INFO if revision > 0 else b""
    body = b"".join(_string(name) + _string(kind) + custom + data for name, kind, data in columns)
    return prefix + _varint(len(columns)) + _varint(1) + body

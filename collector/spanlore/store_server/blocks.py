"""ClickHouse's native compressed blocks, as bodies with ``decompress=1`` and ``compress=1`` use.

A block is CityHash128 (16 bytes) of all that follows it, a method byte, the size of the block
without the hash (u32), the size of its content (u32), and the compressed content.
Source: https://clickhouse.com/docs/native-protocol/compression
"""

import struct
from collections.abc import Iterator
from typing import Final

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

from spanlore.schemas import zstandard
from spanlore.store_server.errors import CANNOT_DECOMPRESS, CHECKSUM_DOESNT_MATCH, QueryError

_HASH_BYTES: Final = 16
_HEADER: Final = struct.Struct("<BII")
_LZ4: Final = 0x82
_ZSTD: Final = 0x90
_NONE: Final = 0x02

BLOCK_BYTES_MAX: Final = 256 * 1024 * 1024
WRITTEN_BYTES: Final = 1024 * 1024  # content of a block that we write


def _hash(data: bytes) -> bytes:
    """Hash as ClickHouse writes it: CityHash's first half, then its second, little endian."""
    value = CityHash128(data)
    return struct.pack("<QQ", value >> 64, value & 0xFFFF_FFFF_FFFF_FFFF)


class BlockReader:
    """Turn a stream of compressed blocks into content; raises QueryError on damage."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the content of every block that ``data`` completes."""
        self._pending += data
        while (block := self._next_block()) is not None:
            yield _content(block)

    def finish(self) -> Iterator[bytes]:
        """Check that no block was cut short."""
        if self._pending:
            raise QueryError(CANNOT_DECOMPRESS, "the body ends inside a compressed block")
        yield from ()

    def _next_block(self) -> bytes | None:
        if len(self._pending) < _HASH_BYTES + _HEADER.size:
            return None
        _, size, raw_size = _HEADER.unpack_from(self._pending, _HASH_BYTES)
        if not _HEADER.size <= size <= BLOCK_BYTES_MAX or raw_size > BLOCK_BYTES_MAX:
            raise QueryError(
                CANNOT_DECOMPRESS,
                f"a compressed block says {size} bytes of {raw_size}: not ClickHouse's framing",
            )
        end = _HASH_BYTES + size
        if len(self._pending) < end:
            return None
        block = bytes(self._pending[:end])
        del self._pending[:end]
        return block


def _content(block: bytes) -> bytes:
    if _hash(block[_HASH_BYTES:]) != block[:_HASH_BYTES]:
        raise QueryError(CHECKSUM_DOESNT_MATCH, "a compressed block does not match its checksum")
    method, _, raw_size = _HEADER.unpack_from(block, _HASH_BYTES)
    data = block[_HASH_BYTES + _HEADER.size :]
    try:
        content = _decompressed(method, data, raw_size=raw_size)
    except (lz4.block.LZ4BlockError, zstandard.ZstdError, EOFError, ValueError) as error:
        raise QueryError(CANNOT_DECOMPRESS, f"a compressed block is damaged: {error}") from error
    if len(content) != raw_size:
        raise QueryError(CANNOT_DECOMPRESS, f"a block of {raw_size} bytes holds {len(content)}")
    return content


def _decompressed(method: int, data: bytes, *, raw_size: int) -> bytes:
    if method == _LZ4:
        return bytes(lz4.block.decompress(data, uncompressed_size=raw_size))
    if method == _ZSTD:
        return zstandard.decompressor().decompress(data, max_length=raw_size + 1)
    if method == _NONE:
        return data
    raise QueryError(CANNOT_DECOMPRESS, f"compression method 0x{method:02x} is not known")


def compressed(content: bytes) -> bytes:
    """Pack content into LZ4 blocks; empty content into none."""
    packed = bytearray()
    for start in range(0, len(content), WRITTEN_BYTES):
        raw = content[start : start + WRITTEN_BYTES]
        data = lz4.block.compress(raw, store_size=False)
        block = _HEADER.pack(_LZ4, _HEADER.size + len(data), len(raw)) + data
        packed += _hash(block) + block
    return bytes(packed)

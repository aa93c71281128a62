"""What really stands in the files of a data directory: also what the engine has compressed.

The engine's files are rows of blocks: 16 bytes of checksum, one that says how it is compressed, and
four each for the size with these nine and the size without compression.
(ClickHouse, src/Compression/CompressionInfo.h)
"""

import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import lz4.block

from spanlore.schemas.zstandard import ZstdError, decompressor

_CHECKSUM = 16
_HEAD = 9
_LZ4, _ZSTD = 0x82, 0x90
# Where a block begins that is compressed as text is: its checksum, its head and Zstandard's magic.
_BEGINS = re.compile(rb"(?=.{16}\x90.{8}\x28\xb5\x2f\xfd)", re.DOTALL)


def files_holding(data_dir: Path, needles: Sequence[str]) -> dict[str, list[str]]:
    """Name, by text, the files in which it stands, as it is or compressed."""
    found: dict[str, list[str]] = {needle: [] for needle in needles}
    for path in sorted(data_dir.rglob("*")):
        try:
            held = b"\0".join(_texts(path.read_bytes())) if path.is_file() else b""
        except FileNotFoundError:  # gone while we look
            continue
        for needle in needles:
            if needle.encode() in held:
                found[needle].append(str(path.relative_to(data_dir)))
    return found


def _texts(data: bytes) -> Iterator[bytes]:
    """Give a file's bytes and what its blocks hold, which stand in a row from its beginning."""
    yield data
    at = 0
    while held := _block(data, at):
        yield held[0]
        at = held[1]
    for begins in _BEGINS.finditer(data, at):
        if held := _block(data, begins.start()):
            yield held[0]


def _block(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Give what a block holds and where it ends, None where there is none."""
    begin = at + _CHECKSUM
    if begin + _HEAD > len(data):
        return None
    method, size, plain_size = struct.unpack_from("<BII", data, begin)
    end = begin + size
    if size < _HEAD or end > len(data):
        return None
    packed = data[begin + _HEAD : end]
    try:
        if method == _ZSTD:
            return decompressor().decompress(packed), end
        if method == _LZ4:
            return lz4.block.decompress(packed, uncompressed_size=plain_size), end
    except (ZstdError, lz4.block.LZ4BlockError):
        return None
    return packed, end

"""Zstandard from the standard library (3.14) or its backport, whichever this Python has."""

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError

__all__ = ["ZstdError", "compressor", "decompressor"]

_LEVEL = 1


def compressor() -> ZstdCompressor:
    """Make a streaming compressor at the fastest standard level."""
    return ZstdCompressor(level=_LEVEL)


def decompressor() -> ZstdDecompressor:
    """Make a streaming decompressor for one frame."""
    return ZstdDecompressor()

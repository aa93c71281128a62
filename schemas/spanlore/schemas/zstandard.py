"""Zstandard from the standard library (3.14) or its backport, whichever this Python has."""

import sys
from typing import Final

if sys.version_info >= (3, 14):
    from compression.zstd import (
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdError,
    )
else:
    from backports.zstd import (
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdError,
    )

__all__ = ["WINDOW_LOG_MAX", "ZstdError", "compressor", "decompressor"]

# What HTTP lets a sender use (8 MiB, RFC 9659); a decoder holds as much for each stream.
WINDOW_LOG_MAX: Final = 23
_LEVEL: Final = 1


def compressor() -> ZstdCompressor:
    """Make a streaming compressor at the fastest standard level."""
    return ZstdCompressor(level=_LEVEL)


def decompressor() -> ZstdDecompressor:
    """Make a streaming decompressor for one frame, with a window of at most WINDOW_LOG_MAX."""
    return ZstdDecompressor(options={DecompressionParameter.window_log_max: WINDOW_LOG_MAX})

"""HTTP Content-Encoding of what comes in: decoded in steps of bounded size."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol, cast

from isal import igzip_lib

from spanlore.schemas import zstandard

__all__ = ["INFLATERS", "DamagedError", "Inflater", "Inflating"]

_PIECE_BYTES_MAX: Final = 1024 * 1024  # what one step of decoding may give

_DAMAGE: Final = (
    cast("type[Exception]", igzip_lib.IsalError),
    zstandard.ZstdError,
    RuntimeError,  # lz4
    EOFError,
)


class DamagedError(Exception):
    """A body that is not, or not wholly, in the encoding it says it has."""


class Inflating(Protocol):
    """What the decompressors of bz2's shape have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Inflater:
    """Decode one or more concatenated frames, at most _PIECE_BYTES_MAX a step."""

    def __init__(self, make: Callable[[], Inflating]) -> None:
        self._make = make
        self._stream: Inflating | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what can be decoded by now. Raises DamagedError."""
        while data or (self._stream is not None and not self._stream.needs_input):
            stream = self._stream or self._make()
            self._stream = stream
            try:
                piece = stream.decompress(data, _PIECE_BYTES_MAX)
            except _DAMAGE as bad:
                raise DamagedError(f"the body is damaged: {bad}") from bad
            if piece:
                yield piece
            data = b""
            if stream.eof:
                data = stream.unused_data or b""
                self._stream = None

    def finish(self) -> None:
        """Say that no more comes. Raises DamagedError where more was due."""
        if self._stream is not None:
            raise DamagedError("the compressed body ends too early")


INFLATERS: Final[Mapping[str, Callable[[], Inflating]]] = {
    "gzip": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    "x-gzip": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    "deflate": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB),
    "zstd": zstandard.decompressor,
}

"""HTTP Content-Encoding, both ways: bodies decoded with a bound, answers encoded as they stream."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import lz4.frame
from isal import isal_zlib

from spanlore.schemas import zstandard
from spanlore.schemas.inflating import INFLATERS, DamagedError, Inflater, Inflating
from spanlore.store_server import blocks
from spanlore.store_server.errors import CANNOT_DECOMPRESS, NOT_IMPLEMENTED, QueryError

_GZIP_WINDOW: Final = 31
_ISAL_LEVEL: Final = 1


class Decoder(Protocol):
    """Bytes of a body in, decoded pieces of bounded size out."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...
    def finish(self) -> Iterator[bytes]: ...


class Encoder(Protocol):
    """Bytes of an answer in, encoded bytes out; ``finish`` gives what remains."""

    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class Plain:
    """A body that is what it is."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        if data:
            yield data

    def finish(self) -> Iterator[bytes]:
        yield from ()


class Unpacked:
    """A packed body, as it was before."""

    def __init__(self, make: Callable[[], Inflating]) -> None:
        self._inflater = Inflater(make)

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            yield from self._inflater.feed(data)
        except DamagedError as bad:
            raise QueryError(CANNOT_DECOMPRESS, str(bad)) from bad

    def finish(self) -> Iterator[bytes]:
        try:
            self._inflater.finish()
        except DamagedError as bad:
            raise QueryError(CANNOT_DECOMPRESS, str(bad)) from bad
        yield from ()


class Chain:
    """Two decoders in a row: Content-Encoding outside, native blocks inside."""

    def __init__(self, outer: Decoder, inner: Decoder) -> None:
        self._outer = outer
        self._inner = inner

    def feed(self, data: bytes) -> Iterator[bytes]:
        for piece in self._outer.feed(data):
            yield from self._inner.feed(piece)

    def finish(self) -> Iterator[bytes]:
        for piece in self._outer.finish():
            yield from self._inner.feed(piece)
        yield from self._inner.finish()


_DECODERS: Final = {**INFLATERS, "lz4": lz4.frame.LZ4FrameDecompressor}


def decoder(content_encoding: str, *, native_blocks: bool) -> Decoder:
    """Choose the decoder for a body; raises QueryError for an encoding that is not known."""
    outer: Decoder
    name = content_encoding.strip().lower()
    if name in {"", "identity"}:
        outer = Plain()
    elif name in _DECODERS:
        outer = Unpacked(_DECODERS[name])
    else:
        known = ", ".join(sorted(_DECODERS))
        raise QueryError(NOT_IMPLEMENTED, f"Content-Encoding {name!r} is not one of {known}")
    return Chain(outer, blocks.BlockReader()) if native_blocks else outer


class _PlainEncoder:
    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


class _BlockEncoder(_PlainEncoder):
    def feed(self, data: bytes) -> bytes:
        return blocks.compressed(data)


class _Lz4Encoder:
    def __init__(self) -> None:
        self._stream = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        begin = b"" if self._begun else self._stream.begin()
        self._begun = True
        return bytes(begin + self._stream.compress(data))

    def finish(self) -> bytes:
        return bytes(self._stream.flush()) if self._begun else b""


class _FlushingEncoder:
    """Wrap a compressor of zlib's shape."""

    def __init__(self, compress: Callable[[bytes], bytes], flush: Callable[[], bytes]) -> None:
        self._compress = compress
        self._flush = flush

    def feed(self, data: bytes) -> bytes:
        return self._compress(data)

    def finish(self) -> bytes:
        return self._flush()


def _gzip_encoder() -> Encoder:
    stream = isal_zlib.compressobj(_ISAL_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
    return _FlushingEncoder(stream.compress, stream.flush)


def _deflate_encoder() -> Encoder:
    stream = isal_zlib.compressobj(_ISAL_LEVEL)
    return _FlushingEncoder(stream.compress, stream.flush)


def _zstd_encoder() -> Encoder:
    stream = zstandard.compressor()
    return _FlushingEncoder(stream.compress, stream.flush)


# In order of preference: on one machine the cheapest to compute wins.
_ENCODERS: Final[dict[str, Callable[[], Encoder]]] = {
    "lz4": _Lz4Encoder,
    "zstd": _zstd_encoder,
    "gzip": _gzip_encoder,
    "deflate": _deflate_encoder,
}


def encoder(accept_encoding: str, *, native_blocks: bool) -> tuple[str, Encoder]:
    """Choose how an answer is packed: (Content-Encoding or '', the encoder)."""
    if native_blocks:
        return "", _BlockEncoder()
    accepted = set(_accepted(accept_encoding.split(",")))
    for name, make in _ENCODERS.items():
        if name in accepted:
            return name, make()
    return "", _PlainEncoder()


def _accepted(offers: Iterable[str]) -> Iterator[str]:
    for offer in offers:
        name, _, weight = offer.partition(";")
        if weight.replace(" ", "") not in {"q=0", "q=0.0"}:
            yield name.strip().lower()

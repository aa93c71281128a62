"""Reads a gzip body, bounded: a bomb costs no more than the limit it runs into."""

import importlib
import importlib.util
from typing import Any

from spanlore.collector.refusal import malformed, too_large

# isal inflates twice as fast, and has wheels for fewer machines.
_zlib: Any = importlib.import_module(
    "isal.isal_zlib" if importlib.util.find_spec("isal") else "zlib"
)

_GZIP_WINDOW = 31
_STEP_BYTES = 1 << 20


def inflate(body: bytes, *, bytes_max: int) -> bytes:
    """Inflate a gzip body (one member or several), or raise Refused (permanent).

    At most ``bytes_max`` + 1 MiB is ever held of the result.
    """
    out: list[bytes] = []
    size = 0
    rest = body
    while rest:
        stream = _zlib.decompressobj(_GZIP_WINDOW)
        while not stream.eof:
            step = _step(stream, rest)
            size += len(step)
            if size > bytes_max:
                raise too_large(f"the request inflates to more than {bytes_max} bytes")
            rest = stream.unconsumed_tail
            if not step and not rest and not stream.eof:
                raise malformed("undecodable", "the gzip body is cut off")
            out.append(step)
        rest = stream.unused_data.lstrip(b"\0")
    return b"".join(out)


def _step(stream: Any, data: bytes) -> bytes:
    try:
        return bytes(stream.decompress(data, _STEP_BYTES))
    except _zlib.error as error:
        raise malformed("undecodable", f"the body is not gzip: {error}") from error

"""Reads a compressed body, bounded: a bomb costs no more than the limit it runs into."""

from spanlore.collector.refusal import malformed, too_large
from spanlore.schemas.inflating import INFLATERS, DamagedError, Inflater

# As a client would write them; x-gzip is an old word for gzip.
ENCODINGS = tuple(sorted(set(INFLATERS) - {"x-gzip"}))


def inflate(body: bytes, encoding: str, *, bytes_max: int) -> bytes:
    """Inflate a body (one frame or several) of an encoding in INFLATERS, or raise Refused.

    At most ``bytes_max`` and one step more is ever held of the result.
    """
    inflater = Inflater(INFLATERS[encoding])
    out: list[bytes] = []
    size = 0
    try:
        for piece in inflater.feed(body):
            size += len(piece)
            if size > bytes_max:
                raise too_large(f"the request inflates to more than {bytes_max} bytes")
            out.append(piece)
        inflater.finish()
    except DamagedError as damaged:
        raise malformed("undecodable", f"not {encoding}: {damaged}") from damaged
    return b"".join(out)

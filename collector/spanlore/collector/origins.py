"""What a web page is told that may send: the headers of the CORS protocol.

Source: the Fetch standard ("CORS protocol").
"""

from collections.abc import Mapping
from typing import Final

from spanlore.collector.refusal import Code, Refused
from spanlore.schemas.doorway import Doorway

Headers = tuple[tuple[bytes, bytes], ...]

_PREFLIGHT: Final[Headers] = (
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"content-type, content-encoding, authorization"),
    (b"access-control-max-age", b"600"),
)


def check(doorway: Doorway, headers: Mapping[bytes, bytes]) -> None:
    """Keep requests out that are to another host or of a strange page. Raises Refused."""
    reason = doorway.refusal(
        host=_text(headers, b"host"),
        origin=_text(headers, b"origin"),
        fetch_site=_text(headers, b"sec-fetch-site"),
    )
    if reason:
        raise Refused("page", reason, code=Code.PERMISSION_DENIED)


def permission(doorway: Doorway, headers: Mapping[bytes, bytes]) -> Headers:
    """Give the headers that let an allowed page read the answer."""
    if _text(headers, b"origin") not in doorway.origins:
        return ()
    return ((b"access-control-allow-origin", headers[b"origin"]), (b"vary", b"origin"))


def preflight(doorway: Doorway, method: str, headers: Mapping[bytes, bytes]) -> Headers:
    """Give the headers that answer the preflight of an allowed page; else none."""
    is_asked = method == "OPTIONS" and b"access-control-request-method" in headers
    return _PREFLIGHT if is_asked and permission(doorway, headers) else ()


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")

"""Which web pages may send: those of this server and of the origins that were allowed by name.

Sources: the Fetch standard ("CORS protocol"), RFC 6454.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from spanlore.collector.refusal import Code, Refused

Headers = tuple[tuple[bytes, bytes], ...]

_PREFLIGHT: Final[Headers] = (
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"content-type, content-encoding, authorization"),
    (b"access-control-max-age", b"600"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """``hosts``: what this server is called, with and without its port. ``allowed``: origins."""

    hosts: frozenset[str]
    allowed: frozenset[str] = frozenset()

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Keep pages out whose Host (after DNS rebinding) or Origin is no one's we know.

        Raises Refused (permanent).
        """
        host = headers.get(b"host", b"").decode("latin-1")
        if host not in self.hosts:
            message = f"this server does not answer to the host {host!r}: see --allow-host"
            raise Refused("host", message, code=Code.PERMISSION_DENIED)
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin not in self.allowed and origin.partition("://")[2] not in self.hosts:
            message = f"pages of {origin!r} are not served: see --allow-origin"
            raise Refused("origin", message, code=Code.PERMISSION_DENIED)

    def permission(self, headers: Mapping[bytes, bytes]) -> Headers:
        """Give the headers that let an allowed page read the answer."""
        origin = headers.get(b"origin", b"")
        if origin.decode("latin-1") not in self.allowed:
            return ()
        return ((b"access-control-allow-origin", origin), (b"vary", b"origin"))

    def preflight(self, method: str, headers: Mapping[bytes, bytes]) -> Headers:
        """Give the headers that answer the preflight of an allowed page; else none."""
        is_asked = method == "OPTIONS" and b"access-control-request-method" in headers
        return _PREFLIGHT if is_asked and self.permission(headers) else ()

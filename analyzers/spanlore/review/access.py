"""Who may come in: the Host and Origin of a request, and its token."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from spanlore.review.refusal import Refused

__all__ = ["Access"]

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_HTTP_PORT: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The hosts this port answers to (lower case, with port), and the token that opens it."""

    hosts: frozenset[str]
    token: str

    @classmethod
    def at(cls, host: str, port: int, *, token: str, further: Iterable[str] = ()) -> "Access":
        """Answer to the loopback names, the bound host, and ``further`` names of a proxy."""
        bound = f"[{host}]" if ":" in host else host.lower()
        names = {*_LOOPBACK, bound}
        hosts = {f"{name}:{port}" for name in names} | (names if port == _HTTP_PORT else set())
        for name in further:
            hosts |= {name.lower(), f"{name.lower()}:{port}"}
        return cls(hosts=frozenset(hosts), token=token)

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Refuse another Host (DNS rebinding) and a foreign Origin (a web page elsewhere)."""
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"this door does not answer to the host {host!r}: use 127.0.0.1, or start it with "
                "--allow-host",
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() not in self.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "requests of other web pages are not taken")
        # A page's image or link names no Origin, but browsers say of it where it comes from:
        # https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refused(HTTPStatus.FORBIDDEN, "requests of other web pages are not taken")

    def check_token(self, headers: Mapping[str, str]) -> None:
        """Refuse who does not hold the token. Raises Refused (401)."""
        given = headers.get("authorization", "").encode("utf-8", "surrogateescape")
        if not self.token or not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            raise Refused(
                HTTPStatus.UNAUTHORIZED,
                "give the review_token of credentials.json in the data directory as a bearer token",
                (b"www-authenticate", b"Bearer"),
            )

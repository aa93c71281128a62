"""Which web requests a port of ours answers at all: those to its own name, from no strange page.

Loopback is no wall: a web page can resolve a name of its own to 127.0.0.1, and can send to a port
whose answer it may not read. Sources: the Fetch standard ("CORS protocol", "Sec-Fetch-Site" of
Fetch Metadata Request Headers), RFC 6454.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

__all__ = ["LOOPBACK_NAMES", "Doorway"]

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_DEFAULT_PORTS: Final = (80, 443)  # which clients leave out
_OF_NO_OTHER_PAGE: Final = (None, "none", "same-origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """``hosts``: what this port is called, lower case, with its port. ``origins``: pages let in.

    With ``any_address`` a Host that is an address is ours, whichever it is: no page can make a
    browser take an address for another.
    """

    hosts: frozenset[str]
    origins: frozenset[str] = frozenset()
    any_address: bool = False

    @classmethod
    def at(
        cls, host: str, port: int, *, further: Iterable[str] = (), origins: Iterable[str] = ()
    ) -> "Doorway":
        """Answer to the loopback names, the bound host, and ``further`` names of a proxy."""
        bound = f"[{host}]" if ":" in host and host[0] != "[" else host.lower()
        names = {*LOOPBACK_NAMES, bound}
        hosts = {f"{name}:{port}" for name in names}
        hosts |= names if port in _DEFAULT_PORTS else set()
        for name in further:
            hosts |= {name.lower(), f"{name.lower()}:{port}"}
        wildcard = bound in {"0.0.0.0", "[::]"}  # noqa: S104 - compared with, not bound
        return cls(hosts=frozenset(hosts), origins=frozenset(origins), any_address=wildcard)

    def refusal(self, *, host: str | None, origin: str | None, fetch_site: str | None) -> str:
        """Say why a request with these headers (None: absent) is not answered; "" where it is."""
        name = (host or "").lower()
        if not (name in self.hosts or (self.any_address and _is_address(name))):
            return (
                f"this port does not answer to the host {host or ''!r}: use an address it listens "
                "on, or start it with --allow-host"
            )
        if origin in self.origins:
            return ""
        of_page = "" if origin is None else origin.partition("://")[2].lower()
        if origin is not None and of_page not in {*self.hosts, name}:
            return f"pages of {origin!r} are not served: see --allow-origin of the collector"
        # A page's image or link names no Origin, but browsers say of it where it comes from.
        if fetch_site not in _OF_NO_OTHER_PAGE:
            return "requests of other web pages are not taken"
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True

"""Who is at the door: the Host and Origin of a request, and its login."""

import hmac
import logging
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from spanlore.schemas.credentials import Credentials, Login
from spanlore.store_server.errors import ACCESS_DENIED, AUTHENTICATION_FAILED, QueryError
from spanlore.store_server.guard import ADMIN, INGEST
from spanlore.store_server.request import Request

_log = logging.getLogger(__name__)

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_HTTP_PORT: Final = 80


@dataclass(frozen=True, slots=True)
class Access:
    """The hosts this port answers to (lower case, with port) and the logins it knows."""

    hosts: frozenset[str]
    credentials: Credentials

    @classmethod
    def at(cls, host: str, port: int, *, credentials: Credentials) -> "Access":
        """Answer to the loopback names and to the bound host, with the port bound."""
        bound = f"[{host}]" if ":" in host else host.lower()
        names = {*_LOOPBACK, bound}
        with_port = {f"{name}:{port}" for name in names}
        return cls(frozenset(with_port | (names if port == _HTTP_PORT else set())), credentials)

    def check_host(self, request: Request) -> None:
        """Refuse another Host (DNS rebinding) and a foreign Origin (a web page elsewhere)."""
        host = request.headers.get("host", "").lower()
        if host not in self.hosts:
            raise QueryError(ACCESS_DENIED, f"this store does not answer to the host {host!r}")
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() not in self.hosts:
            raise QueryError(ACCESS_DENIED, f"requests from {origin!r} are not allowed")

    def role(self, request: Request) -> tuple[str, str]:
        """Give (role, user) of a request's login; raises QueryError 516."""
        user, password = request.login
        for role, login in ((ADMIN, self.credentials.admin), (INGEST, self.credentials.ingest)):
            if _matches(login, user, password):
                return role, user
        shown = _bytes(user).decode("utf-8", "replace")
        raise QueryError(
            AUTHENTICATION_FAILED,
            f"{shown}: Authentication failed: password is incorrect, "
            "or there is no user with such name",
        )


def _matches(login: Login, user: str, password: str) -> bool:
    same_user = hmac.compare_digest(login.user.encode(), _bytes(user))
    return hmac.compare_digest(login.password.encode(), _bytes(password)) and same_user


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")

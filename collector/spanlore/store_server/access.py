"""Who is at the door: the Host and Origin of a request, and its login."""

import hmac
import logging
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from spanlore.schemas.credentials import Credentials, Login
from spanlore.store_server.errors import ACCESS_DENIED, AUTHENTICATION_FAILED, QueryError
from spanlore.store_server.guard import ADMIN, INGEST, READER
from spanlore.store_server.request import Request
from spanlore.store_server.statement import Caller

_log = logging.getLogger(__name__)

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_HTTP_PORT: Final = 80


@dataclass(frozen=True, slots=True)
class Access:
    """The hosts this port answers to (lower case, with port) and the logins it knows.

    ``closed_to_readers`` says why readers are turned away, and is empty where they are not.
    """

    hosts: frozenset[str]
    credentials: Credentials
    closed_to_readers: str

    @classmethod
    def at(
        cls, host: str, port: int, *, credentials: Credentials, closed_to_readers: str = ""
    ) -> "Access":
        """Answer to the loopback names and to the bound host, with the port bound."""
        bound = f"[{host}]" if ":" in host else host.lower()
        names = {*_LOOPBACK, bound}
        with_port = {f"{name}:{port}" for name in names}
        hosts = frozenset(with_port | (names if port == _HTTP_PORT else set()))
        return cls(hosts, credentials, closed_to_readers)

    def check_host(self, request: Request) -> None:
        """Refuse another Host (DNS rebinding) and a foreign Origin (a web page elsewhere)."""
        host = request.headers.get("host", "").lower()
        if host not in self.hosts:
            raise QueryError(ACCESS_DENIED, f"this store does not answer to the host {host!r}")
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() not in self.hosts:
            raise QueryError(ACCESS_DENIED, f"requests from {origin!r} are not allowed")

    def caller(self, request: Request) -> Caller:
        """Give who a request's login is of; raises QueryError 516, and 497 to a reader shut out."""
        user, password = request.login
        for role, login in ((ADMIN, self.credentials.admin), (INGEST, self.credentials.ingest)):
            if _matches(login, user, password):
                return Caller(role, user)
        if _matches(self.credentials.reader, user, password):
            if self.closed_to_readers:
                raise QueryError(ACCESS_DENIED, self.closed_to_readers)
            return Caller(READER, user, self.credentials.reader.tenant)
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

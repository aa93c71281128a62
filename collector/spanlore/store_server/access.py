"""Who is at the door: whether it is one's own page or program, and its login."""

import hmac
from dataclasses import dataclass
from typing import Final

from spanlore.schemas.credentials import Credentials, Login
from spanlore.schemas.doorway import Doorway
from spanlore.store_server.errors import ACCESS_DENIED, AUTHENTICATION_FAILED, QueryError
from spanlore.store_server.guard import ADMIN, INGEST, READER
from spanlore.store_server.request import Request
from spanlore.store_server.statement import Caller

METHODS: Final = frozenset({"GET", "HEAD", "POST"})
QUERY_PATHS: Final = frozenset({"/", "/query"})
# What says no more than that somebody is here; so does a path for queries without any.
OPEN_PATHS: Final = frozenset({"/ping"})


@dataclass(frozen=True, slots=True)
class Access:
    """What this port is called and the logins it knows.

    ``closed_to_readers`` says why readers are turned away, and is empty where they are not.
    """

    doorway: Doorway
    credentials: Credentials
    closed_to_readers: str

    def check_page(self, request: Request) -> None:
        """Refuse another Host and strange pages; raises QueryError 497."""
        headers = request.headers
        reason = self.doorway.refusal(
            host=headers.get("host"),
            origin=headers.get("origin"),
            fetch_site=headers.get("sec-fetch-site"),
        )
        if reason:
            raise QueryError(ACCESS_DENIED, reason)

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

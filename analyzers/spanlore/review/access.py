"""Who may come in, and for whom: the page a request is of, and its token."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from spanlore.review.refusal import Refused, unavailable
from spanlore.schemas.credentials import EVERY_TENANT
from spanlore.schemas.doorway import Doorway
from spanlore.schemas.keyring import Keyring, NotPermitted, Unauthenticated
from spanlore.schemas.tokens import ERASE, READ, TokensError

__all__ = ["Access"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What this port is called, what opens it, and whether memories are given without a token."""

    doorway: Doorway
    keyring: Keyring
    memories_need_token: bool

    def check_page(self, headers: Mapping[str, str]) -> None:
        """Refuse another Host and strange pages. Raises Refused (403)."""
        reason = self.doorway.refusal(
            host=headers.get("host"),
            origin=headers.get("origin"),
            fetch_site=headers.get("sec-fetch-site"),
        )
        if reason:
            raise Refused(HTTPStatus.FORBIDDEN, reason)

    def tenant(self, headers: Mapping[str, str], *scopes: str, is_open: bool) -> str:
        """Give the tenant that memories may be given of, or users erased of; ``*`` for every one.

        Who asks for that may do so for one tenant; all else here is of every tenant. Raises
        Refused (401, 403, 503).
        """
        authorization = headers.get("authorization", "")
        try:
            if is_open:
                if not (authorization or self.memories_need_token):
                    return EVERY_TENANT
                return self.keyring.tenant(authorization, READ)
            if scopes == (ERASE,):
                return self.keyring.tenant(authorization, ERASE)
            self.keyring.every_tenant(authorization, *scopes)
        except Unauthenticated as error:
            challenge = (b"www-authenticate", b"Bearer")
            raise Refused(HTTPStatus.UNAUTHORIZED, str(error), challenge) from error
        except NotPermitted as error:
            raise Refused(HTTPStatus.FORBIDDEN, str(error)) from error
        except TokensError as error:
            raise unavailable(str(error)) from error
        return EVERY_TENANT

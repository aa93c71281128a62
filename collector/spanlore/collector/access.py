"""Who may send, and for which tenant; who may ask for the counters and for a flush."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from spanlore.collector.refusal import Code, Refused, overloaded
from spanlore.schemas.credentials import EVERY_TENANT
from spanlore.schemas.keyring import Keyring, NotPermitted, Unauthenticated
from spanlore.schemas.tokens import INGEST, TokensError

ANY_TENANT: Final = ""  # of a record: its spans say whose they are, else they are the default's


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """``needs_token``: whether OTLP without a token is refused. One that is sent always counts."""

    keyring: Keyring
    needs_token: bool

    def sender(self, authorization: str) -> str:
        """Give the tenant that a request of OTLP is of, whatever its spans say. Raises Refused."""
        if not (authorization or self.needs_token):
            return ANY_TENANT
        with _refusing():
            tenant = self.keyring.tenant(authorization, INGEST)
        return ANY_TENANT if tenant == EVERY_TENANT else tenant

    def operator(self, authorization: str, *scopes: str) -> None:
        """Let in who may do one of ``scopes`` for every tenant. Raises Refused."""
        with _refusing():
            self.keyring.every_tenant(authorization, *scopes)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Unauthenticated as error:
        raise Refused("auth", str(error), code=Code.UNAUTHENTICATED) from error
    except NotPermitted as error:
        raise Refused("auth", str(error), code=Code.PERMISSION_DENIED) from error
    except TokensError as error:
        raise overloaded("auth_unknown", str(error)) from error

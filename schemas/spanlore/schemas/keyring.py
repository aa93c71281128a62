"""What opens a door: its own secret, and the tokens of the data directory as they are now.

A door asks for each request. The file of tokens is looked at each time (one ``stat``) and read
again when it has changed: a new token opens, and a revoked one closes, with the next request.
"""

import hmac
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from spanlore.schemas.credentials import EVERY_TENANT
from spanlore.schemas.tokens import (
    FILE_NAME,
    Token,
    TokensError,
    hash_of,
    read_tokens,
    token_id_of,
)

_BEARER: Final = "bearer"


class Unauthenticated(Exception):
    """Nobody we know asks (401); the message says what to send."""


class NotPermitted(Exception):
    """A token we know may not do this (403); the message says what it may."""


class Keyring:
    """The keys to one door. ``own`` is its secret of credentials.json, called ``own_name``."""

    def __init__(self, data_dir: Path, *, own: str, own_name: str) -> None:
        self._data_dir = data_dir
        self._path = data_dir / FILE_NAME
        self._own = own.encode()
        self._own_name = own_name
        self._seen: tuple[int, int, int] | None = None
        self._tokens: Mapping[str, Token] = {}

    def tenant(self, authorization: str, *scopes: str) -> str:
        """Give the tenant (``*`` is every one) that the bearer may do one of ``scopes`` for.

        ``authorization`` is the header's value. Raises Unauthenticated, NotPermitted, and
        TokensError where the file of tokens cannot be read: the same may be let in later.
        """
        scheme, _, text = authorization.partition(" ")
        text = text.strip()
        if scheme.lower() != _BEARER or not text:
            raise Unauthenticated(f"this takes a token: {self._next_step(scopes)}")
        if hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self._own):
            return EVERY_TENANT
        token = self._known(text)
        if token is None:
            raise Unauthenticated(
                f"the token is none of this spanlore's, or was revoked: {self._next_step(scopes)}"
            )
        if token.is_expired(datetime.now(UTC)):
            raise Unauthenticated(
                f"the token {token.token_id} expired at {token.expires_at}: "
                f"{self._next_step(scopes)}"
            )
        if not set(scopes) & set(token.scopes):
            raise NotPermitted(
                f"the token {token.token_id} has the scopes {', '.join(token.scopes)}, and this "
                f"takes {' or '.join(scopes)}: {self._next_step(scopes)}"
            )
        return token.tenant

    def every_tenant(self, authorization: str, *scopes: str) -> None:
        """See to it that the bearer may do this for every tenant; raises as ``tenant`` does."""
        tenant = self.tenant(authorization, *scopes)
        if tenant != EVERY_TENANT:
            raise NotPermitted(
                f"the token is the tenant {tenant}'s alone, and this shows or changes what is "
                f"others' too: use one made with --tenant '{EVERY_TENANT}'"
            )

    def _known(self, text: str) -> Token | None:
        token = self._present().get(token_id_of(text))
        if token is None or not hmac.compare_digest(hash_of(text), token.sha256):
            return None
        return token

    def _present(self) -> Mapping[str, Token]:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - a third of the time of Path's
        except FileNotFoundError:
            self._seen, self._tokens = None, {}
            return self._tokens
        except OSError as error:
            raise TokensError(f"{self._path} cannot be looked at: {error}") from error
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != self._seen:
            # Another change between the two looks gives another stamp at the next request.
            self._tokens = {one.token_id: one for one in read_tokens(self._data_dir)}
            self._seen = stamp
        return self._tokens

    def _next_step(self, scopes: tuple[str, ...]) -> str:
        return (
            f"make one with `spanlore token create --scope {scopes[0]}` where spanlore runs, or "
            f"take the {self._own_name} of credentials.json, and send it as "
            "`authorization: Bearer TOKEN`"
        )

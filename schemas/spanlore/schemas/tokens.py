"""Tokens: what lets others in, each for one tenant or for every one, for some scopes, for a time.

They stand in ``tokens.json`` of the data directory as SHA-256 alone. A token is 256 random bits, so
a fast hash keeps it: there is nothing to guess. Its form is ``spl_ID_SECRET``; the id is no secret,
and what people name it by.
"""

import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from spanlore.schemas.credentials import EVERY_TENANT, SECRET_BYTES
from spanlore.schemas.private_file import draft

FILE_NAME: Final = "tokens.json"
INGEST: Final = "ingest"
READ: Final = "read"
ADMIN: Final = "admin"
ERASE: Final = "erase"
SCOPES: Final = (INGEST, READ, ADMIN, ERASE)
TOKENS_MAX: Final = 1_000
NAME_CHARACTERS_MAX: Final = 100
TENANT_BYTES_MAX: Final = 256  # it stands in every record of the write-ahead log

_FORM: Final = re.compile(r"spl_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")


class TokensError(Exception):
    """The tokens cannot be read or kept; the message says why and the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token: all but itself. ``expires_at`` is None for one that does not."""

    token_id: str
    name: str
    tenant: str
    scopes: tuple[str, ...]
    sha256: str
    created_at: datetime
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what no door could make sense of. Raises ValueError."""
        size = len(self.tenant.encode())
        if not self.tenant.isprintable() or not 0 < size <= TENANT_BYTES_MAX:
            raise ValueError(
                f"the tenant is {self.tenant!r}: give a name of at most {TENANT_BYTES_MAX} bytes, "
                f"or {EVERY_TENANT} for every tenant"
            )
        if not self.name.isprintable() or len(self.name) > NAME_CHARACTERS_MAX:
            raise ValueError(
                f"the name is {self.name!r}: give at most {NAME_CHARACTERS_MAX} characters"
            )
        if not self.scopes or set(self.scopes) - set(SCOPES):
            raise ValueError(f"the scopes are {self.scopes}: give some of {', '.join(SCOPES)}")

    def is_expired(self, now: datetime) -> bool:
        """Say whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


def token_id_of(text: str) -> str:
    """Give the id that a token carries, "" for what has not the form of one."""
    found = _FORM.fullmatch(text)
    return found[1] if found else ""


def hash_of(text: str) -> str:
    """Give what is kept of a token."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_tokens(data_dir: Path) -> tuple[Token, ...]:
    """Read the tokens, oldest first; none where there is no file. Raises TokensError."""
    path = data_dir / FILE_NAME
    try:
        return tuple(_token(entry) for entry in json.loads(path.read_bytes())["tokens"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokensError(
            f"{path} cannot be read ({error}): restore it, or delete it to revoke every token"
        ) from error


def create_token(
    data_dir: Path,
    *,
    tenant: str,
    scopes: Iterable[str],
    name: str = "",
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """Make a token; give what is kept of it and the token itself, which is nowhere after that.

    Raises ValueError for what cannot be meant, TokensError and OSError.
    """
    token_id = secrets.token_hex(4)
    text = f"spl_{token_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    fresh = Token(
        token_id=token_id,
        name=name,
        tenant=tenant,
        scopes=tuple(dict.fromkeys(scopes)),
        sha256=hash_of(text),
        created_at=datetime.now(UTC).replace(microsecond=0),
        expires_at=expires_at,
    )
    with _changing(data_dir) as tokens:
        if len(tokens) >= TOKENS_MAX:
            raise TokensError(
                f"there are {len(tokens)} tokens, and {TOKENS_MAX} is the most: revoke some first"
            )
        tokens.append(fresh)
    return fresh, text


def revoke_token(data_dir: Path, token_id: str) -> Token | None:
    """Take a token out of the file; give it, or None where there is none. Raises TokensError."""
    with _changing(data_dir) as tokens:
        found = next((one for one in tokens if one.token_id == token_id), None)
        if found is not None:
            tokens.remove(found)
    return found


@contextmanager
def _changing(data_dir: Path) -> Iterator[list[Token]]:
    """Give the tokens to change; what the block leaves is written. Others who change it wait."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        before = read_tokens(data_dir)
        tokens = list(before)
        yield tokens
        if tuple(tokens) != before:
            document = {"tokens": [_entry(one) for one in tokens]}
            draft(data_dir / FILE_NAME, json.dumps(document, indent=2)).replace(
                data_dir / FILE_NAME
            )
            os.fsync(directory)
    finally:
        os.close(directory)


def _token(entry: Mapping[str, Any]) -> Token:
    expires_at = entry["expires_at"]
    ends_at = None if expires_at is None else datetime.fromisoformat(expires_at).astimezone(UTC)
    return Token(
        token_id=entry["token_id"],
        name=entry["name"],
        tenant=entry["tenant"],
        scopes=tuple(entry["scopes"]),
        sha256=entry["sha256"],
        created_at=datetime.fromisoformat(entry["created_at"]).astimezone(UTC),
        expires_at=ends_at,
    )


def _entry(token: Token) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "name": token.name,
        "tenant": token.tenant,
        "scopes": token.scopes,
        "sha256": token.sha256,
        "created_at": token.created_at.isoformat(),
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
    }

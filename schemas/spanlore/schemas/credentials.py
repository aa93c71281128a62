"""Who may talk to this installation: secrets made once, at first start, in the data directory."""

import fcntl
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spanlore.schemas.private_file import draft

FILE_NAME = "credentials.json"
SECRET_BYTES = 32  # 43 characters of URL-safe base64
EVERY_TENANT = "*"


@dataclass(frozen=True, slots=True)
class Login:
    """A user of the store and its password."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Reader(Login):
    """A user who may only ask, about one tenant or about ``*``, which is every one."""

    tenant: str = EVERY_TENANT

    def __post_init__(self) -> None:
        """Refuse what would be no tenant at all, which a filter must not be made of."""
        if not isinstance(self.tenant, str) or not self.tenant or not self.tenant.isprintable():
            raise ValueError(f"the reader's tenant is {self.tenant!r}, not a name or '*'")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The store's three users, and the bearer tokens of the collector's and the review's doors."""

    admin: Login
    ingest: Login
    reader: Reader
    collector_token: str
    review_token: str


class CredentialsError(Exception):
    """The credentials file cannot be read or does not hold what it should."""


def load_or_create(data_dir: Path) -> Credentials:
    """Read ``data_dir/credentials.json``, made with fresh secrets where there is none.

    The directory gets mode 0700 when it is made here, the file 0600. Two processes that start at
    once agree: the first file to appear, whole, is the one both read. A file of before there was
    a review door or a reader gets what it lacks. Raises CredentialsError.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / FILE_NAME
    if not path.exists():
        _create(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not _later_secrets().keys() <= set(found):
            found = _completed(path)
        return Credentials(
            admin=Login(**found["admin"]),
            ingest=Login(**found["ingest"]),
            reader=Reader(**found["reader"]),
            collector_token=str(found["collector_token"]),
            review_token=str(found["review_token"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CredentialsError(
            f"{path} is unreadable ({error}): restore it, or delete it to make new secrets"
        ) from error


def _create(path: Path) -> None:
    """Write the file beside its place and link it there, so that it is never seen half made."""
    fresh = {
        "admin": asdict(Login("admin", secrets.token_urlsafe(SECRET_BYTES))),
        "ingest": asdict(Login("ingest", secrets.token_urlsafe(SECRET_BYTES))),
        "collector_token": secrets.token_urlsafe(SECRET_BYTES),
        **_later_secrets(),
    }
    made = draft(path, json.dumps(fresh, indent=2))
    try:
        os.link(made, path)
    except FileExistsError:
        return
    finally:
        made.unlink(missing_ok=True)


def _later_secrets() -> dict[str, Any]:
    """Make the secrets that files of earlier versions lack."""
    return {
        "review_token": secrets.token_urlsafe(SECRET_BYTES),
        "reader": asdict(Reader("reader", secrets.token_urlsafe(SECRET_BYTES))),
    }


def _completed(path: Path) -> Any:
    """Add what an earlier version did not make; of several who do, the first does."""
    with path.open(encoding="utf-8") as locked:
        fcntl.flock(locked.fileno(), fcntl.LOCK_EX)
        found = json.loads(path.read_text(encoding="utf-8"))
        if not _later_secrets().keys() <= set(found):
            found = {**_later_secrets(), **found}
            draft(path, json.dumps(found, indent=2)).replace(path)
    return found

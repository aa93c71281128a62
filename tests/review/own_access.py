"""The access of a door that is asked without a process."""

from pathlib import Path

from spanlore.review.access import Access
from spanlore.schemas.doorway import Doorway
from spanlore.schemas.keyring import Keyring


def access_at(port: int, *, token: str) -> Access:
    """Give a door's access on loopback, with its own token and no other."""
    return Access(
        doorway=Doorway.at("127.0.0.1", port),
        keyring=Keyring(Path("/nowhere"), own=token, own_name="review_token"),
        memories_need_token=False,
    )

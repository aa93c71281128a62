"""One request: how large it may be, who sends it, and what came of it."""

from dataclasses import dataclass
from typing import Final, Protocol

# What stock receivers take; one item that is larger goes by itself.
REQUEST_BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Taken, to be sent again (after some seconds), or refused for good.

    ``is_absent``: nobody listens there.
    """

    is_taken: bool
    is_worth_retrying: bool = False
    is_absent: bool = False
    after_s: float | None = None


TAKEN = Answer(is_taken=True)
REFUSED = Answer(is_taken=False)
FAILED = Answer(is_taken=False, is_worth_retrying=True)
ABSENT = Answer(is_taken=False, is_worth_retrying=True, is_absent=True)


class Send(Protocol):
    """Send one request of a signal; never raises, and takes about ``timeout_s`` at most."""

    def __call__(self, signal: str, request: bytes, *, timeout_s: float) -> Answer: ...

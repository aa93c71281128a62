"""What came of sending one request, and who sends."""

from dataclasses import dataclass
from typing import Protocol


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

"""Waits on a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

DEADLINE_S = 60.0
POLL_S = 0.005

Answer = TypeVar("Answer")


def wait_until(
    ask: Callable[[], Answer | None], what: str = "the condition", deadline_s: float = DEADLINE_S
) -> Answer:
    """Return the first answer that is true; fail the test, naming what, when none is in time."""
    deadline = time.monotonic() + deadline_s
    while not (answer := ask()):
        if time.monotonic() >= deadline:
            pytest.fail(f"not within {deadline_s:.0f} s: {what}")
        time.sleep(POLL_S)
    return answer

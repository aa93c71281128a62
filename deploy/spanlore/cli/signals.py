"""The signals that ask a command to end, and when it listens to them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ENDING", "deferred"]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def deferred() -> Iterator[None]:
    """Let the signals that end a command wait until the block has ended.

    By handlers and not by a mask: a process started meanwhile would inherit the mask.
    """
    arrived: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: arrived.append(number))
        for number in ENDING
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in dict.fromkeys(arrived):
            signal.raise_signal(each)

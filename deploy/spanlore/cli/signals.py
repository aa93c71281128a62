"""The signals that ask a command to end, and when it listens to them."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["ENDING", "deferred", "in_thread"]

_Result = TypeVar("_Result")

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


def in_thread(work: Callable[[], _Result], *, stop: Callable[[], object]) -> _Result:
    """Run work in a thread of its own and return what it returns.

    For work inside gRPC: an exception out of a signal handler can leave its locks taken, and
    closing then hangs. Here it cuts short the waiting alone. ``stop`` is called in the end,
    whatever happened, and must make the work end soon.
    """
    with ThreadPoolExecutor(1) as thread:
        try:
            with deferred():  # a thread that is started is known to the pool
                result = thread.submit(work)
            return result.result()
        finally:
            with deferred():
                stop()

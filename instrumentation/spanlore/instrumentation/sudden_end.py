"""Ends of a process that run nothing of what `atexit` was told: SIGTERM, and `os._exit`.

Both keep what they do. A handler that the program set is called, and a process that would end by
the signal ends by it, after what was not yet written down has been. As with every handler in
Python, a call into C that does not return holds the end up as long as it takes.
"""

import _thread
import functools
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from spanlore.instrumentation.quiet import quiet

_STOP_S_MAX = 2.0
_WRITE_S_MAX = 0.5


def at_sudden_end(*, write_down: Callable[[], None], stop: Callable[[], None]) -> None:
    """Call ``stop`` before SIGTERM ends this process, ``write_down`` before `os._exit` does.

    Where the program handles SIGTERM itself, it may well go on: then it is ``write_down`` too. To
    be called once; in another thread than the main one signals are left alone.
    """
    _patch_exit(write_down)
    if threading.current_thread() is threading.main_thread():
        _chain_sigterm(write_down, stop)


def _chain_sigterm(write_down: Callable[[], None], stop: Callable[[], None]) -> None:
    standing: Any = signal.getsignal(signal.SIGTERM)
    if not callable(standing) and standing is not signal.SIG_DFL:
        return  # ignored, or handled outside Python

    def on_sigterm(number: int, frame: FrameType | None) -> Any:
        if callable(standing):
            _bounded(write_down, _WRITE_S_MAX)
            return standing(number, frame)
        _bounded(stop, _STOP_S_MAX)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return None

    signal.signal(signal.SIGTERM, on_sigterm)


def _patch_exit(write_down: Callable[[], None]) -> None:
    leave = os._exit

    @functools.wraps(leave)
    def write_and_leave(status: int) -> None:
        try:
            _bounded(write_down, _WRITE_S_MAX)
        finally:
            leave(status)

    os._exit = write_and_leave  # type: ignore[assignment]


def _bounded(work: Callable[[], None], seconds: float) -> None:
    """Let a thread do it and wait so long: what was interrupted here may hold any lock."""
    done = _thread.allocate_lock()
    done.acquire()

    def do() -> None:
        with quiet:
            work()
        done.release()

    try:
        _thread.start_new_thread(do, ())
    except RuntimeError:  # no thread to be had, or the interpreter is going
        return
    done.acquire(timeout=seconds)

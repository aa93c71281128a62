"""A daemon thread that begins with the first work, steps aside for a fork, and begins again."""

import threading
from collections.abc import Callable

from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context

from spanlore.instrumentation.quiet import quiet

_PARK_S_MAX = 0.1


class Worker:
    """Takes turns until told to end. ``turn`` sleeps on ``wake``; what it raises costs one turn.

    ``begin``, ``park`` and ``unpark`` may be called from any thread, ``forget`` in a forked child.
    ``is_idle``: work that comes is not looked for; whoever brings it is to ``begin`` and ``rouse``.
    """

    def __init__(self, turn: Callable[[], None], *, name: str, is_over: Callable[[], bool]) -> None:
        self._turn = turn
        self._name = name
        self._is_over = is_over
        self.forget()

    def forget(self) -> None:
        """Begin anew, without a thread."""
        self.wake = threading.Event()
        self.is_idle = True
        self.is_parked = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def works(self) -> bool:
        """Whether there is a thread."""
        return self._thread is not None

    def begin(self) -> bool:
        """Start the thread where there is none; say whether that was done. May raise."""
        with self._lock:
            if self._thread is not None:
                return False
            self.is_idle = False
            try:
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
            finally:
                self.is_idle = self.is_idle or self._thread is None
        return True

    def rouse(self) -> None:
        """Wake the thread if it sleeps for want of work."""
        if self.is_idle:
            self.is_idle = False
            self.wake.set()

    def rest(self, has_work: Callable[[], bool]) -> None:
        """Sleep until there is work."""
        self.is_idle = True
        if not has_work():
            self.wake.wait()
            self.wake.clear()
        self.is_idle = False

    def park(self) -> None:
        """Let the thread take one more turn and end: Python warns of a fork beside a thread."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        self.is_parked = True
        self.wake.set()
        thread.join(_PARK_S_MAX)  # longer it may take only while it sends

    def unpark(self) -> None:
        with self._lock:
            self.is_parked = False

    def _work(self) -> None:
        # Of no run, whichever began it; and an instrumented client makes no spans of our sending.
        context.attach(
            context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True, context=Context())
        )
        while True:
            with quiet:
                self._turn()
            if self.is_parked and self._leaves():
                return
            if self._is_over():
                return

    def _leaves(self) -> bool:
        """Say whether the thread ends for a fork; another one begins with what comes then."""
        with self._lock:
            if self.is_parked:
                self._thread = None
                self.is_idle = True
            return self.is_parked

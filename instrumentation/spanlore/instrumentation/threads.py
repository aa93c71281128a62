"""A new thread, or a task of a thread pool, goes on in the trace and the run it was started from.

Done without a Python frame of ours in the thread, and without copying any other context variable:
the traceback of a thread that dies is what it would be without us.
"""

import contextvars
import functools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from opentelemetry import context

from spanlore.instrumentation.quiet import quiet

_local = threading.local()


def keep_context() -> None:
    """Patch ``Thread.start`` and ``ThreadPoolExecutor.submit``; to be called once."""
    if not getattr(sys.flags, "thread_inherit_context", False):  # else Python does it itself
        _patch_threads()
    _patch_pools()


def _patch_threads() -> None:
    start = threading.Thread.start

    @functools.wraps(start)
    def start_with_context(thread: threading.Thread) -> None:
        with quiet:
            _give_context(thread)
        start(thread)

    threading.Thread.start = start_with_context  # type: ignore[assignment,method-assign]


def _patch_pools() -> None:
    submit: Any = ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def submit_with_context(
        pool: ThreadPoolExecutor, task: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> "Future[Any]":
        carried = task
        with quiet:
            carried = _with_context(pool, task)
        # A worker that this starts serves everybody: it must not begin in one caller's run.
        _local.is_submitting = True
        try:
            future: Future[Any] = submit(pool, carried, *args, **kwargs)
        finally:
            _local.is_submitting = False
        return future

    ThreadPoolExecutor.submit = submit_with_context  # type: ignore[assignment,method-assign]


def _give_context(thread: threading.Thread) -> None:
    if getattr(_local, "is_submitting", False) or getattr(thread, "_context", None) is not None:
        return
    if carrier := _carrier():
        thread.run = functools.partial(carrier.run, thread.run)  # type: ignore[method-assign]


def _with_context(pool: ThreadPoolExecutor, task: Callable[..., Any]) -> Callable[..., Any]:
    carrier = _carrier()
    if carrier is None:
        return task
    if getattr(pool, "_initializer", None) is None:
        return functools.partial(carrier.run, task)
    # The initializer may have set context variables, which the task must still find.
    current = context.get_current()

    @functools.wraps(task)
    def in_context(*args: Any, **kwargs: Any) -> Any:
        token = context.attach(current)
        try:
            return task(*args, **kwargs)
        finally:
            context.detach(token)

    return in_context


def _carrier() -> contextvars.Context | None:
    """Return an otherwise empty context that holds OpenTelemetry's; None when that is empty."""
    current = context.get_current()
    if not current:
        return None
    carrier = contextvars.Context()
    carrier.run(context.attach, current)
    return carrier

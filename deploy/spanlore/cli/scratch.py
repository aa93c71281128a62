"""A spanlore for a while: on free ports, in a directory of its own, gone when the block ends."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import holder_pid, is_held
from spanlore.cli.down import stop
from spanlore.cli.errors import CannotReach
from spanlore.cli.signals import ENDING
from spanlore.cli.steps import Steps
from spanlore.cli.up import start_detached

__all__ = ["scratch_directory", "scratch_stack"]

_FREE_PORTS = ("--store-port=0", "--grpc-port=0", "--http-port=0", "--review-port=0")


@contextmanager
def scratch_directory(named: Path | None, *, prefix: str, keep: bool) -> Iterator[Path]:
    """Give a directory to work in: the one named, which stays, or a temporary one.

    ``keep`` leaves the temporary one as well, but not after an error. SIGTERM and SIGHUP end the
    block in order, as Ctrl-C does. Raises CannotReach when the named one holds anything.
    """
    if named is not None and named.exists() and any(named.iterdir()):
        raise CannotReach(
            f"{named} is not empty, and recorded demo runs would mix with what it holds; "
            "name a new directory"
        )
    directory = named.absolute() if named else Path(tempfile.mkdtemp(prefix=prefix))
    stays = named is not None
    with _ended_in_order():
        try:
            yield directory
            stays = stays or keep
        finally:
            if not stays:
                shutil.rmtree(directory)


@contextmanager
def scratch_stack(directory: Path, steps: Steps, *, keep: bool) -> Iterator[Running]:
    """Start spanlore (all of `up`) on free ports, and stop them when the block ends.

    ``keep`` leaves them running, but not after an error. Raises what `spanlore up` ends with.
    """
    stays = False
    try:
        with steps.step("start", "start the store, the collector and the review door"):
            start_detached(directory, None, arguments=_FREE_PORTS, outlives_us=keep)
        yield find_running(directory)
        stays = keep
    finally:
        if not stays and is_held(directory):
            # One Ctrl-C is enough; a second one must not leave a process behind.
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)
            with steps.step("stop", "stop them"):
                _stop(directory)


def _stop(directory: Path) -> None:
    """Stop what we started, and wait for the process itself and not only for what it held."""
    pid = holder_pid(directory)
    stop(directory)
    if pid is not None:
        with suppress(ChildProcessError):  # it was waited for already
            os.waitpid(pid, 0)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have SIGTERM and SIGHUP unwind the block, and give all handlers back after it."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)

"""The data directory: where it is, who runs on it, and the note (`run.json`) they leave there."""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from spanlore.cli.errors import CannotReach
from spanlore.schemas.full_disk import FULL, reason
from spanlore.schemas.run_file import (
    LOCK_FILE,
    RUN_FILE,
    default_data_dir,
    is_held,
    read_run_file,
)

__all__ = [
    "data_dir_option",
    "default_data_dir",
    "held",
    "holder_pid",
    "is_held",
    "make_data_dir",
    "read_run_file",
    "remove_run_file",
    "write_run_file",
    "writing_to",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LOCK_WAIT_S = 1.0
_LOCK_POLL_S = 0.05


def data_dir_option(command: _Command) -> _Command:
    """Add ``--data-dir`` to a command; it is None when the user did not give it."""
    option = click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        default=None,
        help="Data directory. Default: $SPANLORE_DATA_DIR, else the user's data directory.",
    )
    return option(command)


def make_data_dir(data_dir: Path) -> Path:
    """Make the data directory (mode 0700) when it is not there. Raises CannotReach."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotReach(
            f"cannot make the data directory {data_dir}: {error.strerror}; "
            "choose another with --data-dir"
        ) from error
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise CannotReach(
            f"the data directory {data_dir} cannot be written to; choose another with --data-dir"
        )
    return data_dir


@contextmanager
def writing_to(data_dir: Path) -> Iterator[None]:
    """Say what is full where the block finds no space. Raises CannotReach."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise CannotReach(reason(error, data_dir)) from error


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Own the data directory while the block runs; it is made when it is not there.

    Raises CannotReach when another spanlore owns it. The lock goes with the process, however it
    ends.
    """
    with (make_data_dir(data_dir) / LOCK_FILE).open("a+") as handle:
        if not _lock(handle.fileno()):
            raise CannotReach(
                f"spanlore is already running on {data_dir} (pid {holder_pid(data_dir)}); "
                "see `spanlore status`, or stop it with `spanlore down`"
            )
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


def holder_pid(data_dir: Path) -> int | None:
    """Return the process id that the owner of the lock wrote down; None when it cannot be read."""
    try:
        return int((data_dir / LOCK_FILE).read_text())
    except (OSError, ValueError):
        return None


def write_run_file(data_dir: Path, document: dict[str, Any]) -> None:
    """Replace `run.json` in one step, so that a reader sees the old one or the new one, whole."""
    descriptor, name = tempfile.mkstemp(dir=data_dir, prefix=".run-")
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=2)
    Path(name).replace(data_dir / RUN_FILE)


def remove_run_file(data_dir: Path) -> None:
    """Remove `run.json`; fine when there is none."""
    (data_dir / RUN_FILE).unlink(missing_ok=True)


def _lock(descriptor: int) -> bool:
    """Take the lock for us alone; retried a moment, for `is_held` holds it while it looks."""
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOCK_POLL_S)
        else:
            return True

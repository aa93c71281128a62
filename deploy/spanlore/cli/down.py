"""`spanlore down`: end the `spanlore up` that owns a data directory."""

import os
import signal
import time
from pathlib import Path

import click

from spanlore.cli.datadir import (
    data_dir_option,
    default_data_dir,
    holder_pid,
    is_held,
    remove_run_file,
)
from spanlore.cli.errors import CannotReach, CommandFailed

__all__ = ["down_command", "stop"]

_GONE_S_MAX = 90.0
_POLL_S = 0.05


@click.command("down")
@data_dir_option
def down_command(data_dir: Path | None) -> None:
    """Stop the review door, the collector, then the store, and return when all are gone.

    With nothing to stop it says so and exits with 0: what was asked for is the case.
    """
    directory = (data_dir or default_data_dir()).absolute()
    if not is_held(directory):
        remove_run_file(directory)  # what a killed `up` may have left behind
        click.echo(f"nothing is running on {directory}")
        return
    stop(directory)
    click.echo(f"stopped spanlore on {directory}")


def stop(directory: Path) -> None:
    """End the `spanlore up` that owns a data directory and wait until it is gone.

    Raises CannotReach when it cannot be signalled, CommandFailed when it does not end.
    """
    pid = holder_pid(directory)
    _terminate(pid, directory)
    deadline = time.monotonic() + _GONE_S_MAX
    while is_held(directory):
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"process {pid} still runs {_GONE_S_MAX:.0f} s after it was asked to stop; "
                f"see {directory / 'logs'}, or end it with: kill -9 {pid}"
            )
        time.sleep(_POLL_S)


def _terminate(pid: int | None, directory: Path) -> None:
    """Signal the holder of the lock: as it holds it, the process id is still its own."""
    if pid is None:
        raise CannotReach(f"cannot read who runs on {directory}; stop that process by hand")
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise CannotReach(
            f"process {pid} on {directory} belongs to another user; ask them, or use sudo"
        ) from error

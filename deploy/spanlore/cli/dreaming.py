"""``python -m spanlore.cli.dreaming``: learn in quiet moments, as long as spanlore is up.

`spanlore up --learn-every` starts it as a child. It looks whether a round is due
(``spanlore.analyzers.dream``) and then runs `spanlore learn` as a process of its own, which gives
its memory back when it ends, and may fail: the next period tries again. It keeps nothing itself,
so it may be stopped and started at any moment.
"""

import argparse
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from spanlore.analyzers.dream import IDLE_S, RUNS_MIN, DreamState, Pace, dream_state, due
from spanlore.cli.child import end_with_parent
from spanlore.cli.connection import find_running
from spanlore.cli.errors import CannotReach
from spanlore.cli.output import note
from spanlore.schemas.store import Store, StoreError

__all__ = ["main"]

_LOOK_S = 10.0
_STOP_S_MAX = 10.0
_READY = "{}\n"  # it serves no port


def main() -> int:
    """Run until SIGTERM or SIGINT; gives the exit code, which is 0."""
    arguments = _arguments()
    pace = Pace(
        period=timedelta(seconds=arguments.every_s),
        runs_min=arguments.runs_min,
        idle_s=arguments.idle_s,
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    sys.stdout.write(_READY)
    sys.stdout.flush()
    look_s = min(_LOOK_S, arguments.every_s)
    tried_at: datetime | None = None
    while not stopping.wait(look_s):
        now = datetime.now(UTC)
        state = _state(arguments.data_dir, tried_at)
        if state is not None and due(state, now, pace).is_due:
            tried_at = now
            _learn(arguments.data_dir, stopping)
    return 0


def _state(data_dir: Path, tried_at: datetime | None) -> DreamState | None:
    """Return what decides, None while spanlore or its store cannot be reached."""
    try:
        with Store.connect(find_running(data_dir).store_url) as store:
            return dream_state(store, tried_at=tried_at)
    except (CannotReach, StoreError) as error:
        note(f"learning waits: {error}")
        return None


def _learn(data_dir: Path, stopping: threading.Event) -> None:
    """Run one round, and end it early where we are to stop: the next round makes it whole."""
    command = [sys.executable, "-m", "spanlore.cli", "learn", "--data-dir", str(data_dir)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - no thread of ours runs beside the fork
    )
    while process.poll() is None and not stopping.wait(0.1):
        pass
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
    note(f"a round of learning ended with exit code {process.wait()}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="spanlore.cli.dreaming", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--every-s", type=float, required=True, help="seconds between two rounds")
    parser.add_argument("--runs-min", type=int, default=RUNS_MIN)
    parser.add_argument("--idle-s", type=float, default=IDLE_S)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

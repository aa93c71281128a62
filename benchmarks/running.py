"""Real processes on free ports, for the length of a block; what a measurement needs of them."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from client import Door
from proc import cpu_s, rss_peak_bytes, tree
from stored import Stored

_READY_S_MAX: Final = 120.0
_STOP_S_MAX: Final = 60.0
_SAID_CHARACTERS_MAX: Final = 500

Process = subprocess.Popen[str]


class NotAvailableError(Exception):
    """A system cannot be had on this machine; the message says why."""


class NotStartedError(Exception):
    """A process ended before it served, or never did; the message is what it said."""

    def __init__(self, log: Path) -> None:
        super().__init__(f"{log.stem} does not serve: {last_words(log)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A system that serves: where to send, what it stored, its processes.

    The first of ``processes`` is the one that acknowledges. ``finish`` makes it take everything it
    has acknowledged as far as it goes by asking, and returns at once where it cannot be asked.
    ``log`` is what it says.
    """

    door: Door
    open_store: Callable[[], Stored]
    processes: Mapping[str, Process]
    log: Path
    finish: Callable[[], None] = lambda: None

    def cpu_s(self) -> dict[str, float]:
        """Give the CPU seconds of each process and all below it."""
        return {name: cpu_s([process.pid]) for name, process in self.processes.items()}

    def rss_peak_bytes(self) -> dict[str, int]:
        """Give the most memory that each process and those below it have held, each at its peak."""
        return {
            name: sum(rss_peak_bytes(pid) for pid in tree([process.pid]))
            for name, process in self.processes.items()
        }

    def terminate(self) -> None:
        """Ask the process that acknowledges to end, as an init system does, and wait until it has.

        What it asks of its store meanwhile is answered.
        """
        end(next(iter(self.processes.values())))

    def kill(self) -> None:
        """Kill every process at once."""
        _kill(tree(process.pid for process in self.processes.values()))
        for process in self.processes.values():
            process.wait()


def last_words(log: Path) -> str:
    """Give the end of what a process said."""
    return log.read_text(encoding="utf-8", errors="replace")[-_SAID_CHARACTERS_MAX:]


@contextmanager
def process(
    command: list[str], log: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run a process for the length of a block; end it by its id, by force where it must be.

    Without an ``environment`` of its own it is one of ours, which says on stdout when it serves.
    """
    with log.open("a", encoding="utf-8") as said:
        started = subprocess.Popen(
            command,
            stdout=subprocess.PIPE if environment is None else said,
            stderr=said,
            text=True,
            env={**os.environ, **(environment or {})},
            cwd=log.parent,
        )
        try:
            yield started
        finally:
            end(started)


def end(process: Process) -> None:
    """End a process and all below it; by force where it does not in time. Safe twice."""
    below = tree([process.pid]) - {process.pid}
    process.terminate()
    try:
        process.wait(_STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _kill(below)


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def ready(process: Process, log: Path) -> dict[str, int]:
    """Read the line that a process of ours says when it serves. Raises NotStartedError."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise NotStartedError(log)
    said: dict[str, int] = json.loads(line)
    return said


def wait_for_port(port: int, process: Process, log: Path) -> None:
    """Wait until a process listens. Raises NotStartedError."""
    deadline = time.monotonic() + _READY_S_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise NotStartedError(log)


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

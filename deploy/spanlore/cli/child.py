"""One server process: start it, wait until it says that it is ready, stop it."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from spanlore.cli.errors import CannotReach

__all__ = ["Child", "ChildFailed", "end_with_parent"]

_READY_S_MAX = 120.0
_STOP_S_MAX = 30.0
_SAID_BYTES_MAX = 4096
_PR_SET_PDEATHSIG = 1  # prctl(2)


class ChildFailed(Exception):
    """A child process ended before it was ready; `said` is what it left in its log, if any."""

    def __init__(self, name: str, code: int, *, said: str) -> None:
        super().__init__(f"the {name} did not start (exit code {code})" + (said and f": {said}"))
        self.code = code


class Child:
    """A server process of ours and the ports it serves.

    ``ports`` are the ports to ask for by their name in the ready line (``grpc_port`` is passed as
    ``--grpc-port``); once it is ready they are the ports it has, so a restart gets the same.
    ``refuses`` is why it takes nothing though it serves, where its ready line says that.
    Its stderr goes to ``log``, or to ours when that is None.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        ports: Mapping[str, int],
        environment: Mapping[str, str],
        log: Path | None,
    ) -> None:
        self.name = name
        self.ports = dict(ports)
        self.refuses: str | None = None
        self._command = command
        self._environment = dict(environment)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id; None before the first start."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process and wait until it serves. Raises ChildFailed."""
        logged = self._log.stat().st_size if self._log and self._log.exists() else 0
        self._process = process = await self._spawn()
        if process.stdout is None:
            message = "the child's stdout is not a pipe"
            raise RuntimeError(message)
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _READY_S_MAX)
        except TimeoutError:
            await self.stop()
            raise CannotReach(
                f"the {self.name} was not ready within {_READY_S_MAX:.0f} s; see its log"
            ) from None
        if not line:
            code = await process.wait()
            raise ChildFailed(self.name, code, said=self._said_since(logged))
        ready = json.loads(line)
        self.ports = {name: int(ready[name]) for name in self.ports}
        self.refuses = ready.get("refuses")

    async def wait(self) -> int:
        """Wait for the process to end; return its exit code (negative: the signal)."""
        return await self._process.wait() if self._process else 0

    async def stop(self) -> None:
        """End the process: it may drain for a while, then is killed. Safe twice, or unstarted."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_S_MAX)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        ports = [
            part
            for name, port in self.ports.items()
            for part in (f"--{name.replace('_', '-')}", str(port))
        ]
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(self._log.open("ab")) if self._log else None
            return await asyncio.create_subprocess_exec(
                *self._command,
                *ports,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment},
                # Its own session: a Ctrl-C reaches the supervisor alone, which stops in order.
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    def _said_since(self, offset: int) -> str:
        if self._log is None:
            return ""
        with self._log.open("rb") as file:
            file.seek(max(offset, self._log.stat().st_size - _SAID_BYTES_MAX))
            return file.read().decode(errors="replace").strip()


def _death_signal() -> Callable[[int, int], object] | None:
    """Look prctl up before any fork; Linux alone has it."""
    if sys.platform != "linux":
        return None
    prctl: Callable[[int, int], object] = ctypes.CDLL(None).prctl
    return prctl


_PRCTL = _death_signal()


def end_with_parent() -> None:
    """Have the kernel end this process when the one that started it is killed: no orphans."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)

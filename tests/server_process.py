"""A real server process for tests: it says on its first line that it serves, and where."""

import json
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

START_S = 60
STOP_S = 60


class ServerProcess:
    """One server on free ports, killed at the end of the block where it still runs."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=START_S)[1]
        self.ready: dict[str, Any] = json.loads(line)
        assert self.ready["ready"] is True
        self.said: deque[str] = deque(maxlen=200)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def kill(self) -> None:
        """Kill it as a power button does not: without a word."""
        self.process.kill()
        self.ended()

    def stop(self) -> int:
        """Stop it as a supervisor does and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Give the exit code of one that was told to end; may be asked again."""
        code = self.process.wait(STOP_S)
        self._listener.join(STOP_S)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.ended()

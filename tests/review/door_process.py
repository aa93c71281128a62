"""A real review door for tests: start, ask over HTTP, stop or kill."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from spanlore.schemas.credentials import load_or_create

START_S = 60
STOP_S = 30


def command(data_dir: Path, *more: str) -> list[str]:
    arguments = ["--data-dir", str(data_dir), "--port", "0", *more]
    return [sys.executable, "-m", "spanlore.review", *arguments]


def refused_start(data_dir: Path, store_url: str, *more: str) -> tuple[int, str]:
    """Start a door that should not open, and give its exit code and its last words."""
    done = subprocess.run(
        command(data_dir, *more),
        env={**os.environ, "SPANLORE_STORE_URL": store_url},
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()[-1]


class DoorProcess:
    """One `python -m spanlore.review` on a free port."""

    def __init__(self, data_dir: Path, store_url: str, *more: str) -> None:
        self.token = load_or_create(data_dir).review_token
        self.process = subprocess.Popen(
            command(data_dir, *more),
            env={**os.environ, "SPANLORE_STORE_URL": store_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=START_S)[1]
        ready = json.loads(line)
        assert ready["ready"] is True
        self.port: int = ready["port"]
        self.said: deque[str] = deque(maxlen=200)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        url = f"http://127.0.0.1:{self.port}"
        authorized = {"authorization": f"Bearer {self.token}"}
        self.client = httpx.Client(base_url=url, headers=authorized, timeout=60, trust_env=False)
        self.stranger = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def get(self, path: str, **params: Any) -> Any:
        return self._said(self.client.get(path, params=params))

    def post(self, path: str, **body: Any) -> Any:
        return self._said(self.client.post(path, json=body))

    def _said(self, answer: httpx.Response) -> Any:
        assert answer.status_code == 200, (answer.text, list(self.said))
        return answer.json()

    def refusal(self, path: str, **body: Any) -> tuple[int, str]:
        """POST what should be refused; give the status and the reason."""
        answer = self.client.post(path, json=body)
        assert answer.status_code != 200, answer.text
        return answer.status_code, answer.json()["error"]

    def kill(self) -> None:
        self.process.kill()
        self._gone()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self._gone()

    def _gone(self) -> int:
        code = self.process.wait(STOP_S)
        self._listener.join(STOP_S)
        self.client.close()
        self.stranger.close()
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
            self.kill()

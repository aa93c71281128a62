"""A real review door for tests: ask over HTTP, stop or kill."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from spanlore.schemas.credentials import load_or_create
from tests.server_process import START_S, ServerProcess


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


class DoorProcess(ServerProcess):
    """One `python -m spanlore.review` on a free port."""

    def __init__(self, data_dir: Path, store_url: str, *more: str) -> None:
        self.token = load_or_create(data_dir).review_token
        super().__init__(
            command(data_dir, *more), env={**os.environ, "SPANLORE_STORE_URL": store_url}
        )
        self.port: int = self.ready["port"]
        url = f"http://127.0.0.1:{self.port}"
        authorized = {"authorization": f"Bearer {self.token}"}
        self.client = httpx.Client(base_url=url, headers=authorized, timeout=60, trust_env=False)
        self.stranger = httpx.Client(base_url=url, timeout=60, trust_env=False)

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

    def ended(self) -> int:
        code = super().ended()
        self.client.close()
        self.stranger.close()
        return code

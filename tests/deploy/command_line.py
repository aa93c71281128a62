"""Run `spanlore` as a user does: a process of its own, with nothing of ours in its environment."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 100


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    ours = ("SPANLORE_", "OTEL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | dict(extra or {})


def run_cli(
    *arguments: str | Path, env: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
) -> Ended:
    ended = subprocess.run(
        [sys.executable, "-m", "spanlore.cli", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment(env),
        stdin=subprocess.DEVNULL,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)

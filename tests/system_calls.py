"""Starts a process under strace: what it asked of the system, and faults put in there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

_STRACE = ("strace", "-D", "-f", "--seccomp-bpf", "-y")


def _can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    command = [*_STRACE, "-o", "/dev/null", "-e", "trace=fdatasync", "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


needs_strace = pytest.mark.skipif(not _can_trace(), reason="strace is not here or may not trace")


class SystemCalls:
    """The calls of one process, one line each, written to ``file``."""

    def __init__(self, file: Path, *names: str) -> None:
        self._file = file
        self._names = ",".join(names)

    def prefix(self, *faults: str) -> tuple[str, ...]:
        """Give what to put before a command. A fault is strace's inject expression.

        The process stays a child of ours (-D), so that signals reach it and not strace.
        """
        injected = (part for fault in faults for part in ("-e", f"inject={fault}"))
        return (*_STRACE, "-o", str(self._file), "-e", f"trace={self._names}", *injected)

    def lines(self, containing: str = "") -> list[str]:
        """Give the calls that match a pattern, in the order in which they began."""
        matches = re.compile(containing).search
        return [line for line in self._file.read_text().splitlines() if matches(line)]

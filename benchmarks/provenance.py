"""Which code a figure was measured on, and when."""

import subprocess
import time
from pathlib import Path


def commit_line() -> str:
    """Return the line of a report's head that says so."""
    return f"- commit {_commit()}, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}"


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "none"

"""The one table: what was asked, what came of it, what was wanted."""

import os
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from provenance import commit_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; ``reached`` is None where there is no goal."""

    what: str
    measured: str
    goal: str = ""
    reached: bool | None = None


def share(part: float | None) -> str:
    """Word a share, "–" where there is none."""
    return "–" if part is None else f"{part:.3f}"


def head() -> Iterator[str]:
    """Yield what a reader must know about the run, then the head of the table."""
    yield f"- machine: {os.cpu_count()} cores, {platform.platform()}, Python {_python()}"
    yield f"- load average at the start: {os.getloadavg()[0]:.1f}"
    yield commit_line()
    yield f"- command: `{' '.join(['python', *sys.argv])}`"
    yield ""
    yield "| what | measured | goal | reached |"
    yield "| --- | --- | --- | --- |"


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of rows, each as soon as it is measured."""
    words = {None: "", True: "yes", False: "**no**"}
    for row in rows:
        yield f"| {row.what} | {row.measured} | {row.goal} | {words[row.reached]} |"


def _python() -> str:
    return platform.python_version()

"""CPU seconds and memory of processes, as Linux counts them in /proc."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat behind the name in brackets: ppid, and utime to cstime.
_PPID: Final = 1
_TIMES: Final = slice(11, 15)


def cpu_s(pids: Iterable[int]) -> float:
    """Give user and system seconds of these processes and all below them, the reaped included."""
    return _TICK_S * sum(sum(map(int, _stat(pid)[_TIMES])) for pid in tree(pids))


def tree(pids: Iterable[int]) -> set[int]:
    """Give these processes and all below them that are there now."""
    parents = {pid: int(fields[_PPID]) for pid, fields in _all_stats()}
    wanted = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in wanted} - wanted:
        wanted |= more
    return wanted


def rss_peak_bytes(pid: int) -> int:
    """Give the most memory that a process has held at once."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    msg = f"/proc/{pid}/status does not say VmHWM"
    raise RuntimeError(msg)


def _all_stats() -> Iterable[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if len(fields) > _PPID:
                yield int(entry.name), fields


def _stat(pid: int) -> list[str]:
    """Give the fields behind the process's name; none where it has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()

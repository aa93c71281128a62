"""What the operating system knows about this process: its memory and its clients' connections.

Read from /proc; None where there is none, as on macOS.
"""

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

__all__ = ["connections_to", "process_facts"]

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_STARTED_S: Final = time.monotonic()
_ESTABLISHED: Final = "01"


def process_facts() -> dict[str, Any]:
    """Give uptime and CPU in seconds, and resident memory in bytes."""
    return {
        "uptime_s": round(time.monotonic() - _STARTED_S, 3),
        "cpu_s": round(time.process_time(), 3),
        "rss_bytes": _rss_bytes(),
    }


def _rss_bytes() -> int | None:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return None


def connections_to(ports: Collection[int]) -> int | None:
    """Count the established TCP connections to local ports.

    The kernel's table is asked because grpc does not tell.
    """
    local = tuple(f":{port:04X}" for port in ports)
    count = None
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        found = (line.split(maxsplit=4) for line in lines)
        count = (count or 0) + sum(
            address.endswith(local) and state == _ESTABLISHED for _, address, _, state, *_ in found
        )
    return count

"""Where bytes go that cannot be stored: raw, with a .json beside them that says why."""

import json
import time
from pathlib import Path

from spanlore.collector.segment import make_private_dir, write_private


def quarantine(directory: Path, name: str, *, data: bytes, reason: str) -> None:
    """Keep bytes under a name (the same name again replaces them). Raises OSError."""
    make_private_dir(directory)
    write_private(directory / f"{name}.pb", data)
    note = {
        "name": name,
        "reason": reason,
        "bytes": len(data),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_private(directory / f"{name}.json", json.dumps(note, indent=2).encode())

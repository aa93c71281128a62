"""The note (`run.json`) that a running spanlore leaves in its data directory, and how to read it.

Read by the command line and, in a traced process, by the instrumentation: standard library only.
"""

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

LOCK_FILE: Final = "up.lock"
RUN_FILE: Final = "run.json"


def default_data_dir() -> Path:
    """Return ``$SPANLORE_DATA_DIR``, else ``spanlore`` in the platform's user data directory."""
    if named := os.environ.get("SPANLORE_DATA_DIR"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "spanlore"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "spanlore"


def read_run_file(data_dir: Path) -> dict[str, Any] | None:
    """Return what `run.json` says, None when there is none (or it is not ours to read)."""
    try:
        document = json.loads((data_dir / RUN_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def is_held(data_dir: Path) -> bool:
    """Say whether a living `spanlore up` owns the data directory."""
    try:
        handle = (data_dir / LOCK_FILE).open("rb")
    except OSError:
        return False
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False

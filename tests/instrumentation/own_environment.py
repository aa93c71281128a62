"""A virtual environment of its own, for libraries or versions that are not in the lock."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment_with(packages: Sequence[str], folder: Path) -> str:
    """Return the Python of a new environment that has spanlore and these packages."""
    place, uv = folder / "environment", [sys.executable, "-m", "uv", "--no-config", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(place)], check=True)
    python = str(place / "bin" / "python")
    install = [*uv, "pip", "install", "--python", python, "--editable", str(ROOT), *packages]
    subprocess.run(install, check=True, timeout=600)
    return python

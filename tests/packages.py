"""Other makers' packages, for tests that run them; tests of other languages skip without them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INSTALL_S_MAX = 600
_ROOT = Path(__file__).parents[1]


def python_with(packages: tuple[str, ...], folder: Path) -> str:
    """Return the Python of a new environment that has spanlore and these packages."""
    place, uv = folder / "environment", [sys.executable, "-m", "uv", "--no-config", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(place)], check=True)
    python = str(place / "bin" / "python")
    install = [*uv, "pip", "install", "--python", python, "--editable", str(_ROOT), *packages]
    subprocess.run(install, check=True, timeout=INSTALL_S_MAX)
    return python


def npm_packages(folder: Path, *packages: str) -> Path:
    """Install packages from npm; give their folder, or skip where that cannot be done."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    command = [npm, "install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder)]
    _fetch([*command, *packages], folder)
    return folder / "node_modules"


def go_modules(folder: Path) -> Path:
    """Fetch what the Go module in ``folder`` needs; give go's path, or skip where it cannot be."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    _fetch([go, "mod", "download"], folder)
    return Path(go)


def maven_jars(pom: Path, folder: Path) -> str:
    """Fetch the jars a POM names into a folder; give the class path, or skip where it cannot be."""
    mvn = shutil.which("mvn")
    if mvn is None or shutil.which("java") is None:
        pytest.skip("java and mvn are not installed")
    command = [mvn, "--quiet", "--batch-mode", "dependency:copy-dependencies"]
    _fetch([*command, f"--file={pom}", f"-DoutputDirectory={folder}"], folder)
    return f"{folder}/*"


def _fetch(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=INSTALL_S_MAX, cwd=folder
    )
    if done.returncode:
        what = " ".join(command[:3])
        pytest.skip(
            f"`{what}` does not get its packages: {(done.stderr or done.stdout).strip()[-300:]}"
        )

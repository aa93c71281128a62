"""Asking git, where it is installed."""

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["patch_problem"]

_TIMEOUT_S = 30.0


def patch_problem(patch: str, folder: Path) -> str | None:
    """Return why `git apply` would not take a patch in a folder, None when it would.

    The folder need not be a repository. Raises FileNotFoundError where there is no git.
    """
    git = shutil.which("git")
    if git is None:
        raise FileNotFoundError("git is not installed")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ended = subprocess.run(
        [git, "apply", "--check", "-"],
        cwd=folder,
        # A repository that the folder happens to lie in would make git skip the patch in silence.
        env={**kept, "GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)},
        input=patch.encode(),
        capture_output=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    return None if ended.returncode == 0 else ended.stderr.decode(errors="replace").strip()

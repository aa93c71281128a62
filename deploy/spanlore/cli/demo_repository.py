"""The scratch repository of the demo's agent: its tool definitions, and branches merged there."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from spanlore.cli.errors import CannotReach, CommandFailed
from spanlore.demo import TOOLS

__all__ = ["Repository", "make_repository", "require_git"]

_TIMEOUT_S = 60.0
# The demo's own commits; the user's name and settings are not in play.
_IDENTITY = (
    "-c",
    "user.name=demo",
    "-c",
    "user.email=demo@localhost",
    "-c",
    "commit.gpgSign=false",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A git repository with the agent's tool definitions."""

    folder: Path

    @property
    def tools(self) -> Path:
        """The file that the agent reads its tool definitions from."""
        return self.folder / TOOLS.name

    def merge(self, branch: str) -> None:
        """Merge a branch into what the agent runs. Raises CommandFailed."""
        _git(self.folder, "merge", "--quiet", "--no-ff", "-m", f"Merge {branch}", branch)


def require_git() -> None:
    """Raise CannotReach where there is no git."""
    if shutil.which("git") is None:
        raise CannotReach("the demo needs git, which is not installed; install git and try again")


def make_repository(folder: Path) -> Repository:
    """Make the repository with one commit. Raises CommandFailed."""
    folder.mkdir()
    repository = Repository(folder=folder)
    repository.tools.write_bytes(TOOLS.read_bytes())
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", TOOLS.name)
    _git(folder, "commit", "--quiet", "-m", "The meeting assistant's tools")
    return repository


def _git(folder: Path, *arguments: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    no_settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    ended = subprocess.run(
        ["git", *_IDENTITY, *arguments],  # noqa: S607 - the git that the user has
        cwd=folder,
        env=kept | no_settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if ended.returncode:
        said = (ended.stderr + ended.stdout).decode(errors="replace").strip()
        raise CommandFailed(f"git {arguments[0]} in {folder}: {said}")

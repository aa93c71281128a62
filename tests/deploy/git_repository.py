"""Real git repositories for tests, with nothing of the user's configuration."""

import os
import subprocess
from pathlib import Path

USER = ("Grace Hopper", "grace@example.org")


def git(repo: Path, *arguments: str) -> str:
    """Run git in a repository; it must succeed."""
    done = subprocess.run(
        ["git", *arguments], cwd=repo, capture_output=True, text=True, check=False, env=quiet()
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def quiet() -> dict[str, str]:
    """Return an environment in which git knows no user and no configuration but the local."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def repository(
    folder: Path, files: dict[str, bytes], *, user: tuple[str, str] | None = USER
) -> Path:
    """Make a repository on the branch ``main`` with these files committed."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    if user is not None:
        git(folder, "config", "user.name", user[0])
        git(folder, "config", "user.email", user[1])
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "-m", "first")
    return folder

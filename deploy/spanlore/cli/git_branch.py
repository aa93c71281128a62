"""One commit on a branch of its own, made beside the user's working tree, index and branch.

Everything goes through git's plumbing and an index in a temporary file: nothing is checked out.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spanlore.cli.errors import CannotReach, CommandFailed

__all__ = [
    "FALLBACK_AUTHOR",
    "Base",
    "GitSaid",
    "Made",
    "base_of",
    "holds",
    "is_branch_name",
    "make_branch",
    "uncommitted",
]

_NAME, _ADDRESS = "spanlore", "spanlore@localhost"
FALLBACK_AUTHOR = f"{_NAME} <{_ADDRESS}>"

_TIMEOUT_S = 60.0
# What a user's configuration would change in what is written or read here.
_SETTINGS = ("-c", "i18n.commitEncoding=UTF-8", "-c", "log.showSignature=false")
# Else `git status` writes the user's index anew, and may be in the way of their own git.
_LEAVES_THE_INDEX = "--no-optional-locks"
# What would make git look at another repository, or another index, than the one that was named.
_ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)


class GitSaid(Exception):
    """Git ended with an error; the message is what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Where a change starts: a repository's top folder, the folder below it, and HEAD's commit.

    ``below`` is "" or ends with "/"; paths of a patch are relative to it.
    """

    top: Path
    below: str
    commit: str

    def content(self, path: str) -> bytes | None:
        """Return a file as it stands in the commit, None where there is none."""
        with suppress(GitSaid):
            return _git(self.top, "cat-file", "blob", f"{self.commit}:{self.below}{path}")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A branch with its commit; ``fresh`` is false when it was there already, the same.

    ``author`` is who the commit is by ("name <address>").
    """

    branch: str
    commit: str
    fresh: bool
    author: str


def base_of(folder: Path) -> Base:
    """Return the repository that a folder lies in, with its HEAD.

    Raises CommandFailed when it is no repository or has no commit, CannotReach without git.
    """
    try:
        top = _line(_git(folder, "rev-parse", "--show-toplevel"))
        below = _line(_git(folder, "rev-parse", "--show-prefix"))
    except GitSaid as error:
        raise CommandFailed(
            f"{folder} is not in a git repository ({error}); name the one that holds the agent's "
            "code with --repo"
        ) from error
    try:
        commit = _line(_git(folder, "rev-parse", "--verify", "HEAD^{commit}"))
    except GitSaid as error:
        raise CommandFailed(f"{top} has no commit yet; commit what is there first") from error
    return Base(top=Path(top), below=below, commit=commit)


def uncommitted(base: Base, path: str) -> bool:
    """Say whether a file differs from HEAD in the index or the working tree."""
    arguments = ("status", "--porcelain", "-z", "--", f":(top,literal){base.below}{path}")
    return bool(_git(base.top, *arguments))


def holds(base: Base, patch: str, path: str) -> bool:
    """Say whether HEAD holds a patch already: whether it could be taken out again."""
    with suppress(GitSaid):
        _patched_tree(base, patch, path, reverse=True)
        return True
    return False


def is_branch_name(name: str) -> bool:
    """Say whether git would take a name for a branch."""
    with suppress(GitSaid):
        _git(Path.cwd(), "check-ref-format", f"refs/heads/{name}")
        return not name.startswith("-")
    return False


def make_branch(base: Base, name: str, *, patch: str, path: str, message: str) -> Made:
    """Put a patch of one file, below ``base.below``, on a branch as one commit on top of HEAD.

    A branch of that name that holds just this is left as it is. Raises CommandFailed when the
    branch holds something else, the patch does not apply or changes another file, or git refuses.
    """
    try:
        there = _commit_of(base, name)
        tree = _patched_tree(base, patch, path)
        if there is None:
            commit = _commit(base, tree, message)
            # "" says that the name must not have come to exist meanwhile.
            _git(base.top, "update-ref", f"refs/heads/{name}", commit, "")
            return _made(base, name, commit, fresh=True)
    except GitSaid as error:
        raise CommandFailed(f"git did not make the branch {name} in {base.top}: {error}") from error
    held = _line(_git(base.top, "show", "--no-patch", "--format=%T %P", there))
    if held == f"{tree} {base.commit}":
        return _made(base, name, there, fresh=False)
    raise CommandFailed(
        f"the branch {name} is there and holds something else than this change on top of HEAD; "
        f"look at it with: git -C {base.top} log -p -1 {name}; then delete it, or name another "
        "with --branch"
    )


def _made(base: Base, name: str, commit: str, *, fresh: bool) -> Made:
    author = _line(_git(base.top, "show", "--no-patch", "--format=%an <%ae>", commit))
    return Made(branch=name, commit=commit, fresh=fresh, author=author)


def _commit_of(base: Base, branch: str) -> str | None:
    with suppress(GitSaid):
        return _line(
            _git(base.top, "rev-parse", "--quiet", "--verify", f"refs/heads/{branch}^{{commit}}")
        )
    return None


def _patched_tree(base: Base, patch: str, path: str, *, reverse: bool = False) -> str:
    """Write HEAD's tree with the patch in it, or out of it, by way of an index of its own."""
    touched = _git(base.top, "apply", "--numstat", "-z", "-", text=patch).decode(errors="replace")
    files = [entry.split("\t")[-1] for entry in touched.split("\0") if entry]
    if files != [path]:
        raise GitSaid(f"the patch changes {', '.join(files) or 'nothing'}, not {path} alone")
    with tempfile.TemporaryDirectory(prefix="spanlore-apply-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        _git(base.top, "read-tree", base.commit, more=index)
        below = [f"--directory={base.below}"] if base.below else []
        # Whitespace that the user's configuration would mend is part of what was approved.
        way = ["--reverse"] if reverse else []
        options = ("--cached", "--whitespace=nowarn", *way, *below, "-")
        _git(base.top, "apply", *options, text=patch, more=index)
        return _line(_git(base.top, "write-tree", more=index))


def _commit(base: Base, tree: str, message: str) -> str:
    arguments = ("commit-tree", tree, "-p", base.commit, "-F", "-")
    return _line(_git(base.top, *arguments, text=message, more=_identity(base)))


def _identity(base: Base) -> dict[str, str]:
    """Return nothing where git knows who commits here, else the fallback in full."""
    missing: dict[str, str] = {}
    for role in ("AUTHOR", "COMMITTER"):
        try:
            _git(base.top, "-c", "user.useConfigOnly=true", "var", f"GIT_{role}_IDENT")
        except GitSaid:
            missing |= {f"GIT_{role}_NAME": _NAME, f"GIT_{role}_EMAIL": _ADDRESS}
    return missing


def _line(said: bytes) -> str:
    return os.fsdecode(said).removesuffix("\n")


def _git(
    folder: Path, *arguments: str, text: str | None = None, more: Mapping[str, str] | None = None
) -> bytes:
    """Run git in a folder; return its stdout. Raises GitSaid, CannotReach without git."""
    git = shutil.which("git")
    if git is None:
        raise CannotReach("git is not installed; install it, or read the diff and apply it by hand")
    kept = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    try:
        ended = subprocess.run(
            [git, _LEAVES_THE_INDEX, *_SETTINGS, *arguments],
            cwd=folder,
            env={**kept, "LC_ALL": "C", **(more or {})},
            input=None if text is None else text.encode(),
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(
            f"git {arguments[0]} did not end within {_TIMEOUT_S:g} s in {folder}; see what keeps "
            "it there, then try again"
        ) from error
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise GitSaid(said or f"git {arguments[0]} ended with {ended.returncode}")
    return ended.stdout

"""The revision of the traced program's own code, read from its repository without running git."""

import re
from pathlib import Path

_LEVELS_MAX = 12
_BYTES_MAX = 1024 * 1024
_REVISION = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def revision_of(place: Path) -> str | None:
    """Return the commit that is checked out where a file or folder lies; None if none is known.

    Raises OSError where the repository cannot be read.
    """
    absolute = place.absolute()
    for folder in (absolute, *list(absolute.parents)[:_LEVELS_MAX]):
        git = folder / ".git"
        if git.is_dir():
            return _revision(git, git)
        if git.is_file():
            own = folder / _text(git).removeprefix("gitdir:").strip()
            shared = own / "commondir"
            return _revision(own, own / _text(shared).strip() if shared.is_file() else own)
    return None


def _revision(own: Path, shared: Path) -> str | None:
    """Resolve HEAD; a worktree's own folder holds HEAD, the shared one the branches."""
    head = _text(own / "HEAD").strip()
    if not head.startswith("ref:"):
        return head if _REVISION.fullmatch(head) else None
    branch = head.removeprefix("ref:").strip()
    loose = shared / branch
    if loose.is_file():
        found = _text(loose).strip()
        return found if _REVISION.fullmatch(found) else None
    packed = shared / "packed-refs"
    lines = _text(packed).splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {branch}")), None)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_BYTES_MAX).decode("utf-8", "replace")

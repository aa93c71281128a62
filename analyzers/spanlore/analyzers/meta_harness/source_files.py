"""The files of the agent's code that a model is shown: those that name the tools in question."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from spanlore.analyzers.lessons.repository_files import files_of
from spanlore.analyzers.meta_harness.question import SourceFile

FILE_BYTES_MAX = 48 * 1024
FILES_SHOWN_MAX = 6
_SUFFIXES = frozenset({".json", ".md", ".txt", ".yaml", ".yml", ".toml", ".py", ".j2", ".prompt"})
_PROMPTS = ("prompt", "instruction", "policy", "agents.md", "claude.md")


def source_files(repo: Path, names: Sequence[str]) -> list[SourceFile]:
    """Return the files below a folder that name most of these tools, or are prompts; at most six.

    Only small text files that are no links; definitions and prompts before code. Raises
    NotADirectoryError when ``repo`` is no folder.
    """
    if not repo.is_dir():
        message = f"no folder {repo} to look for the agent's code in; give --repo a repository"
        raise NotADirectoryError(message)
    found = []
    for path in files_of(repo, _SUFFIXES):
        file = _read(repo, path)
        weight = _weight(file, names) if file else 0
        if file and weight:
            found.append((-weight, path.suffix == ".py", file.path.count("/"), file.path, file))
    return [file for *_, file in sorted(found, key=lambda one: one[:4])[:FILES_SHOWN_MAX]]


def _weight(file: SourceFile, names: Sequence[str]) -> int:
    """Return how many of the tools a file names, and one more where it is named like a prompt."""
    own = file.path.rsplit("/", 1)[-1].lower()
    return sum(name in file.text for name in names) + any(word in own for word in _PROMPTS)


def _read(repo: Path, path: Path) -> SourceFile | None:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            return None
        raw = path.read_bytes()
        text = raw.decode()
    except (OSError, UnicodeDecodeError):
        return None
    return SourceFile(
        path=path.relative_to(repo).as_posix(), text=text, sha256=hashlib.sha256(raw).hexdigest()
    )

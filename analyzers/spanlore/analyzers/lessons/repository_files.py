"""The files of the agent's code that are looked at: the same ones, whatever is looked for."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

FILES_MAX = 20_000
_SKIPPED = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", "dist", "build"})
# What a path in a diff would have to be quoted for.
_UNWIELDY = frozenset('"\\\n\r\t')


def files_of(repo: Path, suffixes: Collection[str]) -> Iterator[Path]:
    """Yield the files below a folder with one of these suffixes, in order, at most 20,000.

    Left out are links, folders of dependencies, and paths that a diff would have to quote.
    """
    seen = 0
    for folder, folders, names in os.walk(repo):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(names):
            path = Path(folder, name)
            if not any(name.endswith(suffix) for suffix in suffixes) or path.is_symlink():
                continue
            if not _UNWIELDY.isdisjoint(str(path)):
                continue
            seen += 1
            if seen > FILES_MAX:
                return
            yield path

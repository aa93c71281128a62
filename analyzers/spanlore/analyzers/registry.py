"""The analyzers and extractors that are installed: functions registered by entry point."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.runs.fact import Extract
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

GROUP = "spanlore.analyzers"
EXTRACTORS_GROUP = "spanlore.extractors"
Analyze = Callable[[Store, Window], Iterable[Hypothesis]]


class UnknownAnalyzer(ValueError):
    """No analyzer of that name is installed."""


@dataclass(frozen=True, slots=True)
class Analyzer:
    """An analyzer's name, its version (its module's ``VERSION``, else "0") and its function."""

    name: str
    version: str
    analyze: Analyze


@dataclass(frozen=True, slots=True)
class Extractor:
    """An extractor's name, its version (its module's ``VERSION``, else "0") and its function."""

    name: str
    version: str
    extract: Extract

    @property
    def versioned(self) -> str:
        """Name and version: facts of another version are not its facts."""
        return f"{self.name}@{self.version}"


def installed_analyzers(names: Sequence[str] = ()) -> list[Analyzer]:
    """Load the analyzers of these names (all when none is given), in the order of their names.

    Raises UnknownAnalyzer for a name that is not installed.
    """
    found = _entries(GROUP)
    for name in names:
        if name not in found:
            known = ", ".join(sorted(found)) or "none: install spanlore[analyzers]"
            message = f"no analyzer named {name!r}; installed: {known}"
            raise UnknownAnalyzer(message)
    return [Analyzer(name, *_loaded(found[name])) for name in sorted(set(names) or found)]


def installed_extractors() -> list[Extractor]:
    """Load every extractor, in the order of their names."""
    found = _entries(EXTRACTORS_GROUP)
    return [Extractor(name, *_loaded(found[name])) for name in sorted(found)]


@cache
def _entries(group: str) -> dict[str, EntryPoint]:
    """Read what is installed, once a process: it opens the files of every distribution."""
    return {entry.name: entry for entry in entry_points(group=group)}


def _loaded(entry: EntryPoint) -> tuple[str, Any]:
    function = entry.load()
    return str(getattr(sys.modules[function.__module__], "VERSION", "0")), function

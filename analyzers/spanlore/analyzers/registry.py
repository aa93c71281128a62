"""The analyzers that are installed: functions registered under ``spanlore.analyzers``."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

from spanlore.analyzers.hypothesis import Hypothesis
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

GROUP = "spanlore.analyzers"
Analyze = Callable[[Store, Window], Iterable[Hypothesis]]


class UnknownAnalyzer(ValueError):
    """No analyzer of that name is installed."""


@dataclass(frozen=True, slots=True)
class Analyzer:
    """An analyzer's name, its version (its module's ``VERSION``, else "0") and its function."""

    name: str
    version: str
    analyze: Analyze


def installed_analyzers(names: Sequence[str] = ()) -> list[Analyzer]:
    """Load the analyzers of these names (all when none is given), in the order of their names.

    Raises UnknownAnalyzer for a name that is not installed.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    for name in names:
        if name not in found:
            known = ", ".join(sorted(found)) or "none: install spanlore[analyzers]"
            message = f"no analyzer named {name!r}; installed: {known}"
            raise UnknownAnalyzer(message)
    return [_loaded(name, found[name].load()) for name in sorted(set(names) or found)]


def _loaded(name: str, analyze: Analyze) -> Analyzer:
    module = sys.modules[analyze.__module__]
    return Analyzer(name, str(getattr(module, "VERSION", "0")), analyze)

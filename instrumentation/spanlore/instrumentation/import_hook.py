"""Tell when a library has been imported, without importing it.

The library that the instrumentors use for this costs a tenth of a second to import, which every
program started with `spanlore run` would pay, also one that never talks to a model.
"""

import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from spanlore.instrumentation.quiet import quiet

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


class ImportHook:
    """Calls ``imported(name)`` after a module of that name was loaded, or at once if it was."""

    def __init__(self, names: Sequence[str], imported: Callable[[str], None]) -> None:
        self._names = frozenset(names)
        self._imported = imported

    def install(self) -> None:
        """Start to watch; never raises."""
        # A finder by its methods: to inherit from the abstract one is to import `importlib.abc`.
        sys.meta_path.insert(0, self)
        for name in self._names & sys.modules.keys():
            self._tell(name)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> "ModuleSpec | None":
        if fullname not in self._names:
            return None
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = find(fullname, path, target) if find else None
            if spec is not None:
                return self._watched(fullname, spec)
        return None

    def _watched(self, name: str, spec: "ModuleSpec") -> "ModuleSpec":
        """Return the spec with a loader that tells when it is done."""
        with quiet:
            if spec.loader is not None:
                self._watch(name, spec.loader)
        return spec

    def _watch(self, name: str, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._tell(name)

        loader.exec_module = exec_module

    def _tell(self, name: str) -> None:
        with quiet:
            self._imported(name)

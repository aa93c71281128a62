"""Tell when a library has been imported, without importing it.

The library that the instrumentors use for this costs a tenth of a second to import, which every
program started with `spanlore run` would pay, also one that never talks to a model.
"""

import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from spanlore.instrumentation.quiet import quiet

if TYPE_CHECKING:
    from importlib.abc import Loader
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
            if hasattr(spec.loader, "exec_module"):
                spec.loader = cast("Loader", _TellingLoader(spec.loader, lambda: self._tell(name)))
        return spec

    def _tell(self, name: str) -> None:
        with quiet:
            self._imported(name)


class _TellingLoader:
    """Stands for a loader, which may be another tool's or serve many modules, until it has loaded.

    The module's own loader is the one that it would have had without us.
    """

    def __init__(self, loader: Any, tell: Callable[[], None]) -> None:
        self._loader = loader
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: "ModuleSpec") -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        with quiet:
            given: Any = module
            if given.__loader__ is self:
                given.__loader__ = self._loader
            if given.__spec__.loader is self:
                given.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._tell()

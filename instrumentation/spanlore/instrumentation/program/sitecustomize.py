"""What Python imports first in a program under `spanlore run`: switch on, then step aside.

Its folder stands first in PYTHONPATH. A `sitecustomize` that it shadows is found and run as if
this one were not there.
"""

import sys
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path

# The file itself may be a link, as some installers make them: its folder counts.
_HERE = Path(__file__).parent.resolve()


def _switch_on() -> None:
    # A child may be a Python without spanlore, or one whose packages do not go with ours.
    with suppress(Exception):
        import spanlore.auto  # noqa: F401, PLC0415


def _shadowed() -> ModuleSpec | None:
    elsewhere = [entry for entry in sys.path if not _is_here(entry)]
    return PathFinder.find_spec("sitecustomize", elsewhere)


def _is_here(entry: str) -> bool:
    return Path(entry or ".").resolve() == _HERE


def _run_shadowed() -> None:
    """Run the other one under its name; what it raises is for Python to report, as always."""
    spec = _shadowed()
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


# Children find it in PYTHONPATH again.
sys.path[:] = [entry for entry in sys.path if not _is_here(entry)]
_switch_on()
_run_shadowed()

"""What Python imports first in a program under `spanlore run`: switch on, then step aside.

Its folder stands first in PYTHONPATH. A `sitecustomize` that it shadows is found and run as if
this one were not there. Every Python that the program starts reads it, also one of another
environment, also one too old for spanlore.
"""

import os
import sys
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path

# The file itself may be a link, as some installers make them: its folder counts.
_HERE = Path(__file__).parent.resolve()
# Of the distribution.
_PYTHON_MIN = (3, 11)
_STDERR = 2
# Where `spanlore run` said what it had to say; not told to the children of who said it too.
_STDERR_OF_RUN = "SPANLORE_RUN_STDERR"


def _switch_on() -> None:
    # A child may be a Python without spanlore, or one whose packages do not go with ours.
    with suppress(Exception):
        import spanlore.auto  # noqa: F401, PLC0415

        return
    with suppress(Exception):
        _say_once("spanlore run: not traced: " + _why_not() + "\n")


def _why_not() -> str:
    python = sys.executable or sys.prefix
    if sys.version_info < _PYTHON_MIN:
        return "{} is Python {}.{}, and spanlore needs {}.{}".format(
            python, *sys.version_info[:2], *_PYTHON_MIN
        )
    if PathFinder.find_spec("spanlore") is None:
        return f"spanlore is not installed for {python}; run: {python} -m pip install spanlore"
    return f"spanlore cannot be imported by {python}; see why: {python} -c 'import spanlore.auto'"


def _say_once(line: str) -> None:
    """Say it where `spanlore run` spoke; what a program reads of its child stays the child's."""
    shown = os.fstat(_STDERR)
    if os.environ.pop(_STDERR_OF_RUN, "") == f"{shown.st_dev}:{shown.st_ino}":
        os.write(_STDERR, os.fsencode(line))


def _shadowed() -> "ModuleSpec | None":  # read by older Pythons too
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

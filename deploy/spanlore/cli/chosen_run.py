"""The one run that the beginning of a trace id names."""

from typing import TYPE_CHECKING

from spanlore.cli.errors import CommandFailed

if TYPE_CHECKING:
    from spanlore.schemas.store import Store
    from spanlore.schemas.types import Run

__all__ = ["chosen_run"]

_NAMED_MAX = 3
_ID_SHOWN = 16


def chosen_run(store: "Store", beginning: str) -> "Run":
    """Return the run whose trace id begins so; CommandFailed when none does, or several do."""
    from spanlore.schemas.runs import runs_beginning

    found = runs_beginning(store, beginning, limit=_NAMED_MAX)
    if not found:
        raise CommandFailed(f"no run begins with {beginning}; see `spanlore runs`")
    if len(found) > 1:
        ids = ", ".join(f"{run.trace_id[:_ID_SHOWN]}…" for run in found)
        raise CommandFailed(f"several runs begin with {beginning} ({ids}); write more of the id")
    return found[0]

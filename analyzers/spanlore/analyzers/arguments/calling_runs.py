"""The runs that called a tool, as columns: who, and what they are compared within."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spanlore.analyzers.core.cells import Codes, Flags, Floats

FACTORS = ("task", "agent", "model", "harness")
_NOT_KNOWN = -1


class Numbered:
    """Numbers things from 0 in the order they are first seen."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def of(self, name: Any) -> int:
        """Return the number of a thing."""
        return self._numbers.setdefault(name, len(self._numbers))

    def names(self) -> list[Any]:
        """Return the things in the order of their numbers."""
        return list(self._numbers)

    def __len__(self) -> int:
        """Return how many different things there are."""
        return len(self._numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """The runs that called a tool, in the order of their trace ids; columns of one length.

    ``tenants``, ``users`` (-1 for nobody) and ``units`` are numbered from 0; ``cells`` is the cell
    of each run, ``discovers`` its half. ``looks`` are the tools that a run called, ``failed`` those
    of them whose first call failed. The columns of ``cell_discovers`` and of each factor in
    ``cell_factors`` are as long as there are cells.
    """

    trace_ids: Sequence[str]
    tenant_names: Sequence[str]
    tenants: Codes
    users: Codes
    units: Codes
    cells: Codes
    discovers: Flags
    looks: Floats
    failed: Floats
    cell_discovers: Flags
    cell_factors: Mapping[str, Codes]
    adjusted_for: tuple[str, ...]
    units_noun: str

    def by_cell(self, column: Floats) -> Floats:
        """Add a column of runs up by cell."""
        return np.bincount(self.cells, column, len(self.cell_discovers)).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, as it is added: who, what it is compared within, and how its tools' calls began.

    ``unit`` and ``user`` are whatever stands for them (``user`` is falsy for nobody); ``factors``
    are its levels of task, agent, model and harness.
    """

    trace_id: str
    tenant: str
    user: Any
    unit: Any
    named_task: bool
    factors: tuple[Any, Any, Any, Any]
    discovers: bool
    looks: int
    failed: int


class RunsBuilder:
    """Takes runs in the order of their trace ids, and returns them as columns."""

    def __init__(self) -> None:
        self._trace_ids: list[str] = []
        self._tenants, self._users, self._units, self._cells = (Numbered() for _ in range(4))
        self._columns = {name: array("q") for name in ("tenant", "user", "unit", "cell")}
        self._counts = {name: array("I") for name in ("looks", "failed", "discovers")}
        self._tasks = False

    def add(self, run: Run) -> int:
        """Add a run and return its number."""
        self._trace_ids.append(run.trace_id)
        columns, counts = self._columns, self._counts
        columns["tenant"].append(self._tenants.of(run.tenant))
        columns["user"].append(self._users.of(run.user) if run.user else _NOT_KNOWN)
        columns["unit"].append(self._units.of(run.unit))
        columns["cell"].append(self._cells.of((*run.factors, run.discovers)))
        counts["looks"].append(run.looks)
        counts["failed"].append(run.failed)
        counts["discovers"].append(run.discovers)
        self._tasks = self._tasks or run.named_task
        return len(self._trace_ids) - 1

    def built(self) -> Runs:
        """Return the runs added."""
        cells = self._cells.names()
        levels = list(zip(*cells, strict=True)) or [()] * (len(FACTORS) + 1)
        factors = {name: _codes(levels[at]) for at, name in enumerate(FACTORS)}
        return Runs(
            trace_ids=self._trace_ids,
            tenant_names=[str(name) for name in self._tenants.names()],
            tenants=np.array(self._columns["tenant"], dtype=np.int64),
            users=np.array(self._columns["user"], dtype=np.int64),
            units=np.array(self._columns["unit"], dtype=np.int64),
            cells=np.array(self._columns["cell"], dtype=np.int64),
            discovers=np.array(self._counts["discovers"], dtype=np.bool_),
            looks=np.array(self._counts["looks"], dtype=np.float64),
            failed=np.array(self._counts["failed"], dtype=np.float64),
            cell_discovers=np.array(levels[-1], dtype=np.bool_),
            cell_factors=factors,
            adjusted_for=self._adjusted_for(factors),
            units_noun=self._noun(),
        )

    def _noun(self) -> str:
        return "task" if self._tasks else "user" if len(self._users) else "run"

    def _adjusted_for(self, factors: Mapping[str, Codes]) -> tuple[str, ...]:
        noun = self._noun()
        names = [] if noun == "run" else [noun]
        names += [name for name in FACTORS[1:] if len(np.unique(factors[name])) > 1]
        return tuple(names)


def _codes(levels: Sequence[Any]) -> Codes:
    numbered = Numbered()
    return np.array([numbered.of(level) for level in levels], dtype=np.int64)

"""Counting calls into cells: the looks that a test may treat as independent, and the support."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spanlore.analyzers.arguments.tool_calls import ToolCalls
from spanlore.analyzers.core.cells import NO_CLUSTER, Cells, Codes, Flags, Floats
from spanlore.analyzers.core.hypothesis import Support

EVIDENCE_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Looks, and those in which the thing happened, by cell."""

    n: Floats
    k: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Counts of two arms, ready for a hypothesis; ``runs`` are those in which it happened."""

    support: Support
    strata: Cells
    evidence: tuple[str, ...]
    counter_evidence: tuple[str, ...]
    runs: Codes


class Arm:
    """Calls of a tool, each run's first of which is a look.

    An agent that repeats a failed call says nothing new about the tool, and counted again it
    would make any test too sure.
    """

    def __init__(self, tool: ToolCalls, within: Flags) -> None:
        self.tool = tool
        self.calls = np.flatnonzero(within)
        runs = tool.run[self.calls]
        first = np.ones(len(runs), dtype=np.bool_)
        first[1:] = runs[1:] != runs[:-1]
        self._first = self.calls[first]
        self._cells = tool.runs.cells[runs[first]]

    def looks(self, happened: Flags) -> Looks:
        """Count the arm's looks by cell."""
        return Looks(n=self.n, k=self._by_cell(happened[self._first].astype(np.float64)))

    @cached_property
    def n(self) -> Floats:
        """The looks by cell."""
        return self._by_cell(np.ones(len(self._first)))

    @cached_property
    def runs(self) -> Codes:
        """The runs that have calls in the arm, in the order of their trace ids."""
        return np.unique(self.tool.run[self.calls])

    def _by_cell(self, weights: Floats) -> Floats:
        counts = np.bincount(self._cells, weights, len(self.tool.runs.cell_discovers))
        return counts.astype(np.float64)


class Comparison:
    """An arm beside the looks of what it is compared with, in every cell that holds any."""

    def __init__(self, arm: Arm, other: Looks) -> None:
        runs = arm.tool.runs
        self._arm = arm
        self._held = np.flatnonzero(arm.n + other.n)
        self._n, self._other_n, self._other_k = (
            column[self._held] for column in (arm.n, other.n, other.k)
        )
        self._discovers = runs.cell_discovers[self._held]
        self._factors = {name: codes[self._held] for name, codes in runs.cell_factors.items()}
        self._cluster = np.full(len(self._held), NO_CLUSTER, dtype=np.int64)

    def count(self, happened: Flags) -> Counted:
        """Count in which of the arm's calls the thing happened."""
        arm, runs = self._arm, self._arm.tool.runs
        events = arm.calls[happened[arm.calls]]
        mine, times = np.unique(arm.tool.run[events], return_counts=True)
        telling = mine[np.lexsort((mine, -times))]
        without = np.setdiff1d(arm.runs, mine, assume_unique=True)
        return Counted(
            support=Support(
                n=len(arm.calls),
                k=len(events),
                runs=len(arm.runs),
                units=len(np.unique(runs.units[mine])),
            ),
            strata=Cells(
                n=self._n,
                k=arm.looks(happened).k[self._held],
                other_n=self._other_n,
                other_k=self._other_k,
                discovers=self._discovers,
                factors=self._factors,
                cluster=self._cluster,
            ),
            evidence=trace_ids(runs.trace_ids, telling),
            counter_evidence=trace_ids(runs.trace_ids, without),
            runs=mine,
        )


def other_tools(tool: ToolCalls) -> Looks:
    """Count the first calls of all other tools, and those of them that failed."""
    runs = tool.runs
    mine = Arm(tool, np.ones(len(tool.run), dtype=np.bool_)).looks(tool.failed)
    return Looks(n=runs.by_cell(runs.looks) - mine.n, k=runs.by_cell(runs.failed) - mine.k)


def trace_ids(names: Sequence[str], runs: Codes) -> tuple[str, ...]:
    """Return the trace ids of the first of these runs, as many as are shown."""
    return tuple(names[run] for run in runs[:EVIDENCE_MAX])

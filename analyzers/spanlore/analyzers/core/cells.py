"""Counts by cell, as columns: what a hypothesis is tested on, whatever its size."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.analyzers.core.statistics import Table

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

NO_CLUSTER = -1
# The one factor of strata that were written by hand: their name.
STRATUM = "stratum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """The counts of one stratum, and the unit (task, else user) that decides its half.

    ``table`` counts independent looks, not every call: a tool called five times in a row in one
    run after the same mistake is one look (see ``tool_argument_misuse``). ``discovers`` says
    which half it belongs to where not the unit's hash but time decides; None leaves it to the hash.
    """

    name: str
    unit: str
    table: Table
    discovers: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Counts of the finest cells, as columns of one length: row ``i`` of each is cell ``i``.

    ``k`` of ``n`` looks of the subject, ``other_k`` of ``other_n`` of what it is compared with.
    ``discovers`` says which half a cell belongs to. ``factors`` maps what is held fixed ("task",
    "agent", "model", "harness", "judge") to the level of each cell, any number that stands for it;
    cells of equal levels in all factors are one stratum. ``cluster`` is a number for the user whose
    repeats look alike, and -1 where there is none.
    """

    n: Floats
    k: Floats
    other_n: Floats
    other_k: Floats
    discovers: Flags
    factors: Mapping[str, Codes]
    cluster: Codes

    @classmethod
    def of(cls, strata: Iterable[Stratum]) -> "Cells":
        """Return strata written by hand as columns; their only factor is their name."""
        listed = sorted(strata, key=lambda one: (one.name, one.unit))
        names = {name: code for code, name in enumerate(sorted({one.name for one in listed}))}
        return cls(
            n=np.array([one.table.n for one in listed], dtype=np.float64),
            k=np.array([one.table.k for one in listed], dtype=np.float64),
            other_n=np.array([one.table.other_n for one in listed], dtype=np.float64),
            other_k=np.array([one.table.other_k for one in listed], dtype=np.float64),
            discovers=np.array([_discovers(one) for one in listed], dtype=np.bool_),
            factors={STRATUM: np.array([names[one.name] for one in listed], dtype=np.int64)},
            cluster=np.full(len(listed), NO_CLUSTER, dtype=np.int64),
        )

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.n)

    def where(self, flags: Flags) -> "Cells":
        """Return the cells whose flag is set."""
        return Cells(
            n=self.n[flags],
            k=self.k[flags],
            other_n=self.other_n[flags],
            other_k=self.other_k[flags],
            discovers=self.discovers[flags],
            factors={name: codes[flags] for name, codes in self.factors.items()},
            cluster=self.cluster[flags],
        )


def _discovers(stratum: Stratum) -> bool:
    return in_discovery_half(stratum.unit) if stratum.discovers is None else stratum.discovers

"""Cells and hypotheses over them, written down row by row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spanlore.analyzers.core.cells import NO_CLUSTER, Cells
from spanlore.analyzers.core.hypothesis import Hypothesis, Support

FACTORS = ("task", "agent", "model", "harness")


def cells_of(rows: Sequence[Mapping[str, Any]]) -> Cells:
    """Return rows as cells: "counts" are (n, k, other n, other k), factors any whole numbers."""
    counts = np.array([row["counts"] for row in rows], dtype=np.float64).reshape(-1, 4)
    named = [name for name in FACTORS if any(name in row for row in rows)]
    return Cells(
        n=counts[:, 0],
        k=counts[:, 1],
        other_n=counts[:, 2],
        other_k=counts[:, 3],
        discovers=np.array([row.get("discovers", row["task"] % 2 == 0) for row in rows]),
        factors={name: np.array([row.get(name, 0) for row in rows]) for name in named},
        cluster=np.array([row.get("user", NO_CLUSTER) for row in rows]),
    )


def hypothesis_of(cells: Cells, **changes: Any) -> Hypothesis:
    """Return a hypothesis over cells, with as broad a support as they have tasks."""
    seen = cells.k > 0
    told: dict[str, Any] = {
        "analyzer": "test",
        "key": "a",
        "title": "a thing",
        "support": Support(
            n=int(cells.n.sum()),
            k=int(cells.k.sum()),
            runs=int(cells.n.sum()),
            units=len(set(cells.factors["task"][seen].tolist())),
        ),
        "strata": cells,
        "adjusted_for": tuple(
            name for name, codes in cells.factors.items() if len(set(codes.tolist())) > 1
        ),
        "evidence": ("aa",),
        "counter_evidence": ("bb",),
        "counted": "run",
    }
    return Hypothesis(**{**told, **changes})

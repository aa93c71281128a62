"""Whether a rate that is compared with nothing is that of one agent, model or harness alone.

A rate over all runs may come from one level of a factor: 21 of 28 under one model and 0 of 104
under all others is no thing of everybody. The level whose rate stands out most is held against the
rest (Cochran-Mantel-Haenszel, users as clusters, times the number of levels that could have been
it); it *carries* the rate where that shows and the rest has no more than the tolerable rate.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spanlore.analyzers.core.adjustment import contrast_within, levels
from spanlore.analyzers.core.cells import Cells, Flags
from spanlore.analyzers.core.statistics import sums

FACTORS = ("agent", "model", "harness")
P_MAX = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The level that carries a rate: ``k`` of its ``n`` looks, against all others' together.

    ``factor`` is one of ``FACTORS``, ``among`` how many levels of it were looked at, and ``also``
    names the factors that part the same looks from the rest. ``p`` is of "more than the rest".
    """

    factor: str
    also: tuple[str, ...]
    among: int
    n: float
    k: float
    rest_n: float
    rest_k: float
    p: float

    def json(self, detail: Mapping[str, Any]) -> dict[str, Any]:
        """Return it as the guard of a finding; ``detail`` may name the level (``seen_in``)."""
        name = self._name(detail.get("seen_in") or ())
        holds_for = f"one {self.factor} of {self.among}" if name is None else name
        same = f", which is one {' and one '.join(self.also)} as well" if self.also else ""
        return {
            "carried_by": self.factor,
            "also": list(self.also),
            "level": name,
            "levels": self.among,
            "share": round(self.k / (self.k + self.rest_k), 4),
            "looks": {"n": round(self.n, 3), "k": round(self.k, 3)},
            "rest": {"n": round(self.rest_n, 3), "k": round(self.rest_k, 3)},
            "p": float(f"{self.p:.12g}"),
            "holds_for": holds_for,
            "says": f"{'only' if not self.rest_k else 'nearly only'} under one {self.factor} of "
            f"{self.among}{'' if name is None else f' ({name})'}{same}: {self.k:,.0f} of "
            f"{self.n:,.0f} looks, under all others {self.rest_k:,.0f} of {self.rest_n:,.0f}",
        }

    def _name(self, places: Iterable[Mapping[str, Any]]) -> str | None:
        """Return the only level that it was seen in, None where there are several or none."""
        names = {str(one.get(self.factor) or "") for one in places}
        return names.pop() or None if len(names) == 1 and not self.rest_k else None


def carried(cells: Cells, floor: float) -> Carried | None:
    """Return the level that carries the rate of numbered cells, None where none does."""
    found = [
        (one, at)
        for name in FACTORS
        if name in cells.factors
        for one, at in [_standing_out(cells, name)]
        if one is not None and one.p <= P_MAX and one.rest_k <= floor * one.rest_n
    ]
    if not found:
        return None
    best, at = min(found, key=lambda pair: pair[0].p)
    looked = cells.n > 0
    also = (one.factor for one, where in found if bool((where == at)[looked].all()))
    return replace(best, also=tuple(name for name in also if name != best.factor))


def _standing_out(cells: Cells, name: str) -> tuple[Carried | None, Flags]:
    """Compare the level of the greatest excess with the rest of its factor."""
    codes, number = cells.factors[name], levels(cells, name)
    n, k = sums(codes, cells.n, number), sums(codes, cells.k, number)
    among = int((n > 0).sum())
    at: Flags = codes == int(np.argmax(k - n * k.sum() / max(float(n.sum()), 1.0)))
    if among < 2:  # noqa: PLR2004 - one level has no rest
        return None, at
    arms = replace(
        cells,
        n=np.where(at, cells.n, 0.0),
        k=np.where(at, cells.k, 0.0),
        other_n=np.where(at, 0.0, cells.n),
        other_k=np.where(at, 0.0, cells.k),
    )
    compared = contrast_within(arms, np.zeros(len(cells), dtype=np.int64))
    return Carried(
        factor=name,
        also=(),
        among=among,
        n=float(arms.n.sum()),
        k=float(arms.k.sum()),
        rest_n=float(arms.other_n.sum()),
        rest_k=float(arms.other_k.sum()),
        p=min(compared.p_greater * among, 1.0),
    ), at

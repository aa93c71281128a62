"""A hypothesis reduced to what its verdict needs: its tests, without its cells."""

from dataclasses import dataclass, replace

from spanlore.analyzers.core.adjustment import (
    Adjustment,
    adjustment_of,
    contrast_of,
    floor_contrast,
    numbered,
)
from spanlore.analyzers.core.carried import Carried, carried
from spanlore.analyzers.core.cells import Cells
from spanlore.analyzers.core.guard import Guard, guard_of
from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.core.statistics import Contrast, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A hypothesis (its strata left out), its test on each half and over everything.

    ``p`` is the two-sided one of the discovery half, ``p_more`` what Benjamini-Hochberg gets of it:
    the same where there is more than expected and 1 where there is less, so that what happens less
    makes nothing else easier to discover. ``in_both_halves`` says
    whether the subject has looks in both. ``guard`` is None where there is nothing to compare with
    or nothing to tell, ``carried`` where no one level carries a rate that is compared with none.
    ``adjusted_for`` names what was held fixed or fitted, ``covariates`` those of it that were
    fitted.
    """

    hypothesis: Hypothesis
    looks: Table
    discovery: Contrast
    confirmation: Contrast
    overall: Contrast
    in_both_halves: bool
    guard: Guard | None
    carried: Carried | None
    adjusted_for: tuple[str, ...]
    covariates: tuple[str, ...]
    p: float
    p_more: float


def examined(hypothesis: Hypothesis) -> Examined:
    """Test a hypothesis, and let go of its cells."""
    given = hypothesis.strata
    cells = numbered(given if isinstance(given, Cells) else Cells.of(given))
    first, second = cells.discovers, ~cells.discovers
    alone = not cells.other_n.any()
    told = hypothesis.told and hypothesis.support.k > 0
    guard: Guard | None = None
    carrier: Carried | None = None
    covariates: tuple[str, ...] = ()
    adjusted_for: tuple[str, ...] = ()
    if alone and hypothesis.floor is not None:
        discovery, confirmation, overall = (
            floor_contrast(cells, hypothesis.floor, where) for where in (first, second, None)
        )
        carrier = carried(cells, hypothesis.floor) if told else None
    else:
        adjustment = adjustment_of(cells)
        discovery, confirmation, overall = (
            contrast_of(cells, adjustment, where) for where in (first, second, None)
        )
        if overall.stratified:
            label = " and ".join(hypothesis.adjusted_for) or hypothesis.units_noun
            if told:
                guard = guard_of(cells, adjustment, overall, label=label)
            covariates = adjustment.covariates
            adjusted_for = _adjusted_for(hypothesis, adjustment, cells)
    tested = discovery.stratified or discovery.method == "binomial"
    return Examined(
        hypothesis=replace(hypothesis, strata=()),
        looks=Table(
            *(float(one.sum()) for one in (cells.n, cells.k, cells.other_n, cells.other_k))
        ),
        discovery=discovery,
        confirmation=confirmation,
        overall=overall,
        in_both_halves=bool(cells.n[first].any() and cells.n[second].any()),
        guard=guard,
        carried=carrier,
        adjusted_for=adjusted_for,
        covariates=covariates,
        p=significant(discovery.p) if tested else 1.0,
        p_more=significant(discovery.p) if tested and discovery.excess > 0 else 1.0,
    )


def _adjusted_for(hypothesis: Hypothesis, adjustment: Adjustment, given: Cells) -> tuple[str, ...]:
    """Return what the hypothesis says its strata stand for, less the factors that were let go."""
    let_go = set(given.factors) - {*adjustment.held, *adjustment.covariates}
    return tuple(name for name in hypothesis.adjusted_for if name not in let_go)


def significant(p: float) -> float:
    """Return p to twelve digits: sums made in another order differ in the last ones."""
    return float(f"{p:.12g}")

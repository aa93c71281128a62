"""How a comparison is adjusted: which factors are held fixed, and by what test.

First choice is Cochran-Mantel-Haenszel over the finest strata: looks of one task, agent, model
and harness. It compares like with like and assumes nothing. Where those strata are so thin that
they keep less than half of the information that the task alone leaves (most of them hold one arm,
or one result), the other factors become covariates within the task: of a conditional logistic
regression, or of least squares where that would take too long. Where the arms cannot be told from
the covariates, or these have too many levels, factors are left out of the strata one by one, the
last first. Information depends on the margins alone, so that the choice does not look at the
effect.

Where users repeat, every test and interval uses the sandwich variance over users where it is the
greater (``within_strata``), and rates without a comparison are of effective counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spanlore.analyzers.core.cells import NO_CLUSTER, Cells, Codes, Flags
from spanlore.analyzers.core.conditional_logit import (
    STRATUM_LOOKS_MAX,
    Grouped,
    conditional_score,
    cost,
)
from spanlore.analyzers.core.effective_counts import effective, likeness
from spanlore.analyzers.core.statistics import (
    INTERVAL_ERRORS,
    Contrast,
    Floats,
    Method,
    Strata,
    agreeing,
    rate_above,
    score_test,
    stratified_contrast,
    sums,
    wilson_interval,
)
from spanlore.analyzers.core.within_strata import Looks, within

INFORMATION_SHARE_MIN = 0.5
LOGIT_COLUMNS_MAX = 9
LOGIT_STEPS_MAX = 500_000
LEAST_SQUARES_COLUMNS_MAX = 40
TASK = "task"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adjustment:
    """What is compared within (``held``, one stratum for each number) and what else is fitted."""

    method: Method
    held: tuple[str, ...]
    strata: Codes
    covariates: tuple[str, ...] = ()


def numbered(cells: Cells) -> Cells:
    """Return the cells with levels and clusters numbered from 0; cells without a look are gone."""
    seen = (cells.n > 0) | (cells.other_n > 0)
    held = cells if seen.all() else cells.where(seen)
    cluster = np.full(len(held), NO_CLUSTER, dtype=np.int64)
    grouped = held.cluster != NO_CLUSTER
    cluster[grouped] = _dense(held.cluster[grouped])
    factors = {name: _dense(codes) for name, codes in held.factors.items()}
    return replace(held, factors=factors, cluster=cluster)


def levels(cells: Cells, name: str) -> int:
    """Return how many levels a factor of numbered cells has."""
    codes = cells.factors[name]
    return int(codes.max()) + 1 if len(codes) else 0


def base_factor(cells: Cells) -> str:
    """Return the factor that is always held fixed: the task, where it is one of them."""
    return TASK if TASK in cells.factors else next(iter(cells.factors))


def together(cells: Cells, names: Sequence[str]) -> Codes:
    """Return the stratum of each cell, numbered from 0: of equal levels in all these factors."""
    codes = np.zeros(len(cells), dtype=np.int64)
    for name in names:
        codes = _dense(codes * levels(cells, name) + cells.factors[name])
    return codes


def adjustment_of(cells: Cells) -> Adjustment:
    """Choose how to adjust numbered cells, for both halves alike."""
    base = base_factor(cells)
    rest = tuple(name for name in cells.factors if name != base and levels(cells, name) > 1)
    coarsest = Adjustment(method="cmh", held=(base,), strata=together(cells, (base,)))
    enough = INFORMATION_SHARE_MIN * _information(cells, coarsest.strata)
    for number in range(len(rest), 0, -1):
        held = (base, *rest[:number])
        strata = together(cells, held)
        if _information(cells, strata) >= enough:
            return Adjustment(method="cmh", held=held, strata=strata)
        if number == len(rest) and (method := _fit(cells, coarsest.strata, rest)) is not None:
            return replace(coarsest, method=method, covariates=rest)
    return coarsest


def contrast_of(cells: Cells, adjustment: Adjustment, where: Flags | None = None) -> Contrast:
    """Compare the arms of numbered cells, of all or of some of them, as was chosen."""
    strata = adjustment.strata
    if where is not None:
        cells, strata = cells.where(where), _dense(strata[where])
    if adjustment.covariates:
        return _fitted(cells, strata, adjustment)
    return contrast_within(cells, strata)


def contrast_within(cells: Cells, strata: Codes) -> Contrast:
    """Compare the arms within strata numbered from 0, by Cochran-Mantel-Haenszel."""
    pooled = strata_of(cells, strata)
    informs = pooled.informs
    if not informs.any() or not (cells.cluster != NO_CLUSTER).any():
        return stratified_contrast(pooled)
    speaking = informs[strata]
    looks = _looks(cells.where(speaking), _dense(strata[speaking]), ())
    found = within(looks)
    return stratified_contrast(pooled, design_effect=found.design_effect if found else 1.0)


def strata_of(cells: Cells, strata: Codes) -> Strata:
    """Add cells up to strata numbered from 0."""
    number = int(strata.max()) + 1 if len(strata) else 0
    columns = (cells.n, cells.k, cells.other_n, cells.other_k)
    return Strata(*(sums(strata, column, number) for column in columns))


def floor_contrast(cells: Cells, floor: float, where: Flags | None = None) -> Contrast:
    """Hold the subject's rate against a tolerable one; a user's looks count as what they say."""
    grouped = cells.cluster != NO_CLUSTER
    n, k = _by_cluster(cells)
    icc = likeness(n, k)
    if where is not None:
        cells, grouped = cells.where(where), grouped[where]
        n, k = _by_cluster(cells)
    looks, events = effective(n, k, icc) if len(n) else (0.0, 0.0)
    looks += float(cells.n[~grouped].sum())
    events += float(cells.k[~grouped].sum())
    two_sided, above = rate_above(events, looks, floor=floor)
    effect, interval, error = None, None, None
    if looks:
        low, high = wilson_interval(events, looks)
        effect, interval = events / looks - floor, (low - floor, high - floor)
        error = (high - low) / INTERVAL_ERRORS
    total = float(cells.n.sum())
    return Contrast(
        p=two_sided,
        p_greater=above,
        odds_ratio=None,
        odds_ratio_interval=None,
        effect=effect,
        interval=agreeing(interval, two_sided),
        stratified=False,
        informative=0,
        method="binomial",
        excess=float(cells.k.sum()) - floor * total,
        design_effect=total / looks if looks else 1.0,
        standard_error=error,
    )


def _by_cluster(cells: Cells) -> tuple[Floats, Floats]:
    grouped = cells.cluster != NO_CLUSTER
    clusters = _dense(cells.cluster[grouped])
    number = int(clusters.max()) + 1 if len(clusters) else 0
    n, k = (sums(clusters, one[grouped], number) for one in (cells.n, cells.k))
    return n[n > 0], k[n > 0]


def _information(cells: Cells, strata: Codes) -> float:
    pooled = strata_of(cells, strata)
    return float(pooled.where(pooled.informs).information().sum())


def _fit(cells: Cells, strata: Codes, covariates: Sequence[str]) -> Method | None:
    """Return by what to fit the covariates; None where they cannot be told from the arms."""
    columns = 1 + sum(levels(cells, name) - 1 for name in covariates)
    if columns > LEAST_SQUARES_COLUMNS_MAX:
        return None
    pooled = strata_of(cells, strata)
    speaks = (pooled.events > 0) & (pooled.events < pooled.total)
    if not speaks.any() or within(_looks(cells, strata, covariates)) is None:
        return None
    steps = cost(cells.n + cells.other_n, strata, cells.k + cells.other_k) * columns**2
    affordable = columns <= LOGIT_COLUMNS_MAX and steps <= LOGIT_STEPS_MAX
    if affordable and pooled.total[speaks].max() <= STRATUM_LOOKS_MAX:
        return "conditional_logit"
    return "least_squares"


def _fitted(cells: Cells, strata: Codes, adjustment: Adjustment) -> Contrast:
    """Test with covariates; the effect is the difference of least squares in any case."""
    looks = _looks(cells, strata, adjustment.covariates)
    found = within(looks) if len(looks.n) else None
    if found is None:
        return replace(_NOTHING, method=adjustment.method)
    excess, information = found.excess, found.independent
    if adjustment.method == "conditional_logit":
        score = conditional_score(
            Grouped(
                n=looks.n,
                k=looks.k,
                stratum=looks.stratum,
                design=np.column_stack([looks.subject, looks.covariates]),
            )
        )
        excess, information = score.excess, score.information
    p, p_greater = score_test(excess, information, design_effect=found.design_effect)
    return Contrast(
        p=p,
        p_greater=p_greater,
        odds_ratio=None,
        odds_ratio_interval=None,
        effect=found.difference,
        interval=agreeing(found.interval, p),
        stratified=True,
        informative=int(strata_of(cells, strata).informs.sum()),
        method=adjustment.method,
        excess=excess,
        design_effect=found.design_effect,
        standard_error=found.standard_error,
    )


_NOTHING = Contrast(
    p=1.0,
    p_greater=1.0,
    odds_ratio=None,
    odds_ratio_interval=None,
    effect=None,
    interval=None,
    stratified=False,
    informative=0,
)


def _looks(cells: Cells, strata: Codes, covariates: Sequence[str]) -> Looks:
    """Put the arms below each other, the levels of the covariates but the first as columns."""
    columns = [
        (cells.factors[name] == level).astype(np.float64)
        for name in covariates
        for level in range(1, levels(cells, name))
    ]
    design = np.column_stack(columns) if columns else np.zeros((len(cells), 0))
    mine, others = cells.n > 0, cells.other_n > 0
    return Looks(
        n=np.concatenate([cells.n[mine], cells.other_n[others]]),
        k=np.concatenate([cells.k[mine], cells.other_k[others]]),
        subject=np.repeat([1.0, 0.0], [int(mine.sum()), int(others.sum())]),
        stratum=np.concatenate([strata[mine], strata[others]]),
        cluster=np.concatenate([cells.cluster[mine], cells.cluster[others]]),
        covariates=np.concatenate([design[mine], design[others]]),
    )


def _dense(codes: Codes) -> Codes:
    """Number codes from 0, in their own order."""
    if not len(codes):
        return codes
    smallest, largest = int(codes.min()), int(codes.max())
    if smallest >= 0 and largest < 4 * len(codes):  # numbering by counting beats sorting
        counts = np.bincount(codes)
        places: Codes = np.cumsum(counts > 0) - 1
        return places[codes]
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)

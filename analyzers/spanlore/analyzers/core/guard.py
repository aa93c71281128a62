"""The guard against Simpson's paradox: what becomes of an effect once factors are held fixed.

The crude effect, over all looks pooled, is what a dashboard would show. It is held against the
effect within each factor alone and within what the finding is adjusted for. It *flips* where the
sign turns and *vanishes* where less than an effect worth naming may be left, in both cases only if
the crude effect is shown and lies outside of the adjusted one's interval: two uncertain numbers
that merely differ prove nothing. What all of it held fixed leaves *decides*; a factor alone only
explains, as it is misled by the others, unless it is one that could not be held with the rest.
To vanish decides only where nothing is left, or surely less than a third. A factor that could not
be held fixed because the arms never share a level of it is *inseparable* from the effect, unless
hardly any two looks share a level.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from statsmodels.stats.contingency_tables import StratifiedTable

from spanlore.analyzers.core.adjustment import (
    Adjustment,
    contrast_within,
    levels,
    strata_of,
)
from spanlore.analyzers.core.cells import STRATUM, Cells
from spanlore.analyzers.core.statistics import ALPHA, Contrast, Floats, Strata

EFFECT_MIN = 0.01
ALL = "all"
LEFT_SHARE_MIN = 1 / 3
COMPARABLE_SHARE_MIN = 0.5
OVERLAP_SHARE_MIN = 0.05
HETEROGENEITY_STRATUM_LOOKS_MIN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What the crude effect becomes by each factor alone, and by all that are held fixed.

    ``by`` maps a factor's name, and "all", to its contrast. ``flips`` and ``vanishes`` are names
    of it, ``whole`` that of all that are held fixed; ``deciding`` are those that may decide and
    do, ``unsettled`` those in which it vanishes that could not be held with the rest and leave more
    than would decide. ``inseparable`` and ``sparse`` are factors that could not be held fixed:
    because the arms never share a level, or because hardly any two looks do. ``strata_for`` and
    ``strata_against`` count informative strata by the direction of their own difference,
    ``heterogeneity_p`` is Breslow and Day's, None where strata are too small for it.
    """

    crude: Contrast
    by: Mapping[str, Contrast]
    flips: tuple[str, ...]
    vanishes: tuple[str, ...]
    whole: str | None
    deciding: tuple[str, ...]
    unsettled: tuple[str, ...]
    inseparable: tuple[str, ...]
    sparse: tuple[str, ...]
    strata_for: int
    strata_against: int
    heterogeneity_p: float | None

    @property
    def culprit(self) -> str | None:
        """The factor that explains the crude effect away, None where that is not decided.

        Of those that would explain it alone the one where least of it is left.
        """
        if not self.deciding:
            return None
        names = (*self.flips, *self.vanishes)
        single = [name for name in names if name != ALL] or list(names)
        up = (self.crude.effect or 0.0) > 0
        return min(single, key=lambda name: self._left(name) * (1 if up else -1), default=None)

    @property
    def says(self) -> str | None:
        """What a reader of the crude effect should know, None where that is nothing."""
        names = (*self.flips, *self.vanishes)
        if not names or self.deciding:
            return None
        crude, whole = points(self.crude.effect or 0.0), self.whole
        left = crude if whole is None else points(self._left(whole))
        if whole in names:
            return f"{crude} over everything shrinks to {left} once {_fixed(whole)} held fixed"
        alone = " and ".join(f"{points(self._left(name))} by {name}" for name in names)
        return f"{alone} alone, which is misled by the rest: {left} with all held fixed is told"

    def _left(self, name: str) -> float:
        return self.by[name].effect or 0.0

    def json(self) -> dict[str, Any]:
        """Return the guard as a finding's detail holds it."""
        return {
            "crude": _rounded(self.crude.effect),
            "by": {
                name: {
                    "effect": _rounded(one.effect),
                    "interval": None if one.interval is None else [*map(_rounded, one.interval)],
                }
                for name, one in self.by.items()
            },
            "flips": list(self.flips),
            "vanishes": list(self.vanishes),
            "deciding": list(self.deciding),
            "unsettled": list(self.unsettled),
            "says": self.says,
            "inseparable": list(self.inseparable),
            "sparse": list(self.sparse),
            "strata_for": self.strata_for,
            "strata_against": self.strata_against,
            "heterogeneity_p": self.heterogeneity_p,
        }


def guard_of(cells: Cells, adjustment: Adjustment, overall: Contrast, *, label: str) -> Guard:
    """Hold the crude effect of numbered cells against the adjusted ones.

    ``label`` names the one factor of strata that were written by hand.
    """
    varying = [name for name in cells.factors if levels(cells, name) > 1]
    crude = contrast_within(cells, np.zeros(len(cells), dtype=np.int64))
    fixed = (*adjustment.held, *adjustment.covariates)
    by = {
        label if name == STRATUM else name: overall
        if fixed == (name,)
        else contrast_within(cells, cells.factors[name])
        for name in varying
    }
    if len(fixed) > 1:
        by[ALL] = overall
    apart = {name: _apart(cells, name) for name in varying if name not in fixed}
    flips = tuple(name for name, one in by.items() if _flips(crude, one))
    vanishes = tuple(
        name for name, one in by.items() if name not in flips and _vanishes(crude, one)
    )
    whole = next((name for name, one in by.items() if one is overall), None)
    deciding = tuple(
        name
        for name in by
        if (name == whole or name in apart)
        and (name in flips or (name in vanishes and _hardly_left(crude, by[name])))
    )
    strata = strata_of(cells, adjustment.strata)
    informative = strata.where(strata.informs)
    return Guard(
        crude=crude,
        by=by,
        flips=flips,
        vanishes=vanishes,
        whole=whole,
        deciding=deciding,
        unsettled=tuple(name for name in vanishes if name in apart and name not in deciding),
        inseparable=tuple(name for name, why in apart.items() if why == "inseparable"),
        sparse=tuple(name for name, why in apart.items() if why == "sparse"),
        strata_for=int((_difference(informative) > 0).sum()),
        strata_against=int((_difference(informative) < 0).sum()),
        heterogeneity_p=_heterogeneity(informative),
    )


def _flips(crude: Contrast, adjusted: Contrast) -> bool:
    """Whether the crude effect is shown, and what is left of it shows the other way."""
    if crude.effect is None or adjusted.effect is None or adjusted.interval is None:
        return False
    low, high = adjusted.interval
    if _shown(crude) > 0:
        return adjusted.effect <= -EFFECT_MIN and crude.effect > high
    return _shown(crude) < 0 and adjusted.effect >= EFFECT_MIN and crude.effect < low


def _vanishes(crude: Contrast, adjusted: Contrast) -> bool:
    """Whether the crude effect is shown upwards, and less than is worth naming may be left."""
    if crude.effect is None or adjusted.effect is None or adjusted.interval is None:
        return False
    low, high = adjusted.interval
    return _shown(crude) > 0 and low < EFFECT_MIN and adjusted.p > ALPHA and crude.effect > high


def _hardly_left(crude: Contrast, adjusted: Contrast) -> bool:
    """Whether nothing is left of a crude effect, or surely less than a third of it."""
    if crude.effect is None or adjusted.effect is None or adjusted.interval is None:
        return False
    return adjusted.effect <= 0 or adjusted.interval[1] < LEFT_SHARE_MIN * crude.effect


def points(effect: float) -> str:
    """Return a difference of rates in percentage points."""
    return f"{100 * effect:+.1f} points"


def _fixed(name: str | None) -> str:
    return "all of it is" if name == ALL else f"the {name} is"


def _shown(crude: Contrast) -> int:
    """Return the direction in which a crude effect worth naming is shown, 0 where it is not."""
    effect = crude.effect or 0.0
    if crude.p > ALPHA or abs(effect) < EFFECT_MIN:
        return 0
    return 1 if effect > 0 else -1


def _apart(cells: Cells, name: str) -> str | None:
    """Return why the arms could not be compared within the levels of a factor, None if they can.

    By chance alone a look meets one of the other arm in its level the more surely the more looks
    there are in it.
    """
    strata = strata_of(cells, cells.factors[name])
    looks = float(strata.n.sum())
    share = float(strata.n[strata.compares].sum()) / looks if looks else 0.0
    if share >= COMPARABLE_SHARE_MIN and _overlap(strata) >= OVERLAP_SHARE_MIN:
        return None
    subject = looks / float(strata.total.sum())
    expected = float(strata.n @ (1 - subject ** (strata.total - 1))) / looks if looks else 0.0
    return "sparse" if expected < COMPARABLE_SHARE_MIN else "inseparable"


def _overlap(strata: Strata) -> float:
    """Return how much of what both arms could say when pooled is said within the levels.

    By the weights of Mantel and Haenszel: a hundred looks beside one say no more than one.
    """
    pooled = float(strata.n.sum() * strata.other_n.sum() / strata.total.sum())
    within = float((strata.n * strata.other_n / strata.total).sum())
    return within / pooled if pooled else 0.0


def _difference(strata: Strata) -> Floats:
    return strata.k / strata.n - strata.other_k / strata.other_n


def _heterogeneity(strata: Strata) -> float | None:
    """Return Breslow and Day's p (Tarone's form) of one odds ratio in all strata, if large."""
    if len(strata.n) < 2 or strata.total.min() < HETEROGENEITY_STRATUM_LOOKS_MIN:  # noqa: PLR2004 - one stratum cannot differ
        return None
    counts = np.array(
        [[strata.k, strata.n - strata.k], [strata.other_k, strata.other_n - strata.other_k]]
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # where a cell is empty in every stratum there is no p
        p = float(StratifiedTable(counts).test_equal_odds(adjust=True).pvalue)
    return round(p, 6) if np.isfinite(p) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)

"""How many looks it would take to show an effect, by the procedure that shows effects here."""

import math

from scipy import optimize, stats

from spanlore.analyzers.core.statistics import ALPHA

POWER = 0.8
_SHIFT_MAX = 40.0


def looks_needed(
    effect: float,
    *,
    standard_error: float,
    looks: float,
    alpha: float,
    alpha_confirm: float = ALPHA,
) -> int:
    """Return the subject's looks that give 80 % power for an effect above 0.

    ``standard_error`` is what the effect has now, with ``looks``; more looks of the same kind
    shrink it by the root of their number, so that strata, clusters and the size of the other arm
    are priced in. Half of the looks must show the effect two-sided at ``alpha`` (with what
    Benjamini-Hochberg leaves of it) and the other half one-sided at ``alpha_confirm``. The normal
    approximation: z tests of each half, their powers multiplied.
    """
    discover, confirm = stats.norm.isf(alpha / 2), stats.norm.isf(alpha_confirm)

    def lacking(shift: float) -> float:
        return float(stats.norm.sf(discover - shift) * stats.norm.sf(confirm - shift)) - POWER

    shift = optimize.brentq(lacking, 0.0, _SHIFT_MAX)
    return math.ceil(2 * looks * (shift * standard_error / effect) ** 2)

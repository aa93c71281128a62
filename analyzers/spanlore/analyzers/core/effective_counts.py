"""Counts of clusters whose looks are alike, made as small as what they say (Rao and Scott 1992).

A user who overrides once overrides again: twenty runs of one user say less than one run each of
twenty users. With the correlation within clusters (ICC) known, a cluster of ``n`` looks says what
``n / (1 + (n - 1) * icc)`` independent ones would (Kish 1965), never more than ``1 / icc``.
Counts and events divided by that design effect go into the ordinary binomial formulas (Rao and
Scott, Biometrics 48:577). So no single user can decide what is said of a group.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Few clusters often show less likeness than there is; what is usual is taken for granted.
ICC_MIN = 0.15
ICC_MAX = 0.95


def likeness(n: Floats, k: Floats) -> float:
    """Return the ICC of ``k`` events in ``n`` looks of each cluster, within its two bounds.

    The estimator from the analysis of variance (Ridout, Demetrio and Firth 1999, Biometrics
    55:137). Clusters without a look are left out.
    """
    n, k = n[n > 0], k[n > 0]
    total, clusters = float(n.sum()), len(n)
    if clusters < 2 or total <= clusters:  # noqa: PLR2004 - one cluster, or single looks alone
        return ICC_MIN
    squares = float((k**2 / n).sum())
    between = (squares - float(k.sum()) ** 2 / total) / (clusters - 1)
    within = (float(k.sum()) - squares) / (total - clusters)
    size = (total - float((n**2).sum()) / total) / (clusters - 1)
    spread = between + (size - 1) * within
    found = (between - within) / spread if spread > 0 else 0.0
    return min(max(found, ICC_MIN), ICC_MAX)


def effective(n: Floats, k: Floats, icc: float) -> tuple[float, float]:
    """Return the effective number of looks and of events, over all clusters."""
    weights = 1.0 / (1.0 + np.maximum(n - 1.0, 0.0) * icc)
    return float((weights * n).sum()), float((weights * k).sum())

"""Conditional logistic regression: a test within strata that also holds covariates fixed.

The likelihood is that of the events of each stratum given how many there were (Breslow and Day
1980, Statistical Methods in Cancer Research I, chapter 7), so that no stratum needs a parameter
of its own. It is exact: the sum over all ways in which the events could have fallen is made by
the recursion of Howard (1972) and Gail, Lubin and Rubinstein (1981, Biometrika 68:703), for all
strata of a size at once. With no covariates its score test is Cochran-Mantel-Haenszel's.

statsmodels has the same model (``ConditionalLogit``), one look at a time in Python; the tests
hold this one against it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.core.statistics import Floats

Codes = NDArray[np.int64]

# More than this and the sums no longer fit a float.
STRATUM_LOOKS_MAX = 400
ITERATIONS_MAX = 25
STEP_MAX = 2.0
SCORE_TOLERANCE = 1e-6
_BLOCK_NUMBERS_MAX = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The score of the first column were its coefficient 0, and its information.

    Both are what the coefficients of the other columns leave of it.
    """

    excess: float
    information: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Block:
    """Strata of about one size: looks beyond a stratum's own have ``there`` 0.

    ``design`` is (strata, looks, columns), ``events`` the number of events of each stratum.
    """

    design: Floats
    there: Floats
    events: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grouped:
    """Rows of equal looks: ``k`` of ``n``, a stratum numbered from 0, and the design's columns."""

    n: Floats
    k: Floats
    stratum: Codes
    design: Floats


def conditional_score(rows: Grouped) -> Score:
    """Return the score of the first column, with all others fitted where it is 0."""
    blocks = list(_blocks(rows))
    observed = _observed(rows)
    coefficients = fitted(rows, blocks=blocks, free=np.arange(1, rows.design.shape[1]))
    expected, information = _moments(blocks, coefficients)
    inner = information[1:, 1:]
    across = information[0, 1:]
    left = information[0, 0] - across @ np.linalg.pinv(inner, hermitian=True) @ across
    return Score(excess=float(observed[0] - expected[0]), information=max(float(left), 0.0))


def fitted(rows: Grouped, *, free: Codes, blocks: "list[_Block] | None" = None) -> Floats:
    """Return the coefficients of greatest likelihood; those not ``free`` stay 0.

    A column that all or no events go with has none; its coefficient then stops where it no longer
    changes what is expected.
    """
    blocks = list(_blocks(rows)) if blocks is None else blocks
    observed = _observed(rows)
    coefficients = np.zeros(rows.design.shape[1])
    for _ in range(ITERATIONS_MAX if len(free) else 0):
        expected, information = _moments(blocks, coefficients)
        score = (observed - expected)[free]
        if float(np.abs(score).max()) < SCORE_TOLERANCE:
            break
        step = np.linalg.pinv(information[np.ix_(free, free)], hermitian=True) @ score
        coefficients[free] += step * min(1.0, STEP_MAX / max(float(np.abs(step).max()), 1e-12))
    return coefficients


def cost(rows_n: Floats, stratum: Codes, events: Floats) -> float:
    """Return how many steps the sums take for one column: looks times events, over strata."""
    looks = np.bincount(stratum, rows_n)
    some = np.bincount(stratum, events)
    return float(np.sum(looks * np.minimum(some, looks - some)))


def _observed(rows: Grouped) -> Floats:
    """Return the design's sums over the events of strata that hold both results."""
    looks = np.bincount(rows.stratum, rows.n)
    events = np.bincount(rows.stratum, rows.k)
    speaks = (events > 0) & (events < looks)
    return np.asarray((rows.k * speaks[rows.stratum]) @ rows.design, dtype=np.float64)


def _blocks(rows: Grouped) -> Iterator[_Block]:
    """Spread the rows into single looks, and put strata of like size together."""
    counts = rows.n.astype(np.int64)
    row = np.repeat(np.arange(len(counts)), counts)
    stratum = rows.stratum[row]
    order = np.argsort(stratum, kind="stable")
    row, stratum = row[order], stratum[order]
    looks = np.bincount(rows.stratum, rows.n).astype(np.int64)
    events = np.bincount(rows.stratum, rows.k).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(looks)[:-1]])
    speaking = np.flatnonzero((events > 0) & (events < looks))
    columns = rows.design.shape[1]
    for chosen in _of_like_size(
        speaking[np.argsort(looks[speaking], kind="stable")], looks, columns
    ):
        widest = int(looks[chosen].max())
        place = np.arange(widest)[None, :]
        there = place < looks[chosen, None]
        at = row[np.where(there, starts[chosen, None] + place, 0)]
        yield _Block(
            design=rows.design[at] * there[:, :, None],
            there=there.astype(np.float64),
            events=events[chosen],
        )


def _of_like_size(
    strata: NDArray[np.intp], looks: Codes, columns: int
) -> Iterator[NDArray[np.intp]]:
    """Cut strata, in order of size, where the next is half as large again or memory is full."""
    begin = 0
    while begin < len(strata):
        smallest = int(looks[strata[begin]])
        like = int(np.searchsorted(looks[strata], max(1.5 * smallest, smallest + 4), side="right"))
        widest = int(looks[strata[like - 1]])
        end = min(like, begin + max(1, _BLOCK_NUMBERS_MAX // (widest * columns**2)))
        yield strata[begin:end]
        begin = end


def _moments(blocks: list[_Block], coefficients: Floats) -> tuple[Floats, Floats]:
    """Return what the design's sums over events are expected to be, and their covariance."""
    expected = np.zeros(len(coefficients))
    covariance = np.zeros((len(coefficients), len(coefficients)))
    for block in blocks:
        mean, spread = _block_moments(block, coefficients)
        expected += mean
        covariance += spread
    return expected, covariance


def _block_moments(block: _Block, coefficients: Floats) -> tuple[Floats, Floats]:
    looks = block.there.sum(axis=1).astype(np.int64)
    # Of events and non-events, the fewer are followed: where those are the latter, signs turn.
    turned = 2 * block.events > looks
    sign = np.where(turned, -1.0, 1.0)
    followed = np.where(turned, looks - block.events, block.events)
    logit = sign[:, None] * (block.design @ coefficients)
    logit -= np.where(block.there > 0, logit, -np.inf).max(axis=1)[:, None]
    odds = np.exp(logit) * block.there
    strata, columns, most = len(looks), len(coefficients), int(followed.max())
    ways = np.zeros((strata, most + 1))
    ways[:, 0] = 1.0
    first = np.zeros((strata, most + 1, columns))
    second = np.zeros((strata, most + 1, columns, columns))
    for look in range(block.design.shape[1]):
        one, x = odds[:, look, None], block.design[:, look]
        square = x[:, :, None] * x[:, None, :]
        cross = first[:, :-1, :, None] * x[:, None, None, :]
        second[:, 1:] += one[:, :, None, None] * (
            second[:, :-1]
            + cross
            + np.swapaxes(cross, 2, 3)
            + ways[:, :-1, None, None] * square[:, None]
        )
        first[:, 1:] += one[:, :, None] * (first[:, :-1] + ways[:, :-1, None] * x[:, None])
        ways[:, 1:] += one * ways[:, :-1]
    each = np.arange(strata)
    sums = ways[each, followed]
    mean = first[each, followed] / sums[:, None]
    spread = second[each, followed] / sums[:, None, None] - mean[:, :, None] * mean[:, None, :]
    mean = np.where(turned[:, None], block.design.sum(axis=1) - mean, mean)
    return mean.sum(axis=0), spread.sum(axis=0)

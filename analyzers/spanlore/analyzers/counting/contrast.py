"""What a run shows, held against how it came out: the counts of ``presence`` made ready to test.

Only strata in which some judged runs show the thing and others do not can say anything, so only
those are counted here. How much they *could* say, whoever failed, is ``spread``; to leave out what
could never be shown by it is fair, because it does not look at which runs failed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanlore.analyzers.core.cells import Cells
from spanlore.analyzers.core.hypothesis import Support
from spanlore.analyzers.core.statistics import sums
from spanlore.analyzers.counting.fact_counts import (
    EVIDENCE_MAX,
    FACTS_OF_RUNS_SQL,
    RUNS_MIN,
    RUNS_SQL,
    Counted,
    Question,
    counted,
    facts_params,
)
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

_Floats = NDArray[np.float64]
# Below, not even a thing that always goes with failure could be shown on both halves.
SPREAD_MIN = 1.5

_STRATUM = "Task, Agent, ModelCode, Harness, Judge"
_JUDGED = "Outcome IN ('pass', 'fail')"
# Runs that show the key beside runs of the same stratum that do not.
EVIDENCE_SQL = f"""
SELECT Key,
    groupArraySortedIf({EVIDENCE_MAX})(TraceId, IsFailed) AS Failed,
    groupArraySortedIf({EVIDENCE_MAX})(TraceId, NOT IsFailed) AS Passed,
    groupUniqArray(2)(TenantId) AS Tenants
FROM (
    SELECT Key, TraceId, TenantId, IsFailed, {_STRATUM},
        count() OVER (PARTITION BY Key, {_STRATUM}) AS Showing
    FROM ({FACTS_OF_RUNS_SQL}) WHERE K > 0 AND {_JUDGED} AND Key IN {{keys:Array(String)}}
) AS fact
INNER JOIN (
    SELECT {_STRATUM}, count() AS Judged FROM ({RUNS_SQL}) WHERE {_JUDGED} GROUP BY {_STRATUM}
) AS whole USING ({_STRATUM})
WHERE Showing < Judged
GROUP BY Key
"""


def shown(  # noqa: PLR0913 - what is counted, and how it is narrowed
    store: Store,
    window: Window,
    extractor: str,
    *,
    prefix: str = "",
    among: str = "1",
    keys: str = "[Key]",
    params: Mapping[str, Any] | None = None,
) -> Iterator[Counted]:
    """Yield what ``presence`` yields, and also keys that no run with them failed.

    ``among`` narrows the runs (SQL over ``agent_runs``), ``keys`` is SQL for the keys that a fact
    stands for in the place of its own; both may use ``params``. Raises StoreError.
    """
    judged = f"{_JUDGED} AND ({among})"
    rows = f"SELECT * REPLACE (arrayJoin({keys}) AS Key) FROM ({FACTS_OF_RUNS_SQL})"
    yield from counted(
        store,
        Question(
            rows=f"({rows} WHERE K > 0 AND {judged})",
            everything=f"(SELECT * FROM ({RUNS_SQL}) WHERE {judged})",
            looks="1",
            events="toUInt64(IsFailed)",
            group="''",
            params={**facts_params(window, extractor, prefix), **(params or {})},
            runs_min=RUNS_MIN,
            events_min=0,
            by_outcome=True,
        ),
    )


def comparable(one: Counted) -> Counted | None:
    """Return the counts of strata that hold runs of both kinds, None where there are none."""
    cells = one.strata
    mine, others = _totals(cells, cells.n), _totals(cells, cells.other_n)
    kept = _of_cells(cells, (mine > 0) & (others > 0))
    if not kept.any():
        return None
    strata = cells.where(kept)
    return replace(one, strata=strata, support=_support(one, strata))


def passing(one: Counted) -> Counted:
    """Return the same comparison with passing in the place of failing."""
    cells = one.strata
    strata = replace(cells, k=cells.n - cells.k, other_k=cells.other_n - cells.other_k)
    return replace(
        one,
        strata=strata,
        support=_support(one, strata),
        evidence=one.counter_evidence,
        counter_evidence=one.evidence,
    )


def excess(cells: Cells) -> float:
    """Return how many more events there were than the strata's own rates expect."""
    n, other_n, events = _margins(cells)
    return float(cells.k.sum() - np.sum(n * events / (n + other_n)))


def difference(cells: Cells) -> float | None:
    """Return the Mantel-Haenszel risk difference, None where no stratum holds both arms."""
    n, other_n, _ = _margins(cells)
    weight = float(np.sum(n * other_n / (n + other_n)))
    return excess(cells) / weight if weight else None


def spread(cells: Cells) -> float:
    """Return the variance of the number of events were nothing there (Mantel and Haenszel 1959).

    It rests on the margins of each stratum alone: how many runs show it, how many failed.
    """
    n, other_n, events = _margins(cells)
    total = n + other_n
    return float(
        np.sum(n * other_n * events * (total - events) / (total**2 * np.maximum(total - 1, 1)))
    )


def suspiciousness(cells: Cells) -> float:
    """Return Ochiai's coefficient of the thing and the events: 1 where each is the other.

    k / sqrt(events * n), over the strata compared (Abreu et al. 2007, spectrum-based fault
    localisation). It ranks, and proves nothing: it knows no strata.
    """
    n, k, events = cells.n.sum(), cells.k.sum(), cells.k.sum() + cells.other_k.sum()
    return float(k / np.sqrt(events * n)) if events * n > 0 else 0.0


def most_telling(every: Iterable[Counted], *, keep_max: int) -> list[Counted]:
    """Return the comparable counts that could show most, without those that say the same again.

    Two keys that the very same runs show are one: the first in the order given stays.
    """
    seen: set[bytes] = set()
    kept = []
    for one in filter(None, map(comparable, every)):
        same = one.strata.n.tobytes() + one.strata.k.tobytes() + one.strata.other_n.tobytes()
        if same not in seen and spread(one.strata) >= SPREAD_MIN:
            seen.add(same)
            kept.append(one)
    return sorted(kept, key=lambda one: (-spread(one.strata), one.key))[:keep_max]


def evidence(
    store: Store, window: Window, extractor: str, *, keys: Sequence[str]
) -> Mapping[str, Mapping[str, list[str]]]:
    """Return by key the ``Failed`` and ``Passed`` runs of strata that compare, and ``Tenants``.

    Of the tenants at most two are named: all that matters is whether it is one. Raises StoreError.
    """
    if not keys:
        return {}
    params = {**facts_params(window, extractor, ""), "keys": list(keys)}
    return {row["Key"]: row for row in store.query(EVIDENCE_SQL, params)}


def with_evidence(
    every: Sequence[Counted], found: Mapping[str, Mapping[str, list[str]]]
) -> list[Counted]:
    """Return the counts with the traces of the strata that were compared."""
    return [
        replace(
            one,
            evidence=tuple(found[one.key]["Failed"]),
            counter_evidence=tuple(found[one.key]["Passed"]),
        )
        if one.key in found
        else one
        for one in every
    ]


def _support(one: Counted, cells: Cells) -> Support:
    n, k = int(cells.n.sum()), int(cells.k.sum())
    units = len(np.unique(cells.factors["task"][cells.k > 0]))
    return Support(n=n, k=k, runs=n, units=k if one.units_noun == "run" else units)


def _margins(cells: Cells) -> tuple[_Floats, _Floats, _Floats]:
    """Return for each stratum the subject's looks, the others', and the events of both."""
    return (
        _totals(cells, cells.n),
        _totals(cells, cells.other_n),
        _totals(cells, cells.k + cells.other_k),
    )


def _totals(cells: Cells, counts: _Floats) -> _Floats:
    return sums(_strata(cells), counts)


def _of_cells(cells: Cells, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return flags[_strata(cells)]


def _strata(cells: Cells) -> NDArray[np.int64]:
    codes = np.stack([cells.factors[name] for name in sorted(cells.factors)])
    return np.unique(codes, axis=1, return_inverse=True)[1].reshape(-1)

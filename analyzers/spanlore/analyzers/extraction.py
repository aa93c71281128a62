"""Reading each run once for all extractors, and keeping what they saw as rows of ``run_facts``.

A run is read when it has no row of the extractor, its version and the run's version with the key
"": so the work is that of the new and changed runs, a stop at any moment loses at most one batch,
and reading a batch twice leaves the same rows. Facts of a run that was sealed again stay, and do
not count (``counting.fact_counts``).

What could not be read is marked as read too, and ``unread`` tells of it in every later round. A run
is not tried again before it changes or the extractor's ``VERSION`` does, so an extractor that was
mended needs a new version: the next `spanlore learn` then reads again.
"""

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from spanlore.analyzers.registry import Extractor, installed_extractors
from spanlore.analyzers.runs.fact import DETAIL_CHARS_MAX, KEY_CHARS_MAX, Fact
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.runs.run_traces import run_traces
from spanlore.analyzers.window import IN_WINDOW, Window
from spanlore.schemas.learning_tables import NOT_REVOKED, RUN_FACTS
from spanlore.schemas.store import Store, StoreAddress, StoreError
from spanlore.schemas.tables import LATEST_RUN, RUNS

BATCH_SPANS_MAX = 10_000
BATCH_RUNS_MAX = 2_000
# A run is in memory whole, and whoever may send spans decides how many it has.
RUN_SPANS_MAX = 20_000
REASON_CHARS_MAX = 300
# Starting processes costs a second or two: fewer spans than these are read before they stand.
PARALLEL_SPANS_MIN = 60_000
WORKERS_MAX = 4
_UINT32_MAX = 2**32 - 1
_log = logging.getLogger(__name__)

# What K says in the mark of a run (the key ""): whether it was read.
_READ, _FAILED, _TOO_LARGE = range(3)

_RUNS_SQL = f"""
    SELECT TraceId, Version, TenantId, StartedAt, Spans FROM {RUNS}
    WHERE {IN_WINDOW} AND {NOT_REVOKED} {LATEST_RUN}
"""
# In the order the spans lie in: a batch is a stretch of the table.
_PENDING_SQL = f"""
SELECT run.TraceId AS TraceId, run.Version AS Version, run.TenantId AS TenantId,
       run.Spans AS Spans, done.Names AS Done
FROM ({_RUNS_SQL}) AS run
LEFT JOIN (
    SELECT TraceId, RunVersion, groupUniqArray(concat(Extractor, '@', ExtractorVersion)) AS Names
    FROM {RUN_FACTS} WHERE Key = '' GROUP BY TraceId, RunVersion
) AS done ON done.TraceId = run.TraceId AND done.RunVersion = run.Version
WHERE NOT hasAll(done.Names, {{wanted:Array(String)}})
ORDER BY run.TenantId, run.StartedAt, run.TraceId
"""
_UNREAD_SQL = f"""
SELECT Extractor, K, uniqExact(TraceId) AS Runs, argMin(Detail, (At, TraceId)) AS Reason
FROM {RUN_FACTS}
WHERE Key = '' AND K > 0 AND concat(Extractor, '@', ExtractorVersion) IN {{wanted:Array(String)}}
    AND (TraceId, RunVersion) IN (SELECT TraceId, Version FROM ({_RUNS_SQL}))
GROUP BY Extractor, K ORDER BY Extractor, K
"""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What was read: runs and their spans, facts kept, and for extractors that failed how."""

    runs: int = 0
    spans: int = 0
    facts: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """What no fact tells of.

    ``failed`` maps an extractor to how many runs it failed on and the first error; ``too_large``
    says the same of runs with more spans than are read, "" where there are none.
    """

    failed: Mapping[str, str] = field(default_factory=dict)
    too_large: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A run that some extractors have not seen; ``missing`` are their "name@version"."""

    trace_id: str
    version: int
    tenant: str
    spans: int
    missing: frozenset[str]


def extract_pending(store: Store, window: Window, progress: Progress | None = None) -> Extracted:
    """Read every run of the window that an installed extractor has not read yet.

    ``progress`` is called with (spans read, spans to read) after each batch. Where there is a lot
    to read several processes share it. Raises StoreError; what was read until then is kept.
    """
    return extract_with(store, window, installed_extractors(), progress=progress)


def extract_with(
    store: Store,
    window: Window,
    extractors: Sequence[Extractor],
    *,
    progress: Progress | None = None,
) -> Extracted:
    """Read, as ``extract_pending``, the runs that these extractors have not read yet."""
    pending = _of_size(store, _pending(store, window, extractors), extractors)
    batches = list(_batches(pending))
    total = sum(one.spans for one in pending)
    workers = min(os.cpu_count() or 1, WORKERS_MAX, len(batches))
    if workers < 2 or total < PARALLEL_SPANS_MIN:  # noqa: PLR2004 - one process is this one
        done: Iterator[Extracted] = (_extract(store, batch, extractors) for batch in batches)
    else:
        done = _in_processes(store.address, batches, extractors, workers=workers)
    whole = Extracted()
    for one in done:
        whole = _sum(whole, one)
        if progress is not None:
            progress(whole.spans, total)
    for name, reason in whole.failed.items():
        _log.error("the extractor %s failed: %s; its facts of such runs are missing", name, reason)
    return whole


def unread(store: Store, window: Window) -> Unread:
    """Return which runs of the window the installed extractors could not read, whenever tried."""
    wanted = [one.versioned for one in installed_extractors()]
    failed: dict[str, str] = {}
    too_large = ""
    for row in store.query(_UNREAD_SQL, {**window.params, "wanted": wanted}):
        if row["K"] == _TOO_LARGE:
            too_large = f"{row['Runs']} runs were not read: {row['Reason']}"
        else:
            failed[row["Extractor"]] = f"{row['Runs']} runs could not be read: {row['Reason']}"
    return Unread(failed=failed, too_large=too_large)


def _of_size(
    store: Store, pending: Sequence[_Pending], extractors: Sequence[Extractor]
) -> list[_Pending]:
    """Return the runs that may be read, and mark those that are too large."""
    large = [one for one in pending if one.spans > RUN_SPANS_MAX]
    for one in large:
        reason = f"trace {one.trace_id} has {one.spans} spans, of which {RUN_SPANS_MAX} may be read"
        store.insert(RUN_FACTS, _marks(one, extractors, k=_TOO_LARGE, reason=reason))
        _log.warning("a run is too large to learn from: %s", reason)
    return [one for one in pending if one.spans <= RUN_SPANS_MAX]


def _pending(store: Store, window: Window, extractors: Sequence[Extractor]) -> list[_Pending]:
    wanted = [one.versioned for one in extractors]
    columns = store.columns(_PENDING_SQL, {**window.params, "wanted": wanted})
    return [
        _Pending(
            trace_id=trace_id,
            version=version,
            tenant=tenant,
            spans=spans,
            missing=frozenset(wanted) - frozenset(done),
        )
        for trace_id, version, tenant, spans, done in zip(
            *(columns[name] for name in ("TraceId", "Version", "TenantId", "Spans", "Done")),
            strict=True,
        )
    ]


def _batches(pending: Sequence[_Pending]) -> Iterator[list[_Pending]]:
    batch: list[_Pending] = []
    spans = 0
    for one in pending:
        if batch and (spans + one.spans > BATCH_SPANS_MAX or len(batch) >= BATCH_RUNS_MAX):
            yield batch
            batch, spans = [], 0
        batch.append(one)
        spans += one.spans
    if batch:
        yield batch


def _in_processes(
    address: StoreAddress,
    batches: Sequence[list[_Pending]],
    extractors: Sequence[Extractor],
    *,
    workers: int,
) -> Iterator[Extracted]:
    # Not forked: this process holds connections and threads that a copy of it must not touch.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: list[Future[Extracted]] = [
            pool.submit(_extract_at, address, batch, extractors) for batch in batches
        ]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def _extract_at(
    address: StoreAddress, batch: list[_Pending], extractors: Sequence[Extractor]
) -> Extracted:
    """Read one batch in a process of its own."""
    with Store.open(address) as store:
        return _extract(store, batch, extractors)


def _extract(store: Store, batch: Sequence[_Pending], extractors: Sequence[Extractor]) -> Extracted:
    """Read a batch and keep its facts; a run that cannot be read keeps no other back."""
    try:
        rows, failed = _read(store, batch, extractors)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - no trace, whoever wrote it, may stop all learning
        if len(batch) > 1:
            middle = len(batch) // 2
            halves = (batch[:middle], batch[middle:])
            return _sum(*(_extract(store, half, extractors) for half in halves))
        [one] = batch
        reason = _reason(error, one.trace_id)
        rows = _marks(one, extractors, k=_FAILED, reason=reason)
        failed = {row["Extractor"]: reason for row in rows}
    store.insert(RUN_FACTS, rows)
    return Extracted(
        runs=len(batch),
        spans=sum(one.spans for one in batch),
        facts=sum(row["Key"] != "" for row in rows),
        failed=failed,
    )


def _read(
    store: Store, batch: Sequence[_Pending], extractors: Sequence[Extractor]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the rows of a batch, and of extractors that failed the first error."""
    wanted = {one.trace_id: one for one in batch}
    failed: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    now = datetime.now(UTC)
    for trace in run_traces(store, list(wanted)):
        pending = wanted[trace.trace_id]
        for extractor in extractors:
            if extractor.versioned in pending.missing:
                rows += _rows_of(extractor, trace, pending=pending, at=now, failed=failed)
    return rows, failed


def _rows_of(
    extractor: Extractor,
    trace: RunTrace,
    *,
    pending: _Pending,
    at: datetime,
    failed: dict[str, str],
) -> list[dict[str, Any]]:
    """Return the rows of the run's facts and the mark that it was read."""
    read = Fact(key="", n=1, k=_READ)
    try:
        facts = {one.key: one for one in extractor.extract(trace) if one.key}
        return [_row(one, extractor, pending=pending, at=at) for one in (read, *facts.values())]
    except Exception as error:  # noqa: BLE001 - no trace, whoever wrote it, may stop all learning
        reason = _reason(error, trace.trace_id)
        failed.setdefault(extractor.name, reason)
        return _marks(pending, [extractor], k=_FAILED, reason=reason)


def _marks(
    pending: _Pending, extractors: Sequence[Extractor], *, k: int, reason: str
) -> list[dict[str, Any]]:
    """Return the marks that a run was not read, and why."""
    mark = Fact(key="", n=1, k=k, detail=reason)
    now = datetime.now(UTC)
    return [
        _row(mark, one, pending=pending, at=now)
        for one in extractors
        if one.versioned in pending.missing
    ]


def _reason(error: Exception, trace_id: str) -> str:
    said = f"{type(error).__name__}: {error}"
    return f"{said[:REASON_CHARS_MAX]} (trace {trace_id})"


def _row(fact: Fact, extractor: Extractor, *, pending: _Pending, at: datetime) -> dict[str, Any]:
    """Return a fact's row. Raises ValueError where its numbers cannot be counted."""
    value = float(fact.value)
    if not isfinite(value) or min(fact.n, fact.k) < 0:
        message = f"no counts: n {fact.n}, k {fact.k}, value {value}"
        raise ValueError(message)
    return {
        "Extractor": extractor.name,
        "ExtractorVersion": extractor.version,
        "Key": _storable(fact.key, KEY_CHARS_MAX),
        "TenantId": pending.tenant,
        "TraceId": pending.trace_id,
        "RunVersion": pending.version,
        "N": min(fact.n, _UINT32_MAX),
        "K": min(fact.k, _UINT32_MAX),
        "Value": value,
        "Detail": _storable(fact.detail, DETAIL_CHARS_MAX),
        "SpanId": fact.span_id,
        "At": at,
    }


def _storable(text: str, chars_max: int) -> str:
    """Cut a text, and make half characters of a broken one storable."""
    return text[:chars_max].encode("utf-8", "replace").decode()


def _sum(one: Extracted, other: Extracted) -> Extracted:
    return Extracted(
        runs=one.runs + other.runs,
        spans=one.spans + other.spans,
        facts=one.facts + other.facts,
        failed={**other.failed, **one.failed},
    )

"""Sealing: the spans of a trace become one row of ``agent_runs``.

Idempotent: a row is computed from all spans of its trace each time, never summed up, so spans
that come late, twice or in any order lead to the same row, and a row that says nothing new is not
written. Only whose it is stays as it was said first, where two tenants send spans of one trace.
Whole-trace facts are made here: state, duplicated inference, tokens, cost, outcome and the harness
fingerprint. A trace without any GenAI span is no run.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from spanlore.collector import harness
from spanlore.collector.run_sql import ENDS_SQL, OF_IDS, RUN_ROWS_SQL
from spanlore.schemas import prices, semconv, tables
from spanlore.schemas.outcome import outcome_of
from spanlore.schemas.store import Store, StoreRefused
from spanlore.schemas.types import JUDGEMENT_SOURCES

QUIET_S = 30
"""A run whose root or parents are missing is waited for this long after its last span."""

_COLUMNS = frozenset(column.name for column in tables.AGENT_RUNS.columns)
_logger = logging.getLogger(__name__)

# Planning a query costs as much as some thousand traces, and a field of a request to a ClickHouse
# server may have 128 KiB.
_TRACES_A_QUERY_MAX = 3_000
_ALWAYS_NS = 2**63 - 1
_NO_TRACE = "no trace has this id"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Which of a trace's spans the run stands on (see ``run_sql``): 0 a root that is an agent or a
# workflow, 1 another root, 2 an agent or workflow below a caller we do not see, 3 anything else.
_ROOT_RANK_MAX = 1
_AGENT_RANK_MAX = 2

_OF_RECORDS = "LogId = {log_id:UInt32} AND LogSeq BETWEEN {first_seq:UInt64} AND {last_seq:UInt64}"
_LOADED_SPANS_SQL = f"""FROM {tables.TRACES}
WHERE {_OF_RECORDS} AND (Op != '' OR TraceId IN (SELECT TraceId FROM {tables.RUNS}))"""
_LOADED_JUDGEMENTS_SQL = f"SELECT DISTINCT TraceId FROM {tables.JUDGEMENTS} WHERE {_OF_RECORDS}"
_LOADED_SQL = f"""SELECT DISTINCT TraceId {_LOADED_SPANS_SQL}
UNION DISTINCT {_LOADED_JUDGEMENTS_SQL}"""

# A run that stands open, and of which no root ended in these records, goes on.
_NEWS_SQL = f"""SELECT TraceId {_LOADED_SPANS_SQL}
GROUP BY TraceId
HAVING max(ParentSpanId = '' AND NOT Incomplete) OR TraceId NOT IN (
    SELECT TraceId FROM {tables.RUNS} WHERE TraceId IN (SELECT TraceId {_LOADED_SPANS_SQL})
    GROUP BY TraceId HAVING argMax(State, Version) = 'open'
)
UNION DISTINCT {_LOADED_JUDGEMENTS_SQL}"""

_SINCE = "ReceivedAt > fromUnixTimestamp64Nano({since_ns:Int64})"
# Rows that another collector's exporter wrote carry no mark of a log of ours.
_SINCE_FOREIGN = f"{_SINCE} AND LogId = 0"
_RECEIVED_SQL, _FOREIGN_SQL = (
    f"SELECT DISTINCT TraceId FROM {tables.TRACES} WHERE Op != '' AND {since}"
    f" UNION DISTINCT SELECT DISTINCT TraceId FROM {tables.JUDGEMENTS} WHERE {since}"
    for since in (_SINCE, _SINCE_FOREIGN)
)

_WAITING_SQL = f"""SELECT TraceId FROM (
    SELECT TraceId, State, LastReceivedAt FROM {tables.RUNS}
    WHERE TraceId IN (SELECT TraceId FROM {tables.RUNS} WHERE State = 'open') {tables.LATEST_RUN}
)
WHERE State = 'open' AND LastReceivedAt <= fromUnixTimestamp64Nano({{quiet_ns:Int64}})"""

_JUDGEMENTS_SQL = f"""SELECT TenantId, TraceId, Label, Score, Source,
    toUnixTimestamp64Nano(At) AS at_ns
FROM {tables.JUDGEMENTS}
WHERE Name = '{semconv.EVALUATION_TASK_SUCCESS}' AND {OF_IDS}
ORDER BY Version DESC LIMIT 1 BY TenantId, TraceId, SpanId, Name, Source, Evaluator"""

_STANDING_SQL = f"""SELECT TraceId, argMax(ContentHash, Version) AS hash, max(Version) AS version
FROM {tables.RUNS} WHERE {OF_IDS} GROUP BY TraceId"""


def seal_loaded(store: Store, *, log_id: int, first_seq: int, last_seq: int, now_ns: int) -> int:
    """Seal every run that these records of a write-ahead log touched; return how many."""
    params = {"log_id": log_id, "first_seq": first_seq, "last_seq": last_seq}
    return _seal(store, store.query(_LOADED_SQL, params), now_ns=now_ns)


def seal_ended(store: Store, *, log_id: int, first_seq: int, last_seq: int, now_ns: int) -> int:
    """Seal as ``seal_loaded``, but not the runs that stand open and go on; return how many.

    These would be added up anew with every few spans of theirs: ``seal_waiting`` looks at them now
    and then, ``seal_open`` when somebody asks.
    """
    params = {"log_id": log_id, "first_seq": first_seq, "last_seq": last_seq}
    return _seal(store, store.query(_NEWS_SQL, params), now_ns=now_ns)


def seal_foreign(store: Store, *, since_ns: int, now_ns: int) -> int:
    """Seal the runs whose spans another collector wrote into the store since then."""
    return _seal(store, store.query(_FOREIGN_SQL, {"since_ns": since_ns}), now_ns=now_ns)


def seal_received(store: Store, *, since_ns: int, now_ns: int) -> int:
    """Seal the runs of all spans received since then, whoever wrote them; return how many."""
    return _seal(store, store.query(_RECEIVED_SQL, {"since_ns": since_ns}), now_ns=now_ns)


def seal_open(store: Store, *, now_ns: int) -> int:
    """Look again at every open run, so that what goes on is told as far as it came."""
    return _seal(store, store.query(_WAITING_SQL, {"quiet_ns": _ALWAYS_NS}), now_ns=now_ns)


def seal_waiting(store: Store, *, now_ns: int) -> int:
    """Look again at the open runs that were last added up with spans of ``QUIET_S`` seconds ago."""
    quiet_ns = now_ns - QUIET_S * 1_000_000_000
    return _seal(store, store.query(_WAITING_SQL, {"quiet_ns": quiet_ns}), now_ns=now_ns)


def _seal(store: Store, traces: Sequence[Mapping[str, Any]], *, now_ns: int) -> int:
    return seal_traces(store, [row["TraceId"] for row in traces], now_ns=now_ns)


def seal_traces(store: Store, trace_ids: Sequence[str], *, now_ns: int) -> int:
    """Seal the runs of these traces; return how many."""
    for start in range(0, len(trace_ids), _TRACES_A_QUERY_MAX):
        ids = trace_ids[start : start + _TRACES_A_QUERY_MAX]
        try:
            _write_news(store, ids, now_ns=now_ns)
        except StoreRefused:
            _aggregates(store, [_NO_TRACE])  # raises where no trace is to blame
            _seal_without_bad(store, ids, now_ns=now_ns)
    return len(trace_ids)


def _seal_without_bad(store: Store, ids: Sequence[str], *, now_ns: int) -> None:
    """Seal these traces but those the store will not take: they must keep no other back."""
    middle = len(ids) // 2
    for half in (ids[:middle], ids[middle:]):
        try:
            _write_news(store, half, now_ns=now_ns)
        except StoreRefused as error:
            if len(half) > 1:
                _seal_without_bad(store, half, now_ns=now_ns)
            else:
                _logger.error("the run of trace %s cannot be sealed: %s", half[0], error)  # noqa: TRY400


def _write_news(store: Store, ids: Sequence[str], *, now_ns: int) -> None:
    if ids:
        store.insert(tables.RUNS, list(_news(store, ids, now_ns=now_ns)))


def _news(store: Store, ids: Sequence[str], *, now_ns: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of these traces that say something their standing rows do not."""
    # First, so that what another collector seals meanwhile from newer spans gets a later version.
    standing = {row["TraceId"]: row for row in store.query(_STANDING_SQL, {"ids": ids})}
    aggregates = _aggregates(store, ids)
    parts = harness.comparable_hashes(store, aggregates, now_ns=now_ns)
    owners = {facts["TraceId"]: facts["TenantId"] for facts in aggregates}
    outcomes = _outcomes(store.query(_JUDGEMENTS_SQL, {"ids": ids}), owners)
    for facts in aggregates:
        row = _row(facts, outcomes.get(facts["TraceId"]), parts, now_ns=now_ns)
        before = standing.get(row["TraceId"], {"hash": None, "version": 0})
        if row["ContentHash"] != before["hash"]:
            # Versions go up even where the clock goes back.
            yield {**row, "Version": max(now_ns, before["version"] + 1)}


def _aggregates(store: Store, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the spans of each of these traces add up to."""
    [ends] = store.query(ENDS_SQL, {"ids": ids})
    return store.query(RUN_ROWS_SQL, {"ids": ids, **ends})


def _row(
    facts: Mapping[str, Any],
    judgement: Mapping[str, Any] | None,
    parts: Mapping[tuple[str, int], str],
    *,
    now_ns: int,
) -> dict[str, Any]:
    """Make the row of a run from what its spans add up to and what was said about it."""
    instructions = parts.get((tables.KIND_INSTRUCTIONS, facts["instructions_raw"]), "")
    tools = parts.get((tables.KIND_TOOL_DEFINITIONS, facts["tools_raw"]), "")
    content = {
        **{name: value for name, value in facts.items() if name in _COLUMNS},
        "State": _state(facts, now_ns=now_ns),
        "InputTokens": _known(facts["inference_input"], facts["root_input"]),
        "OutputTokens": _known(facts["inference_output"], facts["root_output"]),
        "CostUsd": _cost_usd(facts),
        "InstructionsHash": instructions,
        "ToolDefinitionsHash": tools,
        "HarnessHash": harness.fingerprint(
            instructions=instructions,
            tools=tools,
            model=facts["Model"],
            sampling=facts["Sampling"],
        ),
        **_verdict(judgement),
    }
    identity = repr(sorted(content.items())).encode()
    return {
        **content,
        "ContentHash": int.from_bytes(hashlib.sha256(identity).digest()[:8], "big"),
        "LastReceivedAt": _time(facts["last_received_ns"]),
        "SealedAt": _time(now_ns),
    }


def _cost_usd(facts: Mapping[str, Any]) -> float | None:
    """Return what the inference of a run cost, None where tokens or the price of any is unknown."""
    keys, *counts = facts["usage"]
    if facts["half_known"] or not keys:
        return None
    total = 0.0
    for (model, day), *tokens in zip(keys, *counts, strict=True):
        price = prices.price_of(model, day)
        if price is None:
            return None
        total += prices.cost_of(price, prices.Usage(*tokens))
    return total


def _state(facts: Mapping[str, Any], *, now_ns: int) -> str:
    """Return sealed, open or stalled: what is known of the run's end."""
    rank, ended = facts["root_rank"], not facts["root_open"]
    if rank <= _ROOT_RANK_MAX and ended and not facts["orphans"]:
        return "sealed"
    if now_ns - facts["last_received_ns"] < QUIET_S * 1_000_000_000:
        return "open"
    return "sealed" if rank <= _AGENT_RANK_MAX and ended else "stalled"


def _outcomes(
    judgements: Sequence[Mapping[str, Any]], owners: Mapping[str, str]
) -> dict[str, Mapping[str, Any]]:
    """Return the judgement that decides each trace: the best source's latest word.

    ``owners`` says whose each trace is; what other tenants say of it decides nothing.
    """
    ranks = {source: rank for rank, source in enumerate(reversed(JUDGEMENT_SOURCES))}
    decided: dict[str, Mapping[str, Any]] = {}
    for one in sorted(judgements, key=lambda row: (ranks.get(row["Source"], -1), row["at_ns"])):
        if one["TenantId"] in (owners.get(one["TraceId"]), semconv.DEFAULT_TENANT):
            decided[one["TraceId"]] = one
    return decided


def _verdict(judgement: Mapping[str, Any] | None) -> dict[str, Any]:
    if judgement is None:
        return {"Outcome": "", "OutcomeScore": None, "OutcomeSource": ""}
    score = judgement["Score"]
    return {
        "Outcome": outcome_of(judgement["Label"], score),
        "OutcomeScore": score,
        "OutcomeSource": judgement["Source"],
    }


def _known(first: int | None, second: int | None) -> int | None:
    return second if first is None else first


def _time(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1_000)

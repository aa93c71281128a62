"""Sealing: the spans of a trace become one row of ``agent_runs``.

Idempotent: a row is computed from all spans of its trace each time, never summed up, so spans
that come late, twice or in any order lead to the same row, and a row that says nothing new is not
written. Only whose it is stays as it was said first, where two tenants send spans of one trace.
Whole-trace facts are made here: state, duplicated inference, tokens, cost, outcome and the harness
fingerprint. A trace without any GenAI span is no run.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from spanlore.collector import harness
from spanlore.collector.known import ONE_THREAD, Known, Row, Traces, known_of, named
from spanlore.collector.run_facts import ASIDE, run_facts
from spanlore.collector.run_spans import read_spans
from spanlore.schemas import tables
from spanlore.schemas.outcome import outcome_of
from spanlore.schemas.store import Store, StoreRefused

QUIET_S = 30
"""A run whose root or parents are missing is waited for this long after its last span."""

_logger = logging.getLogger(__name__)

# A field of a request to a ClickHouse server may have 128 KiB.
_TRACES_A_QUERY_MAX = 3_000
# To send more ids with each question costs more than to have the store find them in the records.
_TRACES_NAMED_MAX = 500
# A run that is added up takes a few KiB here.
_TRACES_PICKED_MAX = 10_000
# A span that is read takes about half a KiB here while its run is added up.
_SPANS_A_QUERY_MAX = 100_000
_SPANS_A_TRACE_MAX = 1_000_000
_ALWAYS_NS = 2**63 - 1
_NO_TRACE = "no trace has this id"

# Which of a trace's spans the run stands on (see ``run_spans``): 0 a root that is an agent or a
# workflow, 1 another root, 2 an agent or workflow below a caller we do not see, 3 anything else.
_ROOT_RANK_MAX = 1
_AGENT_RANK_MAX = 2

_OF_RECORDS = "LogId = {log_id:UInt32} AND LogSeq BETWEEN {first_seq:UInt64} AND {last_seq:UInt64}"
_OF_LOADED = f"""TraceId IN (
    SELECT TraceId FROM {tables.TRACES} WHERE {_OF_RECORDS}
    UNION ALL SELECT TraceId FROM {tables.JUDGEMENTS} WHERE {_OF_RECORDS}
)"""
# Without the traces that are no run.
_OF_RUNS_LOADED = f"""TraceId IN (
    SELECT TraceId FROM {tables.TRACES} WHERE {_OF_RECORDS} AND Op != ''
    UNION ALL SELECT TraceId FROM {tables.JUDGEMENTS} WHERE {_OF_RECORDS}
    UNION ALL SELECT TraceId FROM {tables.RUNS} WHERE TraceId IN (
        SELECT TraceId FROM {tables.TRACES} WHERE {_OF_RECORDS} AND Op = ''
    )
)"""
# The traces that these records say something new of, and whether that may be the end of a run.
_LOADED_SQL = f"""SELECT TraceId, max(ParentSpanId = '' AND NOT Incomplete) AS Ends
FROM {tables.TRACES}
WHERE {_OF_RECORDS}
    AND (Op != '' OR TraceId IN (SELECT TraceId FROM {tables.RUNS} WHERE {_OF_LOADED}))
GROUP BY TraceId
UNION ALL SELECT DISTINCT TraceId, 1 AS Ends FROM {tables.JUDGEMENTS} WHERE {_OF_RECORDS}
{ONE_THREAD}"""

_SINCE = "ReceivedAt > fromUnixTimestamp64Nano({since_ns:Int64})"
# Rows that another collector's exporter wrote carry no mark of a log of ours.
_SINCE_FOREIGN = f"{_SINCE} AND LogId = 0"
_RECEIVED_SQL, _FOREIGN_SQL = (
    f"SELECT DISTINCT TraceId FROM {tables.TRACES} WHERE Op != '' AND {since}"
    f" UNION DISTINCT SELECT DISTINCT TraceId FROM {tables.JUDGEMENTS} WHERE {since} {ONE_THREAD}"
    for since in (_SINCE, _SINCE_FOREIGN)
)

_WAITING_SQL = f"""SELECT TraceId FROM (
    SELECT TraceId, State, LastReceivedAt FROM {tables.RUNS}
    WHERE TraceId IN (SELECT TraceId FROM {tables.RUNS} WHERE State = 'open') {tables.LATEST_RUN}
)
WHERE State = 'open' AND LastReceivedAt <= fromUnixTimestamp64Nano({{quiet_ns:Int64}})
{ONE_THREAD}"""


def seal_loaded(
    store: Store, *, log_id: int, first_seq: int, last_seq: int, now_ns: int
) -> list[str]:
    """Seal every run that these records of a write-ahead log touched; return their traces."""
    records = {"log_id": log_id, "first_seq": first_seq, "last_seq": last_seq}
    return _seal_records(store, records, lambda *_: True, now_ns=now_ns)


def seal_ended(
    store: Store, *, log_id: int, first_seq: int, last_seq: int, now_ns: int
) -> list[str]:
    """Seal as ``seal_loaded``, but not the runs that stand open and go on; return the traces.

    These would be added up anew with every few spans of theirs: ``seal_waiting`` looks at them now
    and then, ``seal_open`` when somebody asks.
    """
    records = {"log_id": log_id, "first_seq": first_seq, "last_seq": last_seq}
    return _seal_records(store, records, _is_new_or_ends, now_ns=now_ns)


def _is_new_or_ends(loaded: Row, standing: Row) -> bool:
    return bool(loaded["Ends"]) or standing.get("State") != "open"


def _seal_records(
    store: Store, records: Row, counts: Callable[[Row, Row], bool], *, now_ns: int
) -> list[str]:
    """Seal the runs that these records touched, where what is loaded of them ``counts``."""
    loaded = store.query(_LOADED_SQL, records)
    if not loaded:
        return []
    touched = list({row["TraceId"] for row in loaded})
    are_few = len(touched) <= _TRACES_NAMED_MAX
    known = known_of(store, named(touched) if are_few else Traces(_OF_LOADED, records))
    ids = {row["TraceId"] for row in loaded if counts(row, known.standing_of(row["TraceId"]))}
    # What else is picked with them is read in vain.
    are_most = len(touched) / 2 < len(ids)
    is_picked = not are_few and are_most and len(touched) <= _TRACES_PICKED_MAX
    picked = Traces(_OF_RUNS_LOADED, records) if is_picked else None
    return _seal(store, ids, known, picked=picked, now_ns=now_ns)


def seal_foreign(store: Store, *, since_ns: int, now_ns: int) -> list[str]:
    """Seal the runs whose spans another collector wrote into the store since then."""
    return _seal_found(store, _FOREIGN_SQL, {"since_ns": since_ns}, now_ns=now_ns)


def seal_received(store: Store, *, since_ns: int, now_ns: int) -> list[str]:
    """Seal the runs of all spans received since then, whoever wrote them."""
    return _seal_found(store, _RECEIVED_SQL, {"since_ns": since_ns}, now_ns=now_ns)


def seal_open(store: Store, *, but: AbstractSet[str], now_ns: int) -> list[str]:
    """Look again at every open run but these, so that what goes on is told as far as it came."""
    found = store.query(_WAITING_SQL, {"quiet_ns": _ALWAYS_NS})
    others = [row["TraceId"] for row in found if row["TraceId"] not in but]
    return seal_traces(store, others, now_ns=now_ns)


def seal_waiting(store: Store, *, now_ns: int) -> list[str]:
    """Look again at the open runs that were last added up with spans of ``QUIET_S`` seconds ago."""
    quiet_ns = now_ns - QUIET_S * 1_000_000_000
    return _seal_found(store, _WAITING_SQL, {"quiet_ns": quiet_ns}, now_ns=now_ns)


def _seal_found(store: Store, sql: str, params: Mapping[str, Any], *, now_ns: int) -> list[str]:
    return seal_traces(store, [row["TraceId"] for row in store.query(sql, params)], now_ns=now_ns)


def seal_traces(store: Store, trace_ids: Iterable[str], *, now_ns: int) -> list[str]:
    """Seal the runs of these traces; return the traces, each once."""
    unique = list(dict.fromkeys(trace_ids))
    for ids in _parts(unique):
        _seal(store, ids, known_of(store, named(ids)), now_ns=now_ns)
    return unique


def _parts(trace_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(trace_ids), _TRACES_A_QUERY_MAX):
        yield trace_ids[start : start + _TRACES_A_QUERY_MAX]


def _seal(
    store: Store,
    trace_ids: Iterable[str],
    known: Known,
    *,
    picked: Traces | None = None,
    now_ns: int,
) -> list[str]:
    """Seal these traces, all at once where they are ``picked``; return them, each once."""
    unique = list(dict.fromkeys(trace_ids))
    for ids in [unique] if picked else _parts(unique):
        try:
            _write_news(store, ids, known, picked=picked, now_ns=now_ns)
        except StoreRefused:
            _write_news(store, [_NO_TRACE], known, now_ns=now_ns)  # raises: no trace is to blame
            for part in _parts(ids):
                _seal_without_bad(store, part, known, now_ns=now_ns)
    return unique


def _seal_without_bad(store: Store, ids: Sequence[str], known: Known, *, now_ns: int) -> None:
    """Seal these traces but those the store will not take: they must keep no other back."""
    for half in _halves(ids):
        try:
            _write_news(store, half, known, now_ns=now_ns)
        except StoreRefused as error:
            if len(half) > 1:
                _seal_without_bad(store, half, known, now_ns=now_ns)
            else:
                _logger.error("the run of trace %s cannot be sealed: %s", half[0], error)  # noqa: TRY400


def _halves(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    middle = len(ids) // 2
    yield from (half for half in (ids[:middle], ids[middle:]) if half)


def _write_news(
    store: Store, ids: Sequence[str], known: Known, *, picked: Traces | None = None, now_ns: int
) -> None:
    """Write the rows of these traces that say something their standing rows do not."""
    is_one = len(ids) == 1
    spans_max = _SPANS_A_TRACE_MAX if is_one else _SPANS_A_QUERY_MAX
    spans = read_spans(store, picked or named(ids), known.ends, spans_max=spans_max)
    if spans is None and is_one:
        _logger.error("trace %s has more than %d spans: its run is not told", ids[0], spans_max)
    elif spans is None:
        for part in _parts(ids) if picked else _halves(ids):
            _write_news(store, part, known, now_ns=now_ns)
    else:
        found = {one: spans[one] for one in ids if one in spans}
        facts = [run_facts(one, of_one, known.standing_of(one)) for one, of_one in found.items()]
        parts = harness.comparable_hashes(store, facts, now_ns=now_ns)
        rows = (_row(one, known, parts, now_ns=now_ns) for one in facts)
        store.insert(tables.RUNS, [row for row in rows if row is not None])


def _row(
    facts: Mapping[str, Any], known: Known, parts: Mapping[tuple[str, int], str], *, now_ns: int
) -> dict[str, Any] | None:
    """Make the row of a run from what its spans add up to and what was said about it.

    None where the row that stands says the same.
    """
    instructions = parts.get((tables.KIND_INSTRUCTIONS, facts["instructions_raw"]), "")
    tools = parts.get((tables.KIND_TOOL_DEFINITIONS, facts["tools_raw"]), "")
    content = {
        **facts,
        "State": _state(facts, now_ns=now_ns),
        "InstructionsHash": instructions,
        "ToolDefinitionsHash": tools,
        "HarnessHash": harness.fingerprint(
            instructions=instructions,
            tools=tools,
            model=facts["Model"],
            sampling=facts["Sampling"],
        ),
        **_verdict(known.deciding(facts["TraceId"], facts["TenantId"])),
    }
    for name in ASIDE:
        del content[name]
    identity = hashlib.sha256(repr(tuple(content.values())).encode()).digest()
    content_hash = int.from_bytes(identity[:8], "big")
    before = known.standing_of(facts["TraceId"])
    if content_hash == before.get("ContentHash"):
        return None
    return {
        **content,
        "ContentHash": content_hash,
        "LastReceivedAt": facts["last_received_ns"],
        # In whole microseconds: who learned up to here says so by a datetime.
        "SealedAt": now_ns // 1_000 * 1_000,
        # Versions go up even where the clock goes back.
        "Version": max(now_ns, before.get("Version", 0) + 1),
    }


def _state(facts: Mapping[str, Any], *, now_ns: int) -> str:
    """Return sealed, open or stalled: what is known of the run's end."""
    rank, ended = facts["root_rank"], not facts["root_open"]
    if rank <= _ROOT_RANK_MAX and ended and not facts["orphans"]:
        return "sealed"
    if now_ns - facts["last_received_ns"] < QUIET_S * 1_000_000_000:
        return "open"
    return "sealed" if rank <= _AGENT_RANK_MAX and ended else "stalled"


def _verdict(judgement: Mapping[str, Any] | None) -> dict[str, Any]:
    if judgement is None:
        return {"Outcome": "", "OutcomeScore": None, "OutcomeSource": ""}
    score = judgement["Score"]
    return {
        "Outcome": outcome_of(judgement["Label"], score),
        "OutcomeScore": score,
        "OutcomeSource": judgement["Source"],
    }

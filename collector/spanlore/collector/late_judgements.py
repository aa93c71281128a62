"""Judgements that name no trace: of a model's answer, or of a conversation, told from elsewhere.

A user's feedback often comes from a process that knows neither. Their run is looked for when they
come and for a day after, since it may come later than they do. A judgement of an answer (its
``gen_ai.response.id``) is of the run in which a span has that id; one of a conversation
(``gen_ai.conversation.id``) of the latest run of the conversation that had begun by then.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any

from spanlore.collector.seal import seal_traces
from spanlore.schemas import semconv, tables
from spanlore.schemas.dialects import span_attribute
from spanlore.schemas.store import Store
from spanlore.schemas.views import JUDGEMENT_COLUMNS_SQL

# How many are placed at a time; the rest the next time.
PLACED_AT_ONCE_MAX = 1_000
_LOOKED_FOR = timedelta(days=1)
# A response id stands in no index: spans are read that began at most so long before.
_ANSWERED_BEFORE = timedelta(days=7)

_RESPONSE = f"LogAttributes['{semconv.RESPONSE_ID}']"
_CONVERSATION = f"LogAttributes['{semconv.CONVERSATION_ID}']"
_UNPLACED_SQL = f"""
SELECT {JUDGEMENT_COLUMNS_SQL}, {_RESPONSE} AS Response, {_CONVERSATION} AS Conversation
FROM {tables.LOGS}
WHERE EventName = '{semconv.EVENT_EVALUATION}' AND TraceId = ''
    AND ({_RESPONSE} != '' OR {_CONVERSATION} != '') AND ReceivedAt > {{since:DateTime64(9)}}
    AND (JudgementId, Timestamp) NOT IN (SELECT JudgementId, At FROM {tables.JUDGEMENTS})
ORDER BY Timestamp DESC LIMIT {PLACED_AT_ONCE_MAX}
"""
_ANSWERED_SQL = f"""
SELECT TenantId, {span_attribute(semconv.RESPONSE_ID)} AS Id, TraceId, Timestamp AS Begun
FROM {tables.TRACES}
WHERE Id IN %(ids)s AND Timestamp > %(since)s AND Op IN {semconv.INFERENCE_OPS}
"""
_CONVERSED_SQL = f"""
SELECT TenantId, SessionId AS Id, TraceId, StartedAt AS Begun
FROM {tables.RUNS} WHERE SessionId IN %(ids)s {tables.LATEST_RUN}
"""


def place_judgements(store: Store, *, now_ns: int) -> int:
    """Write down the judgements whose runs are known by now and seal these; return how many runs.

    Raises StoreError.
    """
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    unplaced = store.query(_UNPLACED_SQL, {"since": now - _LOOKED_FOR})
    placed = list(_placed(store, unplaced)) if unplaced else []
    if not placed:
        return 0
    store.insert(tables.JUDGEMENTS, placed)
    return len(seal_traces(store, (row["TraceId"] for row in placed), now_ns=now_ns))


def _placed(store: Store, unplaced: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    since = min(row["At"] for row in unplaced) - _ANSWERED_BEFORE
    answers = {row["Response"] for row in unplaced}
    conversations = {row["Conversation"] for row in unplaced}
    answered = _candidates(store, _ANSWERED_SQL, answers, since=since)
    conversed = _candidates(store, _CONVERSED_SQL, conversations)
    for row in unplaced:
        found = answered.get(row["Response"]) or conversed.get(row["Conversation"]) or []
        trace_id = _latest(found, row)
        if trace_id is not None:
            kept = {key: row[key] for key in row if key not in ("Response", "Conversation")}
            yield {**kept, "TraceId": trace_id}


def _candidates(
    store: Store, sql: str, named: AbstractSet[str], **known: Any
) -> dict[str, list[dict[str, Any]]]:
    """Return the traces that may be meant, by the id that names them."""
    ids = tuple(named - {""})
    found: dict[str, list[dict[str, Any]]] = {}
    for row in store.query(sql, {"ids": ids, **known}) if ids else ():
        found.setdefault(row["Id"], []).append(row)
    return found


def _latest(found: Sequence[Mapping[str, Any]], judgement: Mapping[str, Any]) -> str | None:
    """Choose the latest that had begun, of the tenant that judges, where it names one."""
    tenants = {judgement["TenantId"]} - {semconv.DEFAULT_TENANT}
    begun = [
        (row["Begun"], row["TraceId"])
        for row in found
        if row["Begun"] <= judgement["At"] and (not tenants or row["TenantId"] in tenants)
    ]
    return max(begun)[1] if begun else None

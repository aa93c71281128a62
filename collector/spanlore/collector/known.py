"""What is known of some traces beside their spans: rows that stand, judgements, when they lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.schemas import semconv, tables, views
from spanlore.schemas.store import Store
from spanlore.schemas.types import JUDGEMENT_SOURCES

Row = Mapping[str, Any]

# Nobody waits for a sealing: what several threads cost to start and to bring together is saved.
ONE_THREAD = "SETTINGS max_threads = 1"

_RANKS = {source: rank for rank, source in enumerate(reversed(JUDGEMENT_SOURCES))}

_STANDING_SQL = f"""SELECT TraceId, TenantId, State, ContentHash, Version
FROM {tables.RUNS} WHERE {{of_traces}} {tables.LATEST_RUN}
{ONE_THREAD}"""
_JUDGEMENTS_SQL = f"""SELECT TenantId, TraceId, Label, Score, Source,
    toUnixTimestamp64Nano(At) AS at_ns
FROM {tables.JUDGEMENTS}
WHERE Name = '{semconv.EVALUATION_TASK_SUCCESS}' AND {{of_traces}}
ORDER BY Version DESC, ReceivedAt DESC
LIMIT 1 BY TenantId, TraceId, SpanId, Name, Source, Evaluator
{ONE_THREAD}"""


@dataclass(frozen=True, slots=True)
class Traces:
    """Traces as SQL picks them: a condition, and the parameters in it."""

    condition: str
    params: Mapping[str, Any]


def named(trace_ids: Sequence[str]) -> Traces:
    """Pick traces by their ids."""
    return Traces("TraceId IN {ids:Array(String)}", {"ids": trace_ids})


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of some traces: ``ends`` say from when to when the spans of all of them lie."""

    standing: Mapping[str, Row]
    judgements: Mapping[str, Sequence[Row]]
    ends: Mapping[str, str]

    def standing_of(self, trace_id: str) -> Row:
        """Give the row that stands of a trace, an empty one where none does."""
        return self.standing.get(trace_id, {})

    def deciding(self, trace_id: str, owner: str) -> Row | None:
        """Give the judgement that decides a run: the best source's latest word.

        What other tenants than its owner say of it decides nothing.
        """
        heard = (
            one
            for one in self.judgements.get(trace_id, ())
            if one["TenantId"] in (owner, semconv.DEFAULT_TENANT)
        )
        return max(
            heard, key=lambda one: (_RANKS.get(one["Source"], -1), one["at_ns"]), default=None
        )


def known_of(store: Store, traces: Traces) -> Known:
    """Ask what is known of some traces.

    Before their spans are read, so that what another collector seals meanwhile from newer spans
    gets a later version.
    """
    of_traces, params = traces.condition, traces.params
    standing = store.query(_STANDING_SQL.replace("{of_traces}", of_traces), params)
    judgements: dict[str, list[Row]] = {}
    for row in store.query(_JUDGEMENTS_SQL.replace("{of_traces}", of_traces), params):
        judgements.setdefault(row["TraceId"], []).append(row)
    [ends] = store.query(f"{views.ends_sql(of_traces)} {ONE_THREAD}", params)
    return Known({row["TraceId"]: row for row in standing}, judgements, ends)

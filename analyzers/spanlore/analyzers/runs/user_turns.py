"""When in a run the user had spoken anew: what tells a changed mind from a second attempt."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from spanlore.schemas import semconv
from spanlore.schemas.dialect_messages import INPUT_MESSAGES_SQL
from spanlore.schemas.tables import OF_RUNS_TENANT, TRACES
from spanlore.schemas.views import SPANS_OF_TRACES

# How often the user had spoken before a model call, and what was said last: a message of the role
# user that is more than a tool's answer. Only runs that called a tool twice are asked for.
# Parameter: ``ids``, a tuple of trace ids.
TURNS_SQL = f"""
WITH arrayFilter(
    message -> JSONExtractString(message, 'role') = 'user' AND (
        empty(JSONExtractArrayRaw(message, 'parts')) OR arrayExists(
            part -> JSONExtractString(part, 'type') != 'tool_call_response',
            JSONExtractArrayRaw(message, 'parts')
        )
    ),
    JSONExtractArrayRaw({INPUT_MESSAGES_SQL})
) AS Spoken
SELECT TraceId, StartUnixNano AS StartNs, length(Spoken) AS Said,
       if(empty(Spoken), 0, sipHash64(Spoken[-1])) AS Last
FROM {TRACES}
WHERE {SPANS_OF_TRACES} AND {OF_RUNS_TENANT} AND Op IN {semconv.INFERENCE_OPS} AND TraceId IN (
    SELECT TraceId FROM {TRACES}
    WHERE {SPANS_OF_TRACES} AND Op IN ('{semconv.OP_EXECUTE_TOOL}', '') AND ToolName != ''
        AND Incomplete = 0
    GROUP BY TraceId, ToolName HAVING uniqExact(SpanId) > 1
)
ORDER BY TraceId, StartNs, SpanId
"""


def user_turns(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, ...]]:
    """Return trace id -> starts of the model calls that heard something new, oldest first.

    ``rows`` are those of ``TURNS_SQL``. A history that was cut short, or that only holds what is
    new, does not grow; then another last message of the user's is the sign.
    """
    turns: dict[str, tuple[int, ...]] = {}
    for trace_id, calls in groupby(rows, key=lambda row: row["TraceId"]):
        before, starts = (0, 0), list[int]()
        for row in calls:
            heard = (int(row["Said"]), int(row["Last"]))
            if heard[0] and (heard[0] > before[0] or heard[1] != before[1]):
                starts.append(int(row["StartNs"]))
                before = heard
        turns[trace_id] = tuple(starts)
    return turns

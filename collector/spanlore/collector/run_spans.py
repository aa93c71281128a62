"""Reads the spans of some traces: of each just what the row of its run is made of.

One plain query: what takes the engine long is planning joins over a table this wide, so the spans
are put together here (``run_facts``) instead.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from spanlore.collector.known import ONE_THREAD, Traces
from spanlore.schemas import semconv, tables
from spanlore.schemas.store import Store

Span = tuple[Any, ...]
Columns = Mapping[str, Sequence[Any]]

_AGENTS = f"Op IN {semconv.ROOT_OPS}"
# A span by name of column: first what spans of a trace are ordered by, the first of which is what
# its run stands on; ``Rank`` is 0 for a root that is an agent or a workflow, 1 for another root,
# 2 for an agent or workflow below a caller that we do not see, 3 for anything else.
_SELECTED = {
    "Rank": f"multiIf(ParentSpanId = '' AND {_AGENTS}, 0, ParentSpanId = '', 1, {_AGENTS}, 2, 3)",
    "at_ns": "toUnixTimestamp64Nano(Timestamp)",
    "SpanId": "SpanId",
    "TenantId": "TenantId",
    "received_ns": "toUnixTimestamp64Nano(ReceivedAt)",
}
_SELECTED |= {
    name: name
    for name in [
        *["ParentSpanId", "Op", "StatusCode", "ErrorType"],
        *["StartUnixNano", "EndUnixNano", "Incomplete", "TimeUnknown"],
        *["ServiceName", "AgentName", "AgentVersion", "UserId", "SessionId", "TaskType", "TaskId"],
        *["Provider", "Model", "Sampling", "Revision", "InstructionsHash", "ToolDefinitionsHash"],
        *["InputTokens", "OutputTokens", "CacheReadTokens", "ToolName"],
    ]
}
# Whoever told of a tool's call: of one that a client and a server tell alike, each side.
_SELECTED["Teller"] = "if(ToolName = '', '', concat(ServiceName, '\n', ScopeName, '\n', SpanKind))"
NAMES = tuple(_SELECTED)

SPANS_SQL = f"""SELECT TraceId, {", ".join(f"{sql} AS {name}" for name, sql in _SELECTED.items())}
FROM {tables.TRACES}
WHERE {{of_traces}} AND Timestamp >= {{begin:DateTime64(9, 'UTC')}}
    AND Timestamp < {{end:DateTime64(9, 'UTC')}}
LIMIT {{limit:UInt64}}
{ONE_THREAD}"""


def read_spans(
    store: Store, traces: Traces, ends: Mapping[str, str], *, spans_max: int
) -> dict[str, list[Span]] | None:
    """Read the spans of these traces, by trace, each span as often as the store has it.

    None where they are more than ``spans_max``.
    """
    params = {**traces.params, **ends, "limit": spans_max + 1}
    read = store.columns(SPANS_SQL.replace("{of_traces}", traces.condition), params)
    trace_ids = read.pop("TraceId")
    if len(trace_ids) > spans_max:
        return None
    by_trace: dict[str, list[Span]] = {}
    for trace_id, span in zip(trace_ids, zip(*read.values(), strict=True), strict=True):
        by_trace.setdefault(trace_id, []).append(span)
    return by_trace

"""Tool calls, as an analyzer reads them: one value a call, in the order they were made."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from spanlore.analyzers.runs.error_template import ErrorTemplate, error_template

_KNOWN_MORE = ("ToolArguments", "ToolResult", "ToolCallId")
_FAILURE = ("Failed", "StatusMessage", "ErrorType")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call of a run.

    ``arguments`` is the parsed JSON (None when it is none), ``result`` the text the tool
    answered, ``error`` the masked error text of a failed call and None on one that succeeded.
    ``unit`` is the task, else the user, else the run: what repeats look alike within. ``asked_by``
    says who called it where that was not the agent (a user's own tool in a recorded run).
    """

    tenant: str
    trace_id: str
    span_id: str
    start_ns: int
    tool: str
    arguments: Any
    result: str
    error: ErrorTemplate | None
    task: str
    user: str
    model: str
    end_ns: int = 0
    call_id: str = ""
    asked_by: str = ""

    @property
    def unit(self) -> str:
        """The task (with its type), else the user, else the run."""
        return self.task or self.user or self.trace_id

    @property
    def stratum(self) -> str:
        """What to compare within: the same task (else user) by the same agent and model."""
        return f"{self.task or self.user}\x00{self.model}"


def calls_of(rows: Iterable[Mapping[str, Any]]) -> list[Call]:
    """Read rows of tool calls (``stored_calls``); the result is ordered by run, then by time."""
    found = [call_of(row) for row in told_once(rows)]
    return sorted(found, key=lambda call: (call.trace_id, call.start_ns, call.span_id))


def told_once(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leave one row of each call, the outermost that tells it, with what only others say of it.

    ``DuplicateOf`` is the outermost's span id on rows of the others. A call failed where the last
    that tells it did, as the collector counts.
    """
    in_time = sorted(rows, key=itemgetter("StartUnixNano"))
    told = {(row["TraceId"], row["SpanId"]): dict(row) for row in in_time}
    failed = {place for place, row in told.items() if row["Failed"]}
    for place, row in list(told.items()):
        outermost = (row["TraceId"], row.get("DuplicateOf"))
        if outermost not in told:  # itself, or one that is not here: it has not ended
            continue
        call = told[outermost]
        call |= {name: row[name] for name in _KNOWN_MORE if name in row and not call[name]}
        if outermost not in failed:
            call |= {name: row[name] for name in _FAILURE}
        del told[place]
    return list(told.values())


def with_earlier(calls: Iterable[Call]) -> Iterator[tuple[Call, list[Call]]]:
    """Yield each call with the calls made before it in its run (oldest first).

    The list is the run's own and grows: look at it, do not keep it.
    """
    trace_id, earlier = "", list[Call]()
    for call in calls:
        if call.trace_id != trace_id:
            trace_id, earlier = call.trace_id, []
        yield call, earlier
        earlier.append(call)


def parsed(text: str) -> Any:
    """Return a text as JSON, None where it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def call_of(row: Mapping[str, Any]) -> Call:
    """Read one row of a tool call joined with its run."""
    failed = bool(row["Failed"])
    said = row["ToolResult"] or row["StatusMessage"] or row["ErrorType"]
    task_id = row["TaskId"]
    return Call(
        tenant=row["TenantId"],
        trace_id=row["TraceId"],
        span_id=row["SpanId"],
        start_ns=row["StartUnixNano"],
        tool=row["ToolName"],
        arguments=parsed(row["ToolArguments"]),
        result=row["ToolResult"],
        error=error_template(said) if failed else None,
        task=f"{row['TaskType']}/{task_id}" if task_id else "",
        user=f"{row['TenantId']}/{row['UserId']}" if row["UserId"] else "",
        model="/".join((row["AgentName"], row["AgentVersion"], row["Model"])),
        end_ns=row.get("EndUnixNano", 0),
        call_id=row.get("ToolCallId", ""),
        asked_by=row.get("AskedBy", ""),
    )

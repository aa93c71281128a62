"""What the agent proposed against what the user ended with: one choice a run and slot.

Two sources say that a user ended with something else: the application's own events (table
``overrides``), and the same tool called again after the user spoke (``slot_changes``). Where both
speak of one slot of a run, the event counts. A run whose agent never called the tool with that
argument gives no choice, also when there is an event: what was kept elsewhere would be unknown,
and every choice that is known would be an override.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from spanlore.analyzers.calls import parsed
from spanlore.analyzers.slot_changes import ToolCall, settled_of
from spanlore.analyzers.slot_values import (
    NO_VALUE,
    Part,
    Slot,
    part_and_text,
    pointer,
    said_value,
)
from spanlore.analyzers.window import Window
from spanlore.schemas import semconv
from spanlore.schemas.learning_tables import OVERRIDES
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, LATEST_SPAN, RUNS, TRACES

_RUNS_SQL = f"""
    SELECT TraceId, TenantId, RootSpanId, UserId, SessionId, TaskType, TaskId, AgentName,
           StartedAt, TimeUnknown
    FROM {RUNS}
    WHERE LastReceivedAt >= {{since:DateTime64(9)}}
    {LATEST_RUN}
"""
_CALLS_WHERE = (
    f"Op IN ('{semconv.OP_EXECUTE_TOOL}', '') AND ToolName != '' AND Incomplete = 0 "
    "AND ({tool:String} IN ('', ToolName))"
)

CALLS_SQL = f"""
SELECT call.TraceId AS TraceId, run.TenantId AS TenantId, run.UserId AS UserId,
       run.SessionId AS SessionId, run.TaskType AS TaskType, run.TaskId AS TaskId,
       run.AgentName AS AgentName, toUnixTimestamp64Nano(run.StartedAt) AS RunStartNs,
       run.TimeUnknown AS TimeUnknown, call.StartUnixNano AS StartNs, call.ToolName AS ToolName,
       call.ToolArguments AS Arguments,
       call.StatusCode = 'Error' OR call.ErrorType != '' AS Failed
FROM (
    SELECT TraceId, SpanId, StartUnixNano, EndUnixNano, ToolName, ToolArguments, StatusCode,
           ErrorType
    FROM {TRACES}
    WHERE {_CALLS_WHERE}
    {LATEST_SPAN}
) AS call
INNER JOIN ({_RUNS_SQL}) AS run ON run.TraceId = call.TraceId
ORDER BY RunStartNs, TraceId, StartNs, call.EndUnixNano, call.SpanId
"""

# How often the user had spoken before a model call, and what was said last: a message of the role
# user that is more than a tool's answer. Only runs that called a tool twice are asked for.
TURNS_SQL = f"""
WITH arrayFilter(
    message -> JSONExtractString(message, 'role') = 'user' AND (
        empty(JSONExtractArrayRaw(message, 'parts')) OR arrayExists(
            part -> JSONExtractString(part, 'type') != 'tool_call_response',
            JSONExtractArrayRaw(message, 'parts')
        )
    ),
    JSONExtractArrayRaw(InputMessages)
) AS Spoken
SELECT TraceId, StartUnixNano AS StartNs, length(Spoken) AS Said,
       if(empty(Spoken), 0, sipHash64(Spoken[-1])) AS Last
FROM {TRACES}
WHERE Op IN {semconv.INFERENCE_OPS} AND TraceId IN (
    SELECT TraceId FROM {TRACES} WHERE {_CALLS_WHERE}
    GROUP BY TraceId, ToolName HAVING uniqExact(SpanId) > 1
) AND TraceId IN (SELECT TraceId FROM {RUNS} WHERE LastReceivedAt >= {{since:DateTime64(9)}})
ORDER BY TraceId, StartNs, SpanId
"""

SEGMENTS_SQL = f"""
SELECT TraceId,
       mapFilter((name, value) -> startsWith(name, '{semconv.SEGMENT_PREFIX}') AND value != '',
                 SpanAttributes) AS Segments
FROM {TRACES}
WHERE (TraceId, SpanId) IN (SELECT TraceId, RootSpanId FROM ({_RUNS_SQL}))
  AND arrayExists(name -> startsWith(name, '{semconv.SEGMENT_PREFIX}'), mapKeys(SpanAttributes))
{LATEST_SPAN}
"""

OVERRIDES_SQL = f"""
SELECT TraceId, ToolName, Field, Original, Replacement
FROM (
    SELECT TraceId, ToolName, Field, Original, Replacement, At, OverrideId
    FROM {OVERRIDES}
    WHERE Target IN ('tool_argument', '') AND Actor IN ('user', '') AND Field != ''
      AND ({{tool:String}} IN ('', ToolName))
    ORDER BY Version DESC LIMIT 1 BY TenantId, TraceId, Target, ToolName, Field, OverrideId
)
WHERE TraceId IN (SELECT TraceId FROM {RUNS} WHERE LastReceivedAt >= {{since:DateTime64(9)}})
ORDER BY TraceId, At, OverrideId
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotChoice:
    """What the agent proposed for a slot in a run, and what the user ended with.

    ``task`` is "type/id", or the type, or ""; ``start_ns`` is the start of the run (Unix
    nanoseconds). ``proposed`` and ``final`` are texts as ``slot_values`` makes them; ``final`` is
    "" where the value was taken away or is no slot's value. ``explicit`` says that the
    application told it by an event.
    """

    tenant: str
    user: str
    segments: Mapping[str, str]
    trace_id: str
    session: str
    start_ns: int
    agent: str
    task: str
    task_type: str
    tool: str
    field: str
    part: Part
    proposed: str
    final: str
    overridden: bool
    explicit: bool

    @property
    def slot(self) -> Slot:
        """The slot that was chosen for."""
        return Slot(self.tool, self.field, self.part)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """The first value that events of a run name for a field, and the last one put in its place."""

    original: Any
    replacement: Any


# (trace, tool) -> field -> what the events say of it
_Events = Mapping[tuple[str, str], Mapping[str, _Event]]


def slot_choices(store: Store, window: Window, *, tool: str = "") -> list[SlotChoice]:
    """Return the choices of all runs of the window, of one tool if it is named.

    In the order the runs started. Raises StoreError.
    """
    since = {"since": window.since_text}
    asked = {**since, "tool": tool}
    return list(
        choices_of(
            store.query(CALLS_SQL, asked),
            turns=store.query(TURNS_SQL, asked),
            overrides=store.query(OVERRIDES_SQL, asked),
            segments={
                row["TraceId"]: segments_of(row["Segments"])
                for row in store.query(SEGMENTS_SQL, since)
            },
        )
    )


def segments_of(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return segment name -> value of a span's attributes."""
    prefix = semconv.SEGMENT_PREFIX
    return {
        name.removeprefix(prefix): value
        for name, value in sorted(attributes.items())
        if name.startswith(prefix)
    }


def choices_of(
    calls: Iterable[Mapping[str, Any]],
    *,
    turns: Iterable[Mapping[str, Any]],
    overrides: Iterable[Mapping[str, Any]],
    segments: Mapping[str, Mapping[str, str]],
) -> Iterator[SlotChoice]:
    """Form the choices from the rows of the queries above, in their order."""
    rows = list(calls)
    events = _events(overrides)
    spoken = _spoken(turns)
    runs = {row["TraceId"]: row for row in rows}
    for session in _sessions(rows, spoken):
        for settled in settled_of(session):
            trace_id = settled.first.trace_id
            said = events.get((trace_id, settled.first.tool), {})
            values = {} if settled.corrected else settled.values()
            values = {slot: both for slot, both in values.items() if slot.field not in said}
            for slot, (proposed, final) in {**values, **_said(settled.first.tool, said)}.items():
                yield _choice(
                    runs[trace_id],
                    slot,
                    values=(proposed, final),
                    explicit=slot.field in said,
                    segments=segments.get(trace_id, {}),
                )


def _sessions(
    rows: Iterable[Mapping[str, Any]], spoken: Mapping[str, list[tuple[int, int]]]
) -> Iterator[list[ToolCall]]:
    """Yield the calls of each tool in each session; runs that name none stand alone."""
    threads: dict[tuple[str, ...], list[ToolCall]] = {}
    positions: dict[tuple[str, ...], dict[str, int]] = {}
    for row in rows:
        trace_id = row["TraceId"]
        joins = row["SessionId"] and row["UserId"] and not row["TimeUnknown"]
        own = (row["SessionId"], row["UserId"]) if joins else (trace_id, "")
        session = (row["TenantId"], *own)
        runs = positions.setdefault(session, {})
        call = ToolCall(
            trace_id=trace_id,
            run=runs.setdefault(trace_id, len(runs)),
            turn=_turn(spoken.get(trace_id, []), row["StartNs"]),
            start_ns=row["StartNs"],
            tool=row["ToolName"],
            arguments=parsed(row["Arguments"]),
            failed=bool(row["Failed"]),
        )
        threads.setdefault((*session, row["ToolName"]), []).append(call)
    yield from threads.values()


def _spoken(turns: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, int]]]:
    """Return trace -> [(start of a model call, how often the user had spoken by then)].

    A history that was cut short, or that only holds what is new, does not grow; then another
    last message of the user's is the sign.
    """
    spoken: dict[str, list[tuple[int, int]]] = {}
    for trace_id, rows in groupby(turns, key=lambda row: row["TraceId"]):
        turn, before = 0, (0, 0)
        for row in rows:
            heard = (int(row["Said"]), int(row["Last"]))
            if heard[0] and (heard[0] > before[0] or heard[1] != before[1]):
                turn += 1
                before = heard
            spoken.setdefault(trace_id, []).append((row["StartNs"], turn))
    return spoken


def _turn(spoken: list[tuple[int, int]], start_ns: int) -> int:
    return max((turn for at, turn in spoken if at <= start_ns), default=0)


def _events(overrides: Iterable[Mapping[str, Any]]) -> _Events:
    found: dict[tuple[str, str], dict[str, _Event]] = {}
    for row in overrides:
        fields = found.setdefault((row["TraceId"], row["ToolName"]), {})
        field = pointer(row["Field"])
        first = fields.get(field)
        fields[field] = _Event(
            original=first.original if first else said_value(row["Original"]),
            replacement=said_value(row["Replacement"]),
        )
    return found


def _said(tool: str, events: Mapping[str, _Event]) -> dict[Slot, tuple[str, str]]:
    """Return slot -> (proposed, final) as events say it; one that names no value says nothing."""
    said: dict[Slot, tuple[str, str]] = {}
    for field, event in events.items():
        part, proposed = part_and_text(event.original)
        replaced_part, final = part_and_text(event.replacement)
        if proposed != NO_VALUE:
            said[Slot(tool, field, part)] = (proposed, final if replaced_part == part else NO_VALUE)
    return said


def _choice(
    run: Mapping[str, Any],
    slot: Slot,
    *,
    values: tuple[str, str],
    explicit: bool,
    segments: Mapping[str, str],
) -> SlotChoice:
    task_type, task_id = run["TaskType"], run["TaskId"]
    return SlotChoice(
        tenant=run["TenantId"],
        user=run["UserId"],
        segments=segments,
        trace_id=run["TraceId"],
        session=run["SessionId"],
        start_ns=run["RunStartNs"],
        agent=run["AgentName"],
        task=f"{task_type}/{task_id}" if task_id else task_type,
        task_type=task_type,
        tool=slot.tool,
        field=slot.field,
        part=slot.part,
        proposed=values[0],
        final=values[1],
        overridden=values[0] != values[1],
        explicit=explicit,
    )

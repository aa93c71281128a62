"""What the agent proposed against what the user ended with: one choice a run and slot.

Two sources say that a user ended with something else: the application's own events (table
``overrides``), and the same tool called again after the user spoke (``slot_changes``). Where both
speak of one slot of a run, the event counts. A run whose agent never called the tool with that
argument gives no choice, also when there is an event: what was kept elsewhere would be unknown,
and every choice that is known would be an override.

What runs proposed is kept (``slot_facts``); events are read as they are now, because they may come
after their run was read. One tool is in memory at a time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any

from spanlore.analyzers.arguments.call_facts import POSITION_DIGITS
from spanlore.analyzers.preferences.slot_changes import ToolCall, settled_of
from spanlore.analyzers.preferences.slot_facts import CALLS, NAME, VERSION, ProposingCall, calls_in
from spanlore.analyzers.preferences.slot_values import (
    NO_VALUE,
    Part,
    Slot,
    part_and_text,
    pointer,
    said_value,
)
from spanlore.analyzers.window import IN_WINDOW, Window
from spanlore.schemas.learning_tables import NOT_REVOKED, OVERRIDES, RUN_FACTS
from spanlore.schemas.semconv import DEFAULT_TENANT
from spanlore.schemas.store import Store
from spanlore.schemas.tables import LATEST_RUN, RUNS

_END = POSITION_DIGITS + 1  # of a key, after the tool's name
_FACTS = f"""{RUN_FACTS} FINAL
WHERE Extractor = '{NAME}' AND ExtractorVersion = '{VERSION}' AND startsWith(Key, '{CALLS}|')"""

TOOLS_SQL = f"""
SELECT DISTINCT substring(Key, {len(CALLS) + 2}, length(Key) - {len(CALLS) + 1 + _END}) AS Tool
FROM {_FACTS} ORDER BY Tool
"""

# A run of unknown time follows no other one, whatever session it names.
RUNS_SQL = f"""
SELECT run.TraceId, run.Version, run.TenantId, run.UserId, if(run.TimeUnknown, '', run.SessionId),
    toUnixTimestamp64Nano(run.StartedAt), run.AgentName, run.TaskType, run.TaskId, run.SessionId
FROM (SELECT DISTINCT TraceId, RunVersion FROM {_FACTS}) AS called
INNER JOIN (
    SELECT TraceId, Version, TenantId, UserId, SessionId, TaskType, TaskId, AgentName, StartedAt,
        TimeUnknown
    FROM {RUNS}
    WHERE {IN_WINDOW} AND {NOT_REVOKED} {LATEST_RUN}
) AS run ON run.TraceId = called.TraceId AND run.Version = called.RunVersion
ORDER BY run.StartedAt, run.TraceId
"""

CALLS_OF_TOOL_SQL = f"""
SELECT TraceId, RunVersion, toUInt32(substring(Key, -{POSITION_DIGITS})), toUInt32(Value), Detail
FROM {_FACTS} AND startsWith(Key, concat('{CALLS}|', {{tool:String}}, '|'))
    AND length(Key) = length({{tool:String}}) + {len(CALLS) + 1 + _END}
"""

OVERRIDES_SQL = f"""
SELECT TenantId, TraceId, Field, Original, Replacement
FROM (
    SELECT TenantId, TraceId, ToolName, Field, Original, Replacement, At, OverrideId
    FROM {OVERRIDES}
    WHERE Target IN ('tool_argument', '') AND Actor IN ('user', '') AND Field != ''
      AND ToolName = {{tool:String}}
    ORDER BY Version DESC LIMIT 1 BY TenantId, TraceId, Target, ToolName, Field, OverrideId
)
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
class ProposingRun:
    """A run that called a tool: ``thread`` is its session and user, ``number`` its place there.

    ``thread`` is () for a run that follows no other one.
    """

    trace_id: str
    version: int
    tenant: str
    user: str
    session: str
    start_ns: int
    agent: str
    task: str
    task_type: str
    thread: tuple[str, ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The first value that events of a run name for a field, and the last one put in its place."""

    original: Any
    replacement: Any


# trace id -> field -> what the events of a tool say of it
Events = Mapping[str, Mapping[str, Event]]
# A run, its segments, and its calls of a tool.
_Proposed = tuple[ProposingRun, Mapping[str, str], Sequence[ProposingCall]]


def slot_choices(store: Store, window: Window, *, tool: str = "") -> list[SlotChoice]:
    """Return the choices of all extracted runs of the window, of one tool if it is named.

    In the order the runs started. Raises StoreError.
    """
    runs = proposing_runs(store, window)
    tools = [tool] if tool else proposing_tools(store)
    found = (one for name in tools for one in choices_of_tool(store, name, runs))
    return sorted(found, key=lambda one: (one.start_ns, one.trace_id, one.slot))


def proposing_tools(store: Store) -> list[str]:
    """Return the tools that any extracted run called. Raises StoreError."""
    return [str(row["Tool"]) for row in store.query(TOOLS_SQL)]


def proposing_runs(store: Store, window: Window) -> dict[str, ProposingRun]:
    """Return the runs of the window that called a tool, in the order they started.

    Raises StoreError.
    """
    runs: dict[str, ProposingRun] = {}
    numbers: dict[tuple[str, ...], int] = {}
    for row in store.stream(RUNS_SQL, window.params):
        trace_id, version, tenant, user, joins, start_ns, agent, task_type, task_id, session = row
        thread = tuple(map(intern, (tenant, joins, user))) if joins and user else ()
        number = numbers.get(thread, 0)
        if thread:
            numbers[thread] = number + 1
        runs[trace_id] = ProposingRun(
            trace_id=trace_id,
            version=version,
            tenant=intern(tenant),
            user=intern(user),
            session=intern(session),
            start_ns=start_ns,
            agent=intern(agent),
            task=intern(f"{task_type}/{task_id}" if task_id else task_type),
            task_type=intern(task_type),
            thread=thread,
            number=number,
        )
    return runs


def choices_of_tool(
    store: Store, tool: str, runs: Mapping[str, ProposingRun]
) -> Iterator[SlotChoice]:
    """Yield the choices that these runs made for slots of one tool. Raises StoreError."""
    events = events_of(
        row for row in store.query(OVERRIDES_SQL, {"tool": tool}) if _is_of(row, runs)
    )
    threads: dict[tuple[str, ...], list[tuple[ProposingRun, list[str]]]] = {}
    parts: dict[str, dict[int, str]] = {}
    for trace_id, version, part, parts_of_run, detail in store.stream(
        CALLS_OF_TOOL_SQL, {"tool": tool}
    ):
        run = runs.get(trace_id)
        if run is None or run.version != version:
            continue
        read = {part: detail, **parts.pop(trace_id, {})}
        if len(read) < parts_of_run:
            parts[trace_id] = read
            continue
        details = [read[number] for number in sorted(read)]
        if run.thread:
            threads.setdefault(run.thread, []).append((run, details))
        else:
            yield from choices_of_thread([(run, *calls_in(details, tool))], tool, events)
    for thread in threads.values():
        thread.sort(key=lambda one: one[0].number)
        proposed = [(run, *calls_in(details, tool)) for run, details in thread]
        yield from choices_of_thread(proposed, tool, events)


def choices_of_thread(
    thread: Iterable[_Proposed], tool: str, events: Events
) -> Iterator[SlotChoice]:
    """Form the choices of one session, its runs in order, from their calls of one tool."""
    calls: list[ToolCall] = []
    known: dict[str, _Proposed] = {}
    for proposed in thread:
        run = proposed[0]
        known[run.trace_id] = proposed
        calls += (
            ToolCall(
                trace_id=run.trace_id,
                run=run.number,
                turn=call.turn,
                start_ns=call.start_ns,
                given=call.given,
                failed=call.failed,
            )
            for call in proposed[2]
        )
    for settled in settled_of(calls):
        run, segments, _ = known[settled.first.trace_id]
        said = events.get(run.trace_id, {})
        values = {} if settled.corrected else settled.values()
        values = {slot: both for slot, both in values.items() if slot.field not in said}
        for slot, both in {**values, **_said(tool, said)}.items():
            yield _choice(run, slot, values=both, explicit=slot.field in said, segments=segments)


def events_of(overrides: Iterable[Mapping[str, Any]]) -> Events:
    """Read the rows of ``OVERRIDES_SQL``, in their order."""
    found: dict[str, dict[str, Event]] = {}
    for row in overrides:
        fields = found.setdefault(row["TraceId"], {})
        field = pointer(row["Field"])
        first = fields.get(field)
        fields[field] = Event(
            original=first.original if first else said_value(row["Original"]),
            replacement=said_value(row["Replacement"]),
        )
    return found


def _is_of(override: Mapping[str, Any], runs: Mapping[str, ProposingRun]) -> bool:
    """Whether an event is of the tenant whose run it is about, or names none."""
    run = runs.get(override["TraceId"])
    return run is not None and override["TenantId"] in (run.tenant, DEFAULT_TENANT)


def _said(tool: str, events: Mapping[str, Event]) -> dict[Slot, tuple[str, str]]:
    """Return slot -> (proposed, final) as events say it; one that names no value says nothing."""
    said: dict[Slot, tuple[str, str]] = {}
    for field, event in events.items():
        part, proposed = part_and_text(event.original)
        replaced_part, final = part_and_text(event.replacement)
        if proposed != NO_VALUE:
            said[Slot(tool, field, part)] = (proposed, final if replaced_part == part else NO_VALUE)
    return said


def _choice(
    run: ProposingRun,
    slot: Slot,
    *,
    values: tuple[str, str],
    explicit: bool,
    segments: Mapping[str, str],
) -> SlotChoice:
    return SlotChoice(
        tenant=run.tenant,
        user=run.user,
        segments=segments,
        trace_id=run.trace_id,
        session=run.session,
        start_ns=run.start_ns,
        agent=run.agent,
        task=run.task,
        task_type=run.task_type,
        tool=slot.tool,
        field=slot.field,
        part=slot.part,
        proposed=values[0],
        final=values[1],
        overridden=values[0] != values[1],
        explicit=explicit,
    )

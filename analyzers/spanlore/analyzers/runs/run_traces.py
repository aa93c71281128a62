"""Reading whole runs from the store: the one place where payloads of all spans are read.

A run is what its tenant sent of it, and what was sent under no tenant's name: whatever another
tenant sent under its trace id (spans, overrides, exposures) is not read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanlore.analyzers.runs.calls import call_of, parsed, told_once
from spanlore.analyzers.runs.conversation import messages_of, text_of
from spanlore.analyzers.runs.run_trace import Message, ModelCall, Override, RunTrace
from spanlore.analyzers.runs.tool_schema import tool_of
from spanlore.analyzers.runs.user_turns import TURNS_SQL, user_turns
from spanlore.schemas import semconv
from spanlore.schemas.dialect_messages import (
    CONVERSATIONS,
    FINISH_REASONS_SQL,
    INPUT_MESSAGES_SQL,
    OUTPUT_MESSAGES_SQL,
)
from spanlore.schemas.dialects import MAX_TOKENS_SQL
from spanlore.schemas.learning_tables import EXPOSURES, OVERRIDES
from spanlore.schemas.store import Store
from spanlore.schemas.tables import (
    HARNESS_PARTS,
    KIND_INSTRUCTIONS,
    KIND_TOOL_DEFINITIONS,
    LATEST_RUN,
    LATEST_SPAN,
    OF_RUNS_TENANT,
    RUNS,
    TRACES,
)
from spanlore.schemas.views import SPANS_OF_TRACES

# Of one text of one span; JSON that is longer is cut, and so is none any more.
TEXT_CHARACTERS_MAX = 2**20
HISTORY_CHARACTERS_MAX = 2**22
SEGMENT_CHARACTERS_MAX = 2**10

_KNOWN_MORE = (
    "Model", "InputTokens", "OutputTokens", "CacheReadTokens", "ReasoningTokens", "MaxTokens",
    "FinishReasons", "Output",
)  # fmt: skip


def shortened(text: str, name: str = "") -> str:
    """Return SQL for a text (a column, or named SQL) that no span can make endless."""
    return f"leftUTF8({text}, {TEXT_CHARACTERS_MAX}) AS {name or text}"


# Parameters of all of them: ``ids``, a tuple of trace ids.
_RUNS_SQL = f"""
SELECT TenantId, TraceId, RootSpanId, UserId, SessionId, TaskType, TaskId, AgentName, AgentVersion,
       Model, HarnessHash, InstructionsHash, ToolDefinitionsHash, Outcome, State, TimeUnknown,
       DuplicateOf AS Duplicates,
       toUnixTimestamp64Nano(StartedAt) AS StartedNs, toUnixTimestamp64Nano(EndedAt) AS EndedNs
FROM {RUNS} WHERE TraceId IN %(ids)s {LATEST_RUN}
"""

_INFERENCE = f"Op IN {semconv.INFERENCE_OPS}"
# The history is read once a run, from its last model call: each call repeats what was before it.
# Where these are in another trace (of a durable workflow), from what Pydantic AI says of the run.
_HAS_HISTORY = f"({_INFERENCE} OR hasAny(mapKeys(SpanAttributes), {CONVERSATIONS}))"
_SPANS_SQL = f"""
SELECT TraceId, SpanId, ParentSpanId, Op, StartUnixNano, EndUnixNano, Model, ToolName, ToolCallId,
       {shortened("ToolArguments")}, {shortened("ToolResult")}, {shortened("StatusMessage")},
       StatusCode = 'Error' OR ErrorType != '' AS Failed, ErrorType, Incomplete,
       InputTokens, OutputTokens, CacheReadTokens, ReasoningTokens,
       {shortened(FINISH_REASONS_SQL, "FinishReasons")},
       toUInt64OrNull({MAX_TOKENS_SQL}) AS MaxTokens,
       SpanAttributes['{semconv.IMPORT_CALLED_BY}'] AS AskedBy,
       {shortened(f"if({_INFERENCE}, {OUTPUT_MESSAGES_SQL}, '')", "Output")},
       leftUTF8(if((TraceId, SpanId) IN (
           SELECT TraceId, argMax(SpanId, ({_INFERENCE}, StartUnixNano, EndUnixNano, SpanId))
           FROM {TRACES} WHERE {SPANS_OF_TRACES} AND {OF_RUNS_TENANT} AND {_HAS_HISTORY}
           GROUP BY TraceId
       ), {INPUT_MESSAGES_SQL}, ''), {HISTORY_CHARACTERS_MAX}) AS Input,
       mapApply((name, value) -> (name, leftUTF8(value, {SEGMENT_CHARACTERS_MAX})), mapFilter(
           (name, value) -> startsWith(name, '{semconv.SEGMENT_PREFIX}') AND value != '',
           SpanAttributes)) AS Segments
FROM {TRACES} WHERE {SPANS_OF_TRACES} AND {OF_RUNS_TENANT}
{LATEST_SPAN}
"""

_PARTS_SQL = f"""
SELECT Kind, Hash, argMax(Content, At) AS Content FROM {HARNESS_PARTS}
WHERE Hash IN %(hashes)s GROUP BY Kind, Hash
"""

_OVERRIDES_SQL = f"""
SELECT TraceId, Target, ToolName, Field, Original, Replacement, Actor
FROM (
    SELECT * FROM {OVERRIDES} WHERE TraceId IN %(ids)s AND {OF_RUNS_TENANT}
    ORDER BY Version DESC LIMIT 1 BY TenantId, TraceId, Target, ToolName, Field, OverrideId
)
ORDER BY TraceId, At, OverrideId
"""

_EXPOSURES_SQL = f"""
SELECT TraceId, LessonId, argMax(Arm, Version) AS Arm FROM {EXPOSURES}
WHERE TraceId IN %(ids)s AND {OF_RUNS_TENANT} GROUP BY TraceId, LessonId ORDER BY TraceId, LessonId
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    """What belongs to runs and is not in their spans, by trace id (harness parts by hash)."""

    parts: Mapping[tuple[str, str], str]
    user_turns: Mapping[str, tuple[int, ...]]
    overrides: Mapping[str, list[Mapping[str, Any]]]
    exposures: Mapping[str, list[Mapping[str, Any]]]


def run_traces(store: Store, trace_ids: Sequence[str]) -> Iterator[RunTrace]:
    """Yield the runs of these traces, those that the store knows. Raises StoreError.

    All of their payloads are in memory at once: ask for a bounded number of spans.
    """
    if not trace_ids:
        return
    ids = {"ids": tuple(trace_ids)}
    runs = store.query(_RUNS_SQL, ids)
    spans = _by_trace(store.query(_SPANS_SQL, ids))
    hashes = {run[name] for run in runs for name in ("InstructionsHash", "ToolDefinitionsHash")}
    parts = store.query(_PARTS_SQL, {"hashes": tuple(hashes)}) if hashes else []
    beside = _Beside(
        parts={(row["Kind"], row["Hash"]): row["Content"] for row in parts},
        user_turns=user_turns(store.query(TURNS_SQL, ids)),
        overrides=_by_trace(store.query(_OVERRIDES_SQL, ids)),
        exposures=_by_trace(store.query(_EXPOSURES_SQL, ids)),
    )
    defined = _Definitions(beside.parts)
    for run in runs:
        yield _run_trace(run, spans.get(run["TraceId"], []), beside=beside, defined=defined)


class _Definitions:
    """Tool definitions by their hash, each parsed once."""

    def __init__(self, parts: Mapping[tuple[str, str], str]) -> None:
        self._parts = parts
        self._parsed: dict[str, dict[str, Any]] = {}

    def of(self, wanted: str) -> dict[str, Any]:
        """Return tool name -> definition."""
        if wanted not in self._parsed:
            listed = parsed(self._parts.get((KIND_TOOL_DEFINITIONS, wanted), ""))
            tools = filter(None, map(tool_of, listed if isinstance(listed, list) else []))
            self._parsed[wanted] = {tool["name"]: tool for tool in tools}
        return self._parsed[wanted]


def _run_trace(
    run: Mapping[str, Any],
    spans: Sequence[Mapping[str, Any]],
    *,
    beside: _Beside,
    defined: _Definitions,
) -> RunTrace:
    ordered = sorted(
        ({**one, "DuplicateOf": run["Duplicates"].get(one["SpanId"], "")} for one in spans),
        key=_began,
    )
    root: Mapping[str, Any] = next(
        (one for one in ordered if one["SpanId"] == run["RootSpanId"]), {}
    )
    given = beside.exposures.get(run["TraceId"], ())
    return RunTrace(
        tenant=run["TenantId"],
        trace_id=run["TraceId"],
        user=run["UserId"],
        session=run["SessionId"],
        task_type=run["TaskType"],
        task=f"{run['TaskType']}/{run['TaskId']}" if run["TaskId"] else run["TaskType"],
        agent=f"{run['AgentName']}/{run['AgentVersion']}",
        model=run["Model"],
        harness=run["HarnessHash"],
        outcome=run["Outcome"],
        state=run["State"],
        started_ns=run["StartedNs"],
        ended_ns=run["EndedNs"],
        time_unknown=bool(run["TimeUnknown"]),
        root_span_id=run["RootSpanId"],
        root_error=(root.get("ErrorType") or root.get("StatusMessage") or ""),
        segments={
            name.removeprefix(semconv.SEGMENT_PREFIX): value
            for name, value in root.get("Segments", {}).items()
        },
        calls=tuple(
            map(call_of, told_once({**one, **run} for one in ordered if _is_tool_call(one)))
        ),
        span_errors=tuple(
            f"{one['ErrorType']} {one['StatusMessage']}".strip()
            for one in ordered
            if one["Failed"] and not one["ToolName"] and one["Op"] not in semconv.INFERENCE_OPS
        ),
        model_calls=tuple(_model_calls(ordered)),
        messages=_conversation(ordered),
        instructions=text_of(beside.parts.get((KIND_INSTRUCTIONS, run["InstructionsHash"]), "")),
        defined_tools=defined.of(run["ToolDefinitionsHash"]),
        user_turns=beside.user_turns.get(run["TraceId"], ()),
        overrides=tuple(_override(one) for one in beside.overrides.get(run["TraceId"], ())),
        exposures=tuple(one["LessonId"] for one in given if one["Arm"] == semconv.ARM_EXPOSED),
        held_out=tuple(one["LessonId"] for one in given if one["Arm"] == semconv.ARM_HELD_OUT),
    )


def _began(span: Mapping[str, Any]) -> tuple[int, int, str]:
    return span["StartUnixNano"], span["EndUnixNano"], span["SpanId"]


def _is_tool_call(span: Mapping[str, Any]) -> bool:
    named = span["ToolName"] and span["Op"] in (semconv.OP_EXECUTE_TOOL, "")
    return bool(named) and not span["Incomplete"]


def _model_calls(spans: Sequence[Mapping[str, Any]]) -> Iterator[ModelCall]:
    """Yield each call as the outermost that tells it does, with what only others know of it."""
    calls = {one["SpanId"]: dict(one) for one in spans if one["Op"] in semconv.INFERENCE_OPS}
    for one in list(calls.values()):
        if one["DuplicateOf"] in calls:
            call = calls[one["DuplicateOf"]]
            call |= {name: one[name] for name in _KNOWN_MORE if call[name] in ("", None)}
            del calls[one["SpanId"]]
    yield from map(_model_call, calls.values())


def _model_call(span: Mapping[str, Any]) -> ModelCall:
    reasons = parsed(span["FinishReasons"])
    listed = reasons if isinstance(reasons, list) else [span["FinishReasons"]]
    return ModelCall(
        span_id=span["SpanId"],
        start_ns=span["StartUnixNano"],
        end_ns=span["EndUnixNano"],
        model=span["Model"],
        input_tokens=span["InputTokens"],
        output_tokens=span["OutputTokens"],
        cache_read_tokens=span["CacheReadTokens"],
        reasoning_tokens=span["ReasoningTokens"],
        max_tokens=span["MaxTokens"],
        finish_reasons=tuple(str(reason) for reason in listed if reason),
        error_type=span["ErrorType"],
        status_message=span["StatusMessage"],
        output=messages_of(span["Output"]),
    )


def _conversation(spans: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Return what the last model call read, and what it answered."""
    last = next((one for one in reversed(spans) if one["Input"]), None)
    if last is None:
        return tuple(message for one in spans for message in messages_of(one["Output"]))
    return messages_of(last["Input"]) + messages_of(last["Output"])


def _override(row: Mapping[str, Any]) -> Override:
    return Override(
        target=row["Target"],
        tool=row["ToolName"],
        field=row["Field"],
        original=row["Original"],
        replacement=row["Replacement"],
        actor=row["Actor"],
    )


def _by_trace(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["TraceId"], []).append(row)
    return found

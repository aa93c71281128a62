"""Runs as extractors read them, made by hand, and their facts and runs written to a store."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.error_template import error_template
from spanlore.analyzers.runs.fact import Extract
from spanlore.analyzers.runs.run_trace import Message, ModelCall, RunTrace, ToolAnswer, ToolRequest
from spanlore.schemas.learning_tables import RUN_FACTS
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS

START = datetime(2026, 1, 5, 9, tzinfo=UTC)

_MODEL_CALL = ModelCall(
    span_id="m",
    start_ns=0,
    end_ns=1,
    model="m",
    input_tokens=None,
    output_tokens=None,
    cache_read_tokens=None,
    reasoning_tokens=None,
    max_tokens=None,
    finish_reasons=(),
    error_type="",
    status_message="",
    output=(),
)


def user(text: str) -> Message:
    return Message(role="user", text=text)


def says(text: str) -> Message:
    return Message(role="assistant", text=text)


def asks(tool: str, arguments: Any, call_id: str = "c") -> Message:
    request = ToolRequest(call_id=call_id, name=tool, arguments=arguments)
    return Message(role="assistant", text="", requests=(request,))


def answers(result: Any, call_id: str = "c") -> Message:
    text = result if isinstance(result, str) else json.dumps(result)
    return Message(role="tool", text="", answers=(ToolAnswer(call_id=call_id, text=text),))


def run_trace(messages: Iterable[Message], number: int = 0, **changes: Any) -> RunTrace:
    """Return a run with these messages: a model call for each of the assistant's, tools worked."""
    told = tuple(messages)
    trace_id = f"{number:032x}"
    trace = RunTrace(
        tenant="acme",
        trace_id=trace_id,
        user="",
        session="",
        task_type="t",
        task="t",
        agent="helper/1",
        model="m",
        harness="h",
        outcome="",
        state="sealed",
        started_ns=int((START + timedelta(hours=number)).timestamp()) * 10**9,
        ended_ns=0,
        time_unknown=False,
        root_span_id="root",
        root_error="",
        segments={},
        calls=tuple(_calls(trace_id, told)),
        model_calls=tuple(_MODEL_CALL for message in told if message.role == "assistant"),
        messages=told,
        instructions="",
        defined_tools={},
    )
    return replace(trace, **changes)


def failing(trace: RunTrace, tool: str) -> RunTrace:
    """Return the run with all calls of a tool failed."""
    error = error_template("Error: no such thing")
    calls = (replace(one, error=error) if one.tool == tool else one for one in trace.calls)
    return replace(trace, calls=tuple(calls))


def store_facts(
    store: Store, extract: Extract, traces: Sequence[RunTrace], *, extractor: str, version: str
) -> None:
    """Write the runs, and what the extractor says of each, as sealing and extraction do."""
    store.insert(RUNS, [_run_row(one) for one in traces])
    facts = [(trace, fact) for trace in traces for fact in extract(trace)]
    store.insert(
        RUN_FACTS,
        [
            {
                "Extractor": extractor,
                "ExtractorVersion": version,
                "Key": fact.key,
                "TenantId": trace.tenant,
                "TraceId": trace.trace_id,
                "RunVersion": 1,
                "N": fact.n,
                "K": fact.k,
                "Value": fact.value,
                "Detail": fact.detail,
                "SpanId": fact.span_id,
                "At": START,
            }
            for trace, fact in facts
        ],
    )


def _run_row(trace: RunTrace) -> dict[str, Any]:
    task_type, _, task_id = trace.task.partition("/")
    agent, _, version = trace.agent.partition("/")
    return {
        "TenantId": trace.tenant,
        "TraceId": trace.trace_id,
        "RootSpanId": "root",
        "State": trace.state,
        "AgentName": agent,
        "AgentVersion": version,
        "UserId": trace.user,
        "SessionId": trace.session,
        "TaskType": task_type,
        "TaskId": task_id,
        "Model": trace.model,
        "HarnessHash": trace.harness,
        "Outcome": trace.outcome,
        "TimeUnknown": int(trace.time_unknown),
        "StartedAt": datetime.fromtimestamp(trace.started_ns / 10**9, UTC),
        "LastReceivedAt": START,
        "SealedAt": START,
        "Version": 1,
    }


def _calls(trace_id: str, messages: Sequence[Message]) -> Iterable[Call]:
    for position, message in enumerate(messages):
        for request in message.requests:
            yield Call(
                tenant="acme",
                trace_id=trace_id,
                span_id=f"{position:016x}",
                start_ns=position,
                tool=request.name,
                arguments=request.arguments,
                result="",
                error=None,
                task="t",
                user="",
                model="m",
                call_id=request.call_id,
            )

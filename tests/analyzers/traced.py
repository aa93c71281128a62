"""Runs written by hand, read by an extractor and kept in a real store without their spans."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.error_template import error_template
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.run_trace import Message, ModelCall, RunTrace, ToolRequest
from spanlore.analyzers.window import Window
from spanlore.schemas.learning_tables import RUN_FACTS
from spanlore.schemas.store import Store
from spanlore.schemas.tables import RUNS
from spanlore.schemas.types import Finding, JudgementSource

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NS_PER_MS = 1_000_000


def called(  # noqa: PLR0913 - the parts of a call
    tool: str,
    arguments: Any = None,
    *,
    said: str = "done",
    failed: bool = False,
    call_id: str = "",
    ms: float = 1.0,
    asked_by: str = "",
) -> Call:
    """Return a tool call; the run that it is put into gives it its ids and times."""
    return Call(
        tenant="",
        trace_id="",
        span_id="",
        start_ns=0,
        end_ns=round(ms * NS_PER_MS),
        tool=tool,
        arguments={} if arguments is None else arguments,
        result=said,
        error=error_template(said) if failed else None,
        task="",
        user="",
        model="",
        call_id=call_id,
        asked_by=asked_by,
    )


def refused(
    tool: str, arguments: Any = None, *, said: str = "Error: no", call_id: str = ""
) -> Call:
    """Return a tool call that failed."""
    return called(tool, arguments, said=said, failed=True, call_id=call_id)


def asked(  # noqa: PLR0913 - the parts of a model call
    *requests: tuple[str, str, Any],
    model: str = "m-1",
    tokens: tuple[int | None, int | None] = (100, 10),
    cached: int | None = None,
    max_tokens: int | None = None,
    finish: Sequence[str] = (),
    error: tuple[str, str] = ("", ""),
    ms: float = 1.0,
) -> ModelCall:
    """Return a model call that asks for tools, each (call id, name, arguments or their text)."""
    wanted = tuple(
        ToolRequest(
            call_id=call_id,
            name=name,
            arguments=None if isinstance(given, str) else given,
            arguments_text=given if isinstance(given, str) else "",
        )
        for call_id, name, given in requests
    )
    return ModelCall(
        span_id="",
        start_ns=0,
        end_ns=round(ms * NS_PER_MS),
        model=model,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        cache_read_tokens=cached,
        reasoning_tokens=None,
        max_tokens=max_tokens,
        finish_reasons=tuple(finish),
        error_type=error[0],
        status_message=error[1],
        output=(Message(role="assistant", text="", requests=wanted),),
    )


def run(  # noqa: PLR0913 - the parts of a run
    number: int = 0,
    *,
    calls: Iterable[Call] = (),
    model_calls: Iterable[ModelCall] = (),
    messages: Iterable[Message] = (),
    outcome: str = "",
    task: str = "",
    version: str = "1",
    tools: Iterable[dict[str, Any]] = (),
    **said: Any,
) -> RunTrace:
    """Return a run; ``said`` are other fields of it."""
    trace_id = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    made = RunTrace(
        tenant="default",
        trace_id=trace_id,
        user="",
        session="",
        task_type="t",
        task=f"t/{task or number % 40}",
        agent=f"a/{version}",
        model="m-1",
        harness=f"h{version}",
        outcome=outcome,
        state="sealed",
        started_ns=number,
        ended_ns=number + 1,
        time_unknown=False,
        root_span_id=trace_id[:16],
        root_error="",
        segments={},
        calls=tuple(
            replace(call, trace_id=trace_id, span_id=f"{trace_id[:11]}c{at:04x}")
            for at, call in enumerate(calls)
        ),
        model_calls=tuple(
            replace(call, span_id=f"{trace_id[:11]}a{at:04x}")
            for at, call in enumerate(model_calls)
        ),
        messages=tuple(messages),
        instructions="",
        defined_tools={tool["name"]: tool for tool in tools},
    )
    return replace(made, **said)


def keep(
    store: Store,
    analyzer: ModuleType,
    runs: Sequence[RunTrace],
    *,
    judged_by: JudgementSource = "environment",
) -> None:
    """Put runs and what the analyzer's extractor says of them into the store."""
    extract = getattr(analyzer, f"{analyzer.NAME}_facts")
    store.insert(RUNS, [{**_run_row(one), "OutcomeSource": judged_by} for one in runs])
    rows = (_fact_row(fact, one, analyzer) for one in runs for fact in extract(one))
    store.insert(RUN_FACTS, list(rows))


def confirmed(store: Store, analyzer: ModuleType, runs: Sequence[RunTrace]) -> list[Finding]:
    """Return what the analyzer confirms about these runs."""
    keep(store, analyzer, runs)
    return [one for one in findings(store, analyzer) if one.confirmed]


def by_kind(store: Store, analyzer: ModuleType, runs: Sequence[RunTrace]) -> dict[str, Finding]:
    """Return what the analyzer confirms about these runs, by the kind of what it found."""
    return {one.detail["kind"]: one for one in confirmed(store, analyzer, runs)}


def findings(store: Store, analyzer: ModuleType) -> list[Finding]:
    """Return what the analyzer says about the runs in the store."""
    return findings_of(list(getattr(analyzer, analyzer.NAME)(store, Window())))


def facts(analyzer: ModuleType, one: RunTrace) -> dict[str, tuple[int, int, float]]:
    """Return the facts of a run: (n, k, value) by key."""
    extract = getattr(analyzer, f"{analyzer.NAME}_facts")
    return {fact.key: (fact.n, fact.k, fact.value) for fact in extract(one)}


def lines(runs: Sequence[RunTrace]) -> Iterator[dict[str, Any]]:
    """Yield runs as lines of the trajectory format: each call asked for by a message of its own."""
    for number, one in enumerate(runs):
        at = BEGAN + timedelta(hours=number)
        messages: list[dict[str, Any]] = [{"role": "user", "content": f"run {number}"}]
        for place, call in enumerate(one.calls):
            wanted = {"name": call.tool, "arguments": json.dumps(call.arguments)}
            messages += [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": f"c{place}", "function": wanted}],
                    "usage": {"prompt_tokens": 100, "completion_tokens": 10},
                },
                {
                    "role": "tool",
                    "tool_call_id": f"c{place}",
                    "content": call.result,
                    "is_error": call.error is not None,
                },
            ]
        for place, message in enumerate(messages):
            message["timestamp"] = (at + timedelta(seconds=place)).isoformat()
        name, _, version = one.agent.partition("/")
        yield {
            "run_id": one.trace_id,
            "task": {"type": one.task_type, "id": one.task.partition("/")[2]},
            "agent": {"name": name, "version": version},
            "model": one.model,
            "messages": messages,
            "outcome": {"label": one.outcome or "pass", "source": "environment"},
        }


def _run_row(one: RunTrace) -> dict[str, Any]:
    name, _, version = one.agent.partition("/")
    tokens = [call for call in one.model_calls if call.input_tokens is not None]
    return {
        "TenantId": one.tenant,
        "TraceId": one.trace_id,
        "State": one.state,
        "AgentName": name,
        "AgentVersion": version,
        "UserId": one.user,
        "TaskType": one.task_type,
        "TaskId": one.task.partition("/")[2],
        "Model": one.model,
        "StartedAt": BEGAN + timedelta(minutes=one.started_ns),
        "EndedAt": BEGAN + timedelta(minutes=one.ended_ns),
        "TimeUnknown": int(one.time_unknown),
        "ToolCalls": len(one.calls),
        "ToolErrors": sum(call.error is not None for call in one.calls),
        "InputTokens": sum(call.input_tokens or 0 for call in tokens) if tokens else None,
        "OutputTokens": sum(call.output_tokens or 0 for call in tokens) if tokens else None,
        "Outcome": one.outcome,
        "HarnessHash": one.harness,
        "LastReceivedAt": BEGAN,
        "Version": 1,
    }


def _fact_row(fact: Fact, one: RunTrace, analyzer: ModuleType) -> dict[str, Any]:
    return {
        "Extractor": analyzer.NAME,
        "ExtractorVersion": analyzer.VERSION,
        "Key": fact.key,
        "TenantId": one.tenant,
        "TraceId": one.trace_id,
        "RunVersion": 1,
        "N": fact.n,
        "K": fact.k,
        "Value": fact.value,
        "Detail": fact.detail,
        "SpanId": fact.span_id,
        "At": BEGAN,
    }

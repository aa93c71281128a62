"""A call that two instrumentations tell of is one call, whoever reads it."""

from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanlore.analyzers.runs.run_traces import run_traces
from spanlore.analyzers.runs.stored_calls import calls_by_run
from spanlore.analyzers.window import Window
from spanlore.schemas import semconv
from spanlore.schemas.store import Store
from tests.loaded_runs import load_requests

TRACE = b"t" * 16
BEGAN_NS = 1_767_225_600_000_000_000


def told(number: int, parent: int, op: str = "", **said: Any) -> Span:
    names = {"gen_ai.operation.name": op} if op else {}
    texts = {**names, **{f"gen_ai.{key.replace('__', '.')}": one for key, one in said.items()}}
    failed = "gen_ai.error" in texts
    return Span(
        trace_id=TRACE,
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=op or "step",
        start_time_unix_nano=BEGAN_NS + number,
        end_time_unix_nano=BEGAN_NS + 100,
        status=Status(code=Status.STATUS_CODE_ERROR, message="no such city") if failed else None,
        attributes=[
            KeyValue(
                key=key,
                value=AnyValue(int_value=one)
                if isinstance(one, int)
                else AnyValue(string_value=one),
            )
            for key, one in texts.items()
        ],
    )


def load(store: Store, folder: Path, **by: list[Span]) -> None:
    """Store a run whose spans are told by these."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    for scope, spans in by.items():
        made = resource.scope_spans.add()
        made.scope.name = scope
        made.spans.extend(spans)
    load_requests(store, folder, traces=[request.SerializeToString()])


def test_a_call_of_a_tool_has_what_the_agent_says_of_it_and_the_servers_error(
    store: Store, tmp_path: Path
) -> None:
    named = {"tool__name": "look"}
    agents = [
        told(1, 0, semconv.OP_INVOKE_AGENT),
        told(2, 1, semconv.OP_EXECUTE_TOOL, tool__call__arguments='{"city": "X"}', **named),
        told(5, 1, semconv.OP_EXECUTE_TOOL, tool__call__arguments='{"city": "Y"}', **named),
    ]
    servers = [told(3, 2), told(4, 3, semconv.OP_EXECUTE_TOOL, error="tool_error", **named)]
    load(store, tmp_path, agent=agents, mcp=servers)
    [run] = run_traces(store, [TRACE.hex()])
    [stored] = calls_by_run(store, Window(), ["look"])
    for calls in (run.calls, stored):
        assert [call.arguments for call in calls] == [{"city": "X"}, {"city": "Y"}]
        assert [call.error and call.error.text for call in calls] == ["no such city", None]


def test_a_call_of_a_model_has_the_tokens_of_the_one_that_knows_them(
    store: Store, tmp_path: Path
) -> None:
    root = told(1, 0, semconv.OP_INVOKE_AGENT)
    framework = [root, told(2, 1, semconv.OP_CHAT), told(3, 2)]
    sdk = [told(4, 3, semconv.OP_CHAT, usage__input_tokens=7, request__model="m")]
    load(store, tmp_path, framework=framework, sdk=sdk)
    [run] = run_traces(store, [TRACE.hex()])
    assert [(call.model, call.input_tokens) for call in run.model_calls] == [("m", 7)]

"""A paced load of small spans, every one with an id of its own, sent until it is acknowledged."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.collector.collector_process import unary

RUNS_A_REQUEST = 50
SPANS_A_RUN = 10
SPANS_A_REQUEST = RUNS_A_REQUEST * SPANS_A_RUN
_SENDERS = 4
_SEND_S_MAX = 30.0
_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was acknowledged: its spans are numbered from 1."""

    spans: int
    span_bytes: float
    elapsed_s: float
    resent: int


def send(address: str, *, spans_a_s: int, duration_s: float) -> Sent:
    """Send at a steady rate for a time; a request that comes late does not move those after it."""
    requests = round(spans_a_s * duration_s / SPANS_A_REQUEST)
    started_s = time.monotonic()
    with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(_SENDERS) as senders:

        def send_one(number: int) -> tuple[int, int]:
            due_s = started_s + number * SPANS_A_REQUEST / spans_a_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            body = _request(number)
            for again in count():
                try:
                    unary(channel, _METHOD)(body, timeout=_SEND_S_MAX)
                except grpc.RpcError:
                    time.sleep(0.1)
                else:
                    return len(body), again
            raise AssertionError

        sizes, resent = zip(*senders.map(send_one, range(requests)), strict=True)
    spans = requests * SPANS_A_REQUEST
    return Sent(
        spans=spans,
        span_bytes=sum(sizes) / spans,
        elapsed_s=time.monotonic() - started_s,
        resent=sum(resent),
    )


def _request(number: int) -> bytes:
    """Build the request of this number: whole runs of an agent and its tool calls."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "soak"
    scope = group.scope_spans.add()
    now_ns = time.time_ns()
    for run in range(RUNS_A_REQUEST):
        first = number * SPANS_A_REQUEST + run * SPANS_A_RUN + 1
        for at in range(SPANS_A_RUN):
            span = scope.spans.add(
                trace_id=first.to_bytes(16, "big"),
                span_id=(first + at).to_bytes(8, "big"),
                name="execute_tool search" if at else "invoke_agent soak",
                start_time_unix_nano=now_ns + at * 1_000_000,
                end_time_unix_nano=now_ns + (at + 1) * 1_000_000,
            )
            operation = span.attributes.add(key="gen_ai.operation.name").value
            operation.string_value = "execute_tool" if at else "invoke_agent"
            if at:
                span.parent_span_id = first.to_bytes(8, "big")
                span.attributes.add(key="gen_ai.tool.name").value.string_value = "search"
            else:
                span.attributes.add(key="gen_ai.agent.name").value.string_value = "soak"
    return request.SerializeToString()

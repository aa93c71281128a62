"""A collector's doors for tests: they keep what they are sent and answer as they are told."""

import http.server
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"
_LOGS = "opentelemetry.proto.collector.logs.v1.LogsService"


@dataclass(slots=True)
class Receiver:
    """``failures`` are taken one a call, before anything is kept, each as a call that aborts."""

    address: str = ""
    traces: list[bytes] = field(default_factory=list)
    logs: list[bytes] = field(default_factory=list)
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    failures: list[Callable[[grpc.ServicerContext], None]] = field(default_factory=list)
    trace_answer: trace_service.ExportTraceServiceResponse = field(
        default_factory=trace_service.ExportTraceServiceResponse
    )

    def spans(self) -> list[Span]:
        requests = map(trace_service.ExportTraceServiceRequest.FromString, self.traces)
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def judgements(self) -> list[LogRecord]:
        requests = map(logs_service.ExportLogsServiceRequest.FromString, self.logs)
        return [
            record
            for request in requests
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def take_traces(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._fail(context)
        self.traces.append(request)
        return self.trace_answer.SerializeToString()

    def take_logs(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._fail(context)
        self.logs.append(request)
        return logs_service.ExportLogsServiceResponse().SerializeToString()

    def _fail(self, context: grpc.ServicerContext) -> None:
        self.metadata.append(dict(context.invocation_metadata()))
        if self.failures:
            self.failures.pop(0)(context)


def refuses(code: grpc.StatusCode, details: str) -> Callable[[grpc.ServicerContext], None]:
    def abort(context: grpc.ServicerContext) -> None:
        context.abort(code, details)

    return abort


def asks_to_retry(after_ms: int) -> Callable[[grpc.ServicerContext], None]:
    def abort(context: grpc.ServicerContext) -> None:
        info = RetryInfo(retry_delay=Duration(nanos=after_ms * 10**6))
        packed = Packed()
        packed.Pack(info)
        status = Status(code=14, message="too busy", details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "too busy")

    return abort


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Serve on a free port while the block runs."""
    state = Receiver()
    server = grpc.server(
        ThreadPoolExecutor(max_workers=2),
        options=[("grpc.max_receive_message_length", 64 * 1024 * 1024)],
    )
    handlers: dict[str, Any] = {_TRACES: state.take_traces, _LOGS: state.take_logs}
    for service, take in handlers.items():
        handler = grpc.unary_unary_rpc_method_handler(take)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
        )
    state.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield state
    finally:
        server.stop(grace=None).wait()


@contextmanager
def collector_door(*answers: tuple[int, bytes]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Serve POSTs with the answers in turn; yield the URL and what was asked."""
    left, asked = list(answers), list[tuple[str, str]]()

    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path.partition("?")[0], self.headers["Authorization"]))
            status, body = left.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            del format, args

    with http.server.HTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()

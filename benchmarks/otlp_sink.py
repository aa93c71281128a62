"""A collector that keeps every body of traces and does nothing with it, where it is measured."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_UNAVAILABLE = 503


class Sink:
    """What came; ``answers_from`` is when it begins to take anything (`time.monotonic`)."""

    def __init__(self, *, answers_from: float = 0.0) -> None:
        self.answers_from = answers_from
        self.bodies: list[bytes] = []
        self.url = ""

    def ended(self) -> tuple[int, int]:
        """Return how many spans that ended came, each once, and how many came again."""
        ids: list[bytes] = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    ids += [span.span_id for span in scope.spans if span.name.startswith("span")]
        return len(set(ids)), len(ids) - len(set(ids))


@contextmanager
def sink(*, answers_from: float = 0.0) -> Iterator[Sink]:
    """Serve OTLP/HTTP on a free port while the block runs."""
    state = Sink(answers_from=answers_from)

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            takes = time.monotonic() >= state.answers_from
            if takes and self.path.endswith("/v1/traces"):
                state.bodies.append(body)
            self.send_response(200 if takes else _UNAVAILABLE)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            del args

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield state
        finally:
            server.shutdown()

"""Run a script as a user does, traced, and look at what came out of both ends."""

import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.instrumentation.loopback_server import Quiet, serving

TIMEOUT_S = 100


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, what it said, and how long it took."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass(slots=True)
class Collector:
    """Keeps what it is sent; ``statuses`` are answered first, one a request."""

    url: str = ""
    traces: list[bytes] = field(default_factory=list)
    logs: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def spans(self) -> list[Span]:
        return [span for _, span in self.scoped_spans()]

    def scoped_spans(self) -> list[tuple[str, Span]]:
        """Return the spans, each with the name of what made it."""
        return [
            (scope.scope.name, span)
            for resource in self.resource_spans()
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource_spans(self) -> list[Any]:
        requests = map(ExportTraceServiceRequest.FromString, self.traces)
        return [resource for request in requests for resource in request.resource_spans]

    def named(self, name: str) -> Span:
        (span,) = [span for span in self.spans() if span.name == name]
        return span

    def records(self) -> list[LogRecord]:
        requests = map(ExportLogsServiceRequest.FromString, self.logs)
        return [
            record
            for request in requests
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [values(each.attributes) for each in self.records() if each.event_name == name]


def values(attributes: Any) -> dict[str, Any]:
    """Read attributes as a dictionary."""
    return {each.key: _value(each) for each in attributes}


def _value(attribute: KeyValue) -> Any:
    value: AnyValue = attribute.value
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [each.string_value for each in value.array_value.values]
    return getattr(value, kind) if kind else None


@contextmanager
def collector() -> Iterator[Collector]:
    """Serve OTLP/HTTP on a free port while the block runs."""
    state = Collector()

    class Door(Quiet):
        def do_POST(self) -> None:  # noqa: N802 - the library calls it so
            body = self.rfile.read(int(self.headers["content-length"]))
            status = state.statuses.pop(0) if state.statuses else 200
            if status == 200:
                state.headers.append({key.lower(): value for key, value in self.headers.items()})
                kept = state.traces if self.path.endswith("/v1/traces") else state.logs
                kept.append(body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

    with serving(Door) as state.url:
        yield state


@contextmanager
def black_hole() -> Iterator[str]:
    """Take connections and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def dead_url() -> str:
    """Return an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def environment(extra: Mapping[str, str], *, folder: Path) -> dict[str, str]:
    """Return an environment with nothing of ours but what is given; nothing runs in ``folder``."""
    ours = ("SPANLORE_", "OTEL_", "OPENAI_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"SPANLORE_DATA_DIR": str(folder / "nothing")} | dict(extra)


def run_script(
    script: str,
    folder: Path,
    *arguments: str,
    env: Mapping[str, str],
    launch: tuple[str, ...] = (),
    python: str = sys.executable,
    timeout_s: float = TIMEOUT_S,
) -> Ended:
    """Run a script with this Python, in a folder, after the words of ``launch``."""
    path = folder / "app.py"
    path.write_text(textwrap.dedent(script))
    command = (*launch, python, str(path), *arguments)
    return run_command(*command, env=env, folder=folder, timeout_s=timeout_s)


def run_command(
    *command: str, env: Mapping[str, str], folder: Path, timeout_s: float = TIMEOUT_S
) -> Ended:
    begun = time.monotonic()
    ended = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment(env, folder=folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr, time.monotonic() - begun)

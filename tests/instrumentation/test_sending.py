"""One request, one answer: over HTTP and gRPC, and what is worth another try."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanlore.instrumentation.answer import ABSENT, FAILED, REFUSED, TAKEN, Answer, Send
from spanlore.instrumentation.sending import sender
from spanlore.instrumentation.settings import LOGS, TRACES, Asked, settings
from tests.instrumentation.otlp_receiver import receiver, refuses
from tests.instrumentation.traced import black_hole, collector, dead_url, environment

TIMEOUT_S = 30.0
SPANS = ExportTraceServiceRequest().SerializeToString()
RECORDS = ExportLogsServiceRequest().SerializeToString()


def to(url: str, **more: str) -> Send:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
    environment |= {f"OTEL_EXPORTER_OTLP_{name.upper()}": value for name, value in more.items()}
    return sender(settings(environment, Asked(), run_file=lambda: None))


def test_http_carries_headers_and_compression() -> None:
    with collector() as there:
        send = to(there.url, headers="authorization=Bearer%20t", compression="gzip")
        assert send(TRACES, SPANS, timeout_s=TIMEOUT_S) == TAKEN
        assert send(LOGS, RECORDS, timeout_s=TIMEOUT_S) == TAKEN
        assert (len(there.traces), len(there.logs)) == (1, 1)
        assert gzip.decompress(there.traces[0]) == SPANS
    (headers, _) = there.headers
    assert headers["authorization"] == "Bearer t"
    assert headers["content-encoding"] == "gzip"
    assert headers["content-type"] == "application/x-protobuf"


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, TAKEN),
        (202, TAKEN),
        (400, REFUSED),
        (413, REFUSED),
        (500, REFUSED),
        (429, FAILED),
        (502, FAILED),
        (503, FAILED),
        (504, FAILED),
    ],
)
def test_http_says_by_its_status_whether_to_try_again(status: int, answer: Answer) -> None:
    with collector() as there:
        there.statuses = [status]
        assert to(there.url)(TRACES, SPANS, timeout_s=TIMEOUT_S) == answer


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nobody_there_and_nobody_answering_are_told_apart(protocol: str) -> None:
    assert to(dead_url(), protocol=protocol)(TRACES, SPANS, timeout_s=TIMEOUT_S) == ABSENT
    with black_hole() as url:
        silent = to(url, protocol=protocol)(TRACES, SPANS, timeout_s=0.05)
    assert silent.is_worth_retrying
    assert not silent.is_taken


def test_what_cannot_be_sent_at_all_is_refused() -> None:
    with collector() as there:
        send = to(there.url, headers="x=a%0Ab")
        assert send(TRACES, SPANS, timeout_s=TIMEOUT_S) == REFUSED
    missing = to("https://127.0.0.1:1", certificate="/no/such/file")
    assert missing(TRACES, SPANS, timeout_s=TIMEOUT_S) == REFUSED


def test_grpc_carries_headers() -> None:
    with receiver() as there:
        send = to(f"http://{there.address}", protocol="grpc", headers="authorization=Bearer%20t")
        assert send(TRACES, SPANS, timeout_s=TIMEOUT_S) == TAKEN
        assert send(LOGS, RECORDS, timeout_s=TIMEOUT_S) == TAKEN
        assert (there.traces, there.logs) == ([SPANS], [RECORDS])
    assert there.metadata[0]["authorization"] == "Bearer t"


@pytest.mark.parametrize(
    ("code", "is_worth_retrying"),
    [
        (grpc.StatusCode.UNAVAILABLE, True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, True),
        (grpc.StatusCode.INVALID_ARGUMENT, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, False),
    ],
)
def test_grpc_says_by_its_code_whether_to_try_again(
    code: grpc.StatusCode, *, is_worth_retrying: bool
) -> None:
    fails: Callable[[grpc.ServicerContext], None] = refuses(code, "no")
    with receiver() as there:
        send = to(f"http://{there.address}", protocol="grpc")
        there.failures = [fails]
        answer = send(TRACES, SPANS, timeout_s=TIMEOUT_S)
        assert (answer.is_taken, answer.is_worth_retrying) == (False, is_worth_retrying)
        assert send(TRACES, SPANS, timeout_s=TIMEOUT_S) == TAKEN


LOSES_ITS_COLLECTOR = """
import sys
import spanlore.auto
from spanlore.instrumentation import run
from spanlore.instrumentation.switch import pipeline
with run("assistant"):
    pass
print(pipeline().outbox.flush(30), flush=True)
sys.stdin.readline()
with run("assistant"):
    pass
"""


def test_grpcs_own_voice_is_not_heard_when_a_collector_goes(tmp_path: Path) -> None:
    with receiver() as there:
        point = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{there.address}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", LOSES_ITS_COLLECTOR],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(point, folder=tmp_path),
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
    said, complained = process.communicate("\n", timeout=TIMEOUT_S * 2)
    assert (process.returncode, said, complained) == (0, "", "")

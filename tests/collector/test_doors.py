import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanlore.collector.signals import LOGS
from spanlore.collector.wire import varint
from tests.collector.collector_process import PROTOBUF, CollectorProcess, unary
from tests.collector.otlp_requests import logs, new_ids, traces

MEBIBYTE = 1 << 20


def status_of(body: bytes) -> status_pb2.Status:
    return status_pb2.Status.FromString(body)


def refusal(door: CollectorProcess, request: Any, **options: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        door.export(request, **options)
    return error.value


def trailers(error: grpc.RpcError) -> dict[str, Any]:
    return {entry.key: entry.value for entry in error.trailing_metadata() or ()}


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_grpc_takes_traces_and_logs_plain_and_gzip(
    door: CollectorProcess, compression: grpc.Compression
) -> None:
    assert door.export(traces(2), compression=compression) == b""
    assert door.export(logs(2), signal=LOGS, compression=compression) == b""


@pytest.mark.parametrize("is_gzip", [False, True])
def test_http_takes_traces_and_logs_plain_and_gzip(door: CollectorProcess, is_gzip: bool) -> None:
    for request, path in ((traces(2), "/v1/traces"), (logs(2), "/v1/logs")):
        answer = door.post(request, path=path, is_gzip=is_gzip)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == PROTOBUF


def test_an_empty_request_is_a_success(door: CollectorProcess) -> None:
    assert door.export(b"") == b""
    assert door.post(b"").status_code == 200
    assert door.export(b"\x0a\x00") == b""


def test_a_chunked_body_needs_no_length(door: CollectorProcess) -> None:
    body = traces(50).SerializeToString()

    def chunks() -> Iterator[bytes]:
        yield from (body[at : at + 1000] for at in range(0, len(body), 1000))

    answer = door.client.post("/v1/traces", content=chunks(), headers={"content-type": PROTOBUF})
    assert answer.status_code == 200


def test_gzip_in_several_members_is_one_body(door: CollectorProcess) -> None:
    body = traces(20).SerializeToString()
    pieces = []
    for part in (body[:100], body[100:]):
        packer = zlib.compressobj(wbits=31)
        pieces.append(packer.compress(part) + packer.flush())
    answer = door.post(b"".join(pieces), content_encoding="gzip")
    assert answer.status_code == 200


def test_a_content_type_may_have_parameters_and_any_case(door: CollectorProcess) -> None:
    answer = door.post(traces(1), content_type="Application/X-Protobuf; v=1")
    assert answer.status_code == 200


def test_bad_spans_are_rejected_one_by_one_on_both_doors(door: CollectorProcess) -> None:
    request = traces([*new_ids(2), (b"short", b"2" * 8)])
    for body in (door.export(request), door.post(request).content):
        partial = ExportTraceServiceResponse.FromString(body).partial_success
        assert partial.rejected_spans == 1
        assert "trace_id must be 16 bytes" in partial.error_message


def test_mended_text_is_a_warning_without_rejections(door: CollectorProcess) -> None:
    body = logs(1, body="BADTEXT").SerializeToString().replace(b"BADTEXT", b"\xff" * 7)
    answer = ExportLogsServiceResponse.FromString(door.export(body, signal=LOGS))
    assert answer.partial_success.rejected_log_records == 0
    assert "U+FFFD" in answer.partial_success.error_message


def test_garbage_is_the_clients_fault_on_both_doors(door: CollectorProcess) -> None:
    error = refusal(door, b"\xff\xff\xff")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    answer = door.post(b"\xff\xff\xff")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == PROTOBUF
    status = status_of(answer.content)
    assert status.code == 3
    assert status.details[0].Is(error_details_pb2.BadRequest.DESCRIPTOR)
    assert status == status_of(trailers(error)["grpc-status-details-bin"])


def test_a_body_that_is_not_the_gzip_it_says_is_bad(door: CollectorProcess) -> None:
    assert door.post(b"plain", content_encoding="gzip").status_code == 400
    cut = zlib.compress(bytes(1000), wbits=31)[:-9]
    assert door.post(cut, content_encoding="gzip").status_code == 400


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(MEBIBYTE)) for _ in range(size)) + packer.flush()


def test_bombs_and_oversize_are_refused_without_growing_the_process(
    door: CollectorProcess,
) -> None:
    door.post(traces(1))
    before = door.rss_bytes()
    answer = door.post(bomb(600), content_encoding="gzip")
    assert answer.status_code == 413
    assert status_of(answer.content).code == 8
    too_long = door.client.post(
        "/v1/traces",
        content=repeat(bytes(MEBIBYTE), 65),
        headers={"content-type": PROTOBUF},
    )
    assert too_long.status_code == 413
    for options in ({}, {"compression": grpc.Compression.Gzip}):
        error = refusal(door, bytes(65 * MEBIBYTE), **options)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "google.rpc.retryinfo-bin" not in trailers(error)
    assert door.rss_bytes() - before < 300 * MEBIBYTE


def test_a_million_empty_spans_are_refused_without_growing_the_process(
    door: CollectorProcess,
) -> None:
    before = door.rss_bytes()
    spans = b"\x12\x00" * (2 << 20)
    scope = b"\x12" + varint(len(spans)) + spans
    body = b"\x0a" + varint(len(scope)) + scope
    answer = door.post(body, is_gzip=True)
    assert answer.status_code == 400
    assert "smaller batches" in status_of(answer.content).message
    assert door.rss_bytes() - before < 300 * MEBIBYTE


def test_a_request_just_under_the_limit_is_taken(door: CollectorProcess) -> None:
    request = traces(60, text="x" * MEBIBYTE)
    assert door.export(request) == b""
    assert door.post(request, is_gzip=True).status_code == 200


def test_unknown_types_encodings_and_methods_are_named_in_text(door: CollectorProcess) -> None:
    for content_type in ("text/csv", "", "application/x-www-form-urlencoded"):
        answer = door.post(b"", content_type=content_type)
        assert answer.status_code == 415
        assert answer.headers["content-type"].startswith("text/plain")
        assert "application/x-protobuf or application/json" in answer.text
    answer = door.post(b"", content_encoding="br")
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "deflate, gzip, zstd")
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        wrong = door.client.request(method, "/v1/traces")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        assert wrong.headers["content-type"].startswith("text/plain")


def test_profiles_are_not_implemented(door: CollectorProcess) -> None:
    answer = door.post(b"", path="/v1development/profiles")
    assert answer.status_code == 404
    assert "takes traces, logs and metrics" in status_of(answer.content).message
    service = "opentelemetry.proto.collector.profiles.v1development.ProfilesService"
    with pytest.raises(grpc.RpcError) as error:
        unary(door.channel, f"/{service}/Export")(b"")
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "takes traces, logs and metrics" in (error.value.details() or "")


def test_a_page_on_another_site_gets_nothing(door: CollectorProcess) -> None:
    assert door.post(traces(1), origin="http://evil.example").status_code == 403
    assert door.post(traces(1), host="evil.example:4318").status_code == 403
    assert door.post(traces(1), origin=door.url).status_code == 200
    assert door.post(traces(1), sec_fetch_site="cross-site").status_code == 403
    assert door.post(traces(1), host="localhost").status_code == 200


def test_flush_and_status_need_the_token(door: CollectorProcess) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": door.token}):
        assert door.client.get("/status", headers=headers).status_code == 401
        assert door.client.post("/flush", headers=headers).status_code == 401
    assert door.client.get("/flush", headers=door.authorized()).status_code == 405


def test_flush_without_a_store_says_so_when_its_time_is_up(door: CollectorProcess) -> None:
    door.post(traces(1))
    answer = door.client.post("/flush?timeout_s=0.2", headers=door.authorized())
    assert answer.status_code == 504
    assert "connect to the store" in answer.text
    wrong = door.client.post("/flush?timeout_s=soon", headers=door.authorized())
    assert wrong.status_code == 400


def test_received_is_accepted_and_rejected_and_quarantined(door: CollectorProcess) -> None:
    before = door.status()["spans"]
    door.export(traces([*new_ids(3), (bytes(16), b"2" * 8)]))
    refusal(door, b"\xff")
    after = door.status()["spans"]
    assert {kind: after[kind] - before[kind] for kind in after} == {
        "received": 4, "accepted": 3, "rejected": 1, "quarantined": 0, "stored": 0,
    }  # fmt: skip


def collector(data_dir: Path, *more: str) -> subprocess.CompletedProcess[str]:
    url = "clickhouse://nobody:nothing@127.0.0.1:9/none"
    return subprocess.run(
        [sys.executable, "-m", "spanlore.collector", "--data-dir", data_dir, "--store-url", url,
         *more],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_a_second_collector_on_the_same_directory_exits_with_3(door: CollectorProcess) -> None:
    done = collector(door.data_dir, "--grpc-port", "0", "--http-port", "0")
    assert done.returncode == 3
    assert "another collector is using" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_a_busy_port_is_named_and_exits_with_3(data_dir: Path, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        other = "http" if kind == "grpc" else "grpc"
        done = collector(data_dir, f"--{kind}-port", port, f"--{other}-port", "0")
    assert done.returncode == 3
    assert f"port {port}" in done.stderr
    assert f"--{kind}-port" in done.stderr


def test_the_network_is_not_served_without_a_word_of_consent(data_dir: Path) -> None:
    done = collector(data_dir, "--host", "0.0.0.0", "--grpc-port", "0", "--http-port", "0")  # noqa: S104
    assert done.returncode == 3
    assert "--insecure" in done.stderr

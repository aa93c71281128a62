"""OTLP's own list (research: `realparts` §5), where `test_doors` does not have it already."""

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from spanlore.collector.refusal import Code, Refused, overloaded, retry_info, status
from spanlore.collector.signals import LOGS, METRICS, SIGNALS, TRACES, Signal
from spanlore.schemas import zstandard
from tests.collector.collector_process import PROTOBUF, CollectorProcess, unary
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import as_json, logs, metrics, new_ids, traces
from tests.waiting import wait_until

JSON = "application/json"
MEBIBYTE = 1 << 20


def _zstd(body: bytes) -> bytes:
    packer = zstandard.compressor()
    return packer.compress(body) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": _zstd,
}
PACKED = {name: pack for name, pack in PACKERS.items() if name != "identity"}


def post_json(door: CollectorProcess, body: bytes, encoding: str = "identity") -> httpx.Response:
    return door.post(body, content_type=JSON, content_encoding=encoding)


def json_status(answer: httpx.Response) -> status_pb2.Status:
    assert answer.headers["content-type"] == JSON
    return json_format.Parse(answer.content, status_pb2.Status())


@pytest.mark.parametrize("encoding", PACKERS)
@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_http_takes_every_encoding_in_both_formats_and_answers_in_the_same(
    door: CollectorProcess, encoding: str, content_type: str
) -> None:
    before = door.status()
    for request, signal in ((traces(3), TRACES), (logs(3), LOGS)):
        plain = as_json(request) if content_type == JSON else request.SerializeToString()
        answer = door.post(
            PACKERS[encoding](plain),
            path=signal.path,
            content_type=content_type,
            content_encoding=encoding.upper(),
        )
        assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
        assert answer.content == (b"{}" if content_type == JSON else b"")
        after = door.status()[signal.name]["accepted"]
        assert after - before[signal.name]["accepted"] == 3


@pytest.mark.parametrize(
    "compression",
    [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate],
)
def test_grpc_takes_every_encoding_that_grpc_has(
    door: CollectorProcess, compression: grpc.Compression
) -> None:
    assert door.export(traces(3), compression=compression) == b""


@pytest.mark.parametrize("encoding", PACKED)
def test_a_body_that_is_not_what_its_encoding_says_or_is_cut_off_is_bad_data(
    door: CollectorProcess, encoding: str
) -> None:
    packed = PACKED[encoding](as_json(traces(50)))
    for body in (b"neither", packed[:-5], packed[:-5] + b"12345", packed + b"more"):
        answer = post_json(door, body, encoding)
        assert answer.status_code == 400
        assert json_status(answer).details[0].Is(error_details_pb2.BadRequest.DESCRIPTOR)


@pytest.mark.parametrize("encoding", PACKED)
def test_a_bomb_of_any_encoding_is_refused_without_growing_the_process(
    door: CollectorProcess, encoding: str
) -> None:
    before = door.rss_bytes()
    packed = PACKED[encoding](bytes(300 * MEBIBYTE))
    answer = door.post(packed, content_encoding=encoding)
    assert answer.status_code == 413
    assert status_pb2.Status.FromString(answer.content).code == Code.RESOURCE_EXHAUSTED
    assert door.rss_bytes() - before < 250 * MEBIBYTE


def test_a_zstd_window_above_what_http_allows_is_refused(door: CollectorProcess) -> None:
    # A frame header alone: window descriptor 0xa8 is 2 GiB, which a decoder would have to hold.
    frame = b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x01\x00\x00"
    assert door.post(frame, content_encoding="zstd").status_code == 400


def test_an_empty_request_in_json_is_a_success_and_no_json_at_all_is_bad(
    door: CollectorProcess,
) -> None:
    for body in (b"{}", b'{"resourceSpans":[]}', b'{"resourceSpans":[{}]}', b'{"unknown":1}'):
        answer = post_json(door, body)
        assert (answer.status_code, answer.content) == (200, b"{}")
    assert post_json(door, b"").status_code == 400


def test_json_says_how_many_spans_were_rejected_and_why(door: CollectorProcess) -> None:
    request = traces([*new_ids(2), (b"short", b"2" * 8)])
    partial = post_json(door, as_json(request)).json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert "trace_id must be 16 bytes" in partial["errorMessage"]


def test_bad_json_is_answered_with_a_status_in_json(door: CollectorProcess) -> None:
    answer = post_json(door, b'{"resourceSpans":7}')
    assert answer.status_code == 400
    found = json_status(answer)
    assert found.code == Code.INVALID_ARGUMENT
    assert "is no array" in found.message
    assert found.details[0].Is(error_details_pb2.BadRequest.DESCRIPTOR)


def test_an_answer_is_short_however_long_what_it_speaks_of_is(door: CollectorProcess) -> None:
    span = {"startTimeUnixNano": "ü" * MEBIBYTE}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    answer = post_json(door, body.encode())
    assert answer.status_code == 400
    assert len(answer.content) < 8192
    refused = Refused("reason", "ü" * MEBIBYTE, code=Code.INVALID_ARGUMENT)
    assert len(status(refused).SerializeToString()) < 4096


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_every_refusal_of_otlp_is_a_status_in_the_requests_encoding(
    door: CollectorProcess, content_type: str
) -> None:
    too_long = door.client.post(
        "/v1/traces",
        content=iter([bytes(65 * MEBIBYTE)]),
        headers={"content-type": content_type},
    )
    answers = {
        400: door.post(b"\xff", content_type=content_type),
        403: door.post(b"", content_type=content_type, origin="http://evil.example"),
        404: door.post(b"", content_type=content_type, path="/v1development/profiles"),
        413: too_long,
    }
    for expected, answer in answers.items():
        assert answer.status_code == expected
        assert answer.headers["content-type"] == content_type
        found = (
            json_status(answer)
            if content_type == JSON
            else status_pb2.Status.FromString(answer.content)
        )
        assert (found.code, bool(found.message)) == (
            {400: 3, 403: 7, 404: 12, 413: 8}[expected],
            True,
        )


def test_a_path_that_is_nothing_says_what_there_is_as_text(door: CollectorProcess) -> None:
    answer = door.client.get("/")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain")
    assert "traces, logs and metrics" in answer.text


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_an_overload_carries_its_delay_in_every_way_a_client_may_read_it(
    tmp_path_factory: pytest.TempPathFactory, signal: Signal
) -> None:
    request = {TRACES.name: traces(1), LOGS.name: logs(1), METRICS.name: metrics([1])}[signal.name]
    data_dir = tmp_path_factory.mktemp("full") / "data"
    with CollectorProcess(data_dir, NOWHERE, "--log-max", "1") as full:
        with pytest.raises(grpc.RpcError) as refused:
            full.export(request, signal=signal)
        as_protobuf = full.post(request, path=signal.path)
        in_json = full.post(as_json(request), path=signal.path, content_type=JSON)
    error: Any = refused.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    trailers = {entry.key: entry.value for entry in error.trailing_metadata()}
    direct = error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
    statuses = [
        status_pb2.Status.FromString(trailers["grpc-status-details-bin"]),
        status_pb2.Status.FromString(as_protobuf.content),
        json_status(in_json),
    ]
    assert _delay_s(statuses[0]) == direct.retry_delay.ToMilliseconds() / 1000
    for found in statuses:
        assert found.code == Code.UNAVAILABLE
        assert 1 <= _delay_s(found) <= 3
    for answer in (as_protobuf, in_json):
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 3


def _delay_s(found: status_pb2.Status) -> float:
    info = error_details_pb2.RetryInfo()
    assert found.details[0].Unpack(info)
    delay_ms: int = info.retry_delay.ToMilliseconds()
    return delay_ms / 1000


def test_the_trailers_of_the_longest_refusal_fit_a_grpc_client() -> None:
    refused = overloaded("reason", "\U0001f388" * MEBIBYTE)
    details = len(status(refused).SerializeToString()) + len(retry_info(refused))
    percent_encoded = 3 * len(refused.message.encode())
    assert details * 4 / 3 + percent_encoded < 8192


def test_a_grpc_method_that_is_nothing_is_unimplemented_whatever_it_is_called(
    door: CollectorProcess,
) -> None:
    for method in ("/no.such.Service/Export", f"/{TRACES.service}/Import", "/x/y"):
        with pytest.raises(grpc.RpcError) as refused:
            unary(door.channel, method)(b"")
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    stream: Any = door.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=None,
        response_deserializer=None,
    )
    with pytest.raises(grpc.RpcError) as refused:
        next(stream(_nothing_until_answered()))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "traces, logs and metrics" in (refused.value.details() or "")


def _nothing_until_answered() -> Iterator[bytes]:
    threading.Event().wait(0.2)
    yield from ()


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(door: CollectorProcess) -> None:
    body = traces(1).SerializeToString()
    head = (
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n"
        f"content-type: {PROTOBUF}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with _connect(door) as client:
        client.sendall(head.encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_many_requests_at_once_on_one_connection_are_answered_in_order(
    door: CollectorProcess,
) -> None:
    body = traces(1).SerializeToString()
    head = f"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: {PROTOBUF}\r\n"
    length = f"content-length: {len(body)}\r\n\r\n"
    wire = b"".join(
        (head % path + length).encode() + body for path in ("/v1/traces", "/v1/nothing") * 5
    )
    found = b""
    with _connect(door) as client:
        client.sendall(wire)
        while found.count(b"HTTP/1.1 ") < 10:
            found += client.recv(65536)
    answers = [piece[:3] for piece in found.split(b"HTTP/1.1 ")[1:]]
    assert answers == [b"200", b"404"] * 5


def test_a_stop_finishes_the_request_in_flight_and_takes_no_new_one(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data_dir = tmp_path_factory.mktemp("stopped") / "data"
    body = traces(1).SerializeToString()
    head = (
        f"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: {PROTOBUF}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    with CollectorProcess(data_dir, NOWHERE) as process, _connect(process) as client:
        client.sendall(head.encode() + body[:10])
        assert process.post(traces(1)).status_code == 200
        process.process.terminate()
        wait_until(lambda: _is_closed(process))
        client.sendall(body[10:])
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert process.ended() == 0


def _is_closed(process: CollectorProcess) -> bool:
    try:
        _connect(process).close()
    except ConnectionRefusedError:
        return True
    return False


def _connect(process: CollectorProcess) -> socket.socket:
    host, _, port = process.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def test_no_other_page_is_answered_until_its_origin_is_allowed(
    door: CollectorProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = "https://app.example"
    ask = {
        "origin": page,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    refused = door.client.options("/v1/traces", headers=ask)
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers
    data_dir = tmp_path_factory.mktemp("origins") / "data"
    with CollectorProcess(data_dir, NOWHERE, "--allow-origin", page) as process:
        asked = process.client.options("/v1/traces", headers=ask)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-methods"] == "POST"
        assert "content-type" in asked.headers["access-control-allow-headers"]
        good = process.post(as_json(traces(1)), content_type=JSON, origin=page)
        bad = process.post(b"{", content_type=JSON, origin=page)
        assert (good.status_code, bad.status_code) == (200, 400)
        for answer in (asked, good, bad):
            assert answer.headers["access-control-allow-origin"] == page
            assert answer.headers["vary"] == "origin"
        for other in ("https://app.example.evil", "http://app.example", "null"):
            assert process.post(traces(1), origin=other).status_code == 403
            assert (
                process.client.options("/v1/traces", headers={**ask, "origin": other}).status_code
                == 403
            )

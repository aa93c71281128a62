"""Clients that are slow, silent or many (row 22 of the fault matrix), and a budget that is full."""

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2

from spanlore.collector.signals import TRACES
from tests.collector.collector_process import PROTOBUF, CollectorProcess
from tests.collector.conftest import NOWHERE
from tests.collector.hurried_collector import INFLIGHT_BYTES_MAX, LIMITS
from tests.collector.otlp_requests import traces
from tests.waiting import wait_until

# What the machine may add to a limit before a test calls it broken.
SLACK_S = 15.0
HEAD = (
    b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n"
    b"content-length: %d\r\n\r\n"
)


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    data_dir = tmp_path_factory.mktemp("hurried") / "data"
    module = "tests.collector.hurried_collector"
    with CollectorProcess(data_dir, NOWHERE, module=module) as process:
        yield process
        assert process.stop() == 0


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition("//")[2].rpartition(":")
    return socket.create_connection((host, int(port)), timeout=LIMITS.idle_s_max + SLACK_S)


def is_served(door: CollectorProcess) -> bool:
    return door.post(traces(1)).status_code == 200 and door.export(traces(1)) == b""


def read_to_end(client: socket.socket) -> bytes:
    """Read until the other side closes; a reset is an end too."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            found += piece
    return found


def test_a_header_that_never_ends_is_cut_off_and_others_are_served(
    hurried: CollectorProcess,
) -> None:
    with connect(hurried.url) as slow:
        slow.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
        stop = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(0.05):
                    slow.sendall(b"a")

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert is_served(hurried)
        began = time.monotonic()
        assert read_to_end(slow) == b""
        assert time.monotonic() - began < LIMITS.header_s_max + SLACK_S
        stop.set()
        dripping.join()


def test_a_body_that_comes_too_slowly_is_refused_and_may_come_again(
    hurried: CollectorProcess,
) -> None:
    with connect(hurried.url) as slow:
        slow.sendall(HEAD % 1000 + b"half")
        assert is_served(hurried)
        found = read_to_end(slow)
    assert found.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in found
    assert hurried.status()["refused"]["slow"] >= 1


def test_grpc_calls_without_a_message_are_ended_before_they_hold_every_thread(
    hurried: CollectorProcess,
) -> None:
    done = threading.Event()

    def nothing() -> Iterator[bytes]:
        done.wait(SLACK_S)
        yield from ()

    method = f"/{TRACES.service}/Export"
    with grpc.insecure_channel(hurried.grpc_address) as channel:
        call: Any = channel.stream_unary(
            method, request_serializer=None, response_deserializer=None
        )
        # More than the door has threads.
        calls = [call.future(nothing()) for _ in range(70)]
        assert hurried.export(traces(1)) == b""
        codes = {one.exception(timeout=SLACK_S).code() for one in calls}
        done.set()
    assert codes == {grpc.StatusCode.CANCELLED}


def test_a_client_that_says_nothing_is_let_go_at_both_doors(hurried: CollectorProcess) -> None:
    with connect(hurried.url) as http, connect(hurried.grpc_address) as grpc:
        assert read_to_end(http) == b""
        # gRPC's server speaks first; then it waits for the client's greeting.
        read_to_end(grpc)
    assert is_served(hurried)


def test_a_connection_serves_several_requests_and_is_closed_when_it_stays_idle(
    hurried: CollectorProcess,
) -> None:
    body = traces(1).SerializeToString()
    with connect(hurried.url) as client:
        for _ in range(3):
            client.sendall(HEAD % len(body) + body)
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert read_to_end(client) == b""


def test_who_waits_longest_gives_way_when_too_many_are_connected(
    hurried: CollectorProcess,
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(connect(hurried.url))
        for _ in range(LIMITS.connections_max * 3):
            stack.enter_context(connect(hurried.url))
        assert read_to_end(first) == b""
        assert hurried.client.post(
            "/v1/traces", content=b"", headers={"content-type": PROTOBUF, "connection": "close"}
        )


def test_grpc_keeps_no_more_connections_than_the_limit(hurried: CollectorProcess) -> None:
    def is_bounded() -> bool:
        return hurried.open_files() <= before + LIMITS.connections_max

    wait_until(lambda: is_served(hurried))
    before = hurried.open_files()
    with ExitStack() as stack:
        for _ in range(LIMITS.connections_max * 5):
            stack.enter_context(connect(hurried.grpc_address))
        wait_until(is_bounded, deadline_s=LIMITS.header_s_max / 2)
        assert is_served(hurried)


def test_a_connection_is_told_to_come_back_while_all_others_are_busy(
    hurried: CollectorProcess,
) -> None:
    with ExitStack() as stack:
        for _ in range(LIMITS.connections_max):
            stack.enter_context(connect(hurried.url)).sendall(HEAD % 1000 + b"half")
        with connect(hurried.url) as late:
            found = read_to_end(late)
    assert found.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in found
    wait_until(lambda: is_served(hurried))


def test_thousands_of_connections_leave_both_doors_open(hurried: CollectorProcess) -> None:
    for _ in range(1000):
        for address in (hurried.url, hurried.grpc_address):
            connect(address).close()
    assert is_served(hurried)


def test_a_low_limit_of_open_files_is_raised_as_far_as_it_may_be(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    few = "import os, resource as r, sys; r.setrlimit(r.RLIMIT_NOFILE, (128, 4096)); "
    prefix = (sys.executable, "-c", few + "os.execv(sys.argv[1], sys.argv[1:])")
    data_dir = tmp_path_factory.mktemp("few") / "data"
    with CollectorProcess(data_dir, NOWHERE, prefix=prefix) as door, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(door.url))
        assert is_served(door)


def test_while_too_much_is_in_flight_a_request_is_told_when_to_come_again(
    hurried: CollectorProcess,
) -> None:
    held = b"x" * (INFLIGHT_BYTES_MAX - 1000)
    answers: list[httpx.Response] = []

    def is_refused() -> bool:
        # Not at once: the holder's own bytes have to be read first, and then there is a second.
        with connect(hurried.url) as holder:
            holder.sendall(HEAD % (len(held) + 1) + held)
            answers.extend(hurried.post(traces(1, text="x" * 2000)) for _ in range(10))
        return answers[-1].status_code == 503

    wait_until(is_refused)
    status = status_pb2.Status.FromString(answers[-1].content)
    retry = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 3
    assert 1 <= retry.retry_delay.ToMilliseconds() / 1000 <= 3
    wait_until(lambda: is_served(hurried))

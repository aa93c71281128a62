"""rotel, another maker's collector, as a real process in front of what a test has started."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from running import free_port
from systems import rotel_binary
from tests.waiting import wait_until

STOP_S_MAX = 60


@contextmanager
def rotel(folder: Path, *exporter: str, grpc_address: str | None = None) -> Iterator[str]:
    """Run rotel with an exporter's options; give the address of its gRPC receiver, or skip."""
    try:
        binary = rotel_binary()
    except ModuleNotFoundError:
        pytest.skip("rotel is not installed: see benchmarks/requirements.lock")
    grpc_address = grpc_address or free_address()
    http_address = free_address()
    command = [
        str(binary), "start", f"--otlp-grpc-endpoint={grpc_address}",
        f"--otlp-http-endpoint={http_address}", f"--pid-file={folder / 'rotel.pid'}",
        f"--log-file={folder / 'rotel.log'}", *exporter,
    ]  # fmt: skip
    agent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _is_open(grpc_address), deadline_s=60)
        yield grpc_address
    finally:
        agent.terminate()
        agent.wait(STOP_S_MAX)


def free_address() -> str:
    """Give an address on loopback that nobody listens at now."""
    return f"127.0.0.1:{free_port()}"


def _is_open(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0

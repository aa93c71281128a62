import os
import socket
import sys

import pytest

from spanlore.cli.errors import CannotReach
from spanlore.cli.ports import owner_pid, require_free


def test_a_busy_port_is_named_with_its_owner_and_the_option_that_helps() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CannotReach, match=f"port {port} is in use.*--grpc-port") as caught:
            require_free("127.0.0.1", port, option="--grpc-port")
        if sys.platform == "linux":
            assert f"by process {os.getpid()}" in caught.value.message
            assert owner_pid(port) == os.getpid()


def test_a_free_port_is_free_and_zero_always_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    require_free("127.0.0.1", port, option="--grpc-port")
    require_free("127.0.0.1", 0, option="--grpc-port")
    assert owner_pid(port) is None

"""gRPC's core writes to stderr by itself, as loudly as the environment says when it starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_VERBOSITY = "GRPC_VERBOSITY"


@contextmanager
def silent_grpc() -> Iterator[None]:
    """Import or start gRPC without its voice, unless the user chose one."""
    if _VERBOSITY in os.environ:
        yield
        return
    os.environ[_VERBOSITY] = "NONE"
    try:
        yield
    finally:
        os.environ.pop(_VERBOSITY, None)

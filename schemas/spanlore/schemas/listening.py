"""The listening socket of an HTTP port of ours."""

import socket
from typing import Final

_BACKLOG: Final = 1024


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket (0: any free port); early clients wait in its backlog.

    The protocol is named: asyncio sends at once (TCP_NODELAY) only on sockets that say TCP, and an
    answer, which is two writes, would wait 40 ms for the client's acknowledgement otherwise.
    Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener

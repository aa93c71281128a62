"""HTTP/1.1 for a port of ours, with an end to what one client may hold and for how long."""

import asyncio
import socket
from asyncio import Transport
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from spanlore.schemas.tls import Tls

__all__ = ["BoundedServer", "HttpBounds", "bounded_protocol"]

_FULL_TEXT: Final = b"too many connections: come back soon\n"
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n\r\n%s"
) % (len(_FULL_TEXT), _FULL_TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpBounds:
    """How long a client may take to send a header or a body, to read an answer, to ask again.

    Of more than ``connections_max`` the one that has waited longest for a request gives way; where
    all are busy the new one is told to come back.
    """

    header_s_max: float
    body_s_max: float
    read_s_max: float
    idle_s_max: int
    connections_max: int


def bounded_protocol(bounds: HttpBounds) -> type[asyncio.Protocol]:
    """Give the protocol for uvicorn's ``http`` setting."""
    return type("BoundedProtocol", (_BoundedProtocol,), {"bounds": bounds})


class BoundedServer(uvicorn.Server):
    """One port's server. It takes no signals: whoever runs it says when to stop.

    ``grace_s`` is for what is answered when it is told to. ``serving`` is set once it listens.
    """

    def __init__(
        self, app: Callable[..., Any], bounds: HttpBounds, *, grace_s: int, tls: Tls | None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=bounded_protocol(bounds),
                interface="asgi3",
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=bounds.idle_s_max,
                timeout_graceful_shutdown=grace_s,
                ssl_context_factory=None if tls is None else lambda *_: tls.context(),
            )
        )
        self.serving = asyncio.Event()
        self._handshake_s_max = bounds.header_s_max

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, as uvicorn does."""
        with self._hurried_handshakes() if self.config.is_ssl else nullcontext():
            await super().startup(sockets)
        self.serving.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone: uvicorn raises them again, and skips what is closed after it."""
        yield

    @contextmanager
    def _hurried_handshakes(self) -> Iterator[None]:
        """Let no TLS handshake take longer than a header may: asyncio would wait a minute.

        uvicorn has no setting for it, and a connection is none of the protocol's before that.
        """
        loop = asyncio.get_running_loop()
        create_server = loop.create_server
        loop.create_server = partial(  # type: ignore[method-assign]
            create_server, ssl_handshake_timeout=self._handshake_s_max
        )
        try:
            yield
        finally:
            loop.create_server = create_server  # type: ignore[method-assign]


class _BoundedProtocol(HttpToolsProtocol):
    bounds: ClassVar[HttpBounds]
    _sending: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _waits_since_s: float = 0.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waits_since_s = self.loop.time()
        self._must_send_within(self.bounds.header_s_max)
        if len(self.connections) > self.bounds.connections_max:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._must_send_within(None)
        self._may_read()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._must_send_within(self.bounds.header_s_max)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._must_send_within(self.bounds.body_s_max)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._must_send_within(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._waits_since_s = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._reading = self.loop.call_later(self.bounds.read_s_max, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._may_read()
        super().resume_writing()

    def _make_room(self) -> None:
        """Let go of who has waited longest for a request, or of this new one."""
        others = cast("set[_BoundedProtocol]", self.connections)
        waiting = [one for one in others if one is not self and one.waits_for_request()]
        if waiting:
            min(waiting, key=lambda one: one._waits_since_s).transport.abort()  # noqa: SLF001
        else:
            self.transport.write(_FULL)
            self.transport.close()

    def waits_for_request(self) -> bool:
        """Say whether no request is being sent or answered here."""
        is_idle = self.cycle is None or self.cycle.response_complete
        return is_idle and not self.transport.is_closing()

    def _may_read(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _must_send_within(self, seconds: float | None) -> None:
        if self._sending is not None:
            self._sending.cancel()
        self._sending = (
            None if seconds is None else self.loop.call_later(seconds, self.transport.abort)
        )

"""OTLP over HTTP (:4318), and the collector's own /flush, /status and /metrics."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from socket import socket
from typing import Any, Final
from urllib.parse import parse_qs

from spanlore.collector import origins
from spanlore.collector.access import Access
from spanlore.collector.config import ClientLimits
from spanlore.collector.counters import Counters
from spanlore.collector.http_answer import (
    JSON,
    PROTOBUF,
    Answer,
    document,
    media_type,
    refusal,
    text,
)
from spanlore.collector.http_body import Body, DisconnectedError, Receive
from spanlore.collector.inflate import ENCODINGS, inflate
from spanlore.collector.intake import (
    DURABLE_WAIT_S_MAX,
    SMALL_BYTES_MAX,
    Intake,
    Taken,
    unknown_signal,
)
from spanlore.collector.prometheus_page import page
from spanlore.collector.refusal import Refused, overloaded
from spanlore.collector.signals import SIGNALS, Signal
from spanlore.collector.tenant_header import TENANT_HEADER, read_tenant
from spanlore.schemas.bounded_http import BoundedServer, HttpBounds
from spanlore.schemas.doorway import Doorway
from spanlore.schemas.inflating import INFLATERS
from spanlore.schemas.tls import Tls
from spanlore.schemas.tokens import ADMIN, INGEST, READ

_FLUSH_S_DEFAULT = 60.0
_FLUSH_S_MAX = 600.0
_READ_S_MAX = 30.0
# For the answer that a body came too slowly to leave before the connection is cut.
_ANSWER_S = 5.0
_GRACE_S = 5
_WORKERS = 4
_SIGNALS = {signal.path: signal for signal in SIGNALS}
Scope = Mapping[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """What the collector's own paths do. ``flush`` takes seconds and may raise TimeoutError."""

    flush: Callable[[float], Mapping[str, Any]]
    status: Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Operation:
    """How a path of the collector's own is asked, and the scopes of which a token must have one."""

    method: str
    scopes: tuple[str, ...]


_OPERATIONS = {
    "/flush": _Operation("POST", (ADMIN,)),
    "/status": _Operation("GET", (ADMIN,)),
    "/metrics": _Operation("GET", (READ, ADMIN)),
}
# Every path there is and the method it takes.
ROUTES: Final[Mapping[str, str]] = {
    **dict.fromkeys(_SIGNALS, "POST"),
    **{path: operation.method for path, operation in _OPERATIONS.items()},
}


def scopes_of(path: str) -> tuple[str, ...]:
    """Give the scopes of which a token must have one for a path there is."""
    return _OPERATIONS[path].scopes if path in _OPERATIONS else (INGEST,)


class HttpDoor:
    """The HTTP server, in a thread of its own. ``start`` on a bound socket, then ``stop``."""

    def __init__(
        self, application: "Application", *, limits: ClientLimits, tls: Tls | None = None
    ) -> None:
        self._app = application
        bounds = HttpBounds(
            header_s_max=limits.header_s_max,
            body_s_max=limits.body_s_max + _ANSWER_S,
            read_s_max=_READ_S_MAX,
            idle_s_max=limits.idle_s_max,
            connections_max=limits.connections_max,
        )
        self._server = BoundedServer(self._app, bounds, grace_s=_GRACE_S, tls=tls)
        self._thread: threading.Thread | None = None

    def start(self, listener: socket) -> None:
        """Begin to answer on a bound socket."""
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="http-door", daemon=True
        )
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._server.server_state.connections)

    def stop(self) -> None:
        """Refuse new connections, finish the requests in flight. Safe twice."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._app.close()


class Application:
    """The plain ASGI callable."""

    def __init__(
        self,
        intake: Intake,
        counters: Counters,
        *,
        operations: Operations,
        access: Access,
        doorway: Doorway,
        body_s_max: float,
    ) -> None:
        self._intake = intake
        self._counters = counters
        self._operations = operations
        self._access = access
        self._doorway = doorway
        self._body_s_max = body_s_max
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="http")

    def close(self) -> None:
        """Let the worker threads go."""
        self._workers.shutdown(wait=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        try:
            answer = await self._answer(scope, headers, receive=receive)
        except Refused as refused:
            self._counters.refused(refused.reason)
            answer = refusal(refused, media_type(headers))
        except DisconnectedError:
            return
        sent = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            *answer.headers,
            *(origins.permission(self._doorway, headers) if scope["path"] in _SIGNALS else ()),
        ]
        await send({"type": "http.response.start", "status": int(answer.status), "headers": sent})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(
        self, scope: Scope, headers: Mapping[bytes, bytes], *, receive: Receive
    ) -> Answer:
        origins.check(self._doorway, headers)
        path, authorization = scope["path"], _authorization(headers)
        if path in _OPERATIONS:
            self._access.operator(authorization, *_OPERATIONS[path].scopes)
            return await self._operate(scope, headers)
        preflight = origins.preflight(self._doorway, scope["method"], headers)
        if preflight and path in _SIGNALS:
            return text(HTTPStatus.OK, "send", *preflight)
        tenant = self._access.sender(authorization)
        if path not in _SIGNALS:
            raise unknown_signal()
        if scope["method"] != "POST":
            self._counters.refused("method")
            return _use("POST")
        self._intake.quotas.admit(tenant)
        tenant = tenant or read_tenant(headers.get(TENANT_HEADER.encode()))
        return await self._export(_SIGNALS[path], headers, tenant=tenant, receive=receive)

    async def _export(
        self, signal: Signal, headers: Mapping[bytes, bytes], *, tenant: str, receive: Receive
    ) -> Answer:
        media = media_type(headers)
        if media not in (PROTOBUF, JSON):
            self._counters.refused("content_type")
            return text(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"content type {media!r} is not taken: send {PROTOBUF} or {JSON}",
            )
        encoding = headers.get(b"content-encoding", b"").strip().lower().decode("latin-1")
        if encoding not in ("", "identity", *INFLATERS):
            self._counters.refused("content_encoding")
            known = ", ".join(ENCODINGS)
            return text(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"content encoding {encoding!r} is not taken: use {known} or none",
                (b"accept-encoding", known.encode()),
            )
        body = Body(self._intake, headers, body_s_max=self._body_s_max)
        try:
            sent = await body.read(receive)
            started_s = time.monotonic()
            reading = _Reading(signal=signal, tenant=tenant, media=media, encoding=encoding)
            taken = await self._take(sent, reading, body)
            if taken.durable is not None:
                async with asyncio.timeout(DURABLE_WAIT_S_MAX):
                    await asyncio.wrap_future(taken.durable)
                self._counters.acknowledged("http", time.monotonic() - started_s)
        except TimeoutError as error:
            raise overloaded("log_slow", "the disk is too slow: send again") from error
        finally:
            body.release()
        return Answer(status=HTTPStatus.OK, body=taken.answer, content_type=media)

    async def _take(self, sent: bytes, reading: "_Reading", body: Body) -> Taken:
        def take() -> Taken:
            plain = sent
            if reading.encoding in INFLATERS:
                # Counted once its size is known: no more than the few workers inflate at once.
                bytes_max = self._intake.limits.message_bytes_max
                plain = inflate(sent, reading.encoding, bytes_max=bytes_max)
                body.reserve(len(plain))
            if reading.media == JSON:
                return self._intake.take_json(plain, reading.signal, tenant=reading.tenant)
            return self._intake.take(plain, reading.signal, tenant=reading.tenant)

        if len(sent) <= SMALL_BYTES_MAX and reading.is_plain():
            # Handing it to a thread would cost more than the check.
            return take()
        return await asyncio.get_running_loop().run_in_executor(self._workers, take)

    async def _operate(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Answer:
        method = _OPERATIONS[scope["path"]].method
        if scope["method"] != method:
            return _use(method)
        if method == "GET":
            status = self._operations.status()
            return document(status) if scope["path"] == "/status" else page(status, headers)
        try:
            timeout_s = _timeout_s(scope)
        except ValueError:
            return text(HTTPStatus.BAD_REQUEST, "timeout_s is a number of seconds")
        loop = asyncio.get_running_loop()
        try:
            return document(await loop.run_in_executor(None, self._operations.flush, timeout_s))
        except TimeoutError as error:
            return text(HTTPStatus.GATEWAY_TIMEOUT, f"not loaded within {timeout_s} s: {error}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What a request's bytes are: which signal, whose, in which format, how compressed."""

    signal: Signal
    tenant: str
    media: str
    encoding: str

    def is_plain(self) -> bool:
        """Say whether there is nothing to do before the check."""
        return self.media == PROTOBUF and self.encoding not in INFLATERS


def _authorization(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"authorization", b"").decode("latin-1")


def _timeout_s(scope: Scope) -> float:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return min(_FLUSH_S_MAX, max(0.0, float(query.get("timeout_s", [_FLUSH_S_DEFAULT])[0])))


def _use(method: str) -> Answer:
    return text(HTTPStatus.METHOD_NOT_ALLOWED, f"use {method}", (b"allow", method.encode()))

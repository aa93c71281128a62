"""OTLP over HTTP (:4318), and the collector's own /flush and /status."""

import asyncio
import hmac
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from socket import socket
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from spanlore.collector.counters import Counters
from spanlore.collector.inflate import inflate
from spanlore.collector.intake import DURABLE_WAIT_S_MAX, SMALL_BYTES_MAX, Intake, Taken
from spanlore.collector.refusal import (
    Code,
    Refused,
    malformed,
    overloaded,
    retry_after_header,
    status,
    too_large,
)
from spanlore.collector.signals import SIGNALS, Signal

PROTOBUF = "application/x-protobuf"
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_BODY_S_MAX = 30.0
_FLUSH_S_DEFAULT = 60.0
_FLUSH_S_MAX = 600.0
_IDLE_S_MAX = 60
_GRACE_S = 5
_WORKERS = 4
_SIGNALS = {signal.path: signal for signal in SIGNALS}
_OTLP_PREFIXES = ("/v1/", "/v1development/")

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response: status, body, its content type and further headers."""

    status: HTTPStatus
    body: bytes
    content_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """What the collector's own paths do. ``flush`` takes seconds and may raise TimeoutError."""

    flush: Callable[[float], Mapping[str, Any]]
    status: Callable[[], Mapping[str, Any]]


class DisconnectedError(Exception):
    """The client went away before its request was whole."""


class HttpDoor:
    """The HTTP server, in a thread of its own. ``start`` on a bound socket, then ``stop``."""

    def __init__(
        self,
        intake: Intake,
        counters: Counters,
        *,
        operations: Operations,
        token: str,
        hosts: frozenset[str],
    ) -> None:
        self._app = Application(intake, counters, operations=operations, token=token, hosts=hosts)
        config = uvicorn.Config(
            self._app,
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=_IDLE_S_MAX,
            timeout_graceful_shutdown=_GRACE_S,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def start(self, listener: socket) -> None:
        """Begin to answer on a bound socket."""
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="http-door", daemon=True
        )
        self._thread.start()

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
        token: str,
        hosts: frozenset[str],
    ) -> None:
        self._intake = intake
        self._counters = counters
        self._operations = operations
        self._bearer = f"Bearer {token}".encode()
        self._hosts = hosts
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="http")

    def close(self) -> None:
        """Let the worker threads go."""
        self._workers.shutdown(wait=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._answer(scope, receive)
        except Refused as refused:
            self._counters.refused(refused.reason)
            answer = _refusal(refused)
        except DisconnectedError:
            return
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            *answer.headers,
        ]
        await send(
            {"type": "http.response.start", "status": int(answer.status), "headers": headers}
        )
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = dict(scope["headers"])
        self._check_origin(headers)
        path = scope["path"]
        if path in _SIGNALS:
            return await self._export(scope, headers, receive=receive)
        if path in ("/flush", "/status"):
            return await self._operate(scope, headers)
        if path.startswith(_OTLP_PREFIXES):
            message = "spanlore takes traces, logs and metrics; this signal is not stored"
            raise Refused("signal", message, code=Code.UNIMPLEMENTED)
        return _text(HTTPStatus.NOT_FOUND, f"nothing at {path}; OTLP is at {', '.join(_SIGNALS)}")

    def _check_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """Keep web pages out: their Host (after DNS rebinding) or Origin is not one of ours."""
        host = headers.get(b"host", b"").decode("latin-1")
        if host not in self._hosts:
            message = f"this server does not answer to the host {host!r}"
            raise Refused("host", message, code=Code.PERMISSION_DENIED)
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").partition("://")[2] not in self._hosts:
            message = "requests from other web pages are not taken"
            raise Refused("origin", message, code=Code.PERMISSION_DENIED)

    async def _export(
        self, scope: Scope, headers: Mapping[bytes, bytes], *, receive: Receive
    ) -> Answer:
        if scope["method"] != "POST":
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "use POST", (b"allow", b"POST"))
        kind = (
            headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
        )
        if kind != PROTOBUF:
            return _text(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _content_type_message(kind))
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding not in (b"identity", b"gzip", b""):
            return _text(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"content encoding {encoding.decode('latin-1')!r} is not taken: use gzip or none",
                (b"accept-encoding", b"gzip"),
            )
        reader = _Body(self._intake, headers)
        try:
            body = await reader.read(receive)
            taken = await self._take(
                body, _SIGNALS[scope["path"]], is_gzip=encoding == b"gzip", reader=reader
            )
            if taken.durable is not None:
                async with asyncio.timeout(DURABLE_WAIT_S_MAX):
                    await asyncio.wrap_future(taken.durable)
        except TimeoutError as error:
            raise overloaded("log_slow", "the disk is too slow: send again") from error
        finally:
            reader.release()
        return Answer(status=HTTPStatus.OK, body=taken.answer, content_type=PROTOBUF)

    async def _take(self, body: bytes, signal: Signal, *, is_gzip: bool, reader: "_Body") -> Taken:
        def take() -> Taken:
            plain = body
            if is_gzip:
                # Counted once its size is known: no more than the few workers inflate at once.
                plain = inflate(body, bytes_max=self._intake.limits.message_bytes_max)
                reader.reserve(len(plain))
            return self._intake.take(plain, signal)

        if len(body) <= SMALL_BYTES_MAX and not is_gzip:
            # Handing it to a thread would cost more than the check.
            return take()
        return await asyncio.get_running_loop().run_in_executor(self._workers, take)

    async def _operate(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Answer:
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._bearer):
            return _text(
                HTTPStatus.UNAUTHORIZED,
                "give the collector_token of credentials.json as a bearer token",
                (b"www-authenticate", b"Bearer"),
            )
        method = "POST" if scope["path"] == "/flush" else "GET"
        if scope["method"] != method:
            return _text(
                HTTPStatus.METHOD_NOT_ALLOWED, f"use {method}", (b"allow", method.encode())
            )
        if method == "GET":
            return _json(self._operations.status())
        try:
            timeout_s = _timeout_s(scope)
        except ValueError:
            return _text(HTTPStatus.BAD_REQUEST, "timeout_s is a number of seconds")
        loop = asyncio.get_running_loop()
        try:
            return _json(await loop.run_in_executor(None, self._operations.flush, timeout_s))
        except TimeoutError as error:
            return _text(HTTPStatus.GATEWAY_TIMEOUT, f"not loaded within {timeout_s} s: {error}")


class _Body:
    """Reads one request's body within the budget, and knows what it holds of it."""

    def __init__(self, intake: Intake, headers: Mapping[bytes, bytes]) -> None:
        self._budget = intake.budget
        self._bytes_max = intake.limits.message_bytes_max
        self._length = headers.get(b"content-length")
        self._held = 0

    def reserve(self, size: int) -> None:
        """Take bytes out of the budget for this request. Raises Refused (retryable)."""
        self._budget.take(size)
        self._held += size

    def release(self) -> None:
        """Give back all that was taken."""
        self._budget.give(self._held)
        self._held = 0

    async def read(self, receive: Receive) -> bytes:
        """Read the body. Raises Refused (too large, too slow, busy) or DisconnectedError."""
        if self._length is not None and int(self._length) > self._bytes_max:
            raise too_large(
                f"the request has {int(self._length)} bytes, the limit is {self._bytes_max}"
            )
        try:
            async with asyncio.timeout(_BODY_S_MAX):
                return await self._chunks(receive)
        except TimeoutError as error:
            raise malformed("slow", f"the body did not come within {_BODY_S_MAX:g} s") from error

    async def _chunks(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            if size > self._bytes_max:
                raise too_large(f"the request has more than {self._bytes_max} bytes")
            self.reserve(len(chunk))
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _timeout_s(scope: Scope) -> float:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return min(_FLUSH_S_MAX, max(0.0, float(query.get("timeout_s", [_FLUSH_S_DEFAULT])[0])))


def _content_type_message(kind: str) -> str:
    if kind == _JSON:
        return (
            "OTLP as JSON is not taken by this version: send application/x-protobuf "
            "(OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf)"
        )
    return f"content type {kind!r} is not taken: send application/x-protobuf"


def _refusal(refused: Refused) -> Answer:
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if refused.retryable:
        headers = ((b"retry-after", retry_after_header(refused).encode()),)
    return Answer(
        status=refused.http_status, body=status(refused), content_type=PROTOBUF, headers=headers
    )


def _text(code: HTTPStatus, message: str, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(
        status=code, body=f"{message}\n".encode(), content_type=_TEXT, headers=tuple(headers)
    )


def _json(document: Mapping[str, Any]) -> Answer:
    return Answer(status=HTTPStatus.OK, body=json.dumps(document).encode(), content_type=_JSON)

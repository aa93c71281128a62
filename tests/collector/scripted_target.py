"""Targets to forward to that answer as a test tells them, over HTTP and over gRPC."""

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc

from spanlore.collector.signals import TRACES


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as the target got it, and when (monotonic seconds)."""

    path: str
    headers: Message
    body: bytes
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the target answers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Script = Callable[[Received], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTarget:
    """An HTTP server that answers by a script and keeps what it got."""

    url: str
    received: list[Received]


@contextmanager
def http_target(script: Script, *, tls: ssl.SSLContext | None = None) -> Iterator[HttpTarget]:
    """Serve a script on a free port."""
    received: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sent = b"".join(self.pieces())
            is_gzip = self.headers.get("content-encoding") == "gzip"
            body = gzip.decompress(sent) if is_gzip else sent
            one = Received(path=self.path, headers=self.headers, body=body, at_s=time.monotonic())
            received.append(one)
            reply = script(one)
            self.send_response(reply.status)
            for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def pieces(self) -> Iterator[bytes]:
            if self.headers["transfer-encoding"] != "chunked":
                yield self.rfile.read(int(self.headers["content-length"]))
                return
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        scheme = "https" if tls else "http"
        try:
            yield HttpTarget(
                url=f"{scheme}://127.0.0.1:{server.server_address[1]}", received=received
            )
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcReply:
    """What a gRPC target answers: bytes, or a status with trailers."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    trailers: Sequence[tuple[str, bytes]] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcTarget:
    """A gRPC server that answers every export of traces alike and keeps what it got."""

    address: str
    bodies: list[bytes]
    metadata: list[dict[str, Any]]


@contextmanager
def grpc_target(
    reply: GrpcReply, *, credentials: grpc.ServerCredentials | None = None
) -> Iterator[GrpcTarget]:
    """Serve a reply on a free port."""
    bodies: list[bytes] = []
    metadata: list[dict[str, Any]] = []

    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        bodies.append(body)
        metadata.append(dict(context.invocation_metadata()))
        context.set_trailing_metadata(tuple(reply.trailers))
        if reply.code is not grpc.StatusCode.OK:
            context.abort(reply.code, "as told")
        return reply.body

    handler = grpc.method_handlers_generic_handler(
        TRACES.service, {"Export": grpc.unary_unary_rpc_method_handler(export)}
    )
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads, handlers=[handler])
        port = (
            server.add_secure_port("127.0.0.1:0", credentials)
            if credentials
            else server.add_insecure_port("127.0.0.1:0")
        )
        server.start()
        try:
            yield GrpcTarget(address=f"127.0.0.1:{port}", bodies=bodies, metadata=metadata)
        finally:
            server.stop(None).wait()

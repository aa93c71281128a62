"""One request to one target, and what its answer means: taken, again, or never.

What may be sent again and after how long is OTLP's: opentelemetry-proto, docs/specification.md,
"Failures" and "OTLP/gRPC Throttling", "OTLP/HTTP Throttling". Beyond it a request is sent again
that was not let in: OTLP speaks of an exporter that would have to hold it in memory, and here the
queue is bounded and on the disk, and people mend credentials.
"""

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.request import getproxies, proxy_bypass

import grpc
import urllib3
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from isal import igzip
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanlore.collector.forwarding.target import Target
from spanlore.collector.http_answer import PROTOBUF
from spanlore.collector.refusal import shortened
from spanlore.collector.signals import SIGNALS, Signal

_ANSWER_BYTES_MAX: Final = 4 << 20
_CONNECT_S_MAX: Final = 10.0
# A target that asks for longer is asked earlier.
_RETRY_AFTER_S_MAX: Final = 600.0
# The channel's own wait between two connects; when to send again is the forwarder's to say.
_RECONNECT_MS_MIN: Final = 100
_RECONNECT_MS_MAX: Final = 2000
_GZIP_LEVEL: Final = 1
# OTLP answers 200; some backends say 202.
_SUCCESS_CLASS: Final = 2
_AGAIN_STATUS: Final = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_AGAIN_CODES: Final = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
}


class SendAgain(Exception):
    """The target did not take a request now; it may later, not before ``after_s`` where given."""

    def __init__(self, message: str, *, after_s: float | None = None) -> None:
        super().__init__(shortened(message))
        self.after_s = None if after_s is None else min(max(after_s, 0.0), _RETRY_AFTER_S_MAX)


class TargetRefused(Exception):
    """The target will never take this request."""

    def __init__(self, message: str) -> None:
        super().__init__(shortened(message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The target took a request but ``rejected`` of its records, and said why."""

    rejected: int = 0
    message: str = ""


class Sender(Protocol):
    """The way to one target. Safe from any thread."""

    def send(
        self, body: bytes, signal: Signal, *, headers: Mapping[str, str], s_max: float
    ) -> Taken:
        """Send a request and wait for its answer. Raises SendAgain or TargetRefused."""

    def close(self) -> None:
        """Let the connections go; calls in flight end."""


def sender_to(target: Target, *, connections_max: int) -> Sender:
    """Make the way to a target. Raises OSError where a certificate's file cannot be used."""
    if target.protocol == "grpc":
        return GrpcSender(target)
    return HttpSender(target, connections_max=connections_max)


class GrpcSender:
    """OTLP over gRPC: one channel, which connects again by itself."""

    def __init__(self, target: Target) -> None:
        host = f"[{target.host}]" if ":" in target.host else target.host
        address = f"{host}:{target.port}"
        options = (
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", _ANSWER_BYTES_MAX),
            ("grpc.enable_retries", 0),
            ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS_MIN),
            ("grpc.min_reconnect_backoff_ms", _RECONNECT_MS_MAX),
            ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS_MAX),
        )
        self._channel = (
            grpc.secure_channel(address, _credentials(target), options=options)
            if target.is_tls
            else grpc.insecure_channel(address, options=options)
        )
        self._headers = target.headers
        self._compression = (
            grpc.Compression.Gzip if target.is_compressed else grpc.Compression.NoCompression
        )
        # Requests and answers stay bytes.
        self._calls: dict[str, Callable[..., bytes]] = {
            signal.name: self._channel.unary_unary(
                f"/{signal.service}/Export", request_serializer=None, response_deserializer=None
            )
            for signal in SIGNALS
        }

    def send(
        self, body: bytes, signal: Signal, *, headers: Mapping[str, str], s_max: float
    ) -> Taken:
        """Send a request and wait for its answer. Raises SendAgain or TargetRefused."""
        call = self._calls[signal.name]
        metadata = tuple({**self._headers, **headers}.items())
        try:
            answer = call(body, timeout=s_max, metadata=metadata, compression=self._compression)
        except grpc.RpcError as error:
            raise _failure(error) from error
        except ValueError as error:
            raise SendAgain(f"the channel is closed: {error}") from error
        return _taken(answer)

    def close(self) -> None:
        """Let the channel go; calls in flight end."""
        self._channel.close()


class HttpSender:
    """OTLP over HTTP with protobuf bodies, over connections that are kept."""

    def __init__(self, target: Target, *, connections_max: int) -> None:
        scheme = "https" if target.is_tls else "http"
        host = f"[{target.host}]" if ":" in target.host else target.host
        self._base = f"{scheme}://{host}:{target.port}{target.path}"
        self._pool = _pool(target, scheme, connections_max)
        self._is_compressed = target.is_compressed
        self._headers = {"content-type": PROTOBUF, "user-agent": "spanlore", **target.headers}
        if self._is_compressed:
            self._headers["content-encoding"] = "gzip"

    def send(
        self, body: bytes, signal: Signal, *, headers: Mapping[str, str], s_max: float
    ) -> Taken:
        """Send a request and wait for its answer. Raises SendAgain or TargetRefused."""
        try:
            response = self._pool.request(
                "POST",
                self._base + signal.path,
                body=igzip.compress(body, _GZIP_LEVEL) if self._is_compressed else body,
                headers={**self._headers, **headers},
                timeout=urllib3.Timeout(connect=min(_CONNECT_S_MAX, s_max), read=s_max),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            answer = response.read(_ANSWER_BYTES_MAX)
            if response.read(1):
                # What is left of a longer answer would be read as the next one's beginning.
                response.close()
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise SendAgain(f"{type(error).__name__}: {error}") from error
        if response.status // 100 != _SUCCESS_CLASS:
            raise _refusal(response, answer)
        return _taken(answer)

    def close(self) -> None:
        """Let the connections go."""
        self._pool.clear()


def _pool(target: Target, scheme: str, connections_max: int) -> urllib3.PoolManager:
    """Make the pool of connections, through the environment's proxy where there is one."""
    tls = _tls(target) if target.is_tls else None
    proxy = getproxies().get(scheme)
    if proxy is None or proxy_bypass(target.host):
        return urllib3.PoolManager(maxsize=connections_max, ssl_context=tls)
    return urllib3.ProxyManager(proxy, maxsize=connections_max, ssl_context=tls)


def _tls(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=target.certificate)
    if target.client_certificate:
        context.load_cert_chain(target.client_certificate, target.client_key)
    return context


def _credentials(target: Target) -> grpc.ChannelCredentials:
    root, key, chain = (
        path.read_bytes() if path else None
        for path in (target.certificate, target.client_key, target.client_certificate)
    )
    return grpc.ssl_channel_credentials(root, key, chain)


def _taken(answer: bytes) -> Taken:
    """Read an answer; one that cannot be read came with a status that says "taken"."""
    try:
        # The answers of all signals are the same on the wire.
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return Taken()
    return Taken(rejected=max(0, partial.rejected_spans), message=partial.error_message)


def _failure(error: grpc.RpcError) -> SendAgain | TargetRefused:
    code = error.code()
    after_s = _retry_delay_s(error)
    message = f"{code.name}: {error.details()}"
    is_throttled = code is grpc.StatusCode.RESOURCE_EXHAUSTED and after_s is not None
    if code in _AGAIN_CODES or is_throttled:
        return SendAgain(message, after_s=after_s)
    return TargetRefused(message)


def _retry_delay_s(error: grpc.RpcError) -> float | None:
    """Give the seconds of a call's RetryInfo, None where there is none."""
    trailers: Any = error.trailing_metadata() or ()
    found = dict(trailers)
    info = error_details_pb2.RetryInfo()
    try:
        status = status_pb2.Status.FromString(found.get("grpc-status-details-bin", b""))
        if not any(detail.Unpack(info) for detail in status.details):
            own = found.get("google.rpc.retryinfo-bin")
            if own is None:
                return None
            info.ParseFromString(own)
    except DecodeError:
        return None
    return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)


def _refusal(response: urllib3.BaseHTTPResponse, answer: bytes) -> SendAgain | TargetRefused:
    message = f"HTTP {response.status} {response.reason or ''}".strip() + _said(answer)
    if response.status in _AGAIN_STATUS:
        return SendAgain(message, after_s=_retry_after_s(response.headers.get("retry-after")))
    return TargetRefused(message)


def _said(answer: bytes) -> str:
    """Give what a refusal's body says: `google.rpc.Status`, by OTLP."""
    try:
        said = status_pb2.Status.FromString(answer).message
    except DecodeError:
        return ""
    return f": {said}" if said else ""


def _retry_after_s(header: str | None) -> float | None:
    """Give the seconds of Retry-After, which has a number of them or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:
        return None

"""OTLP over gRPC (:4317): bytes in, a status we chose out."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Final, NoReturn

import grpc

from spanlore.collector.access import Access
from spanlore.collector.config import ClientLimits
from spanlore.collector.counters import Counters
from spanlore.collector.intake import DURABLE_WAIT_S_MAX, Intake, unknown_signal
from spanlore.collector.refusal import Code, Refused, malformed, overloaded, retry_info, status
from spanlore.collector.signals import SIGNALS, Signal
from spanlore.collector.tenant_header import TENANT_HEADER, read_tenant
from spanlore.schemas.tls import Served, Tls

# A thread waits while its request is synced, so there are as many as requests in one group.
_THREADS = 64
_GRACE_S = 5.0
_STREAMS_MAX = 100
_WATCH_S = 0.5
# Every method there is.
METHODS: Final[Mapping[str, Signal]] = {f"/{signal.service}/Export": signal for signal in SIGNALS}
_STATUS = {
    Code.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Code.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Code.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.UNIMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    Code.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Code.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
}

Behaviour = Callable[[Iterator[bytes], grpc.ServicerContext], bytes]


class PortError(Exception):
    """A port cannot be had; the message says which and the next step."""


class GrpcDoor:
    """The gRPC server. ``start`` gives its port; ``stop`` finishes what is in flight."""

    def __init__(
        self, intake: Intake, counters: Counters, *, access: Access, limits: ClientLimits
    ) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="grpc")
        self._arrivals = Arrivals(limits.body_s_max)
        exports = {
            method: _export(intake, counters, access=access, signal=signal, arrivals=self._arrivals)
            for method, signal in METHODS.items()
        }
        self._server = grpc.server(
            self._threads,
            handlers=[_Methods(exports, counters, access)],
            options=(
                ("grpc.max_receive_message_length", intake.limits.message_bytes_max),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_time_ms", _ms(limits.idle_s_max)),
                ("grpc.keepalive_timeout_ms", _ms(limits.header_s_max)),
                ("grpc.server_handshake_timeout_ms", _ms(limits.header_s_max)),
                ("grpc.max_concurrent_streams", _STREAMS_MAX),
                ("grpc.max_allowed_incoming_connections", limits.connections_max),
            ),
        )

    def start(self, host: str, port: int, *, tls: Tls | None = None) -> int:
        """Begin to answer; give the port. Raises PortError."""
        address = f"[{host}]:{port}" if ":" in host and host[0] != "[" else f"{host}:{port}"
        try:
            if tls is None:
                bound = self._server.add_insecure_port(address)
            else:
                bound = self._server.add_secure_port(address, _tls_credentials(tls))
        except RuntimeError as error:
            raise PortError(
                f"port {port} on {host} is taken: stop what listens there, "
                "or give another --grpc-port"
            ) from error
        self._arrivals.start()
        self._server.start()
        return int(bound)

    def stop(self) -> None:
        """Refuse new calls, finish those in flight. Safe twice."""
        self._server.stop(_GRACE_S).wait()
        self._threads.shutdown()
        self._arrivals.stop()


def _tls_credentials(tls: Tls) -> Any:
    """Give credentials that gRPC asks for again with every new connection."""
    last = tls.now()

    def latest() -> Any:
        nonlocal last
        before, last = last, tls.now()
        return None if last is before else _certificates(last)

    return grpc.dynamic_ssl_server_credentials(
        _certificates(last), latest, require_client_authentication=tls.asks_clients
    )


def _certificates(served: Served) -> Any:
    return grpc.ssl_server_certificate_configuration(
        [(served.key, served.certificate)], root_certificates=served.client_ca
    )


class Arrivals:
    """Ends the calls whose message does not come in time, since each of them holds a thread.

    ``start``, then ``stop`` (safe twice and without start).
    """

    def __init__(self, s_max: float) -> None:
        self._s_max = s_max
        self._due: dict[grpc.ServicerContext, float] = {}
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="grpc-arrivals", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._watcher.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()

    def message(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Wait for the one message of a call. Raises Refused, or RpcError once it was ended."""
        self._due[context] = time.monotonic() + self._s_max
        try:
            return next(messages)
        except StopIteration as error:
            raise malformed("undecodable", "the call ended without a message") from error
        finally:
            del self._due[context]

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH_S):
            now = time.monotonic()
            for context, due in self._due.copy().items():
                if due < now:
                    context.cancel()  # type: ignore[no-untyped-call]


class _Methods(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """The handlers by method. Requests stay bytes, so that every status code is ours.

    To a server a call with one message is a stream of one; only so is there a context to end it by.
    What no signal of ours is called is told so at once, before any message is read.
    """

    def __init__(
        self, exports: Mapping[str, Behaviour], counters: Counters, access: Access
    ) -> None:
        def refuse(_: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            try:
                access.sender(_sent(context, "authorization"))
            except Refused as refused:
                _abort(context, counters, refused)
            _abort(context, counters, unknown_signal())

        self._handlers = {
            method: grpc.stream_unary_rpc_method_handler(export)
            for method, export in exports.items()
        }
        self._other = grpc.stream_stream_rpc_method_handler(refuse)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Give the handler of a method."""
        return self._handlers.get(str(handler_call_details.method), self._other)


def _export(
    intake: Intake, counters: Counters, *, access: Access, signal: Signal, arrivals: Arrivals
) -> Behaviour:
    def export(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        try:
            tenant = access.sender(_sent(context, "authorization"))
            intake.quotas.admit(tenant)
            tenant = tenant or read_tenant(_sent(context, TENANT_HEADER))
            body = arrivals.message(messages, context)
            with intake.budget.hold(len(body)):
                started_s = time.monotonic()
                taken = intake.take(body, signal, tenant=tenant)
                if taken.durable is not None:
                    taken.durable.result(DURABLE_WAIT_S_MAX)
                    counters.acknowledged("grpc", time.monotonic() - started_s)
        except Refused as refused:
            _abort(context, counters, refused)
        except FutureTimeoutError:
            _abort(context, counters, overloaded("log_slow", "the disk is too slow: send again"))
        return taken.answer

    return export


def _sent(context: grpc.ServicerContext, name: str) -> str:
    """Give the first value of a key of the metadata, "" where there is none."""
    found = (value for key, value in context.invocation_metadata() if key == name)
    return str(next(found, ""))


def _abort(context: grpc.ServicerContext, counters: Counters, refused: Refused) -> NoReturn:
    """Answer a refusal: the status twice, since clients read one trailer or the other."""
    counters.refused(refused.reason)
    trailers: list[tuple[str, bytes]] = [
        ("grpc-status-details-bin", status(refused).SerializeToString())
    ]
    if refused.retryable:
        trailers.append(("google.rpc.retryinfo-bin", retry_info(refused)))
    context.set_trailing_metadata(_metadata(trailers))
    context.abort(_STATUS[refused.code], refused.message)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _metadata(trailers: Sequence[tuple[str, bytes]]) -> Any:
    return tuple(trailers)

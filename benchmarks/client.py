"""The load: pre-serialized requests with a fixed number in flight, acks timed and remembered."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import grpc

EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_ACK_S_MAX: Final = 120.0
_BACKOFF_S: Final = 0.05
# What a client is to send again, as OTLP says it.
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
_RETRYABLE_CODES: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED}
)

Export = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where to send: ``grpc://host:port`` or ``http://host:port/path``, and headers of HTTP."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class NotTakenError(Exception):
    """A request was refused for good, or the system does not answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the client saw: seconds of all, its own CPU seconds, and how long acks took.

    ``refused`` counts the answers that asked to send again, which was done.
    """

    elapsed_s: float
    cpu_s: float
    ack_p50_ms: float
    ack_p99_ms: float
    refused: int


class Client:
    """Sends requests, at most ``in_flight`` at once; ``acked`` are the places of those taken."""

    def __init__(self, door: Door, *, in_flight: int) -> None:
        self._door = door
        self._in_flight = in_flight
        self._lock = threading.Lock()
        self.acked: list[int] = []
        self._acks_s: list[float] = []
        self._refused = 0
        self._failed: list[Exception] = []

    def send(self, requests: Sequence[bytes]) -> Sent:
        """Send every request. Raises NotTakenError at the first that cannot be delivered."""
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        places = iter(range(len(requests)))
        threads = [
            threading.Thread(target=self._send_some, args=(requests, places), daemon=True)
            for _ in range(self._in_flight)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failed:
            raise NotTakenError(f"{self._door.url}: {self._failed[0]}") from self._failed[0]
        return Sent(
            elapsed_s=time.perf_counter() - started_s,
            cpu_s=time.process_time() - started_cpu_s,
            ack_p50_ms=_ms(self._acks_s, 0.5),
            ack_p99_ms=_ms(self._acks_s, 0.99),
            refused=self._refused,
        )

    def _send_some(self, requests: Sequence[bytes], places: Iterator[int]) -> None:
        try:
            with _export(self._door) as export:
                while (place := self._next(places)) is not None:
                    self._deliver(export, requests[place], place)
        except (grpc.RpcError, http.client.HTTPException, OSError, NotTakenError) as error:
            self._failed.append(error)

    def _next(self, places: Iterator[int]) -> int | None:
        with self._lock:
            return None if self._failed else next(places, None)

    def _deliver(self, export: Export, request: bytes, place: int) -> None:
        """Send a request until it is taken, within the time that an ack may take."""
        began_s = time.perf_counter()
        while True:
            at_s = time.perf_counter()
            if export(request):
                break
            if at_s - began_s > _ACK_S_MAX:
                raise NotTakenError(f"a request was refused for {_ACK_S_MAX:.0f} s")
            with self._lock:
                self._refused += 1
            time.sleep(_BACKOFF_S)
        with self._lock:
            self._acks_s.append(time.perf_counter() - at_s)
            self.acked.append(place)


@contextmanager
def _export(door: Door) -> Iterator[Export]:
    """Open a connection; give what sends one request, False where it is to be sent again."""
    parts = urlsplit(door.url)
    if parts.scheme == "grpc":
        options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(parts.netloc, options=options) as channel:
            yield _over_grpc(channel)
        return
    connection = http.client.HTTPConnection(parts.netloc, timeout=_ACK_S_MAX)
    headers = {"Content-Type": "application/x-protobuf", **door.headers}
    try:
        yield _over_http(connection, parts.path, headers)
    finally:
        connection.close()


def _over_grpc(channel: grpc.Channel) -> Export:
    call = channel.unary_unary(
        EXPORT, request_serializer=_as_it_is, response_deserializer=_as_it_is
    )

    def export(request: bytes) -> bool:
        try:
            call(request, timeout=_ACK_S_MAX)
        except grpc.RpcError as error:
            if isinstance(error, grpc.Call) and _is_overload(error):
                return False
            raise
        return True

    return export


def _as_it_is(message: bytes) -> bytes:
    return message


def _is_overload(error: grpc.Call) -> bool:
    """Tell a system that asks for time from one that is gone: both are UNAVAILABLE."""
    gone = ("connect", "Socket closed", "recvmsg", "Broken pipe", "reset", "GOAWAY")
    said = error.details() or ""
    return error.code() in _RETRYABLE_CODES and not any(word in said for word in gone)


def _over_http(
    connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]
) -> Export:
    def export(request: bytes) -> bool:
        connection.request("POST", path, body=request, headers=dict(headers))
        answer = connection.getresponse()
        said = answer.read()
        if answer.status in _RETRYABLE:
            return False
        if answer.status != http.client.OK:
            raise NotTakenError(f"HTTP {answer.status}: {said[:300]!r}")
        return True

    return export


def _ms(times_s: Sequence[float], share: float) -> float:
    """Give the milliseconds below which this share of the times stayed."""
    return 1000 * sorted(times_s)[min(len(times_s) - 1, int(share * len(times_s)))]

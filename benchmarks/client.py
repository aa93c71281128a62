"""The load: pre-serialized requests over gRPC with a fixed number in flight, acks timed."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc

_METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_ACK_S_MAX: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the client saw: seconds of all, its own CPU seconds, and how long acks took."""

    elapsed_s: float
    cpu_s: float
    ack_p50_ms: float
    ack_p99_ms: float


def send(address: str, requests: Sequence[bytes], *, in_flight: int) -> Sent:
    """Send every request, at most ``in_flight`` at once. Raises grpc.RpcError for a refused one."""
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    acks_s: list[float] = []
    failed: list[grpc.RpcError] = []
    free = threading.Semaphore(in_flight)
    with grpc.insecure_channel(address, options=[("grpc.max_send_message_length", -1)]) as channel:
        export = channel.unary_unary(
            _METHOD, request_serializer=_as_it_is, response_deserializer=_as_it_is
        )

        def answered(call: Any, sent_at_s: float) -> None:
            acks_s.append(time.perf_counter() - sent_at_s)
            error = call.exception()
            if isinstance(error, grpc.RpcError):
                failed.append(error)
            free.release()

        for request in requests:
            free.acquire()
            if failed:
                raise failed[0]
            sent_at_s = time.perf_counter()
            call = export.future(request, timeout=_ACK_S_MAX)
            call.add_done_callback(partial(answered, sent_at_s=sent_at_s))
        for _ in range(in_flight):
            free.acquire()
    if failed:
        raise failed[0]
    return Sent(
        elapsed_s=time.perf_counter() - started_s,
        cpu_s=time.process_time() - started_cpu_s,
        ack_p50_ms=_ms(acks_s, 0.5),
        ack_p99_ms=_ms(acks_s, 0.99),
    )


def _as_it_is(message: bytes) -> bytes:
    return message


def _ms(times_s: Sequence[float], share: float) -> float:
    """Give the milliseconds below which this share of the times stayed."""
    return 1000 * sorted(times_s)[min(len(times_s) - 1, int(share * len(times_s)))]

"""Batches to an OTLP/gRPC receiver: sent until taken, refused or out of time."""

import queue
import time
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanlore.instrumentation.history.batches import Batch
from spanlore.instrumentation.history.endpoint import Endpoint
from spanlore.instrumentation.otlp_grpc import EXPORT_LOGS, EXPORT_TRACES, RETRYABLE

CONNECT_S_MAX = 5.0
RETRY_S_MAX = 60.0
CALL_S_MAX = 30.0

_WAIT_S_FIRST = 0.2
_WAIT_S_LAST = 5.0
_DETAILS_KEY = "grpc-status-details-bin"

_READY = grpc.ChannelConnectivity.READY
_FAILED = grpc.ChannelConnectivity.TRANSIENT_FAILURE
_CREDENTIALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)

_NEXT_STEP_REFUSED = "give its token: OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN"


class Unreachable(Exception):
    """The receiver did not answer in time, or not to us; the next import sends the rest."""


class Refused(Exception):
    """The receiver refused a batch for good: sending it again will not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """What a receiver took a batch without (OTLP partial success), and why."""

    spans: int = 0
    judgements: int = 0
    reasons: tuple[str, ...] = ()


class Sender:
    """Sends batches to one receiver, one after the other.

    Start it, send, stop it; stopping twice or without starting does no harm. Sending retries
    what may help, as long as the receiver asks (RetryInfo) or ever longer, for at most
    ``retry_s_max`` seconds a batch.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connect_s_max: float = CONNECT_S_MAX,
        retry_s_max: float = RETRY_S_MAX,
    ) -> None:
        self._endpoint = endpoint
        self._connect_s_max = connect_s_max
        self._retry_s_max = retry_s_max
        self._channel: grpc.Channel | None = None

    def start(self) -> None:
        """Connect; raise Unreachable."""
        channel = self._endpoint.channel()
        if not _connects(channel, self._connect_s_max):
            channel.close()
            raise Unreachable(
                f"nothing answers at {self._endpoint.address}; start it: spanlore up --detach"
            )
        self._channel = channel

    def send(self, batch: Batch) -> Rejected:
        """Send the spans, then their judgements; raise Unreachable or Refused."""
        said = self._call(EXPORT_TRACES, batch.traces) if batch.traces else b""
        spans = ExportTraceServiceResponse.FromString(said).partial_success
        judged = self.send_judgements(batch.logs) if batch.logs else Rejected()
        return Rejected(
            spans=spans.rejected_spans,
            judgements=judged.judgements,
            reasons=_reasons(spans.error_message, *judged.reasons),
        )

    def send_judgements(self, logs: bytes) -> Rejected:
        """Send a request of log records that are judgements; raise Unreachable or Refused."""
        answer = ExportLogsServiceResponse.FromString(self._call(EXPORT_LOGS, logs)).partial_success
        return Rejected(
            judgements=answer.rejected_log_records, reasons=_reasons(answer.error_message)
        )

    def stop(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _call(self, method: str, request: bytes) -> bytes:
        if self._channel is None:
            raise Unreachable("the sender was not started")
        export = self._channel.unary_unary(
            method, request_serializer=_as_it_is, response_deserializer=_as_it_is
        )
        deadline = time.monotonic() + self._retry_s_max
        pause_s = _WAIT_S_FIRST
        while True:
            try:
                answer: bytes = export(request, timeout=CALL_S_MAX, metadata=self._endpoint.headers)
            except grpc.RpcError as error:
                asked_s = self._retry_after_s(error)
                wait_s = pause_s if asked_s is None else asked_s
                if time.monotonic() + wait_s > deadline:
                    raise Unreachable(
                        f"{self._endpoint.address} took no more for {self._retry_s_max:g} s: "
                        f"{_said(error)}; see `spanlore status`, then import again: what was "
                        "sent is not added twice"
                    ) from error
                time.sleep(wait_s)
                pause_s = min(pause_s * 2, _WAIT_S_LAST)
            else:
                return answer

    def _retry_after_s(self, error: grpc.RpcError) -> float | None:
        """Return how long the receiver asks to wait, None if it does not say.

        Raise Refused, or Unreachable for a refused credential, where waiting will not help.
        """
        code = error.code()
        asked_s = _retry_info_s(error)
        if code in RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and asked_s):
            return asked_s
        said = f"{self._endpoint.address} refused: {_said(error)}"
        if code in _CREDENTIALS:
            raise Unreachable(f"{said}; {_NEXT_STEP_REFUSED}") from error
        raise Refused(said) from error


def _connects(channel: grpc.Channel, s_max: float) -> bool:
    """Say whether the channel gets a connection in time; a first failure is a no."""
    states: queue.SimpleQueue[grpc.ChannelConnectivity] = queue.SimpleQueue()
    on_state = states.put
    channel.subscribe(on_state, try_to_connect=True)
    deadline = time.monotonic() + s_max
    state = grpc.ChannelConnectivity.IDLE
    try:
        while state not in (_READY, _FAILED):
            state = states.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        return False
    finally:
        channel.unsubscribe(on_state)
    return state is _READY


def _retry_info_s(error: grpc.RpcError) -> float | None:
    """Return the seconds that google.rpc.RetryInfo among the error's details says."""
    packed = [each.value for each in error.trailing_metadata() or () if each.key == _DETAILS_KEY]
    try:
        details = [detail for value in packed for detail in Status.FromString(value).details]
        infos = [RetryInfo.FromString(each.value) for each in details if _is_retry(each)]
    except DecodeError:
        return None
    if not infos:
        return None
    delay = infos[0].retry_delay
    return max(0.0, float(delay.seconds) + float(delay.nanos) / 1e9)


def _is_retry(detail: Any) -> bool:
    return bool(detail.Is(RetryInfo.DESCRIPTOR))


def _as_it_is(message: bytes) -> bytes:
    return message


def _said(error: grpc.RpcError) -> str:
    return f"{error.code().name} {error.details() or ''}".strip()


def _reasons(*messages: str) -> tuple[str, ...]:
    return tuple(message for message in messages if message)

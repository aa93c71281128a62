"""A request that is not taken, and how each protocol says so.

`google.rpc.Status` carries the same answer on both protocols: as a trailer on gRPC and as the
body on HTTP. Sources: the OTLP specification (opentelemetry-proto, docs/specification.md,
"Failures" of OTLP/gRPC and OTLP/HTTP) and google/rpc/error_details.proto.
"""

import math
import random
from enum import IntEnum
from http import HTTPStatus

from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

# The stock Python exporter drops a batch when the delay is above what is left of its ten seconds.
RETRY_AFTER_S_MIN = 1.0
RETRY_AFTER_S_MAX = 3.0
# A gRPC client takes about 8 KiB of trailers, and a message stands in them three times. OTLP's own
# limit, 4 MiB for an answer, is far above what is left.
_MESSAGE_BYTES_MAX = 1024


class Code(IntEnum):
    """The gRPC status codes that the collector answers with."""

    INVALID_ARGUMENT = 3
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


_HTTP_STATUS = {
    Code.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    Code.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    Code.RESOURCE_EXHAUSTED: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.UNIMPLEMENTED: HTTPStatus.NOT_FOUND,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
}


class Refused(Exception):
    """A request that is not taken. Sending the same again helps only where ``retryable``.

    ``reason`` is the counter's name; ``retry_after_s`` the seconds a client should wait, None where
    it need not try again.
    """

    def __init__(
        self, reason: str, message: str, *, code: Code, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = shortened(message)
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def retryable(self) -> bool:
        """Whether the same request may be taken later."""
        return self.retry_after_s is not None

    @property
    def http_status(self) -> HTTPStatus:
        """The HTTP status of this answer."""
        if self.code is Code.RESOURCE_EXHAUSTED and self.retryable:
            return HTTPStatus.TOO_MANY_REQUESTS
        return _HTTP_STATUS[self.code]


def shortened(message: str) -> str:
    """Cut a message to what every answer has room for."""
    return message.encode("utf-8", "replace")[:_MESSAGE_BYTES_MAX].decode("utf-8", "ignore")


def overloaded(reason: str, message: str) -> Refused:
    """Make the answer to work that would be taken later: never the data's fault."""
    spread_s = random.uniform(RETRY_AFTER_S_MIN, RETRY_AFTER_S_MAX)  # noqa: S311 - not a secret
    return Refused(reason, message, code=Code.UNAVAILABLE, retry_after_s=spread_s)


def over_quota(tenant: str, wait_s: float) -> Refused:
    """Make the answer to a tenant that sends more than it may, and may again in ``wait_s``."""
    return Refused(
        "quota",
        f"the tenant {tenant} sends more than its budget: send again later, and less",
        code=Code.RESOURCE_EXHAUSTED,
        retry_after_s=min(RETRY_AFTER_S_MAX, max(RETRY_AFTER_S_MIN, wait_s)),
    )


def malformed(reason: str, message: str) -> Refused:
    """Make the answer to a request that can never be taken."""
    return Refused(reason, message, code=Code.INVALID_ARGUMENT)


def too_large(message: str) -> Refused:
    """Make the answer to a request above the size limit, which no retry helps."""
    return Refused("too_large", message, code=Code.RESOURCE_EXHAUSTED)


def retry_info(refused: Refused) -> bytes:
    """Serialize `google.rpc.RetryInfo` of a retryable refusal."""
    info = error_details_pb2.RetryInfo()
    # Rounded up: who comes back within the last millisecond would be refused once more.
    info.retry_delay.FromMilliseconds(math.ceil((refused.retry_after_s or 0.0) * 1000))
    return bytes(info.SerializeToString())


def status(refused: Refused) -> status_pb2.Status:
    """Make `google.rpc.Status` of a refusal, with its RetryInfo or BadRequest detail."""
    answer = status_pb2.Status(code=int(refused.code), message=refused.message)
    detail = any_pb2.Any()
    if refused.retryable:
        detail.type_url = "type.googleapis.com/google.rpc.RetryInfo"
        detail.value = retry_info(refused)
    elif refused.code is Code.INVALID_ARGUMENT:
        violation = error_details_pb2.BadRequest.FieldViolation(description=refused.message)
        detail.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    else:
        return answer
    answer.details.append(detail)
    return answer


def retry_after_header(refused: Refused) -> str:
    """Give the whole seconds of HTTP's Retry-After."""
    return str(math.ceil(refused.retry_after_s or 0.0))

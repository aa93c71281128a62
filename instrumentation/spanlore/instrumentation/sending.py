"""OTLP over HTTP: one request, one answer, within a time; nothing is raised or logged."""

import gzip
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from spanlore.instrumentation.answer import ABSENT, FAILED, REFUSED, TAKEN, Answer, Send
from spanlore.instrumentation.settings import Settings
from spanlore.instrumentation.silence import silent_grpc

_ANSWER_BYTES_MAX = 64 * 1024
_RETRYABLE_STATUS = (429, 502, 503, 504)
_OK_STATUS = range(200, 300)


def sender(settings: Settings) -> Send:
    """Return what sends a request as the settings say."""
    if not settings.is_grpc:
        return _HttpSender(settings)
    # Imported only where it is asked for: it costs a tenth of a second and starts threads.
    with silent_grpc():
        from spanlore.instrumentation.grpc_sending import GrpcSender  # noqa: PLC0415

    return GrpcSender(settings)


class _HttpSender:
    """A connection for each request: nothing is shared with a forked child or kept half-open."""

    def __init__(self, settings: Settings) -> None:
        self._targets = settings.targets
        self._is_gzip = settings.is_gzip
        self._certificate = settings.certificate

    def __call__(self, signal: str, request: bytes, *, timeout_s: float) -> Answer:
        target = self._targets[signal]
        parts = urlsplit(target.url)
        headers = {"content-type": "application/x-protobuf", **dict(target.headers)}
        if self._is_gzip:
            request, headers["content-encoding"] = gzip.compress(request), "gzip"
        try:
            connection = self._connection(parts, timeout_s)
        except (OSError, ValueError):
            return REFUSED
        try:
            connection.request("POST", _path(parts), request, headers)
            answer = connection.getresponse()
            answer.read(_ANSWER_BYTES_MAX)
            return _answer(answer.status, answer.getheader("retry-after"))
        except ConnectionRefusedError:
            return ABSENT
        except (OSError, HTTPException):
            return FAILED
        except ValueError:  # a header that cannot be sent
            return REFUSED
        finally:
            connection.close()

    def _connection(self, parts: SplitResult, timeout_s: float) -> HTTPConnection:
        if parts.scheme == "http":
            return HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        context = ssl.create_default_context(cafile=self._certificate)
        return HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout_s, context=context)


def _path(parts: SplitResult) -> str:
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def _answer(status: int, retry_after: str | None) -> Answer:
    if status in _OK_STATUS:
        return TAKEN
    if status not in _RETRYABLE_STATUS:
        return REFUSED
    try:
        after_s = float(retry_after) if retry_after else None
    except ValueError:
        after_s = None
    return Answer(is_taken=False, is_worth_retrying=True, after_s=after_s)

"""OTLP over gRPC, for a program that asks for it; nothing is raised or logged."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import grpc

from spanlore.instrumentation.answer import ABSENT, FAILED, REFUSED, TAKEN, Answer
from spanlore.instrumentation.otlp_grpc import EXPORT_LOGS, EXPORT_TRACES, RETRYABLE
from spanlore.instrumentation.settings import LOGS, TRACES, Settings, Target
from spanlore.instrumentation.silence import silent_grpc

_METHODS = {TRACES: EXPORT_TRACES, LOGS: EXPORT_LOGS}


class GrpcSender:
    """Sends over one channel an address, made when first used, and anew in a forked child."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channels: dict[tuple[int, str], grpc.Channel] = {}
        self._has_answered = False

    def __call__(self, signal: str, request: bytes, *, timeout_s: float) -> Answer:
        target = self._settings.targets[signal]
        try:
            export = self._channel(target).unary_unary(
                _METHODS[signal], request_serializer=_as_it_is, response_deserializer=_as_it_is
            )
            export(request, timeout=timeout_s, metadata=target.headers)
        except grpc.RpcError as error:
            if error.code() not in RETRYABLE:
                return REFUSED
            return FAILED if self._has_answered else ABSENT
        except (OSError, ValueError):
            return REFUSED
        self._has_answered = True
        return TAKEN

    def _channel(self, target: Target) -> grpc.Channel:
        key = os.getpid(), target.url
        if key not in self._channels:
            with silent_grpc():
                self._channels[key] = self._opened(target)
        return self._channels[key]

    def _opened(self, target: Target) -> grpc.Channel:
        parts = urlsplit(target.url)
        options = [
            ("grpc.max_send_message_length", -1),
            # A proxy for the web is none for this machine.
            ("grpc.enable_http_proxy", 0 if self._settings.is_private else 1),
        ]
        if parts.scheme == "http":
            return grpc.insecure_channel(parts.netloc, options=options)
        certificate = self._settings.certificate
        roots = Path(certificate).read_bytes() if certificate else None
        return grpc.secure_channel(
            parts.netloc, grpc.ssl_channel_credentials(roots), options=options
        )


def _as_it_is(message: bytes) -> bytes:
    return message

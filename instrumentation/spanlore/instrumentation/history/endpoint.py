"""Where OTLP/gRPC goes: an address, whether it is encrypted, and what every call carries."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import grpc

DEFAULT_GRPC_PORT = 4317
MESSAGE_BYTES_MAX = 64 * 1024 * 1024

_NEXT_STEP = "write http://host:4317"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OTLP/gRPC receiver. ``address`` is host:port; ``headers`` go with every call."""

    address: str
    secure: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def channel(self) -> grpc.Channel:
        """Open a channel; it connects when first used."""
        host = urlsplit(f"//{self.address}").hostname
        options = [
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
            # A proxy for the web is none for this machine.
            ("grpc.enable_http_proxy", 0 if host in _LOOPBACK else 1),
        ]
        if not self.secure:
            return grpc.insecure_channel(self.address, options=options)
        certificate = os.environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE")
        roots = Path(certificate).read_bytes() if certificate else None
        return grpc.secure_channel(
            self.address, grpc.ssl_channel_credentials(roots), options=options
        )


def parse_endpoint(text: str, *, headers: str = "") -> Endpoint:
    """Read ``https://host:port``, ``http://host:port`` or ``host:port``; raise ValueError.

    ``headers`` is in the form of OTEL_EXPORTER_OTLP_HEADERS: ``key=value,key=value``, encoded.
    """
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        port = url.port or DEFAULT_GRPC_PORT
    except ValueError as error:
        raise ValueError(f"{text!r} is no endpoint ({error}); {_NEXT_STEP}") from error
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"{text!r} is no OTLP/gRPC endpoint; {_NEXT_STEP}")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return Endpoint(
        address=f"{host}:{port}", secure=url.scheme == "https", headers=_headers(headers)
    )


def endpoint_from_environment(environment: Mapping[str, str]) -> Endpoint | None:
    """Return the endpoint that OpenTelemetry's variables name, None if none; raise ValueError."""
    url = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    headers = environment.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    return parse_endpoint(url, headers=headers) if url else None


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return tuple((unquote(key).strip().lower(), unquote(value).strip()) for key, _, value in pairs)

"""What the collector can be told, checked once at the start."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spanlore.collector.forwarding.target import Target
from spanlore.collector.quotas import TenantBudget
from spanlore.schemas.log_files import log_dir
from spanlore.schemas.loopback import is_loopback, refusal_to_listen
from spanlore.schemas.tls import TlsFiles

MEBIBYTE = 1 << 20
# The endpoint of the collector's own metrics that means its own store.
SELF: Final = "self"
_PROTOCOLS = ("grpc", "http/protobuf")
LOCAL_HOST = "127.0.0.1"
_PORT_MAX = 65535
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")


class ConfigError(Exception):
    """The collector cannot start as told; the message names what is wrong and the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """How long a client may take, or say nothing, and how many may be connected to one door."""

    header_s_max: float = 10.0
    body_s_max: float = 30.0
    idle_s_max: int = 60
    connections_max: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of one collector. Sizes are bytes, times the unit in the name.

    Port 0 takes a free port. ``token`` is the collector's own and opens all of it. Without a token
    OTLP is taken on loopback, unless ``require_token``; beyond loopback only with ``no_token``, and
    in clear only with ``insecure``. ``allowed_hosts`` are further names (without a port) that the
    HTTP door answers to, besides loopback and ``host``; ``allowed_origins`` are the web pages'
    origins (scheme://host:port) that may send to it. The local ports are those of this machine's
    own programs where ``host`` is not 127.0.0.1 in clear: see ``has_local_doors``.
    ``redact_patterns`` are the user's own patterns of what is taken out of requests besides
    secrets, by name; without ``redact`` nothing is. ``self_metrics_endpoint`` is where the
    collector's own metrics go: a URL, "self" for its own store, or nowhere. ``forward`` is where
    requests also go, and ``forward_bytes_max`` what may be kept on the disk for each of those.

    Raises ConfigError where a value cannot work.
    """

    data_dir: Path
    token: str
    host: str = "127.0.0.1"
    grpc_port: int = 4317
    http_port: int = 4318
    require_token: bool = False
    no_token: bool = False
    insecure: bool = False
    tls: TlsFiles | None = None
    local_grpc_port: int = 0
    local_http_port: int = 0
    tenant_budget: TenantBudget = field(default_factory=TenantBudget)
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    message_bytes_max: int = 64 * MEBIBYTE
    inflight_bytes_max: int = 256 * MEBIBYTE
    spans_max: int = 50_000
    submessages_max: int = 1_000_000
    segment_bytes_target: int = 64 * MEBIBYTE
    segment_bytes_max: int = 64 * MEBIBYTE
    segment_items_target: int = 150_000
    segment_age_ms_max: int = 250
    segment_rest_ms: int = 2_000
    log_bytes_max: int = 4096 * MEBIBYTE
    disk_free_bytes_min: int = 1024 * MEBIBYTE
    drain_s_max: float = 10.0
    self_metrics_endpoint: str = ""
    self_metrics_protocol: str = "http/protobuf"
    self_metrics_every_s: float = 60.0
    redact: bool = True
    redact_patterns: Mapping[str, str] = field(default_factory=dict)
    clients: ClientLimits = ClientLimits()
    forward: tuple[Target, ...] = ()
    forward_bytes_max: int = 1024 * MEBIBYTE

    def __post_init__(self) -> None:
        for name in ("grpc_port", "http_port", "local_grpc_port", "local_http_port"):
            port = getattr(self, name)
            if not 0 <= port <= _PORT_MAX:
                raise ConfigError(
                    f"{name} is {port}, which is no port: give 0 (a free one) to 65535"
                )
        if self.redact_patterns and not self.redact:
            raise ConfigError(
                "patterns to redact are given, and redaction is off: leave out one of them"
            )
        _check_origins(self.allowed_origins)
        if not self.token:
            raise ConfigError("the collector's token is empty: /flush and /status would stand open")
        _check_self_metrics(self.self_metrics_endpoint, self.self_metrics_protocol)
        if self.segment_bytes_target > self.segment_bytes_max:
            raise ConfigError("segment_bytes_target is above segment_bytes_max")
        _check_forwarding(self)
        if self.require_token and self.no_token:
            raise ConfigError("--require-token and --no-token exclude each other: leave out one")
        if reason := refusal_to_listen(
            self.host, has_tls=self.tls is not None, insecure=self.insecure
        ):
            raise ConfigError(reason)

    @property
    def needs_token(self) -> bool:
        """Whether OTLP without a token is refused."""
        return self.require_token or not (self.no_token or is_loopback(self.host))

    @property
    def has_local_doors(self) -> bool:
        """Whether this machine's programs have doors of their own: always 127.0.0.1, in clear."""
        return self.tls is not None or self.host.lower() not in (LOCAL_HOST, "localhost")

    @property
    def log_dir(self) -> Path:
        """Where the write-ahead log lives."""
        return log_dir(self.data_dir)

    @property
    def forward_dir(self) -> Path:
        """Where what is not forwarded yet has its second names, a directory for each target."""
        return self.data_dir / "forward"

    @property
    def quarantine_dir(self) -> Path:
        """Where bytes go that the log or the store refused."""
        return self.data_dir / "quarantine"


def _check_self_metrics(endpoint: str, protocol: str) -> None:
    if endpoint not in ("", SELF) and not endpoint.startswith(("http://", "https://")):
        raise ConfigError(
            f"the collector's own metrics cannot go to {endpoint!r}: give a URL such as "
            f"http://127.0.0.1:4318/v1/metrics, or {SELF!r} for its own store"
        )
    if endpoint not in ("", SELF) and protocol not in _PROTOCOLS:
        raise ConfigError(
            f"the collector's own metrics cannot go by {protocol!r}: set "
            f"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL to {' or '.join(_PROTOCOLS)}"
        )


def _check_forwarding(config: Config) -> None:
    """Check that a target can be kept up with, and is not this collector itself."""
    bytes_min = max(config.segment_bytes_max, config.message_bytes_max)
    if config.forward and config.forward_bytes_max < bytes_min:
        raise ConfigError(
            f"{config.forward_bytes_max} bytes for what is not forwarded yet are too few: give at "
            f"least {bytes_min}, which is the largest file of the write-ahead log"
        )
    for target in config.forward:
        ours = (config.grpc_port, config.http_port)
        if is_loopback(target.host) and target.port in ours:
            raise ConfigError(
                f"{target.url} is this collector itself, which would send to itself for ever: "
                "leave out that --forward"
            )


def _check_origins(origins: Sequence[str]) -> None:
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"{origin!r} is no origin: give scheme://host or scheme://host:port, as "
                "browsers send it"
            )

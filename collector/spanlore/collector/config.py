"""What the collector can be told, checked once at the start."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spanlore.collector.forwarding.target import Target
from spanlore.schemas.loopback import is_loopback

MEBIBYTE = 1 << 20
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

    Port 0 takes a free port. ``token`` opens `/flush` and `/status`. ``allowed_hosts`` are
    further names (without a port) that the HTTP door answers to, besides loopback and ``host``;
    ``allowed_origins`` are the web pages' origins (scheme://host:port) that may send to it.
    ``redact_patterns`` are the user's own patterns of what is taken out of requests besides
    secrets, by name; without ``redact`` nothing is. ``forward`` is where requests also go, and
    ``forward_bytes_max`` what may be kept on the disk for each of those. Raises ConfigError where
    a value cannot work.
    """

    data_dir: Path
    token: str
    host: str = "127.0.0.1"
    grpc_port: int = 4317
    http_port: int = 4318
    insecure: bool = False
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    message_bytes_max: int = 64 * MEBIBYTE
    inflight_bytes_max: int = 256 * MEBIBYTE
    spans_max: int = 50_000
    submessages_max: int = 1_000_000
    segment_bytes_target: int = 16 * MEBIBYTE
    segment_bytes_max: int = 32 * MEBIBYTE
    segment_age_ms_max: int = 250
    log_bytes_max: int = 4096 * MEBIBYTE
    disk_free_bytes_min: int = 1024 * MEBIBYTE
    drain_s_max: float = 10.0
    redact: bool = True
    redact_patterns: Mapping[str, str] = field(default_factory=dict)
    clients: ClientLimits = ClientLimits()
    forward: tuple[Target, ...] = ()
    forward_bytes_max: int = 1024 * MEBIBYTE

    def __post_init__(self) -> None:
        for name in ("grpc_port", "http_port"):
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
        if self.segment_bytes_target > self.segment_bytes_max:
            raise ConfigError("segment_bytes_target is above segment_bytes_max")
        _check_forwarding(self)
        if not (self.insecure or is_loopback(self.host)):
            raise ConfigError(
                f"{self.host} is not loopback, and OTLP would be open to the network without a "
                "token: bind 127.0.0.1, or say --insecure if the network itself is closed"
            )

    @property
    def log_dir(self) -> Path:
        """Where the write-ahead log lives."""
        return self.data_dir / "wal"

    @property
    def forward_dir(self) -> Path:
        """Where what is not forwarded yet has its second names, a directory for each target."""
        return self.data_dir / "forward"

    @property
    def quarantine_dir(self) -> Path:
        """Where bytes go that the log or the store refused."""
        return self.data_dir / "quarantine"


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

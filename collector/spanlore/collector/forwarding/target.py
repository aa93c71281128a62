"""A forwarding target as the user names it: `--forward [NAME=]URL` and its environment.

The variables mirror those of OpenTelemetry's exporters (OTEL_EXPORTER_OTLP_HEADERS, …, with the
same values) under names of their own: a header is mostly a credential, and the one that a shell
holds for its traced programs must not go to another backend by itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from opentelemetry.util.re import parse_env_headers

Protocol = Literal["grpc", "http/protobuf"]

_PREFIX: Final = "SPANLORE_FORWARD_"
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9-]{0,62})=(?P<url>.*)")
_NO_NAME = re.compile(r"[^A-Za-z0-9-]+")
_HEADER_NAME = re.compile(r"[a-z0-9_.-]+")
_GRPC_PORT: Final = 4317
# By the scheme: whether it is TLS and the port where none is given; grpc(s) is always gRPC.
_SCHEMES: Final = {
    "grpc": (False, _GRPC_PORT),
    "grpcs": (True, _GRPC_PORT),
    "http": (False, 4318),
    "https": (True, 443),
}


class TargetError(Exception):
    """A target cannot be what the user said; the message names it and the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests are forwarded to, and how.

    ``url`` is shown to people, so it never holds a credential. ``path`` is what stands before
    OTLP's own paths. ``certificate`` is the authority to trust instead of the usual ones, the two
    others this collector's own for mTLS: PEM files, all three.
    """

    name: str
    url: str
    host: str
    port: int
    path: str
    protocol: Protocol
    is_tls: bool
    is_compressed: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    certificate: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


def read_targets(told: Sequence[str], environment: Mapping[str, str]) -> tuple[Target, ...]:
    """Read every target. Raises TargetError where one cannot work or two have one name."""
    targets = tuple(_read(one, environment) for one in told)
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise TargetError(
                f"two forwarding targets are named {name}: name them, as in "
                "--forward ONE=URL --forward OTHER=URL"
            )
    return targets


def _read(told: str, environment: Mapping[str, str]) -> Target:
    named = _NAMED.fullmatch(told)
    url = named["url"] if named else told
    parts, port = _split(url)
    is_tls, port_usual = _SCHEMES[parts.scheme]
    host, path = parts.hostname or "", parts.path.rstrip("/")
    name = (named["name"] if named else _NO_NAME.sub("-", f"{parts.netloc}{path}")).lower()
    told_more = _Told(name, environment)
    protocol = _protocol(told_more, parts, port)
    if protocol == "grpc" and path:
        raise TargetError(
            f"{url} has a path, and OTLP over gRPC has none: leave out {path}, or set "
            f"{told_more.variable('PROTOCOL')}=http/protobuf"
        )
    client_certificate = told_more.file("CLIENT_CERTIFICATE")
    client_key = told_more.file("CLIENT_KEY")
    if (client_certificate is None) != (client_key is None):
        raise TargetError(
            f"{url}: a client certificate goes with its key: set both "
            f"{told_more.variable('CLIENT_CERTIFICATE')} and {told_more.variable('CLIENT_KEY')}"
        )
    return Target(
        name=name,
        url=url,
        host=host,
        port=port or port_usual,
        path=path,
        protocol=protocol,
        is_tls=is_tls,
        is_compressed=told_more.choice("COMPRESSION", ("gzip", "none")) != "none",
        headers=told_more.headers(),
        certificate=told_more.file("CERTIFICATE"),
        client_certificate=client_certificate,
        client_key=client_key,
    )


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetError(f"{url!r} is no URL to forward to: {error}") from error
    if parts.scheme not in _SCHEMES or not parts.hostname:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise TargetError(f"{url!r} is no URL to forward to: give {known} with a host and a port")
    if parts.username is not None or parts.query or parts.fragment:
        raise TargetError(
            f"the URL to forward to at {parts.hostname} holds a login or a query, which every user "
            f"of this machine could read: put credentials into {_PREFIX}HEADERS"
        )
    return parts, port


def _protocol(told: "_Told", parts: SplitResult, port: int | None) -> Protocol:
    """Say which protocol to speak: as told, by the scheme, or by OTLP's port for gRPC."""
    if parts.scheme.startswith("grpc"):
        return "grpc"
    found = told.choice("PROTOCOL", ("grpc", "http/protobuf"))
    is_grpc_port = port == _GRPC_PORT and not parts.path.strip("/")
    is_grpc = found == "grpc" if found else is_grpc_port
    return "grpc" if is_grpc else "http/protobuf"


@dataclass(frozen=True, slots=True)
class _Told:
    """What the environment says about one target: by its name, else for all of them."""

    name: str
    environment: Mapping[str, str]

    def variable(self, what: str) -> str:
        """Name the variable that speaks of this target alone."""
        return f"{_PREFIX}{self.name.upper().replace('-', '_')}_{what}"

    def text(self, what: str) -> str:
        """Give what is said, nothing where nothing is."""
        own = self.environment.get(self.variable(what))
        return own if own is not None else self.environment.get(f"{_PREFIX}{what}", "")

    def choice(self, what: str, known: Sequence[str]) -> str:
        """Give one of the known words, or nothing. Raises TargetError for another."""
        found = self.text(what).strip().lower()
        if found and found not in known:
            raise TargetError(
                f"{found!r} is no {what.lower()} to forward with: set {self.variable(what)} to "
                + " or ".join(known)
            )
        return found

    def headers(self) -> Mapping[str, str]:
        """Give the headers. Raises TargetError for one that no request can have."""
        found = parse_env_headers(self.text("HEADERS"), liberal=True)
        for name, value in found.items():
            if not (_HEADER_NAME.fullmatch(name) and value.isascii() and value.isprintable()):
                raise TargetError(
                    f"the header {name!r} cannot be sent: see {self.variable('HEADERS')}"
                )
        return found

    def file(self, what: str) -> Path | None:
        """Give a file's path. Raises TargetError where there is no such file."""
        found = self.text(what)
        if found and not Path(found).is_file():
            raise TargetError(f"there is no file {found}: see {self.variable(what)}")
        return Path(found) if found else None

"""What this process was asked for: by `init`, by the environment, by a spanlore that runs here."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from spanlore.instrumentation.complaint import complain
from spanlore.instrumentation.truth import truth
from spanlore.schemas.loopback import is_loopback
from spanlore.schemas.run_file import default_data_dir, is_held, read_run_file

_CONTENT_MODE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
SPAN_ONLY: Final = "SPAN_ONLY"
NO_CONTENT: Final = "NO_CONTENT"

TRACES: Final = "traces"
LOGS: Final = "logs"

OWN_DESTINATION: Final = "spanlore"

_HOST = "127.0.0.1"
_GRPC_PORT = 4317
_HTTP_PORT = 4318
_DELIVERY_PORT = 4319
_TIMEOUT_S = 10.0
_TIMEOUT_S_MAX = 60.0
# The modes in which content stands on spans.
ON_SPANS = (SPAN_ONLY, "SPAN_AND_EVENT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `init` was given; None where it was given nothing."""

    service_name: str | None = None
    endpoint: str | None = None
    delivery_url: str | None = None
    capture_content: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one signal goes. ``url`` is whole for HTTP, scheme and address for gRPC."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a traced process does with what it sees.

    ``is_private``: everything goes to this machine or to a collector named as spanlore's own.
    ``content_asked``: what was said of content (prompts, answers, arguments, results), if anything;
    ``content_mode``: what the user told OpenTelemetry of it. ``keeps_journal``: what is not sent
    yet is kept on disk.
    """

    service_name: str | None
    targets: Mapping[str, Target]
    is_grpc: bool
    is_gzip: bool
    certificate: str | None
    timeout_s: float
    delivery_url: str
    is_private: bool
    content_asked: bool | None
    content_mode: str | None
    harness_version: str | None
    keeps_journal: bool

    @property
    def destination(self) -> str:
        """Where content agreed to go: what one destination may see another may not.

        One word for this machine and spanlore's own collector, whose port may change.
        """
        if self.is_private:
            return OWN_DESTINATION
        parts = urlsplit(self.targets[TRACES].url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def captures_content(self, *, provider_is_ours: bool) -> bool:
        """Say whether content may be written on spans.

        Where nobody said so, it may only when it stays at home: in a provider that is the user's,
        the user's other exporters would get it too.
        """
        if self.content_asked is not None:
            return self.content_asked
        if self.content_mode is not None:
            return self.content_mode in ON_SPANS
        return self.is_private and provider_is_ours

    def delivery_headers(self) -> dict[str, str]:
        """Return what goes with a question for lessons: the token that OTLP to that host carries.

        One token may do both; the keys to another host are none of this one's business.
        """
        target = self.targets[TRACES]
        token = dict(target.headers).get("authorization")
        is_there = urlsplit(target.url).hostname == urlsplit(self.delivery_url).hostname
        return {"authorization": token} if token and is_there else {}

    @property
    def instrumentors_mode(self) -> str | None:
        """The content mode to start the instrumentors with; None leaves what the user set."""
        if self.content_asked is None and self.content_mode is not None:
            return None
        return SPAN_ONLY if self.captures_content(provider_is_ours=True) else NO_CONTENT


def settings_here(asked: Asked) -> Settings:
    """Read the settings of this process; mistakes are complained of."""
    return settings(os.environ, asked, run_file=_run_file)


def settings(
    environment: Mapping[str, str],
    asked: Asked,
    *,
    run_file: Callable[[], dict[str, Any] | None],
) -> Settings:
    """Read the settings. What cannot be meant is complained of, and the default taken."""
    named = asked.endpoint or environment.get("SPANLORE_ENDPOINT")
    known = run_file()
    is_grpc = _is_grpc(environment, named)
    targets = {
        signal: _target(environment, signal, named=named, is_grpc=is_grpc, known=known)
        for signal in (TRACES, LOGS)
    }
    for signal, target in targets.items():
        if not _is_usable(target.url):
            complain(f"spanlore: {target.url!r} is no endpoint; write http://host:4318")
            targets[signal] = Target(url=_with_path(_home(None, is_grpc=is_grpc), signal, is_grpc))
    own = environment.get("SPANLORE_ENDPOINT")
    is_own = own is not None and named == own
    mode = environment.get(_CONTENT_MODE, "").strip().upper() or None
    return Settings(
        service_name=asked.service_name,
        targets=targets,
        is_grpc=is_grpc,
        is_gzip=_of_traces(environment, "COMPRESSION") == "gzip",
        certificate=_of_traces(environment, "CERTIFICATE") or None,
        timeout_s=_timeout_s(_of_traces(environment, "TIMEOUT")),
        delivery_url=_delivery_url(environment, asked, known),
        is_private=is_own
        or all(is_loopback(urlsplit(target.url).hostname or "") for target in targets.values()),
        content_asked=_content_asked(environment, asked),
        content_mode=mode,
        harness_version=environment.get("SPANLORE_HARNESS_VERSION") or None,
        keeps_journal=truth(environment, "SPANLORE_JOURNAL", unclear=True) is not False,
    )


def _run_file() -> dict[str, Any] | None:
    """Return what a spanlore that runs on this machine says of itself."""
    folder = default_data_dir()
    return read_run_file(folder) if is_held(folder) else None


def _is_grpc(environment: Mapping[str, str], named: str | None) -> bool:
    """Read the protocol; an endpoint of spanlore's on a port of one protocol says it first."""
    if named and (port := _port(named)) in (_GRPC_PORT, _HTTP_PORT):
        return port == _GRPC_PORT  # the protocol is that of another endpoint
    if protocol := _of_traces(environment, "PROTOCOL"):
        return protocol == "grpc"
    return _port(named or _of_traces(environment, "ENDPOINT")) == _GRPC_PORT


def _of_traces(environment: Mapping[str, str], name: str) -> str:
    """Return what OpenTelemetry's exporters are told for traces, else for every signal."""
    own = environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()
    return own or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def _target(
    environment: Mapping[str, str],
    signal: str,
    *,
    named: str | None,
    is_grpc: bool,
    known: Mapping[str, Any] | None,
) -> Target:
    prefix = f"OTEL_EXPORTER_OTLP_{signal.upper()}"
    headers = environment.get(f"{prefix}_HEADERS") or environment.get(
        "OTEL_EXPORTER_OTLP_HEADERS", ""
    )
    whole = environment.get(f"{prefix}_ENDPOINT")
    general = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if named and (whole or general):
        headers = ""  # the keys to another endpoint
    if whole and not named:
        return Target(url=_with_scheme(whole), headers=_headers(headers))
    base = named or general or _home(known, is_grpc=is_grpc)
    return Target(url=_with_path(base, signal, is_grpc), headers=_headers(headers))


def _home(known: Mapping[str, Any] | None, *, is_grpc: bool) -> str:
    """Return the collector of the spanlore that runs here, else the default port."""
    name, default = ("grpc_port", _GRPC_PORT) if is_grpc else ("http_port", _HTTP_PORT)
    return f"http://{_HOST}:{_known_port(known, 'collector', name) or default}"


def _delivery_url(
    environment: Mapping[str, str], asked: Asked, known: Mapping[str, Any] | None
) -> str:
    if named := asked.delivery_url or environment.get("SPANLORE_DELIVERY_URL"):
        return named.rstrip("/")
    return f"http://{_HOST}:{_known_port(known, 'review', 'port') or _DELIVERY_PORT}"


def _known_port(known: Mapping[str, Any] | None, part: str, name: str) -> int | None:
    of_part = (known or {}).get(part)
    port = of_part.get(name) if isinstance(of_part, dict) else None
    return port if isinstance(port, int) else None


def _with_scheme(url: str) -> str:
    return url.strip() if "://" in url else f"http://{url.strip()}"


def _with_path(base: str, signal: str, is_grpc: bool) -> str:  # noqa: FBT001
    url = _with_scheme(base).rstrip("/")
    return url if is_grpc else f"{url}/v1/{signal}"


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _port(url: str) -> int | None:
    try:
        return urlsplit(_with_scheme(url)).port if url else None
    except ValueError:
        return None


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    """Read ``key=value,key=value`` with percent-encoded values, as OpenTelemetry writes headers."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return tuple((unquote(key).strip().lower(), unquote(value).strip()) for key, _, value in pairs)


def _timeout_s(text: str | None) -> float:
    """Read the time one request may take; seconds, as OpenTelemetry's Python exporters have it."""
    try:
        timeout_s = float(text) if text else _TIMEOUT_S
    except ValueError:
        return _TIMEOUT_S
    return min(timeout_s, _TIMEOUT_S_MAX) if timeout_s > 0 else _TIMEOUT_S


def _content_asked(environment: Mapping[str, str], asked: Asked) -> bool | None:
    if asked.capture_content is not None:
        return bool(asked.capture_content)
    return truth(environment, "SPANLORE_CAPTURE_CONTENT", unclear=False)

"""Find the spanlore that is running, so that no command needs to be told where it is."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from spanlore.cli.datadir import default_data_dir, is_held, read_run_file
from spanlore.cli.errors import CannotReach, NotRunning
from spanlore.schemas import credentials
from spanlore.schemas.credentials import Credentials, Login
from spanlore.schemas.loopback import is_loopback
from spanlore.schemas.tables import DATABASE

__all__ = [
    "DEFAULT_GRPC_PORT",
    "DEFAULT_HTTP_PORT",
    "DEFAULT_REVIEW_PORT",
    "DEFAULT_STORE_PORT",
    "HOST",
    "Running",
    "find_running",
    "listens",
    "read_credentials",
    "with_login",
]

HOST = "127.0.0.1"
DEFAULT_STORE_PORT = 8123
DEFAULT_GRPC_PORT = 4317
DEFAULT_HTTP_PORT = 4318
DEFAULT_REVIEW_PORT = 4319
_CONNECT_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running spanlore: its store (URL with credentials), its collector's two doors, its review.

    ``collector_token`` opens all of the collector, ``review_token`` the review
    door; None when it is not known (a part on another machine is never sent ours).
    """

    data_dir: Path
    store_url: str
    grpc_endpoint: str
    http_url: str
    collector_token: str | None
    review_url: str
    review_token: str | None

    @property
    def otlp_headers(self) -> str:
        """What goes with OTLP to it, as OTEL_EXPORTER_OTLP_HEADERS has it; "" where none does."""
        token = self.collector_token
        return f"authorization=Bearer%20{quote(token)}" if token else ""


def find_running(data_dir: Path | None) -> Running:
    """Find the running spanlore.

    A data directory that the user named is looked at alone; otherwise it is the default data
    directory's `run.json`, else ``SPANLORE_STORE_URL`` and ``OTEL_EXPORTER_OTLP_ENDPOINT``, else
    the default ports. Raises NotRunning, or CannotReach when the credentials cannot be read.
    """
    directory = (data_dir or default_data_dir()).absolute()
    if found := _from_run_file(directory):
        return found
    if data_dir is not None:
        raise NotRunning(
            f"nothing is running on {directory}; start it: spanlore up --data-dir {directory}"
        )
    if url := os.environ.get("SPANLORE_STORE_URL"):
        return _from_environment(directory, url)
    return _from_default_ports(directory)


def read_credentials(data_dir: Path) -> Credentials:
    """Return the data directory's credentials, made when there are none; else CannotReach."""
    try:
        return credentials.load_or_create(data_dir)
    except credentials.CredentialsError as error:
        raise CannotReach(str(error)) from error
    except OSError as error:
        raise CannotReach(f"cannot use {data_dir}: {error}; name another --data-dir") from error


def with_login(url: str, login: Login) -> str:
    """Return a store URL without credentials with the login written into it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{quote(login.user, safe='')}:{quote(login.password, safe='')}@{host}"
    return urlunsplit(parts._replace(netloc=netloc))


def _from_run_file(data_dir: Path) -> Running | None:
    document = read_run_file(data_dir)
    if document is None or not is_held(data_dir):
        return None
    secrets = read_credentials(data_dir)
    collector = document["collector"]
    # A spanlore that was started before there was a review door names none.
    review_port = document.get("review", {}).get("port", DEFAULT_REVIEW_PORT)
    return Running(
        data_dir=data_dir,
        store_url=_store_url(document["store"], secrets),
        grpc_endpoint=f"http://{HOST}:{collector['grpc_port']}",
        http_url=f"http://{HOST}:{collector['http_port']}",
        collector_token=secrets.collector_token,
        review_url=f"http://{HOST}:{review_port}",
        review_token=secrets.review_token,
    )


def _store_url(store: dict[str, Any], secrets: Credentials) -> str:
    """Log in to our own store with our own credentials, to a server with the user's."""
    if store["pid"] is not None:
        return with_login(store["url"], secrets.admin)
    url = os.environ.get("SPANLORE_STORE_URL")
    if not url:
        raise CannotReach(
            f"spanlore runs on the server {store['url']}, whose password is not kept; "
            "set SPANLORE_STORE_URL to its whole URL"
        )
    return url


def _from_environment(data_dir: Path, store_url: str) -> Running:
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or f"http://{HOST}:{DEFAULT_GRPC_PORT}"
    endpoint = endpoint if "://" in endpoint else f"http://{endpoint}"
    try:
        parts = urlsplit(endpoint)
        name, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _no_endpoint(endpoint) from error
    if not name:
        raise _no_endpoint(endpoint)
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    is_http = protocol.startswith("http") or port == DEFAULT_HTTP_PORT
    known = _known_credentials(data_dir)
    base = f"{parts.scheme}://{f'[{name}]' if ':' in name else name}"
    return Running(
        data_dir=data_dir,
        store_url=store_url,
        grpc_endpoint=f"{base}:{DEFAULT_GRPC_PORT}" if is_http else endpoint,
        http_url=endpoint.rstrip("/") if is_http else f"{base}:{DEFAULT_HTTP_PORT}",
        collector_token=known.collector_token if known and is_loopback(name) else None,
        review_url=f"http://{HOST}:{DEFAULT_REVIEW_PORT}",
        review_token=os.environ.get("SPANLORE_REVIEW_TOKEN")
        or (known.review_token if known else None),
    )


def _from_default_ports(data_dir: Path) -> Running:
    known = (data_dir / credentials.FILE_NAME).exists()
    if not known or not listens(DEFAULT_STORE_PORT):
        raise NotRunning(
            f"no spanlore is running (looked in {data_dir} and on port {DEFAULT_STORE_PORT}); "
            "start it: spanlore up --detach"
        )
    secrets = read_credentials(data_dir)
    return Running(
        data_dir=data_dir,
        store_url=with_login(f"clickhouse://{HOST}:{DEFAULT_STORE_PORT}/{DATABASE}", secrets.admin),
        grpc_endpoint=f"http://{HOST}:{DEFAULT_GRPC_PORT}",
        http_url=f"http://{HOST}:{DEFAULT_HTTP_PORT}",
        collector_token=secrets.collector_token,
        review_url=f"http://{HOST}:{DEFAULT_REVIEW_PORT}",
        review_token=secrets.review_token,
    )


def _no_endpoint(text: str) -> CannotReach:
    return CannotReach(
        f"OTEL_EXPORTER_OTLP_ENDPOINT is {text!r}, which is no endpoint; write http://host:4317"
    )


def _known_credentials(data_dir: Path) -> Credentials | None:
    return read_credentials(data_dir) if (data_dir / credentials.FILE_NAME).exists() else None


def listens(port: int) -> bool:
    """Say whether somebody takes connections on that port of this machine."""
    try:
        with socket.create_connection((HOST, port), timeout=_CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False

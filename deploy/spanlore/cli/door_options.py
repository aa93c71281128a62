"""Where OTLP and the store are listened for, and who is let in: options of `spanlore up`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from spanlore.cli.connection import HOST
from spanlore.schemas.loopback import is_loopback, refusal_to_listen
from spanlore.schemas.tls import TlsError, TlsFiles

__all__ = ["Doors", "door_options"]

_EVERYWHERE = "0.0.0.0"  # noqa: S104 - only where --container says so
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """How the collector's doors and the store's are to stand: their own options, checked.

    ``store_host`` is where the embedded store is listened for. On loopback it is in clear, beyond
    it speaks TLS as the collector does.
    """

    host: str = HOST
    store_host: str = HOST
    allow_hosts: tuple[str, ...] = ()
    tls: TlsFiles | None = None
    require_token: bool = False
    no_token: bool = False
    insecure: bool = False
    tenant_records_per_s: int = 0
    tenant_bytes_per_s: int = 0

    def arguments(self) -> tuple[str, ...]:
        """Return them as options of `up`."""
        return ("--store-host", self.store_host, *self.collector_arguments())

    def collector_arguments(self) -> tuple[str, ...]:
        """Return them as options of the collector."""
        told = list(self._outside(self.host))
        for name in ("require_token", "no_token"):
            told += [f"--{name.replace('_', '-')}"] if getattr(self, name) else []
        for name in ("tenant_records_per_s", "tenant_bytes_per_s"):
            told += [f"--{name.replace('_', '-')}", str(getattr(self, name))]
        return tuple(told)

    def store_arguments(self) -> tuple[str, ...]:
        """Return them as options of the store."""
        host = self.store_host
        return ("--host", host) if is_loopback(host) else self._outside(host)

    def _outside(self, host: str) -> tuple[str, ...]:
        """Return what every process that listens beyond loopback takes."""
        told = ["--host", host]
        for name in self.allow_hosts:
            told += ["--allow-host", name]
        if self.tls is not None:
            told += ["--tls-cert", str(self.tls.certificate), "--tls-key", str(self.tls.key)]
            told += ["--tls-client-ca", str(self.tls.client_ca)] if self.tls.client_ca else []
        return (*told, "--insecure") if self.insecure else tuple(told)

    def url(self, port: int) -> str:
        """Return the URL of one of the collector's doors."""
        return self._url(self.host, port)

    def store_url(self, port: int) -> str | None:
        """Return the store's URL for other machines; None where it is listened for on this one."""
        return None if is_loopback(self.store_host) else self._url(self.store_host, port)

    def _url(self, host: str, port: int) -> str:
        name = f"[{host}]" if ":" in host else host
        return f"{'http' if self.tls is None else 'https'}://{name}:{port}"


def door_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which is given ``doors``. Raises UsageError."""

    @wraps(command)
    def with_doors(
        *,
        host: str,
        store_host: str,
        allow_host: tuple[str, ...],
        tls_cert: Path | None,
        tls_key: Path | None,
        tls_client_ca: Path | None,
        require_token: bool,
        no_token: bool,
        insecure: bool,
        container: bool,
        tenant_records_per_s: int,
        tenant_bytes_per_s: int,
        **others: Any,
    ) -> Any:
        try:
            tls = TlsFiles.given(tls_cert, tls_key, client_ca=tls_client_ca)
        except TlsError as error:
            raise click.UsageError(str(error)) from error
        doors = Doors(
            host=_EVERYWHERE if container else host,
            store_host=store_host,
            allow_hosts=allow_host,
            tls=tls,
            require_token=require_token,
            no_token=no_token or (container and not require_token),
            insecure=insecure or container,
            tenant_records_per_s=tenant_records_per_s,
            tenant_bytes_per_s=tenant_bytes_per_s,
        )
        _check(doors)
        return command(doors=doors, **others)

    for option in reversed(_OPTIONS):
        with_doors = option(with_doors)
    return with_doors


def _check(doors: Doors) -> None:
    if doors.require_token and doors.no_token:
        raise click.UsageError("--require-token and --no-token exclude each other: leave out one")
    for host in (doors.host, doors.store_host):
        reason = refusal_to_listen(host, has_tls=doors.tls is not None, insecure=doors.insecure)
        if reason:
            raise click.UsageError(reason)


_OPTIONS = (
    click.option(
        "--host",
        default=HOST,
        show_default=True,
        help="Where to listen for OTLP. Beyond loopback it takes a token and TLS.",
    ),
    click.option(
        "--store-host",
        default=HOST,
        show_default=True,
        help="Where to listen for clients of the embedded store, such as Grafana. They always log "
        "in; beyond loopback it takes TLS.",
    ),
    click.option(
        "--allow-host",
        multiple=True,
        help="A further name by which OTLP over HTTP, or the store where it listens beyond "
        "loopback, is reached, such as a service's or a proxy's.",
    ),
    click.option("--tls-cert", type=_FILE, help="A certificate with its chain, PEM: speak TLS."),
    click.option("--tls-key", type=_FILE, help="Its key (PEM, not encrypted)."),
    click.option(
        "--tls-client-ca", type=_FILE, help="Take only clients with a certificate of this CA."
    ),
    click.option(
        "--require-token",
        is_flag=True,
        help="Take no OTLP, and give no memories, without a token: on loopback too.",
    ),
    click.option("--no-token", is_flag=True, help="Take OTLP without a token beyond loopback too."),
    click.option("--insecure", is_flag=True, help="Listen beyond loopback without TLS."),
    click.option(
        "--container",
        is_flag=True,
        help="Listen on every address of a container, as open as loopback is: --host 0.0.0.0 "
        "--insecure --no-token. Publish the ports to 127.0.0.1 alone.",
    ),
    click.option(
        "--tenant-records-per-s",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Spans, logs and data points a second that each tenant's tokens may send; 0 is any.",
    ),
    click.option(
        "--tenant-bytes-per-s",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="The same in bytes; 0 is any.",
    ),
)

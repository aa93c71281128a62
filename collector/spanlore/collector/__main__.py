"""`python -m spanlore.collector`: one collector process."""

import json
import logging
import os
import resource
import signal
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from spanlore.collector import memory
from spanlore.collector.config import Config, ConfigError
from spanlore.collector.forwarding.queues import ForwardingError
from spanlore.collector.forwarding.target import TargetError, read_targets
from spanlore.collector.grpc_door import PortError
from spanlore.collector.quotas import TenantBudget
from spanlore.collector.recover import LogDirectoryError
from spanlore.collector.redaction.key import KeyFileError
from spanlore.collector.redaction.own_patterns import PatternError, read_patterns
from spanlore.collector.sealer import Sealer
from spanlore.collector.server import Collector, Hooks
from spanlore.schemas.credentials import CredentialsError, load_or_create
from spanlore.schemas.full_disk import reason
from spanlore.schemas.store import Store, leave_out_pandas
from spanlore.schemas.tls import TlsError, TlsFiles

_CANNOT_OPEN = 3
_CANNOT_START = (
    ConfigError,
    CredentialsError,
    ForwardingError,
    KeyFileError,
    LogDirectoryError,
    PatternError,
    PortError,
    TargetError,
    TlsError,
    OSError,
)
_PER_S = click.IntRange(min=0)
_FILE = click.Path(dir_okay=False, path_type=Path)
# Segments, connections to the store, the interpreter's own.
_OTHER_FILES = 512


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path), required=True)
@click.option("--store-url", envvar="SPANLORE_STORE_URL", required=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--grpc-port", default=4317, show_default=True, help="0 takes a free port.")
@click.option("--http-port", default=4318, show_default=True, help="0 takes a free port.")
@click.option(
    "--allow-host", "allowed_hosts", multiple=True, help="A further name the HTTP port answers to."
)
@click.option(
    "--allow-origin",
    "allowed_origins",
    multiple=True,
    help="The origin of a web page that may send.",
)
@click.option(
    "--require-token", is_flag=True, help="Take no OTLP without a token, on loopback too."
)
@click.option("--no-token", is_flag=True, help="Take OTLP without a token beyond loopback too.")
@click.option("--insecure", is_flag=True, help="Listen beyond loopback without TLS.")
@click.option("--tls-cert", type=_FILE, help="A certificate with its chain, PEM: speak TLS.")
@click.option("--tls-key", type=_FILE, help="Its key (PEM, not encrypted).")
@click.option(
    "--tls-client-ca", type=_FILE, help="Take only clients with a certificate of this CA."
)
@click.option(
    "--local-grpc-port",
    default=0,
    help="Where --host is not 127.0.0.1 in clear, this machine's programs have doors that are.",
)
@click.option("--local-http-port", default=0, help="The same for HTTP.")
@click.option(
    "--tenant-records-per-s",
    type=_PER_S,
    default=0,
    help="Spans, logs and data points a second that each tenant's tokens may send; 0: no limit.",
)
@click.option(
    "--tenant-bytes-per-s", type=_PER_S, default=0, help="The same in bytes, before redaction."
)
@click.option("--no-redact", is_flag=True, help="Store secrets as they come.")
@click.option(
    "--redact-patterns",
    type=click.Path(path_type=Path),
    help="A TOML file of further patterns to redact: name = 'RE2 pattern' lines.",
)
@click.option(
    "--disk-free-min",
    "disk_free_bytes_min",
    type=int,
    default=1 << 30,
    help="Bytes the disk must keep free.",
)
@click.option(
    "--log-max",
    "log_bytes_max",
    type=int,
    default=4 << 30,
    help="Bytes the write-ahead log may hold.",
)
@click.option(
    "--self-metrics-endpoint",
    envvar="OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    show_envvar=True,
    default="",
    help="Where the collector sends its own metrics by OTLP: a URL, or `self` for its own store.",
)
@click.option(
    "--self-metrics-protocol",
    envvar=["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
    show_envvar=True,
    default="http/protobuf",
    help="grpc or http/protobuf.",
)
@click.option(
    "--self-metrics-every-ms",
    envvar="OTEL_METRIC_EXPORT_INTERVAL",
    show_envvar=True,
    type=click.IntRange(min=1),
    default=60_000,
    show_default=True,
    help="Milliseconds from one export of them to the next.",
)
@click.option(
    "--forward",
    metavar="[NAME=]URL",
    multiple=True,
    help="Send what is accepted to another OTLP backend too: grpc://, grpcs://, http:// or "
    "https://HOST:PORT. Headers and the like are in the environment: SPANLORE_FORWARD_HEADERS.",
)
@click.option(
    "--forward-max",
    "forward_bytes_max",
    type=int,
    default=1 << 30,
    help="Bytes to keep for each, while it is down.",
)
def main(  # noqa: PLR0913 - what is made of more than one option, or is not as it is asked
    data_dir: Path,
    store_url: str,
    *,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    tenant_records_per_s: int,
    tenant_bytes_per_s: int,
    no_redact: bool,
    redact_patterns: Path | None,
    self_metrics_every_ms: int,
    forward: tuple[str, ...],
    **others: Any,
) -> None:
    """Take OTLP on --grpc-port and --http-port, keep it in a log, load it into the store.

    Prints one JSON line when it listens; `refuses` says why it takes nothing yet, if so. Exit code
    3: a port, the directory, the credentials, the patterns or a forwarding target cannot be had.
    """
    try:
        config = Config(
            data_dir=data_dir,
            token=load_or_create(data_dir).collector_token,
            tls=TlsFiles.given(tls_cert, tls_key, client_ca=tls_client_ca),
            tenant_budget=TenantBudget(
                records_per_s_max=tenant_records_per_s, bytes_per_s_max=tenant_bytes_per_s
            ),
            redact=not no_redact,
            redact_patterns=read_patterns(redact_patterns) if redact_patterns else {},
            self_metrics_every_s=self_metrics_every_ms / 1000,
            forward=read_targets(forward, os.environ),
            **others,
        )
    except _CANNOT_START as error:
        _cannot_start(error, data_dir)
    serve(config, store_url)


def serve(config: Config, store_url: str) -> None:
    """Run a collector until the process is asked to end; exit where it cannot start."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    memory.keep_freed()
    memory.look_for_cycles_seldom()
    told = listen_for_end()
    leave_out_pandas()
    try:
        _allow_files(2 * config.clients.connections_max + _OTHER_FILES)
        sealer = Sealer(partial(Store.connect, store_url), note=config.log_dir / "unsealed.json")
        hooks = Hooks(
            on_loaded=sealer.loaded,
            on_idle=sealer.idle,
            on_flush=sealer.flush,
            sealing=sealer.backlog,
        )
        collector = Collector(config, partial(Store.connect, store_url), hooks=hooks)
        ports = collector.start()
    except _CANNOT_START as error:
        _cannot_start(error, config.data_dir)
    refuses = collector.status()["refuses"]
    click.echo(json.dumps({"ready": True, **asdict(ports), "refuses": refuses}))
    sys.stdout.flush()
    os.read(told, 1)
    collector.stop()
    sealer.close()


def _cannot_start(error: Exception, data_dir: Path) -> NoReturn:
    said = reason(error, data_dir) if isinstance(error, OSError) else str(error)
    click.echo(f"the collector cannot start: {said}", err=True)
    sys.exit(_CANNOT_OPEN)


def _allow_files(count: int) -> None:
    """Let the process have so many files open, as far as it may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen_for_end() -> int:
    """Give a descriptor with something to read once a signal has asked the process to end.

    Python's C part writes to it at once, in whichever thread. An event that a handler sets would
    not do: a signal in the moment before its wait begins runs no handler until another comes.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return reader


if __name__ == "__main__":
    main()

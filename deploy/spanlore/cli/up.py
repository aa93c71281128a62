"""`spanlore up`: store, collector and review door on this machine, in front or detached."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from spanlore.cli.child import end_with_parent
from spanlore.cli.connection import (
    DEFAULT_GRPC_PORT,
    DEFAULT_HTTP_PORT,
    DEFAULT_REVIEW_PORT,
    DEFAULT_STORE_PORT,
    HOST,
)
from spanlore.cli.datadir import data_dir_option, default_data_dir, held, make_data_dir
from spanlore.cli.door_options import Doors, door_options
from spanlore.cli.ports import require_free
from spanlore.cli.signals import deferred
from spanlore.cli.supervisor import Plan, supervise

__all__ = ["start_detached", "up_command"]

_PORT = click.IntRange(0, 65535)
_LOG_BYTES_MAX = 16 << 20


@click.command("up")
@data_dir_option
@click.option(
    "--store-url",
    envvar="SPANLORE_STORE_URL",
    show_envvar=True,
    help="A ClickHouse server to use instead of the embedded store: "
    "clickhouse://user:password@host:8123/spanlore",
)
@click.option("--store-port", type=_PORT, default=DEFAULT_STORE_PORT, show_default=True)
@click.option("--grpc-port", type=_PORT, default=DEFAULT_GRPC_PORT, show_default=True)
@click.option("--http-port", type=_PORT, default=DEFAULT_HTTP_PORT, show_default=True)
@click.option("--review-port", type=_PORT, default=DEFAULT_REVIEW_PORT, show_default=True)
@click.option(
    "--learn-every",
    help="Also run `spanlore learn`, at most this often: 30m, 1h, 1d. It waits for new runs and "
    "for a quiet moment.",
)
@click.option(
    "--unsandboxed-sql",
    is_flag=True,
    help="Answer SQL of the `reader` login also where the store's process cannot be confined: "
    "not Linux, or an old kernel.",
)
@click.option(
    "--redact-patterns",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Redact also what these match, such as personal data: a TOML file of name = 'RE2 pattern' "
    "lines. Secrets (keys, tokens, passwords, card numbers) are always redacted.",
)
@click.option("--no-redact", is_flag=True, help="Store secrets as they come.")
@click.option(
    "--self-metrics-endpoint",
    metavar="URL",
    help="Where the collector sends its own metrics by OTLP (http://127.0.0.1:4318/v1/metrics), or "
    "`self` for its own store. Without it OTEL_EXPORTER_OTLP_METRICS_ENDPOINT holds.",
)
@click.option(
    "--forward",
    metavar="[NAME=]URL",
    multiple=True,
    help="Send what is accepted to another OTLP backend too, from a queue of its own: grpc://, "
    "grpcs://, http:// or https://HOST:PORT. Headers: SPANLORE_FORWARD_HEADERS, as "
    "OTEL_EXPORTER_OTLP_HEADERS.",
)
@door_options
@click.option("--detach", is_flag=True, help="Return when ready and go on in the background.")
@click.option("--ready-fd", type=int, hidden=True)
@click.option("--parent-pid", type=int, hidden=True)
def up_command(
    data_dir: Path | None,
    store_url: str | None,
    store_port: int,
    grpc_port: int,
    http_port: int,
    review_port: int,
    learn_every: str | None,
    unsandboxed_sql: bool,
    redact_patterns: Path | None,
    no_redact: bool,
    self_metrics_endpoint: str | None,
    forward: tuple[str, ...],
    doors: Doors,
    detach: bool,
    ready_fd: int | None,
    parent_pid: int | None,
) -> None:
    """Start the store, the collector and the review door; stop them with Ctrl-C or `spanlore down`.

    Port 0 takes a free port; `spanlore status` shows which.
    """
    if parent_pid is not None:
        end_with_parent()
        if os.getppid() != parent_pid:
            return  # it ended before we could ask to be told
    directory = (data_dir or default_data_dir()).absolute()
    ports = {
        "store-port": store_port,
        "grpc-port": grpc_port,
        "http-port": http_port,
        "review-port": review_port,
    }
    every_s = _seconds(learn_every)
    collector_options = (*_redaction(redact_patterns, no_redact=no_redact), *_forwarding(forward))
    collector_options += _self_metrics(self_metrics_endpoint)
    if detach:
        said = start_detached(
            directory,
            store_url,
            ports=ports,
            learn_every=learn_every,
            unsandboxed_sql=unsandboxed_sql,
            collector_options=(*doors.arguments(), *collector_options),
        )
        click.echo(said, nl=False)
        return
    _check_store_url(store_url)
    with held(directory):
        _require_ports(ports, doors, has_own_store=store_url is None)
        plan = Plan(
            data_dir=directory,
            store_url=store_url,
            store_port=store_port,
            grpc_port=grpc_port,
            http_port=http_port,
            review_port=review_port,
            logs=None if ready_fd is None else directory / "logs",
            unsandboxed_sql=unsandboxed_sql,
            learn_every_s=every_s,
            doors=doors,
            collector_options=collector_options,
        )
        supervise(plan, lambda document: _announce(document, ready_fd))


def _require_ports(ports: dict[str, int], doors: Doors, *, has_own_store: bool) -> None:
    for option, port in ports.items():
        if option != "store-port" or has_own_store:
            host = doors.host if option in ("grpc-port", "http-port") else HOST
            require_free(host, port, option=f"--{option}")


def _redaction(patterns: Path | None, *, no_redact: bool) -> tuple[str, ...]:
    """Return the collector's options for what the two say."""
    if no_redact and patterns:
        raise click.UsageError(
            "--no-redact and --redact-patterns exclude each other: leave out one"
        )
    if no_redact:
        return ("--no-redact",)
    return ("--redact-patterns", str(patterns.absolute())) if patterns else ()


def _self_metrics(endpoint: str | None) -> tuple[str, ...]:
    """Return the collector's options for where its own metrics go."""
    return ("--self-metrics-endpoint", endpoint) if endpoint else ()


def _forwarding(targets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the collector's options for the targets, once they can be read."""
    from spanlore.collector.forwarding.target import TargetError, read_targets

    try:
        read_targets(targets, os.environ)
    except TargetError as error:
        raise click.BadParameter(str(error), param_hint="--forward") from error
    return tuple(part for target in targets for part in ("--forward", target))


def _seconds(learn_every: str | None) -> float | None:
    if learn_every is None:
        return None
    from spanlore.schemas.runs import parse_since

    try:
        return parse_since(learn_every).total_seconds()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--learn-every") from error


def _check_store_url(store_url: str | None) -> None:
    if store_url is None:
        return
    from spanlore.schemas.store import StoreAddress

    try:
        StoreAddress.parse(store_url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--store-url") from error


def _announce(document: dict[str, Any], ready_fd: int | None) -> None:
    """Tell the terminal, or the `up --detach` that waits at the other end of the pipe."""
    text = _addresses(document)
    if ready_fd is None:
        click.echo(f"{text}\nStop with Ctrl-C, or `spanlore down` from elsewhere.")
        return
    with os.fdopen(ready_fd, "w") as pipe:
        pipe.write(f"{text}\nStop with `spanlore down`.\n")


def _addresses(document: dict[str, Any]) -> str:
    collector = document["collector"]
    http = f"http://{HOST}:{collector['http_port']}"
    return (
        f"spanlore {document['version']} is up on {document['data_dir']}\n"
        f"  store      {document['store']['url']}\n"
        f"  OTLP gRPC  {collector['public_grpc_url']}\n"
        f"  OTLP HTTP  {collector['public_http_url']}\n"
        f"  review     http://{HOST}:{document['review']['port']}\n"
        f"{_learns(document['learn']['every_s'])}"
        "Point a traced program at it:\n"
        f"  export OTEL_EXPORTER_OTLP_ENDPOINT={http} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
    )


def _learns(every_s: float | None) -> str:
    if every_s is None:
        return ""
    return f"  learn      at most every {every_s:,.0f} s, in quiet moments\n"


def start_detached(
    directory: Path,
    store_url: str | None,
    *,
    ports: dict[str, int],
    outlives_us: bool = True,
    learn_every: str | None = None,
    unsandboxed_sql: bool = False,
    collector_options: tuple[str, ...] = (),
) -> str:
    """Run `up` in a session of its own; return what it says when it is ready.

    ``collector_options`` are further options of the collector, which are `up`'s too.

    What it says instead, when it does not get ready, is printed, and its exit code is ours
    (SystemExit). With ``outlives_us`` false the kernel ends it with this process, where it can.
    """
    log = _open_log(directory)
    told = log.stat().st_size if log.exists() else 0
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "spanlore.cli", "up", "--data-dir", str(directory)]
    command += [part for name, port in ports.items() for part in (f"--{name}", str(port))]
    command += [] if learn_every is None else ["--learn-every", learn_every]
    command += ["--unsandboxed-sql"] if unsandboxed_sql else []
    command += collector_options
    command += [] if outlives_us else ["--parent-pid", str(os.getpid())]
    process = None
    try:
        with deferred(), log.open("ab") as output:  # one that is started is known to us
            process = subprocess.Popen(
                [*command, "--ready-fd", str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(store_url),
                pass_fds=(writer,),
                start_new_session=True,
            )
            os.close(writer)
        with os.fdopen(reader) as pipe:
            announcement = pipe.read()  # ends when it is written, or with the process
        if announcement:
            return announcement
        code = process.wait()
    except BaseException:  # interrupted: nothing is left running, and the caller may clean up
        if process is not None:
            process.terminate()
            process.wait()
        raise
    with log.open("rb") as file:
        file.seek(told)
        click.echo(file.read(), err=True, nl=False)
    raise SystemExit(code or 1)


def _environment(store_url: str | None) -> dict[str, str]:
    """Name the store: its URL holds a password, and arguments are shown to every user."""
    kept = {name: value for name, value in os.environ.items() if name != "SPANLORE_STORE_URL"}
    return kept | ({"SPANLORE_STORE_URL": store_url} if store_url else {})


def _open_log(directory: Path) -> Path:
    """Return the supervisor's log; logs that have grown too long are put aside, one deep."""
    logs = make_data_dir(directory) / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    for log in logs.glob("*.log"):
        if log.stat().st_size > _LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
    return logs / "up.log"

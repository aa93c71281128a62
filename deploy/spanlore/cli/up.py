"""`spanlore up`: store, collector and review door on this machine, in front or detached."""

import os
import subprocess
import sys
from collections.abc import Sequence
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
from spanlore.cli.datadir import data_dir_option, held, make_data_dir, writing_to
from spanlore.cli.door_options import door_options
from spanlore.cli.options import given_as
from spanlore.cli.output import log_time
from spanlore.cli.ports import require_free
from spanlore.cli.signals import deferred
from spanlore.cli.supervisor import Plan, supervise
from spanlore.cli.up_options import UpOptions

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
@click.option(
    "--forward-max",
    metavar="BYTES",
    type=click.IntRange(min=0),
    help="The most to keep for each of these backends while it is down; 1 GiB without this.",
)
@click.option(
    "--disk-free-min",
    metavar="BYTES",
    type=click.IntRange(min=0),
    help="The least that the disk must keep free, or nothing is taken; 1 GiB without this.",
)
@door_options
@click.option("--detach", is_flag=True, help="Return when ready and go on in the background.")
@click.option("--ready-fd", type=int, hidden=True)
@click.option("--parent-pid", type=int, hidden=True)
@given_as(UpOptions)
def up_command(asked: UpOptions) -> None:
    """Start the store, the collector and the review door; stop them with Ctrl-C or `spanlore down`.

    Port 0 takes a free port; `spanlore status` shows which.
    """
    if asked.parent_pid is not None and not _ends_with(asked.parent_pid):
        return
    plan = _plan(asked)
    if asked.detach:
        with writing_to(asked.directory):
            said = start_detached(asked.directory, asked.store_url, arguments=asked.arguments())
        click.echo(said, nl=False)
        return
    with writing_to(asked.directory), held(asked.directory):
        _require_places(asked)
        supervise(
            plan, lambda document, problems: _announce(document, problems, ready_fd=asked.ready_fd)
        )


def _plan(asked: UpOptions) -> Plan:
    """Return what is to run. Raises UsageError."""
    if asked.store_url is not None and asked.doors.store_host != HOST:
        raise click.UsageError(
            "--store-host is the embedded store's, and another store is named (--store-url, "
            "SPANLORE_STORE_URL): leave out one"
        )
    return Plan(
        data_dir=asked.directory,
        store_url=asked.store_url,
        store_port=asked.store_port,
        grpc_port=asked.grpc_port,
        http_port=asked.http_port,
        review_port=asked.review_port,
        logs=None if asked.ready_fd is None else asked.directory / "logs",
        unsandboxed_sql=asked.unsandboxed_sql,
        learn_every_s=asked.learn_every_s(),
        doors=asked.doors,
        collector_options=asked.collector_arguments(),
    )


def _ends_with(parent_pid: int) -> bool:
    """End with the process that started us; False where it ended before we could ask for that."""
    end_with_parent()
    return os.getppid() == parent_pid


def _require_places(asked: UpOptions) -> None:
    """See that the store has a good address and that our ports are free."""
    _check_store_url(asked.store_url)
    doors = asked.doors
    hosts = {"store-port": doors.store_host, "grpc-port": doors.host, "http-port": doors.host}
    for option, port in asked.ports().items():
        if option != "store-port" or asked.store_url is None:
            require_free(hosts.get(option, HOST), port, option=f"--{option}")


def _check_store_url(store_url: str | None) -> None:
    if store_url is None:
        return
    from spanlore.schemas.store import StoreAddress

    try:
        StoreAddress.parse(store_url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--store-url") from error


def _announce(document: dict[str, Any], problems: Sequence[str], *, ready_fd: int | None) -> None:
    """Tell the terminal, or the `up --detach` that waits at the other end of the pipe."""
    text = "\n".join((_addresses(document), *(f"But {problem}" for problem in problems)))
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
        f"  store      {document['store']['public_url'] or document['store']['url']}\n"
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
    arguments: Sequence[str],
    outlives_us: bool = True,
) -> str:
    """Run `up` with these arguments in a session of its own; return what it says when it is ready.

    What it says instead, when it does not get ready, is printed, and its exit code is ours
    (SystemExit). With ``outlives_us`` false the kernel ends it with this process, where it can.
    """
    log = _open_log(directory)
    with log.open("a") as file:  # found out here that there is no space: nobody would say so there
        file.write(f"{log_time()} spanlore up\n")
    told = log.stat().st_size
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "spanlore.cli", "up", "--data-dir", str(directory)]
    command += arguments
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

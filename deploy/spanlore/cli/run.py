"""`spanlore run`: start a program so that it, and every Python program it starts, is traced."""

import errno
import os
import signal
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import click

from spanlore.cli.connection import find_running, listens
from spanlore.cli.datadir import data_dir_option, default_data_dir
from spanlore.cli.errors import CannotReach, NotRunning
from spanlore.instrumentation.journal import journals_dir
from spanlore.instrumentation.settings import TRACES, Asked, Settings, settings
from spanlore.instrumentation.switch import is_disabled

__all__ = ["fate_of_spans", "run_command"]

# As a shell says it: not found, found but not to be run.
_EXIT_NOT_FOUND = 127
_EXIT_NOT_RUN = 126
# Ignored by Python, which a program started in its place would inherit.
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ")
_ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "SPANLORE_ENDPOINT",
)


@click.command(
    "run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option("--service", help="The program's name in its spans. Default: its file's name.")
@data_dir_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run_command(*, service: str | None, data_dir: Path | None, command: tuple[str, ...]) -> None:
    """Run a program, traced: `spanlore run -- python app.py`.

    COMMAND takes this process's place: its output, signals and exit code are its own. Every Python
    it starts is traced that has spanlore installed; one that has not says so on stderr. Exit codes
    of this command: 126 it cannot be run, 127 it is not there.
    """
    environment = {**os.environ, **_settings(os.environ, service=service, data_dir=data_dir)}
    environment["PYTHONPATH"] = _python_path(os.environ.get("PYTHONPATH", ""))
    environment |= _stderr_here()
    sys.stdout.flush()
    sys.stderr.flush()
    for name in _IGNORED_BY_PYTHON:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606  # to be replaced is the point
    except OSError as error:
        click.echo(f"spanlore run: {command[0]}: {error.strerror}", err=True)
        is_missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        raise SystemExit(_EXIT_NOT_FOUND if is_missing else _EXIT_NOT_RUN) from error


def _settings(
    environment: Mapping[str, str], *, service: str | None, data_dir: Path | None
) -> dict[str, str]:
    """Return what the program is told: where spans go, unless the user said so already."""
    told: dict[str, str] = {}
    if service:
        told["OTEL_SERVICE_NAME"] = service
    if data_dir is not None:
        told["SPANLORE_DATA_DIR"] = str(data_dir.absolute())
    is_named = any(environment.get(name) for name in _ENDPOINTS)
    try:
        running = find_running(data_dir)
    except NotRunning as error:
        if not is_named and not is_disabled():
            asked = settings(os.environ, Asked(), run_file=lambda: None)
            fate = fate_of_spans(asked, data_dir or default_data_dir())
            click.echo(f"spanlore run: {error.format_message()}; {fate}", err=True)
        return told
    except CannotReach:
        return told  # what cannot be opened is not what takes spans; the program looks itself
    if not is_named:
        # Not OpenTelemetry's variables: exporters of the program's own go where they did.
        is_grpc = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc"
        told["SPANLORE_ENDPOINT"] = running.grpc_endpoint if is_grpc else running.http_url
    if not environment.get("SPANLORE_DELIVERY_URL"):
        told["SPANLORE_DELIVERY_URL"] = running.review_url
    return told


def fate_of_spans(asked: Settings, data_dir: Path) -> str:
    """Say where a program's spans go while no spanlore of the user's runs."""
    port = urlsplit(asked.targets[TRACES].url).port
    if port is not None and listens(port):
        return f"until then spans go to what listens on port {port}"
    if not asked.keeps_journal:
        return "until then spans are lost, for SPANLORE_JOURNAL keeps none"
    folder = journals_dir(data_dir.absolute())
    return f"until then spans are kept in the journal ({folder}), and `spanlore ship` sends them"


def _stderr_here() -> dict[str, str]:
    """Return what lets a Python that cannot be traced say so here; nothing where none is to be."""
    if is_disabled() or sys.stderr is None:
        return {}
    here = os.fstat(sys.stderr.fileno())
    return {"SPANLORE_RUN_STDERR": f"{here.st_dev}:{here.st_ino}"}


def _python_path(standing: str) -> str:
    """Put the folder whose `sitecustomize` switches tracing on before what stands there."""
    package = find_spec("spanlore.instrumentation")
    if package is None or not package.submodule_search_locations:
        raise CannotReach("spanlore.instrumentation is not installed; run: pip install spanlore")
    ours = str(Path(package.submodule_search_locations[0]) / "program")
    others = [entry for entry in standing.split(os.pathsep) if entry and entry != ours]
    return os.pathsep.join([ours, *others])

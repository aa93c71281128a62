"""Peers that are no dependency of spanlore, in folders of their own; those that bring a store.

They are built once, into ``$SPANLORE_BENCH_PEERS`` or the user's cache, and found again there:
arize-phoenix, mlflow, traceloop-sdk and openlit in a virtual environment each, the OpenTelemetry
Collector with `ocb` where Go is. ``python benchmarks/peers.py`` builds all that can be had and says
which cannot.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from client import Door
from running import NotAvailableError, Running, free_port, process, wait_for_port
from stored import Sqlite

PHOENIX: Final = "arize-phoenix==20.26.1"
MLFLOW: Final = "mlflow==3.17.2"
OPENLLMETRY: Final = "traceloop-sdk==0.62.4"
OPENLIT: Final = "openlit==1.45.0"
# What they import and do not ask for: a program that calls a model has it.
_BESIDE: Final = {OPENLLMETRY: ("httpx",)}
_COLLECTOR_VERSION: Final = "v0.165.0"
_CONTRIB_VERSION: Final = "v0.165.1"
_CONTRIB: Final = "github.com/open-telemetry/opentelemetry-collector-contrib"
_CORE: Final = "go.opentelemetry.io/collector"
_BUILD_S_MAX: Final = 1800
_SAID_CHARACTERS_MAX: Final = 300

_MANIFEST: Final = {
    "dist": {"name": "otelcol-bench", "output_path": "dist", "module": "spanlore.dev/otelcol"},
    "receivers": [{"gomod": f"{_CORE}/receiver/otlpreceiver {_COLLECTOR_VERSION}"}],
    "exporters": [{"gomod": f"{_CONTRIB}/exporter/clickhouseexporter {_CONTRIB_VERSION}"}],
    "extensions": [{"gomod": f"{_CONTRIB}/extension/storage/filestorage {_CONTRIB_VERSION}"}],
}


@contextmanager
def phoenix(directory: Path) -> Iterator[Running]:
    """Run arize-phoenix with its default store, SQLite. Raises NotAvailableError."""
    program = _environment(PHOENIX) / "phoenix"
    grpc_port, http_port = free_port(), free_port()
    log = directory / "phoenix.log"
    environment = {
        "PHOENIX_WORKING_DIR": str(directory),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(http_port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    with process([str(program), "serve"], log, environment=environment) as server:
        wait_for_port(http_port, server, log)
        wait_for_port(grpc_port, server, log)
        yield Running(
            door=Door(url=f"grpc://127.0.0.1:{grpc_port}"),
            open_store=partial(Sqlite, directory / "phoenix.db"),
            processes={"phoenix": server},
            log=log,
        )


@contextmanager
def mlflow(directory: Path) -> Iterator[Running]:
    """Run MLflow's server with its default store, SQLite. Raises NotAvailableError."""
    program = _environment(MLFLOW) / "mlflow"
    port = free_port()
    log = directory / "mlflow.log"
    database = directory / "mlflow.db"
    command = [
        *(str(program), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{database}"),
        *("--default-artifact-root", str(directory / "artifacts")),
    ]
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with process(command, log, environment=environment) as server:
        wait_for_port(port, server, log)
        yield Running(
            door=Door(
                url=f"http://127.0.0.1:{port}/v1/traces", headers={"x-mlflow-experiment-id": "0"}
            ),
            open_store=partial(Sqlite, database),
            processes={"mlflow": server},
            log=log,
        )


def opentelemetry_collector() -> Path:
    """Give the path of a collector with the ClickHouse exporter. Raises NotAvailableError."""
    folder = _peers_dir() / f"otelcol-{_CONTRIB_VERSION}"
    program = folder / "dist" / "otelcol-bench"
    if program.exists():
        return program
    if shutil.which("go") is None:
        raise NotAvailableError("there is no Go on this machine to build the collector with")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(_MANIFEST))
    go = {"GOBIN": str(folder)}
    _build(["go", "install", f"{_CORE}/cmd/builder@{_COLLECTOR_VERSION}"], folder, more=go)
    _build([str(folder / "builder"), "--config", "manifest.json"], folder, more=go)
    return program


def peer_python(requirement: str) -> Path:
    """Give the interpreter of an environment that holds it alone. Raises NotAvailableError."""
    return _environment(requirement) / "python"


def _environment(requirement: str) -> Path:
    """Give the programs of a virtual environment that holds this package alone."""
    folder = _peers_dir() / requirement.replace("==", "-")
    stamp = folder / "complete"
    if not stamp.exists():
        _build([sys.executable, "-m", "venv", "--clear", str(folder)], _peers_dir())
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        # The one that comes with Python may be too old to resolve what stands on prereleases.
        _build([*pip, "--upgrade", "pip"], folder)
        _build([*pip, requirement, *_BESIDE.get(requirement, ())], folder)
        stamp.touch()
    return folder / "bin"


def _peers_dir() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("SPANLORE_BENCH_PEERS") or Path(cache) / "spanlore-bench")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.absolute()


def _build(command: list[str], folder: Path, *, more: dict[str, str] | None = None) -> None:
    """Run a step of a build. Raises NotAvailableError with the last that it said."""
    sys.stderr.write(f"building a peer, once: {' '.join(command[:4])} ...\n")
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(more or {})},
            capture_output=True,
            text=True,
            timeout=_BUILD_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        message = f"`{command[0]}` was not done in {_BUILD_S_MAX} s"
        raise NotAvailableError(message) from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-_SAID_CHARACTERS_MAX:]
        raise NotAvailableError(f"`{' '.join(command[:4])}` failed: {said}")


def main() -> None:
    """Build every peer that can be had here."""
    builds: dict[str, Callable[[], Path]] = {
        PHOENIX: partial(_environment, PHOENIX),
        MLFLOW: partial(_environment, MLFLOW),
        OPENLLMETRY: partial(_environment, OPENLLMETRY),
        OPENLIT: partial(_environment, OPENLIT),
        f"OpenTelemetry Collector {_CONTRIB_VERSION}": opentelemetry_collector,
    }
    for name, build in builds.items():
        try:
            print(f"{name}: {build()}")
        except NotAvailableError as error:
            print(f"{name}: not available: {error}")


if __name__ == "__main__":
    main()

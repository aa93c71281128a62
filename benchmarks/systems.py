"""The systems under test as real processes on free ports in a temporary directory."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from spanlore.schemas import tables, views
from spanlore.schemas.credentials import load_or_create
from spanlore.schemas.migrate import migrate
from spanlore.schemas.store import Store
from spanlore.schemas.table import Column, Table

_READY_S_MAX: Final = 60.0
_STOP_S_MAX: Final = 60.0
_FLUSH_S_MAX: Final = 300
_SAID_CHARACTERS_MAX: Final = 4000
_HERE: Final = Path(__file__).parent

# The standard exporter's otel_traces: its columns (tables.py holds them first, name for name),
# its indexes, its partitions and order.
_EXPORTER_COLUMNS: Final = tables.OTEL_TRACES.insertable.index("Links.Attributes") + 1
EXPORTER_TRACES: Final = Table(
    name=tables.TRACES,
    columns=tables.OTEL_TRACES.columns[:_EXPORTER_COLUMNS],
    engine="MergeTree",
    partition_by="toDate(Timestamp)",
    order_by="(ServiceName, SpanName, toDateTime(Timestamp))",
    indexes=(
        "idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1",
        "idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1",
        "idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1",
        "idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1",
        "idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1",
        "idx_duration Duration TYPE minmax GRANULARITY 1",
    ),
    settings=("index_granularity = 8192", "ttl_only_drop_parts = 1"),
)
EXPORTER_TRACE_TIMES: Final = Table(
    name=tables.TRACE_TIMES,
    columns=(
        Column("TraceId", "String"),
        Column("Start", "DateTime", codec="Delta, ZSTD(1)"),
        Column("End", "DateTime", codec="Delta, ZSTD(1)"),
    ),
    engine="MergeTree",
    partition_by="toDate(Start)",
    order_by="(TraceId, Start)",
    indexes=("idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1",),
    settings=("index_granularity = 8192", "ttl_only_drop_parts = 1"),
)


class NotStartedError(Exception):
    """A process ended before it served, or never did; the message is what it said."""

    def __init__(self, log: Path) -> None:
        said = log.read_text(encoding="utf-8")[-_SAID_CHARACTERS_MAX:]
        super().__init__(f"{log.stem} does not serve: {said}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A system that serves: where to send, its store, its processes.

    ``finish`` makes it take everything it has acknowledged as far as it goes by asking, and
    returns at once where it cannot be asked. ``log`` is what its collector says.
    """

    grpc_address: str
    store_url: str
    pids: Mapping[str, int]
    finish: Callable[[], None]
    log: Path


@contextmanager
def spanlore(directory: Path, *, seals: bool = True) -> Iterator[Running]:
    """Run spanlore's store and collector; ``seals`` False leaves out the sealing of runs."""
    with store_process(directory) as (store, url):
        migrate(url)
        module = ["-m", "spanlore.collector"] if seals else [str(_HERE / "unsealed_collector.py")]
        command = [sys.executable, *module, "--data-dir", str(directory), "--store-url", url]
        ports = ["--grpc-port", "0", "--http-port", "0"]
        log = directory / "collector.log"
        with _process([*command, *ports], log) as collector:
            ready = _ready(collector, log)
            yield Running(
                grpc_address=f"127.0.0.1:{ready['grpc_port']}",
                store_url=url,
                pids={"collector": collector.pid, "store": store.pid},
                finish=partial(_flush, int(ready["http_port"]), directory),
                log=log,
            )


@contextmanager
def rotel(directory: Path, *, own_tables: bool) -> Iterator[Running]:
    """Run rotel with its ClickHouse exporter into spanlore's store process.

    ``own_tables`` True: into the tables that spanlore migrates to, instead of the exporter's.
    """
    with store_process(directory) as (store, url):
        if own_tables:
            migrate(url)
        else:
            _make_exporter_tables(url)
        port, unused = _free_port(), _free_port()
        command = _rotel_command(directory, port=port, http_port=unused)
        log = directory / "rotel.log"
        with _process(command, log, environment=_rotel_login(url)) as agent:
            _wait_for_port(port, agent, log)
            yield Running(
                grpc_address=f"127.0.0.1:{port}",
                store_url=url,
                pids={"rotel": agent.pid, "store": store.pid},
                finish=lambda: None,
                log=log,
            )


def rotel_binary() -> Path:
    """Give the path of rotel's program. Raises ModuleNotFoundError where it is not installed."""
    import rotel as package

    return Path(package.__path__[0]) / "rotel-agent"


def _rotel_command(directory: Path, *, port: int, http_port: int) -> list[str]:
    """Word rotel's start: everything is its default but the addresses and the files it writes."""
    return [
        str(rotel_binary()),
        "start",
        f"--otlp-grpc-endpoint=127.0.0.1:{port}",
        f"--otlp-http-endpoint=127.0.0.1:{http_port}",
        "--exporter=clickhouse",
        f"--pid-file={directory / 'rotel.pid'}",
        f"--log-file={directory / 'rotel-agent.log'}",
    ]


def _rotel_login(url: str) -> dict[str, str]:
    with Store.connect(url) as store:
        address = store.address
    return {
        "ROTEL_CLICKHOUSE_EXPORTER_ENDPOINT": f"http://{address.host}:{address.port}",
        "ROTEL_CLICKHOUSE_EXPORTER_DATABASE": address.database,
        "ROTEL_CLICKHOUSE_EXPORTER_USER": address.user,
        "ROTEL_CLICKHOUSE_EXPORTER_PASSWORD": address.password,
    }


def _make_exporter_tables(url: str) -> None:
    with Store.connect(url, database="default") as server:
        server.command(f"CREATE DATABASE {server.address.database}")
    with Store.connect(url) as store:
        store.command(EXPORTER_TRACES.ddl())
        store.command(EXPORTER_TRACE_TIMES.ddl())
        store.command(next(v for v in views.ALL if v.target == tables.TRACE_TIMES).ddl())


@contextmanager
def store_process(directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a store on a free port; give it and its URL. Nothing is migrated yet."""
    login = load_or_create(directory).admin
    command = [sys.executable, "-m", "spanlore.store_server", "--data-dir", str(directory)]
    log = directory / "store.log"
    with _process([*command, "--port", "0"], log) as process:
        port = _ready(process, log)["port"]
        yield process, f"clickhouse://{login.user}:{login.password}@127.0.0.1:{port}/spanlore"


@contextmanager
def _process(
    command: list[str], log: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a process for the length of a block; end it by its id, by force where it must be.

    Without an ``environment`` of its own it is one of ours, which says on stdout when it serves.
    """
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE if environment is None else said,
            stderr=said,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ready(process: subprocess.Popen[str], log: Path) -> dict[str, int]:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise NotStartedError(log)
    ready: dict[str, int] = json.loads(line)
    return ready


def _wait_for_port(port: int, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + _READY_S_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise NotStartedError(log)


def _flush(port: int, data_dir: Path) -> None:
    token = load_or_create(data_dir).collector_token
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/flush?timeout_s={_FLUSH_S_MAX}",
        method="POST",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=_FLUSH_S_MAX + 10) as answer:
        answer.read()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""The collectors that load into spanlore's store process: spanlore, rotel, OpenTelemetry's."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from client import Door
from peers import opentelemetry_collector
from running import (
    NotAvailableError,
    Process,
    Running,
    free_port,
    process,
    ready,
    wait_for_port,
)
from spanlore.schemas import tables, views
from spanlore.schemas.credentials import load_or_create
from spanlore.schemas.migrate import migrate
from spanlore.schemas.store import Store, StoreAddress
from spanlore.schemas.table import Column, Table
from stored import ClickHouse

_FLUSH_S_MAX: Final = 300
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


@contextmanager
def spanlore(directory: Path, *, seals: bool = True, http: bool = False) -> Iterator[Running]:
    """Run spanlore's store and collector; ``seals`` False leaves out the sealing of runs.

    ``http``: it is sent to over HTTP instead of gRPC.
    """
    with store_process(directory) as (store, url):
        migrate(url)
        module = ["-m", "spanlore.collector"] if seals else [str(_HERE / "unsealed_collector.py")]
        command = [sys.executable, *module, "--data-dir", str(directory), "--store-url", url]
        ports = ["--grpc-port", "0", "--http-port", "0"]
        log = directory / "collector.log"
        with process([*command, *ports], log) as collector:
            port = ready(collector, log)
            grpc_url = f"grpc://127.0.0.1:{port['grpc_port']}"
            http_url = f"http://127.0.0.1:{port['http_port']}/v1/traces"
            yield Running(
                door=Door(url=http_url if http else grpc_url),
                open_store=partial(ClickHouse, url),
                processes={"collector": collector, "store": store},
                finish=partial(_flush, int(port["http_port"]), directory),
                log=log,
            )


@contextmanager
def rotel(directory: Path, *, own_tables: bool) -> Iterator[Running]:
    """Run rotel with its ClickHouse exporter into spanlore's store process.

    ``own_tables`` True: into the tables that spanlore migrates to, instead of the exporter's.
    Raises NotAvailableError.
    """
    binary = _rotel_or_none()
    if binary is None:
        raise NotAvailableError("the wheel 'rotel' is not installed: `make bench` installs it")
    with store_process(directory) as (store, url):
        if own_tables:
            migrate(url)
        else:
            make_exporter_tables(url)
        port, unused = free_port(), free_port()
        command = _rotel_command(binary, directory, port=port, http_port=unused)
        log = directory / "rotel.log"
        with process(command, log, environment=_rotel_login(url)) as agent:
            wait_for_port(port, agent, log)
            yield Running(
                door=Door(url=f"grpc://127.0.0.1:{port}"),
                open_store=partial(ClickHouse, url),
                processes={"rotel": agent, "store": store},
                log=log,
            )


@contextmanager
def otelcol(directory: Path, *, durable: bool) -> Iterator[Running]:
    """Run the OpenTelemetry Collector with its ClickHouse exporter into spanlore's store process.

    The exporter makes its own tables and batches as its README recommends. ``durable``: its queue
    is on the disk (``file_storage``). Raises NotAvailableError.
    """
    binary = opentelemetry_collector()
    with store_process(directory) as (store, url):
        port = free_port()
        settings = directory / "otelcol.json"
        settings.write_text(json.dumps(_otelcol_settings(directory, url, port, durable=durable)))
        log = directory / "otelcol.log"
        command = [str(binary), "--config", str(settings)]
        with process(command, log, environment={}) as collector:
            wait_for_port(port, collector, log)
            yield Running(
                door=Door(url=f"grpc://127.0.0.1:{port}"),
                open_store=partial(ClickHouse, url),
                processes={"otelcol": collector, "store": store},
                log=log,
            )


def _otelcol_settings(directory: Path, url: str, port: int, *, durable: bool) -> dict[str, object]:
    address = StoreAddress.parse(url)
    queue: dict[str, object] = {"batch": {}, "block_on_overflow": True}
    service: dict[str, object] = {
        "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["clickhouse"]}},
        "telemetry": {"metrics": {"level": "none"}},
    }
    extensions: dict[str, object] = {}
    if durable:
        queue["storage"] = "file_storage"
        service["extensions"] = ["file_storage"]
        extensions["file_storage"] = {
            "directory": str(directory / "queue"),
            "create_directory": True,
            "fsync": True,
        }
    return {
        "extensions": extensions,
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {
            "clickhouse": {
                "endpoint": f"http://{address.host}:{address.port}",
                "username": address.user,
                "password": address.password,
                "database": address.database,
                "sending_queue": queue,
            }
        },
        "service": service,
    }


def rotel_binary() -> Path:
    """Give the path of rotel's program. Raises ModuleNotFoundError where it is not installed."""
    import rotel as package

    return Path(package.__path__[0]) / "rotel-agent"


def _rotel_or_none() -> Path | None:
    try:
        return rotel_binary()
    except ModuleNotFoundError:
        return None


def _rotel_command(binary: Path, directory: Path, *, port: int, http_port: int) -> list[str]:
    """Word rotel's start: everything is its default but the addresses and the files it writes."""
    return [
        str(binary),
        "start",
        f"--otlp-grpc-endpoint=127.0.0.1:{port}",
        f"--otlp-http-endpoint=127.0.0.1:{http_port}",
        "--exporter=clickhouse",
        f"--pid-file={directory / 'rotel.pid'}",
        f"--log-file={directory / 'rotel-agent.log'}",
    ]


def _rotel_login(url: str) -> dict[str, str]:
    address = StoreAddress.parse(url)
    return {
        "ROTEL_CLICKHOUSE_EXPORTER_ENDPOINT": f"http://{address.host}:{address.port}",
        "ROTEL_CLICKHOUSE_EXPORTER_DATABASE": address.database,
        "ROTEL_CLICKHOUSE_EXPORTER_USER": address.user,
        "ROTEL_CLICKHOUSE_EXPORTER_PASSWORD": address.password,
    }


def make_exporter_tables(url: str) -> None:
    """Make the exporter's tables in the database that a store's URL names."""
    with Store.connect(url, database="default") as server:
        server.command(f"CREATE DATABASE IF NOT EXISTS {server.address.database}")
    view = next(v for v in views.ALL if v.target == tables.TRACE_TIMES).ddl()
    with Store.connect(url) as store:
        store.command(EXPORTER_TRACES.ddl())
        store.command(EXPORTER_TRACE_TIMES.ddl())
        store.command(view.replace(" VIEW ", " VIEW IF NOT EXISTS ", 1))


@contextmanager
def store_process(directory: Path) -> Iterator[tuple[Process, str]]:
    """Run a store on a free port; give it and its URL. Nothing is migrated yet."""
    login = load_or_create(directory).admin
    command = [sys.executable, "-m", "spanlore.store_server", "--data-dir", str(directory)]
    log = directory / "store.log"
    with process([*command, "--port", "0"], log) as started:
        port = ready(started, log)["port"]
        yield started, f"clickhouse://{login.user}:{login.password}@127.0.0.1:{port}/spanlore"


def _flush(port: int, data_dir: Path) -> None:
    token = load_or_create(data_dir).collector_token
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/flush?timeout_s={_FLUSH_S_MAX}",
        method="POST",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=_FLUSH_S_MAX + 10) as answer:
        answer.read()

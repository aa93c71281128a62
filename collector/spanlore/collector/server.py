"""The collector, put together: started from the store's side, stopped from the clients' side."""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from spanlore.collector.access import Access
from spanlore.collector.check import Limits
from spanlore.collector.config import LOCAL_HOST, Config
from spanlore.collector.counters import Counters
from spanlore.collector.forwarding.forwarder import Forwarder
from spanlore.collector.forwarding.queues import forwarders_of
from spanlore.collector.grpc_door import GrpcDoor, PortError
from spanlore.collector.http_door import Application, HttpDoor, Operations
from spanlore.collector.intake import Intake, count_durable
from spanlore.collector.load import Loader, SegmentStore
from spanlore.collector.log import Log, LogLimits
from spanlore.collector.own_process import process_facts
from spanlore.collector.quotas import Quotas
from spanlore.collector.recover import OpenedDirectory, open_directory
from spanlore.collector.redaction.key import load_or_create_key
from spanlore.collector.redaction.redactor import Redactor
from spanlore.schemas import semconv
from spanlore.schemas.doorway import LOOPBACK_NAMES, Doorway
from spanlore.schemas.keyring import Keyring
from spanlore.schemas.listening import listen
from spanlore.schemas.store import StoreError
from spanlore.schemas.tls import Tls

_VERSION = version("spanlore")
_DRAIN_STEP_S = 0.05
_FLUSH_STEP_S = 0.2


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the collector listens; the local ports are always on 127.0.0.1, in clear."""

    grpc_port: int
    http_port: int
    local_grpc_port: int
    local_http_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a pair of doors is to listen, and with which certificate, if any."""

    host: str
    grpc_port: int
    http_port: int
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What happens to rows once they are in the store.

    ``on_loaded`` gets (log id, first seq, last seq) of every segment, perhaps twice after a
    crash; StoreUnreachable from it means "again later". ``on_idle`` runs about twice a second
    while there is nothing to load. Both run on the loader's thread. ``on_flush`` runs when a flush
    has loaded everything, and gives how many runs were sealed. ``sealing`` gives what waits for
    that: records and the oldest one's age in seconds.
    """

    on_loaded: Callable[[int, int, int], None] = lambda *_: None
    on_idle: Callable[[], None] = lambda: None
    on_flush: Callable[[], int] = lambda: 0
    sealing: Callable[[], Mapping[str, float]] = lambda: {"records": 0, "oldest_age_s": 0.0}


class Collector:
    """One collector on one data directory. ``start``, then ``stop`` (safe twice)."""

    def __init__(
        self, config: Config, connect: Callable[[], SegmentStore], *, hooks: Hooks | None = None
    ) -> None:
        self._config = config
        self._connect = connect
        self._hooks = hooks or Hooks()
        self._counters = Counters()
        self._directory: OpenedDirectory | None = None
        self._running = ExitStack()
        self._stopping = threading.Event()
        self._forwarders: tuple[Forwarder, ...] = ()
        self._log: Log
        self._loader: Loader
        self._intake: Intake
        self._http: list[HttpDoor] = []

    def start(self) -> Ports:
        """Recover the log, begin to load, open the doors.

        Raises LogDirectoryError, ForwardingError, KeyFileError, TlsError or PortError; then nothing
        is left running.
        """
        with ExitStack() as starting:
            ports = self._start(starting)
            self._running = starting.pop_all()
        return ports

    def _start(self, running: ExitStack) -> Ports:
        config = self._config
        self._directory = open_directory(
            config.log_dir, config.quarantine_dir, counters=self._counters
        )
        running.callback(self._directory.release)
        self._forwarders = forwarders_of(config)
        for forwarder in self._forwarders:
            forwarder.start()
            running.callback(forwarder.stop)
        self._log = self._make_log(self._directory)
        self._loader = Loader(
            self._log,
            self._connect,
            quarantine_dir=config.quarantine_dir,
            counters=self._counters,
            on_loaded=self._hooks.on_loaded,
            on_idle=self._hooks.on_idle,
        )
        self._loader.start()
        running.callback(self._loader.stop)
        self._log.start()
        running.callback(self._drain)
        self._intake = self._make_intake()
        ports = self._open_doors(running)
        self._export_self(running)
        return ports

    def _make_log(self, directory: OpenedDirectory) -> Log:
        config = self._config
        limits = LogLimits(
            segment_bytes_target=config.segment_bytes_target,
            segment_bytes_max=config.segment_bytes_max,
            segment_items_target=config.segment_items_target,
            segment_age_s_max=config.segment_age_ms_max / 1000,
            segment_rest_s=config.segment_rest_ms / 1000,
            log_bytes_max=config.log_bytes_max,
            disk_free_bytes_min=config.disk_free_bytes_min,
        )
        return Log(
            directory.path,
            directory.log_id,
            limits=limits,
            recovered=directory.segments,
            on_durable=lambda group: count_durable(self._counters, group),
            followers=[forwarder.backlog for forwarder in self._forwarders],
        )

    def _make_intake(self) -> Intake:
        config = self._config
        limits = Limits(
            message_bytes_max=config.message_bytes_max,
            records_max=config.spans_max,
            submessages_max=config.submessages_max,
        )
        return Intake(
            self._log,
            self._counters,
            limits=limits,
            inflight_bytes_max=config.inflight_bytes_max,
            redactor=_redactor(config),
            quotas=Quotas(config.tenant_budget, self._counters),
        )

    def _open_doors(self, running: ExitStack) -> Ports:
        config, intake = self._config, self._intake
        keyring = Keyring(config.data_dir, own=config.token, own_name="collector_token")
        tls = None if config.tls is None else Tls(config.tls)
        public = _Place(
            host=config.host, grpc_port=config.grpc_port, http_port=config.http_port, tls=tls
        )
        access = Access(keyring=keyring, needs_token=config.needs_token)
        ports = self._open_pair(public, intake, access, running=running)
        if not config.has_local_doors:
            return Ports(*ports, *ports)
        local = _Place(
            host=LOCAL_HOST, grpc_port=config.local_grpc_port, http_port=config.local_http_port
        )
        access = Access(keyring=keyring, needs_token=config.require_token)
        return Ports(*ports, *self._open_pair(local, intake, access, running=running))

    def _open_pair(
        self, place: "_Place", intake: Intake, access: Access, *, running: ExitStack
    ) -> tuple[int, int]:
        """Open the two doors of a place; give their ports. Raises PortError."""
        config = self._config
        listener = _listen(place.host, place.http_port)
        http_port = listener.getsockname()[1]
        application = Application(
            intake,
            self._counters,
            operations=Operations(flush=self.flush, status=self.status),
            access=access,
            doorway=Doorway.at(
                place.host,
                http_port,
                # Exporters may leave the port out of the name.
                further=(*LOOPBACK_NAMES, *config.allowed_hosts),
                origins=config.allowed_origins,
            ),
            body_s_max=config.clients.body_s_max,
        )
        http = HttpDoor(application, limits=config.clients, tls=place.tls)
        grpc = GrpcDoor(intake, self._counters, access=access, limits=config.clients)
        try:
            grpc_port = grpc.start(place.host, place.grpc_port, tls=place.tls)
        except PortError:
            listener.close()
            raise
        running.callback(grpc.stop)
        self._http.append(http)
        http.start(listener)
        running.callback(http.stop)
        return grpc_port, http_port

    def _export_self(self, running: ExitStack) -> None:
        config = self._config
        if not config.self_metrics_endpoint:
            return
        # Exporters bring a seventh of a start's time, and most collectors have no use for them.
        from spanlore.collector.self_export import (  # noqa: PLC0415
            SelfExport,
            exporter_to,
        )

        export = exporter_to(
            config.self_metrics_endpoint, config.self_metrics_protocol, self._intake
        )
        every_s = config.self_metrics_every_s
        own = SelfExport(self.status, export, counters=self._counters, every_s=every_s)
        own.start()
        running.callback(own.stop)

    def _drain(self) -> None:
        """Stop to append, and give what is in the log a last chance to be loaded and forwarded.

        Who does not answer is not waited for: the next start goes on with what is left.
        """
        self._log.close()
        deadline = time.monotonic() + self._config.drain_s_max
        while self._is_getting_on() and time.monotonic() < deadline:
            time.sleep(_DRAIN_STEP_S)

    def _is_getting_on(self) -> bool:
        """Say whether the log still has something for a store or a target that takes it."""
        is_loading = self._loader.last_error is None and not self._log.wait_loaded(
            self._log.sealed_count, 0
        )
        return is_loading or any(one.is_getting_on for one in self._forwarders)

    def stop(self) -> None:
        """Close the doors, finish what is in flight, load what can be loaded in time."""
        self._stopping.set()
        self._running.close()

    def flush(self, timeout_s: float) -> Mapping[str, Any]:
        """Load everything accepted so far and seal its runs. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        try:
            mark = self._log.seal().result(timeout_s)
        except FutureTimeoutError as error:
            raise TimeoutError("the log did not seal") from error
        while not self._log.wait_loaded(mark, min(_FLUSH_STEP_S, deadline - time.monotonic())):
            if self._stopping.is_set():
                raise TimeoutError("the collector is stopping")
            if time.monotonic() >= deadline:
                raise TimeoutError(self._loader.last_error or "the store is behind")
        try:
            sealed = self._hooks.on_flush()
        except StoreError as error:
            raise TimeoutError(f"all is loaded, but the runs were not sealed: {error}") from error
        return {"loaded_seq": self._log.loaded_seq, "sealed_runs": sealed}

    def status(self) -> Mapping[str, Any]:
        """Give all that the collector knows about itself, and what is wrong now, if anything."""
        config, budget = self._config, self._intake.budget
        return {
            **self._counters.snapshot(),
            "resource": {
                semconv.SERVICE_NAME: semconv.COLLECTOR_SERVICE,
                semconv.SERVICE_VERSION: _VERSION,
                semconv.SERVICE_INSTANCE_ID: f"{self._log.log_id:08x}",
            },
            "backlog": self._log.backlog(),
            "log": {
                "bytes_max": config.log_bytes_max,
                "disk_free_bytes": _disk_free_bytes(self._log),
                "disk_free_bytes_min": config.disk_free_bytes_min,
            },
            "sealing": self._hooks.sealing(),
            "inflight": {"bytes": budget.held_bytes, "bytes_max": budget.bytes_max},
            "connections": {
                "http": sum(door.connections for door in self._http),
                "http_max": config.clients.connections_max * len(self._http),
            },
            "process": process_facts(),
            "log_id": f"{self._log.log_id:08x}",
            "loaded_seq": self._log.loaded_seq,
            "refuses": self._log.refusal(),
            "log_error": self._log.last_error,
            "store_error": self._loader.last_error,
            "forwarding": [forwarder.status() for forwarder in self._forwarders],
        }


def _redactor(config: Config) -> Redactor | None:
    if not config.redact:
        return None
    return Redactor(load_or_create_key(config.data_dir), config.redact_patterns)


def _disk_free_bytes(log: Log) -> int | None:
    try:
        return log.disk_free_bytes()
    except OSError:
        return None


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        raise PortError(
            f"port {port} on {host} cannot be had ({error.strerror}): stop what listens there, "
            "or give another --http-port"
        ) from error

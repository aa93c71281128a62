"""The collector, put together: started from the store's side, stopped from the clients' side."""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from spanlore.collector.check import Limits
from spanlore.collector.config import Config
from spanlore.collector.counters import Counters
from spanlore.collector.forwarding.forwarder import Forwarder
from spanlore.collector.forwarding.queues import forwarders_of
from spanlore.collector.grpc_door import GrpcDoor, PortError
from spanlore.collector.http_door import Application, HttpDoor, Operations
from spanlore.collector.intake import Intake, count_durable
from spanlore.collector.load import Loader, SegmentStore
from spanlore.collector.log import Log, LogLimits
from spanlore.collector.origins import Origins
from spanlore.collector.recover import OpenedDirectory, open_directory
from spanlore.collector.redaction.key import load_or_create_key
from spanlore.collector.redaction.redactor import Redactor
from spanlore.schemas.listening import listen
from spanlore.schemas.store import StoreError

_DRAIN_STEP_S = 0.05
_FLUSH_STEP_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the collector listens."""

    grpc_port: int
    http_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What happens to rows once they are in the store.

    ``on_loaded`` gets (log id, first seq, last seq) of every segment, perhaps twice after a
    crash; StoreUnreachable from it means "again later". ``on_idle`` runs about twice a second
    while there is nothing to load. Both run on the loader's thread. ``on_flush`` runs when a flush
    has loaded everything, and gives how many runs were sealed.
    """

    on_loaded: Callable[[int, int, int], None] = lambda *_: None
    on_idle: Callable[[], None] = lambda: None
    on_flush: Callable[[], int] = lambda: 0


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

    def start(self) -> Ports:
        """Recover the log, begin to load, open the doors.

        Raises LogDirectoryError, ForwardingError, KeyFileError or PortError; then nothing is left
        running.
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
        return self._open_doors(running)

    def _make_log(self, directory: OpenedDirectory) -> Log:
        config = self._config
        limits = LogLimits(
            segment_bytes_target=config.segment_bytes_target,
            segment_bytes_max=config.segment_bytes_max,
            segment_age_s_max=config.segment_age_ms_max / 1000,
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

    def _open_doors(self, running: ExitStack) -> Ports:
        config = self._config
        limits = Limits(
            message_bytes_max=config.message_bytes_max,
            records_max=config.spans_max,
            submessages_max=config.submessages_max,
        )
        intake = Intake(
            self._log,
            self._counters,
            limits=limits,
            inflight_bytes_max=config.inflight_bytes_max,
            redactor=_redactor(config),
        )
        listener = _listen(config.host, config.http_port)
        http_port = listener.getsockname()[1]
        application = Application(
            intake,
            self._counters,
            operations=Operations(flush=self.flush, status=self.status),
            token=config.token,
            origins=Origins(
                hosts=_hosts(config, http_port), allowed=frozenset(config.allowed_origins)
            ),
            body_s_max=config.clients.body_s_max,
        )
        http = HttpDoor(application, limits=config.clients)
        grpc = GrpcDoor(intake, self._counters, limits=config.clients)
        try:
            grpc_port = grpc.start(config.host, config.grpc_port)
        except PortError:
            listener.close()
            raise
        running.callback(grpc.stop)
        http.start(listener)
        running.callback(http.stop)
        return Ports(grpc_port=grpc_port, http_port=http_port)

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
        """Give the counters, the backlog, and what is wrong now, if anything."""
        return {
            **self._counters.snapshot(),
            "backlog": self._log.backlog(),
            "log_id": f"{self._log.log_id:08x}",
            "loaded_seq": self._log.loaded_seq,
            "log_error": self._log.last_error,
            "store_error": self._loader.last_error,
            "forwarding": [forwarder.status() for forwarder in self._forwarders],
        }


def _redactor(config: Config) -> Redactor | None:
    if not config.redact:
        return None
    return Redactor(load_or_create_key(config.data_dir), config.redact_patterns)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        raise PortError(
            f"port {port} on {host} cannot be had ({error.strerror}): stop what listens there, "
            "or give another --http-port"
        ) from error


def _hosts(config: Config, port: int) -> frozenset[str]:
    names = {"127.0.0.1", "localhost", "[::1]", config.host, *config.allowed_hosts}
    return frozenset(names | {f"{name}:{port}" for name in names})

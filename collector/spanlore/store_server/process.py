"""Run the store's process: take the directory and the ports, open the engine, serve, drain, close.

Nothing here imports chDB before the lock is held, the ports are bound, the secrets are read and the
process is confined to ``D/store`` and ``D/spool``, and to reading the collector's log in ``D/wal``:
its engine cannot open even its own secrets.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from spanlore.schemas.bounded_http import BoundedServer, HttpBounds
from spanlore.schemas.credentials import load_or_create
from spanlore.schemas.doorway import LOOPBACK_NAMES, Doorway
from spanlore.schemas.listening import listen
from spanlore.schemas.log_files import log_dir
from spanlore.schemas.tls import Tls, TlsFiles
from spanlore.store_server import spool
from spanlore.store_server.access import Access
from spanlore.store_server.certificates import Certificates
from spanlore.store_server.confinement import UnconfinedError, confine
from spanlore.store_server.errors import PortBusyError
from spanlore.store_server.grants import write_access_file
from spanlore.store_server.lock import DirectoryLock
from spanlore.store_server.places import PlacesMax

if TYPE_CHECKING:
    from spanlore.store_server.door import Door

_log = logging.getLogger(__name__)

_LOCAL_HOST: Final = "127.0.0.1"
# What comes and goes piece by piece is bounded by the piece, at the door; this is more than that.
_BOUNDS: Final = HttpBounds(
    header_s_max=10.0,
    body_s_max=3600.0,
    read_s_max=360.0,
    idle_s_max=75,  # longer than clients keep an idle connection in their pools
    connections_max=1024,
)
_GRACE_S: Final = 2  # for answers to leave after the statements have ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """How the process was asked to run. Port 0 means any free one.

    ``local_port`` is this machine's programs' own where ``host`` is not 127.0.0.1 in clear: see
    ``has_local_port``. ``allowed_hosts`` are further names that the store answers to.
    """

    data_dir: Path
    host: str
    port: int
    memory_bytes_max: int
    local_port: int = 0
    tls: TlsFiles | None = None
    allowed_hosts: tuple[str, ...] = ()
    unsandboxed_sql: bool = False
    drain_s_max: float = 10.0
    queries_max: int = 64

    @property
    def has_local_port(self) -> bool:
        """Whether this machine's programs have a port of their own: always 127.0.0.1, in clear."""
        return self.tls is not None or self.host.lower() not in (_LOCAL_HOST, "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listener:
    """A socket that listens, and with which certificate, if any."""

    socket: socket.socket
    tls: Tls | None = None

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])


def run(arguments: Arguments) -> None:
    """Serve until SIGTERM or SIGINT. Raises LockHeldError, PortBusyError or TlsError."""
    tls = None if arguments.tls is None else Certificates(arguments.tls)
    with DirectoryLock(arguments.data_dir), contextlib.ExitStack() as sockets:
        listeners = _listening(arguments, tls, sockets)
        spool_dir = arguments.data_dir / "spool"
        spool.prepare(spool_dir)
        os.environ["TMPDIR"] = str(spool_dir)
        os.chdir(spool_dir)  # statements name spooled bodies by their bare names
        store_dir = arguments.data_dir / "store"
        store_dir.mkdir(mode=0o700, exist_ok=True)
        # Made here for the collector, since what is not there yet cannot be let through.
        logs = log_dir(arguments.data_dir)
        logs.mkdir(mode=0o700, exist_ok=True)
        credentials = load_or_create(arguments.data_dir)
        closed = _confined(
            store_dir, spool_dir, reads=logs, unsandboxed_sql=arguments.unsandboxed_sql
        )
        access = Access(_doorway(arguments, listeners), credentials, closed)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(arguments, listeners, access=access))


def _listening(
    arguments: Arguments, tls: Tls | None, sockets: contextlib.ExitStack
) -> list[_Listener]:
    """Listen where we were told to, and last where this machine's programs ask."""
    public = sockets.enter_context(bound(arguments.host, arguments.port))
    listeners = [_Listener(socket=public, tls=tls)]
    if arguments.has_local_port:
        local = sockets.enter_context(bound(_LOCAL_HOST, arguments.local_port))
        listeners.append(_Listener(socket=local))
    return listeners


def _doorway(arguments: Arguments, listeners: Sequence[_Listener]) -> Doorway:
    """Answer to the names of every port, on each: none of them is a stranger's."""
    local = (f"{name}:{listeners[-1].port}" for name in LOOPBACK_NAMES)
    return Doorway.at(arguments.host, listeners[0].port, further=(*arguments.allowed_hosts, *local))


def _confined(*writable: Path, reads: Path, unsandboxed_sql: bool) -> str:
    """Confine this process; give why readers are turned away, or nothing where they are let in."""
    try:
        confine(*writable, reads=[reads])
    except UnconfinedError as error:
        reason = f"the store's process is not confined ({error})"
        if unsandboxed_sql:
            _log.warning("%s, and readers are let in all the same: --unsandboxed-sql", reason)
            return ""
        _log.warning("%s: SQL of readers is off", reason)
        return (
            f"SQL of readers is off, because {reason}: "
            "start spanlore with --unsandboxed-sql if every reader may be trusted"
        )
    return ""


def bound(host: str, port: int) -> socket.socket:
    """Give a listening socket; raises PortBusyError. Early clients wait in its backlog."""
    try:
        return listen(host, port)
    except OSError as error:
        raise PortBusyError(
            f"cannot listen on {host}:{port} ({error.strerror}): "
            "stop what uses it, or choose another --port"
        ) from error


async def _serve(arguments: Arguments, listeners: Sequence[_Listener], *, access: Access) -> None:
    # Here, and not above: importing chDB starts its threads and costs a second.
    from spanlore.store_server.door import Door, Limits  # noqa: PLC0415
    from spanlore.store_server.engine import Engine  # noqa: PLC0415

    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    spool_dir = arguments.data_dir / "spool"
    tenant = access.credentials.reader.tenant
    engine = Engine(
        arguments.data_dir / "store",
        access_file=write_access_file(spool_dir, tenant=tenant),
        memory_bytes_max=arguments.memory_bytes_max,
        sessions_max=arguments.queries_max * 4,
    )
    for part in engine.broken_parts():
        _log.error(
            "a part of the store is damaged and its rows are missing (%s): it is in its table's "
            "folder `detached`; restore it from a backup, or delete it there to end this message",
            part,
        )
    door = Door(
        engine,
        access,
        spool_dir=spool_dir,
        log_dir=log_dir(arguments.data_dir).resolve(),
        limits=Limits(places=PlacesMax(queries=arguments.queries_max)),
    )
    await _until(told, door, listeners=listeners, drain_s_max=arguments.drain_s_max)
    door.close()
    engine.close()
    _log.info("the store is closed")


async def _until(
    told: asyncio.Event, door: "Door", *, listeners: Sequence[_Listener], drain_s_max: float
) -> None:
    """Serve, print the ready line, and once told to stop, drain."""
    grace_s = int(drain_s_max + _GRACE_S)
    servers = [BoundedServer(door, _BOUNDS, grace_s=grace_s, tls=one.tls) for one in listeners]
    serving = []
    for server, listener in zip(servers, listeners, strict=True):
        serving.append(asyncio.create_task(server.serve(sockets=[listener.socket])))
        await server.serving.wait()
    _say({"ready": True, "port": listeners[0].port, "local_port": listeners[-1].port})
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait([waiting, *serving], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for server in servers:
        server.should_exit = True
    _log.info("draining for at most %.0f s", drain_s_max)
    await door.drain(timeout_s=drain_s_max)
    await asyncio.gather(*serving)


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()

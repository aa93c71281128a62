"""The door's process: one at a time on a data directory, ready when the log was read.

The store is waited for a bounded time at the start; once the door is open it may come and go. At
the end requests in flight are answered first, then the exposures that wait are written.
"""

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanlore.review.access import Access
from spanlore.review.desk import Desk
from spanlore.review.door import Door
from spanlore.review.erasing import Eraser
from spanlore.review.exposures import ExposureQueue
from spanlore.review.lock import locked
from spanlore.schemas.bounded_http import BoundedServer, HttpBounds
from spanlore.schemas.credentials import load_or_create
from spanlore.schemas.doorway import Doorway
from spanlore.schemas.keyring import Keyring
from spanlore.schemas.listening import listen
from spanlore.schemas.loopback import is_loopback, refusal_to_listen
from spanlore.schemas.store import Store, StoreError, leave_out_pandas
from spanlore.schemas.tls import Tls, TlsFiles

__all__ = ["Arguments", "CannotStart", "run"]

_log = logging.getLogger(__name__)

# A bit more for a body than the door waits before it answers that it was too slow.
_BOUNDS: Final = HttpBounds(
    header_s_max=10.0, body_s_max=40.0, read_s_max=30.0, idle_s_max=75, connections_max=1024
)
_GRACE_S: Final = 10
_DRAIN_S: Final = 5.0
_STORE_AGAIN_S: Final = 0.5
_READ_ON_EVERY_S: Final = 5.0


class CannotStart(Exception):
    """The door cannot be opened; the message says why and the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """How the process was asked to run. Port 0 means any free one."""

    data_dir: Path
    store_url: str
    host: str
    port: int
    require_token: bool = False
    insecure: bool = False
    tls: TlsFiles | None = None
    allowed_hosts: tuple[str, ...] = ()
    store_wait_s_max: float = 20.0


def run(arguments: Arguments) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises CannotStart, TlsError, LockHeld, CredentialsError, OSError.
    """
    reason = refusal_to_listen(
        arguments.host, has_tls=arguments.tls is not None, insecure=arguments.insecure
    )
    if reason:
        raise CannotStart(reason)
    leave_out_pandas()
    tls = None if arguments.tls is None else Tls(arguments.tls)
    with (
        locked(arguments.data_dir),
        _bound(arguments.host, arguments.port) as listener,
        contextlib.closing(_opened(arguments)) as desk,
    ):
        exposures = ExposureQueue(
            lambda: Store.connect(arguments.store_url), on_exposed=desk.exposed
        )
        exposures.start()
        try:
            asyncio.run(_serve(arguments, listener, _Parts(desk, exposures, tls)))
        finally:
            exposures.stop(drain_s_max=_DRAIN_S)
    _log.info("the door is closed")


@dataclass(frozen=True, slots=True)
class _Parts:
    desk: Desk
    exposures: ExposureQueue
    tls: Tls | None


def _bound(host: str, port: int) -> socket.socket:
    """Give a listening socket; early clients wait in its backlog. Raises CannotStart."""
    try:
        return listen(host, port)
    except OSError as error:
        raise CannotStart(
            f"cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or choose "
            "another --port"
        ) from error


def _opened(arguments: Arguments) -> Desk:
    """Give the desk once the store answers. Raises CannotStart."""
    desk = Desk(lambda: Store.connect(arguments.store_url))
    deadline = time.monotonic() + arguments.store_wait_s_max
    while True:
        try:
            desk.open()
        except ValueError as error:
            raise CannotStart(str(error)) from error
        except StoreError as error:
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"{error}; start the store with `spanlore up`, or see SPANLORE_STORE_URL"
                ) from error
            _log.info("waiting for the store: %s", error)
            time.sleep(_STORE_AGAIN_S)
        else:
            return desk


async def _serve(arguments: Arguments, listener: socket.socket, parts: _Parts) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    port = int(listener.getsockname()[1])
    keyring = Keyring(
        arguments.data_dir,
        own=load_or_create(arguments.data_dir).review_token,
        own_name="review_token",
    )
    access = Access(
        doorway=Doorway.at(arguments.host, port, further=arguments.allowed_hosts),
        keyring=keyring,
        memories_need_token=arguments.require_token or not is_loopback(arguments.host),
    )
    eraser = Eraser(parts.desk, parts.exposures, lambda: Store.connect(arguments.store_url))
    door = Door(parts.desk, parts.exposures, eraser, access)
    server = BoundedServer(door, _BOUNDS, grace_s=_GRACE_S, tls=parts.tls)
    reading_on = asyncio.create_task(_read_on(parts.desk))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.serving.wait()
    sys.stdout.write(json.dumps({"ready": True, "port": port}) + "\n")
    sys.stdout.flush()
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait([waiting, serving], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    reading_on.cancel()
    server.should_exit = True
    await serving
    door.close()


async def _read_on(desk: Desk) -> None:
    """Let the desk catch up with the log now and then: a decision may be another door's."""
    # A thread of its own: the end of the loop waits for those of the loop, also for one that
    # hangs with the store.
    with_store = ThreadPoolExecutor(1, thread_name_prefix="read-on")
    while True:
        await asyncio.sleep(_READ_ON_EVERY_S)
        await asyncio.get_running_loop().run_in_executor(with_store, desk.catch_up)

"""Run store, collector, review door and learner; start them again when they die, stop in order."""

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spanlore.cli.child import Child, ChildFailed
from spanlore.cli.collector_door import REFUSES_EVERYTHING
from spanlore.cli.connection import DEFAULT_STORE_PORT, HOST, read_credentials, with_login
from spanlore.cli.datadir import remove_run_file, write_run_file
from spanlore.cli.door_options import Doors
from spanlore.cli.errors import CannotReach, CommandFailed, missing_extra
from spanlore.cli.output import log_time, note
from spanlore.schemas.tables import DATABASE

__all__ = ["Plan", "supervise"]

_RESTARTS_MAX = 5
_RESTART_WINDOW_S = 60.0
_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run: ``store_url`` of a server, or None for our own store; port 0 is a free one.

    The children's logs go to files in ``logs``, or to our stderr when that is None. With
    ``learn_every_s`` seconds between two rounds it also learns, in quiet moments. ``doors`` says
    how the collector's and the store's doors stand, ``collector_options`` is what else the
    collector is told.
    """

    data_dir: Path
    store_url: str | None
    store_port: int
    grpc_port: int
    http_port: int
    review_port: int
    logs: Path | None
    unsandboxed_sql: bool
    doors: Doors
    learn_every_s: float | None = None
    collector_options: tuple[str, ...] = ()


# Given `run.json`, and what is wrong all the same, each in a sentence.
Announce = Callable[[dict[str, Any], Sequence[str]], None]


def supervise(plan: Plan, announce: Announce) -> None:
    """Run until SIGINT or SIGTERM; `announce` is called when all is ready.

    Raises CannotReach or CommandFailed when a part does not start or will not stay up, and
    StoreError when the schema cannot be brought up to date. Nothing is left running either way.
    """
    _require_parts(plan)
    try:
        asyncio.run(_until_signalled(lambda: _run(plan, announce)))
    except ChildFailed as error:
        kind = CannotReach if error.code == CannotReach.exit_code else CommandFailed
        raise kind(str(error)) from error


def _require_parts(plan: Plan) -> None:
    # The engine first: the extra that brings it brings the others too.
    learns = [] if plan.learn_every_s is None else ["statsmodels"]
    stores = [] if plan.store_url else ["chdb"]
    for module in [*stores, "clickhouse_connect", "uvicorn", *learns]:
        if find_spec(module) is None:
            raise missing_extra(module)


async def _until_signalled(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work`; the first SIGINT or SIGTERM cancels it, further ones change nothing."""
    task = asyncio.ensure_future(work())
    signalled = False

    def cancel_once() -> None:
        nonlocal signalled
        if not signalled:
            signalled = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, cancel_once)
    try:
        await task
    except asyncio.CancelledError:
        if not signalled:
            raise


async def _run(plan: Plan, announce: Announce) -> None:
    # Imported before anything starts: without the driver nothing here can work.
    from spanlore.schemas.migrate import losses, migrate
    from spanlore.schemas.store import leave_out_pandas

    leave_out_pandas()
    started_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    async with AsyncExitStack() as stack:  # leaves in reverse: run.json, review, collector, store
        store = None if plan.store_url else await _started(_store(plan), stack)
        admin_url, ingest_url = _urls(plan, store)
        problems = losses(migrate(admin_url))
        collector = await _started(_collector(plan, ingest_url), stack)
        review = await _started(_review(plan, admin_url), stack)
        learner = None
        if plan.learn_every_s is not None:
            learner = await _started(_learner(plan, admin_url), stack)

        def write() -> dict[str, Any]:
            document = {
                "pid": os.getpid(),
                "started_at": started_at,
                "version": version("spanlore"),
                "data_dir": str(plan.data_dir),
                "store": _store_entry(admin_url, plan.doors, store),
                "collector": _collector_entry(plan.doors, collector),
                "review": {"pid": review.pid, **review.ports},
                "learn": {"pid": learner and learner.pid, "every_s": plan.learn_every_s},
            }
            write_run_file(plan.data_dir, document)
            return document

        stack.callback(remove_run_file, plan.data_dir)
        if collector.refuses:
            problems.append(f"the collector {REFUSES_EVERYTHING}: {collector.refuses}")
        announce(write(), problems)
        children = [one for one in (store, collector, review, learner) if one]
        await _keep_all(children, on_restart=write)


async def _started(child: Child, stack: AsyncExitStack) -> Child:
    """Start a child and see to it that it is stopped, also when its start is cut short."""
    stack.push_async_callback(child.stop)
    await child.start()
    return child


async def _keep_all(children: list[Child], *, on_restart: Callable[[], object]) -> None:
    """Keep every child running; returns only by ChildFailed or cancellation."""
    keepers = [asyncio.ensure_future(_keep(child, on_restart)) for child in children]
    try:
        await asyncio.gather(*keepers)
    finally:
        for keeper in keepers:
            keeper.cancel()


async def _keep(child: Child, on_restart: Callable[[], object]) -> None:
    """Start a child again whenever it dies. Raises ChildFailed when that happens too often."""
    recent: deque[float] = deque(maxlen=_RESTARTS_MAX)
    while True:
        code = await child.wait()
        now = time.monotonic()
        if len(recent) == _RESTARTS_MAX and now - recent[0] < _RESTART_WINDOW_S:
            raise CommandFailed(
                f"the {child.name} died {_RESTARTS_MAX + 1} times within "
                f"{_RESTART_WINDOW_S:.0f} s (last exit code {code}); giving up: see its log"
            )
        recent.append(now)
        note(f"{log_time()} the {child.name} died (exit code {code}); starting it again")
        await asyncio.sleep(_BACKOFF_S[len(recent) - 1])
        try:
            await child.start()
        except ChildFailed as error:
            note(f"{log_time()} {error}")  # and the next round counts it as one more death
        else:
            on_restart()


def _store(plan: Plan) -> Child:
    command = [sys.executable, "-m", "spanlore.store_server", "--data-dir", str(plan.data_dir)]
    command += plan.doors.store_arguments()
    return Child(
        "store",
        [*command, "--unsandboxed-sql"] if plan.unsandboxed_sql else command,
        ports={"port": plan.store_port, "local_port": 0},
        environment={},
        log=plan.logs and plan.logs / "store.log",
    )


def _collector(plan: Plan, store_url: str) -> Child:
    command = [sys.executable, "-m", "spanlore.collector", "--data-dir", str(plan.data_dir)]
    return Child(
        "collector",
        [*command, *plan.doors.collector_arguments(), *plan.collector_options],
        ports={
            "grpc_port": plan.grpc_port,
            "http_port": plan.http_port,
            "local_grpc_port": 0,
            "local_http_port": 0,
        },
        # Not an argument: the URL holds a password, and arguments are shown to every user.
        environment={"SPANLORE_STORE_URL": store_url},
        log=plan.logs and plan.logs / "collector.log",
    )


def _review(plan: Plan, store_url: str) -> Child:
    command = [sys.executable, "-m", "spanlore.review", "--data-dir", str(plan.data_dir)]
    return Child(
        "review door",
        [*command, "--require-token"] if plan.doors.require_token else command,
        ports={"port": plan.review_port},
        # Not an argument, as above.
        environment={"SPANLORE_STORE_URL": store_url},
        log=plan.logs and plan.logs / "review.log",
    )


def _learner(plan: Plan, store_url: str) -> Child:
    command = [sys.executable, "-m", "spanlore.cli.dreaming", "--data-dir", str(plan.data_dir)]
    return Child(
        "learner",
        [*command, "--every-s", str(plan.learn_every_s)],
        ports={},
        # Not an argument, as above.
        environment={"SPANLORE_STORE_URL": store_url},
        log=plan.logs and plan.logs / "learn.log",
    )


def _urls(plan: Plan, store: Child | None) -> tuple[str, str]:
    """Return the store's URL for migrations and for the collector; a server's is one URL."""
    if store is None:
        return plan.store_url or "", plan.store_url or ""
    secrets = read_credentials(plan.data_dir)
    url = f"clickhouse://{HOST}:{store.ports['local_port']}/{DATABASE}"
    return with_login(url, secrets.admin), with_login(url, secrets.ingest)


def _collector_entry(doors: Doors, collector: Child) -> dict[str, Any]:
    """Describe the collector for `run.json`: local ports for this machine, URLs for all others."""
    return {
        "pid": collector.pid,
        "grpc_port": collector.ports["local_grpc_port"],
        "http_port": collector.ports["local_http_port"],
        "public_grpc_url": doors.url(collector.ports["grpc_port"]),
        "public_http_url": doors.url(collector.ports["http_port"]),
    }


def _store_entry(url: str, doors: Doors, store: Child | None) -> dict[str, Any]:
    """Describe the store for `run.json`: never with its password."""
    parts = urlsplit(url)
    address = f"{parts.hostname}:{parts.port or DEFAULT_STORE_PORT}"
    return {
        "pid": store.pid if store else None,
        "url": f"{parts.scheme}://{address}{parts.path or '/' + DATABASE}",
        "port": parts.port or DEFAULT_STORE_PORT,
        "public_url": store and doors.store_url(store.ports["port"]),
    }

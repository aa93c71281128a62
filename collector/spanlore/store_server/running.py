"""One statement at work: a thread of the engine makes the answer, the event loop takes it."""

import asyncio
import logging
import math
import os
import threading
from concurrent.futures import Executor
from typing import Final

from spanlore.store_server.engine import Engine, Job, Summary
from spanlore.store_server.errors import QUERY_WAS_CANCELLED, QueryError
from spanlore.store_server.statement import Statement

_log = logging.getLogger(__name__)

_PIECES_MAX: Final = 4  # made and not yet taken
_KILL_AGAIN_S: Final = 0.25
EXIT_STUCK: Final = 75  # a passing failure, to sysexits(3): the supervisor starts the store again


class Running:
    """Runs a statement from construction on. ``stop`` it in the end, also when it is done.

    Lives on the event loop: pieces are put by the engine's thread, which waits when nobody takes
    them, and everything else is called on the loop.
    """

    def __init__(
        self, engine: Engine, statement: Statement, *, queries: Executor, killers: Executor
    ) -> None:
        self.job = Job(statement)
        self._engine = engine
        self._killers = killers
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = threading.Semaphore(_PIECES_MAX)
        self._done = self._loop.run_in_executor(queries, engine.run, self.job, self._put)
        self._done.add_done_callback(lambda _: self._pieces.put_nowait(None))

    def _put(self, piece: bytes) -> None:
        self._room.acquire()
        if self.job.cancelled.is_set():
            raise QueryError(QUERY_WAS_CANCELLED, "Query was cancelled")
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

    async def piece(self) -> bytes | None:
        """Take the next piece of the answer; None when there are no more."""
        piece = await self._pieces.get()
        self._room.release()
        return piece

    def summary(self) -> Summary:
        """Say what the statement did, once ``piece`` gave None; raises its QueryError."""
        return self._done.result()

    async def stop(self, *, stuck_s_max: float = math.inf) -> None:
        """Kill the statement until its thread is done with it. Safe twice.

        The engine looks for a kill between two blocks of rows. A statement that is within one for
        longer than ``stuck_s_max`` takes the process with it, as a kill -9 would: what was
        answered is durable, and nothing else ends a thread.
        """
        self.job.cancelled.set()
        self._room.release(_PIECES_MAX)
        give_up_at = self._loop.time() + stuck_s_max
        while not self._done.done():
            if self._loop.time() > give_up_at:
                _log.critical("a statement cannot be stopped: %.200s", self.job.statement.sql)
                os._exit(EXIT_STUCK)
            try:
                await self._loop.run_in_executor(self._killers, self._engine.kill, self.job.qid)
            except QueryError as error:
                _log.warning("cannot kill statement %s: %s", self.job.qid, error)
            await asyncio.wait([self._done], timeout=_KILL_AGAIN_S)
        if not self._done.cancelled():
            self._done.exception()  # taken note of, so that nothing complains of it later

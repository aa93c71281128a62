"""The places for queries that run at once, and the queue of readers for theirs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

from spanlore.store_server.body import Receive
from spanlore.store_server.errors import TOO_MANY_QUERIES, ClientGoneError, QueryError

_AGAIN: Final = "try again in a moment"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacesMax:
    """How many queries run at once, how many of them are readers', and how readers wait."""

    queries: int = 64
    readers: int = 8  # of them, so that readers cannot keep everyone else out
    readers_waiting: int = 128
    wait_s: float = 30.0


class Places:
    """Who is in, and whose turn it is. Everything is called on the event loop.

    ``idle`` is set while nobody is in.
    """

    def __init__(self, most: PlacesMax) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self._most = most
        self._readers = 0
        self._others = 0
        self._turns = asyncio.Semaphore(most.readers)  # gives them in the order of asking

    @contextlib.contextmanager
    def taken(self, *, reads: bool) -> Iterator[None]:
        """Be in, a reader perhaps only in the queue; raises QueryError when there is no room."""
        most = self._most
        running = min(self._readers, most.readers) + self._others
        if reads and self._readers >= most.readers + most.readers_waiting:
            raise QueryError(
                TOO_MANY_QUERIES,
                f"{most.readers} queries of readers are running and {most.readers_waiting} wait: "
                f"{_AGAIN}",
            )
        if not reads and running >= most.queries:
            raise QueryError(TOO_MANY_QUERIES, f"{running} queries are running: {_AGAIN}")
        self._readers += reads
        self._others += not reads
        self.idle.clear()
        try:
            yield
        finally:
            self._readers -= reads
            self._others -= not reads
            if not self._readers + self._others:
                self.idle.set()

    @contextlib.asynccontextmanager
    async def turn(self, receive: Receive) -> AsyncIterator[None]:
        """Wait for a reader's turn. Raises ClientGoneError, and QueryError when it is too long."""
        await self._wait(receive)
        try:
            yield
        finally:
            self._turns.release()

    async def _wait(self, receive: Receive) -> None:
        turn = asyncio.ensure_future(self._turns.acquire())
        gone = asyncio.ensure_future(until_gone(receive))
        either = {turn, gone}
        try:
            await asyncio.wait(
                either, timeout=self._most.wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            left = gone.done()
        finally:
            for one in either:
                one.cancel()
            await asyncio.wait(either)
        if not turn.cancelled():
            return
        if left:
            raise ClientGoneError("the client went away before its query's turn came")
        raise QueryError(
            TOO_MANY_QUERIES,
            f"{self._most.readers} queries of readers are running and this one waited for "
            f"{self._most.wait_s:.0f} s: {_AGAIN}",
        )


async def until_gone(receive: Receive) -> None:
    """Wait until the client closes its connection, having read its whole request."""
    while (await receive())["type"] != "http.disconnect":
        pass

"""A request's body as it arrives: decoded, bounded, divided into statement and spooled data."""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    MutableMapping,
)
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final

from spanlore.store_server.encodings import Decoder
from spanlore.store_server.errors import (
    QUERY_IS_TOO_LARGE,
    SOCKET_TIMEOUT,
    ClientGoneError,
    QueryError,
)
from spanlore.store_server.spool import SpoolFile
from spanlore.store_server.statement import QUERY_BYTES_MAX, Plan, divide

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_BATCH_BYTES: Final = 1024 * 1024  # gathered before a thread decodes and writes it
_IDLE_S_MAX: Final = 60.0  # between two pieces of a body


async def _arriving(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the body in batches; raises ClientGoneError, and QueryError when nothing comes."""
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        try:
            async with asyncio.timeout(_IDLE_S_MAX):
                message = await receive()
        except TimeoutError as error:
            raise QueryError(SOCKET_TIMEOUT, f"no data for {_IDLE_S_MAX:.0f} s") from error
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client closed before its request was complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size >= _BATCH_BYTES or (size and not more):
            yield b"".join(parts)
            parts.clear()
            size = 0


class BodyReader:
    """Reads one body. The caller removes ``spooled`` in the end, whatever happened."""

    def __init__(
        self, receive: Receive, *, decoder: Decoder, threads: Executor, spool_dir: Path
    ) -> None:
        self._arriving = _arriving(receive)
        self._decoder = decoder
        self._threads = threads
        self._spool_dir = spool_dir
        self._undecoded: Iterator[bytes] = iter(())  # of the batch that filled the head
        self.spooled: SpoolFile | None = None

    async def whole(self, *, bytes_max: int) -> bytes:
        """Read a body that must fit in memory; raises QueryError when it is larger."""
        head, complete = await self._head(b"", bytes_max)
        if not complete:
            raise QueryError(QUERY_IS_TOO_LARGE, f"the body is longer than {bytes_max} bytes")
        return head

    async def plan(self, query: bytes, *, body_bytes_max: int) -> Plan:
        """Read all of the body and divide it; ``query`` is what the URL says before it.

        Raises QueryError, ClientGoneError.
        """
        head, complete = await self._head(query, QUERY_BYTES_MAX)
        plan = divide(head, complete=complete)
        if plan.loads:
            await self._in_thread(self._open, body_bytes_max)
            await self._in_thread(self._spool, (plan.data,))
            await self._in_thread(self._spool, self._undecoded)
            if not complete:
                async for batch in self._arriving:
                    await self._in_thread(self._spool, self._decoder.feed(batch))
                await self._in_thread(self._spool, self._decoder.finish())
            await self._in_thread(self._close)
        return plan

    async def _head(self, start: bytes, bytes_max: int) -> tuple[bytes, bool]:
        """Decode the beginning of the body; (bytes, whether that was all of it)."""
        head = bytearray(start)
        if start:
            head += b"\n"
        async for batch in self._arriving:
            self._undecoded = self._decoder.feed(batch)
            for piece in self._undecoded:
                head += piece
                if len(head) > bytes_max:
                    return bytes(head), False
        for piece in self._decoder.finish():
            head += piece
        return bytes(head), True

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, *arguments)

    def _open(self, bytes_max: int) -> None:
        self.spooled = SpoolFile(self._spool_dir, bytes_max=bytes_max)

    def _spool(self, pieces: Iterable[bytes]) -> None:
        if self.spooled is not None:
            for piece in pieces:
                self.spooled.write(piece)

    def _close(self) -> None:
        if self.spooled is not None:
            self.spooled.close()

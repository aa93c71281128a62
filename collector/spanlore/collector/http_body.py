"""Reads one request's body as it comes: bounded in bytes, in time, and by the common budget."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from spanlore.collector.intake import Intake
from spanlore.collector.refusal import overloaded, too_large

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class DisconnectedError(Exception):
    """The client went away before its request was whole."""


class Body:
    """One request's body, and what is held of the budget for it."""

    def __init__(
        self, intake: Intake, headers: Mapping[bytes, bytes], *, body_s_max: float
    ) -> None:
        self._budget = intake.budget
        self._bytes_max = intake.limits.message_bytes_max
        self._length = headers.get(b"content-length")
        self._s_max = body_s_max
        self._held = 0

    def reserve(self, size: int) -> None:
        """Take bytes out of the budget for this request. Raises Refused (retryable)."""
        self._budget.take(size)
        self._held += size

    def release(self) -> None:
        """Give back all that was taken."""
        self._budget.give(self._held)
        self._held = 0

    async def read(self, receive: Receive) -> bytes:
        """Read the body. Raises Refused (too large, too slow, busy) or DisconnectedError."""
        if self._length is not None and int(self._length) > self._bytes_max:
            raise too_large(
                f"the request has {int(self._length)} bytes, the limit is {self._bytes_max}"
            )
        try:
            async with asyncio.timeout(self._s_max):
                return await self._chunks(receive)
        except TimeoutError as error:
            raise overloaded("slow", f"the body did not come within {self._s_max:g} s") from error

    async def _chunks(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            if size > self._bytes_max:
                raise too_large(f"the request has more than {self._bytes_max} bytes")
            self.reserve(len(chunk))
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

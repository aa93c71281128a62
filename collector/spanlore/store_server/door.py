"""The HTTP door: an ASGI application that speaks ClickHouse's protocol over one engine."""

import asyncio
import contextlib
import logging
import math
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from spanlore.store_server import answer, native, reader
from spanlore.store_server.access import METHODS, OPEN_PATHS, QUERY_PATHS, Access
from spanlore.store_server.answer import Answer, Send
from spanlore.store_server.body import BodyReader, Receive
from spanlore.store_server.encodings import decoder
from spanlore.store_server.engine import Engine
from spanlore.store_server.errors import (
    QUERY_WAS_CANCELLED,
    TIMEOUT_EXCEEDED,
    ClientGoneError,
    QueryError,
)
from spanlore.store_server.guard import READER
from spanlore.store_server.log_file import log_file
from spanlore.store_server.places import Places, PlacesMax, until_gone
from spanlore.store_server.request import Request
from spanlore.store_server.running import Running
from spanlore.store_server.statement import QUERY_BYTES_MAX, Caller, Plan, Statement, statement

_log = logging.getLogger(__name__)

_HELD_BYTES: Final = 64 * 1024  # an answer up to this size is sent whole, its errors as a status
_HELD_TO_END_BYTES: Final = 64 * 1024 * 1024  # the same with wait_end_of_query


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the door accepts at most."""

    places: PlacesMax = field(default_factory=PlacesMax)
    body_bytes: int = 1024 * 1024 * 1024


class Door:
    """Serve requests with ``engine``; ``drain`` before the engine is closed.

    ``log_dir`` is the folder of the collector's log, whose files statements may name.
    """

    def __init__(
        self,
        engine: Engine,
        access: Access,
        *,
        spool_dir: Path,
        log_dir: Path,
        limits: Limits | None = None,
    ) -> None:
        self._engine = engine
        self._access = access
        self._spool_dir = spool_dir
        self._log_dir = log_dir
        self._limits = limits or Limits()
        self._queries = ThreadPoolExecutor(self._limits.places.queries, thread_name_prefix="query")
        self._files = ThreadPoolExecutor(2, thread_name_prefix="spool")
        self._killers = ThreadPoolExecutor(2, thread_name_prefix="kill")
        self._places = Places(self._limits.places)
        self._drained = False
        self._running: set[Running] = set()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        request = Request.read(
            scope["method"],
            scope["path"],
            query=scope["query_string"],
            headers=scope["headers"],
        )
        version = self._engine.facts.version
        query_id = request.params.get("query_id") or str(uuid.uuid4())
        reply = Answer(request, send, query_id=query_id, version=version)
        try:
            await self._route(request, receive, send, reply=reply)
        except QueryError as error:
            await reply.fail(error)
        except ClientGoneError as error:
            _log.info("%s", error)

    async def _route(
        self, request: Request, receive: Receive, send: Send, *, reply: Answer
    ) -> None:
        self._access.check_page(request)
        if request.method not in METHODS:
            await answer.plain(send, 405, f"{request.method} is not allowed\n")
        elif request.path in OPEN_PATHS or (request.path == "/" and _asks_nothing(request)):
            await answer.plain(send, 200, "Ok.\n")
        elif request.path not in QUERY_PATHS:
            await answer.plain(send, 404, f"There is no handle {request.path}\n")
        else:
            caller = self._access.caller(request)
            with self._places.taken(reads=caller.role == READER):
                await self._query(request, receive, reply=reply, caller=caller)

    async def _query(
        self, request: Request, receive: Receive, *, reply: Answer, caller: Caller
    ) -> None:
        encoding = request.headers.get("content-encoding", "")
        body = BodyReader(
            receive,
            decoder=decoder(encoding, native_blocks=request.flag("decompress")),
            threads=self._files,
            spool_dir=self._spool_dir,
        )
        try:
            # What a reader sends is a statement, never data to spool.
            body_bytes = QUERY_BYTES_MAX if caller.role == READER else self._limits.body_bytes
            plan, request = await self._plan(request, body, body_bytes_max=body_bytes)
            file = body.spooled.name if body.spooled else ""
            if plan.infile:
                file = log_file(plan.infile, self._log_dir)
            around = request.surroundings(caller)
            asked = statement(plan, around, file=file)
            held = _HELD_TO_END_BYTES if request.flag("wait_end_of_query") else _HELD_BYTES
            reads = caller.role == READER
            async with self._places.turn(receive) if reads else contextlib.nullcontext():
                await self._run(asked, receive, reply, held_bytes_max=held)
        finally:
            if body.spooled is not None:
                body.spooled.remove()

    async def _plan(
        self, request: Request, body: BodyReader, *, body_bytes_max: int
    ) -> tuple[Plan, Request]:
        if request.content_type == "multipart/form-data":
            form = await body.whole(bytes_max=QUERY_BYTES_MAX)
            request = request.with_form(form)
        query = request.params.get("query", "").encode("utf-8", "surrogateescape")
        return await body.plan(query, body_bytes_max=body_bytes_max), request

    async def _run(
        self, asked: Statement, receive: Receive, reply: Answer, *, held_bytes_max: int
    ) -> None:
        """Run a statement and send its answer; kill it when its client goes away."""
        if self._drained:
            raise QueryError(QUERY_WAS_CANCELLED, "the store is stopping: try again in a moment")
        if _is_version_query(asked):
            await self._answer_version(asked, reply)
            return
        running = Running(self._engine, asked, queries=self._queries, killers=self._killers)
        self._running.add(running)
        watch = asyncio.create_task(_stop_when_gone(receive, running))
        reads = asked.around.caller.role == READER
        try:
            async with asyncio.timeout(reader.ANSWER_S_MAX if reads else None):
                await self._pass_on(running, reply, held_bytes_max=held_bytes_max)
        except TimeoutError as error:
            raise QueryError(
                TIMEOUT_EXCEEDED, f"no whole answer within {reader.ANSWER_S_MAX} s: ask for less"
            ) from error
        finally:
            watch.cancel()
            await running.stop(stuck_s_max=reader.STUCK_S_MAX if reads else math.inf)
            self._running.discard(running)

    async def _pass_on(self, running: Running, reply: Answer, *, held_bytes_max: int) -> None:
        """Send pieces as they come; a small answer is held until it is known to be whole."""
        held: list[bytes] = []
        size = 0
        while size < held_bytes_max and (piece := await running.piece()) is not None:
            held.append(piece)
            size += len(piece)
        if size < held_bytes_max:
            summary = asdict(running.summary())
            self._describe(running, reply)
            await reply.whole(held, summary=summary)
            return
        self._describe(running, reply)
        await reply.begin(summary={})
        for early in held:
            await reply.piece(early)
        while (piece := await running.piece()) is not None:
            await reply.piece(piece)
        running.summary()
        await reply.end()

    def _describe(self, running: Running, reply: Answer) -> None:
        reply.describe(
            output_format=running.job.statement.output_format,
            timezone=self._engine.facts.timezone,
            gives_rows=running.job.gives_rows,
        )

    async def _answer_version(self, asked: Statement, reply: Answer) -> None:
        facts = self._engine.facts
        reply.describe(output_format="Native", timezone=facts.timezone, gives_rows=True)
        data = native.version_answer(
            display_name=answer.SERVER_NAME,
            version=facts.version,
            timezone=facts.timezone,
            revision=asked.around.native_revision,
        )
        await reply.whole([data], summary={})

    async def drain(self, *, timeout_s: float) -> None:
        """Let running statements finish for ``timeout_s`` seconds, then kill what is left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._places.idle.wait()
        if self._running:
            _log.warning("killing %d statements that did not end in time", len(self._running))
        self._drained = True
        await asyncio.gather(*(running.stop() for running in list(self._running)))

    def close(self) -> None:
        """End the threads. Nothing may be running."""
        for threads in (self._queries, self._files, self._killers):
            threads.shutdown()


async def _stop_when_gone(receive: Receive, running: Running) -> None:
    await until_gone(receive)
    await running.stop()


def _asks_nothing(request: Request) -> bool:
    return request.method in {"GET", "HEAD"} and not request.params.get("query")


def _is_version_query(asked: Statement) -> bool:
    """Tell whether this is clickhouse-go's greeting, which it sends exactly so."""
    greets = asked.sql.strip().rstrip(";") == native.VERSION_QUERY
    modern = asked.around.native_revision >= native.CUSTOM_SERIALIZATION_REVISION
    return greets and modern and asked.output_format == "Native"

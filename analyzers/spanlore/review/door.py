"""The delivery door's HTTP: a table of routes over one desk, a plain ASGI callable.

Every route but ``GET /v1/memories`` needs the review token, or a token for every tenant: with the
scope ``read`` to look, ``admin`` to change. That one is open on loopback, as OTLP is: an agent asks
it before each model call, from whatever process and language it runs in, and it changes no lesson.
So every user of the machine can read the memories of those whose names they know; where that must
not be, a token is required for it too, as beyond loopback: with the scope ``read``, of the tenant
whose memories they are or of every one. On all of them a Host that is not ours or a foreign Origin
is refused first, so that no web page can ask.

To look at what would be erased of a user, or to erase it, takes the review token or one with the
scope ``erase``, of their tenant or of every one; no other scope does, and that one opens nothing
else.

Memories are answered on the event loop from what is in memory; nothing there waits for the store
or for a change. All else runs on threads.
"""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from spanlore.review import lesson_request
from spanlore.review.access import Access
from spanlore.review.change import Caller
from spanlore.review.desk import Desk
from spanlore.review.erasing import Eraser
from spanlore.review.exposures import ExposureQueue, exposures_of
from spanlore.review.memories import delivered
from spanlore.review.refusal import Refused, unavailable
from spanlore.review.request import Disconnected, Receive, Request, read_body, whole_number
from spanlore.review.shelf import Standing
from spanlore.schemas.effect_records import effect_json
from spanlore.schemas.lesson_records import lesson_json
from spanlore.schemas.lesson_state import NEXT, TransitionRefused
from spanlore.schemas.store import StoreError
from spanlore.schemas.tokens import ADMIN, ERASE, READ

__all__ = ["Door", "Route"]

_log = logging.getLogger(__name__)

_WRITERS: Final = 4
_READERS: Final = 2
_BODIES_MAX: Final = 16  # being read or worked on at once
_ERASERS: Final = 2
_ANSWER_S_MAX: Final = 60.0
_ERASING_S_MAX: Final = 3_600.0  # every part that holds a row of theirs is written anew
_ENTRIES_DEFAULT: Final = 100
_ENTRIES_MAX: Final = 10_000
_SCOPES: Final = ("user", "tenant", "global")
_LAYERS: Final = ("context", "harness", "model")

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Document = Mapping[str, Any] | list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and a path (``{name}`` stands for one segment) and what answers it.

    ``threads`` runs the answer, None the event loop. ``is_open``: on loopback it needs no token.
    ``erases``: it takes a token for erasing.
    """

    method: str
    path: str
    answer: Callable[[Request], Document]
    threads: ThreadPoolExecutor | None
    is_open: bool = False
    erases: bool = False
    answer_s_max: float = _ANSWER_S_MAX

    @property
    def scope(self) -> str:
        """What a token must be for."""
        if self.erases:
            return ERASE
        return READ if self.method == "GET" else ADMIN

    def names(self, path: str) -> dict[str, str] | None:
        """Return what a path gives for the names in ours, None when it is another path."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None


class Door:
    """The ASGI callable."""

    def __init__(
        self, desk: Desk, exposures: ExposureQueue, eraser: Eraser, access: Access
    ) -> None:
        self._desk = desk
        self._eraser = eraser
        self._exposures = exposures
        self._access = access
        self._bodies = asyncio.Semaphore(_BODIES_MAX)
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        self._erasers = ThreadPoolExecutor(_ERASERS, thread_name_prefix="erase")
        write, read = self._writers, self._readers
        self.routes = (
            Route(
                method="GET",
                path="/v1/memories",
                answer=self._memories,
                threads=None,
                is_open=True,
            ),
            Route(method="GET", path="/v1/lessons", answer=self._lessons, threads=read),
            Route(method="GET", path="/v1/lessons/{lesson_id}", answer=self._lesson, threads=read),
            Route(
                method="POST",
                path="/v1/lessons/{lesson_id}/events",
                answer=self._event,
                threads=write,
            ),
            Route(method="POST", path="/v1/proposals", answer=self._proposals, threads=write),
            Route(method="POST", path="/v1/effects", answer=self._effect, threads=write),
            Route(method="POST", path="/v1/revocations", answer=self._revocation, threads=write),
            Route(method="GET", path="/v1/log", answer=self._entries, threads=write),
            Route(method="GET", path="/v1/status", answer=self._status, threads=write),
            *(
                Route(
                    method=method,
                    path="/v1/users",
                    answer=answer,
                    threads=self._erasers,
                    erases=True,
                    answer_s_max=_ERASING_S_MAX,
                )
                for method, answer in (("GET", self._erasable), ("DELETE", self._erasing))
            ),
        )

    def close(self) -> None:
        """Let the threads go, once nobody asks any more."""
        self._writers.shutdown(wait=False)
        self._readers.shutdown(wait=False)
        self._erasers.shutdown(wait=False)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        headers: tuple[tuple[bytes, bytes], ...] = ()
        try:
            body = _json(await self._answered(Request.of_scope(scope), receive))
            status = HTTPStatus.OK
        except Disconnected:
            return
        except (Refused, StoreError, TransitionRefused) as error:
            refused = _refused(error)
            status, headers = refused.status, refused.headers
            body = _json({"error": str(refused)})
        common = (
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        )
        start = {"status": int(status), "headers": [*common, *headers]}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": body})

    async def _answered(self, request: Request, receive: Receive) -> Document:
        self._access.check_page(request.headers)
        route, request = self._route(request)
        if route.threads is None:
            return route.answer(request)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(route.answer_s_max), self._bodies:
                if route.method == "POST":
                    body = await read_body(request.headers, receive)
                    request = replace(request, body=body)
                return await loop.run_in_executor(route.threads, route.answer, request)
        except TimeoutError as error:
            raise unavailable(
                f"there was no answer within {route.answer_s_max:g} s, for the store or others "
                "before you take long; it may still be done: ask what stands before you try again"
            ) from error

    def _route(self, request: Request) -> tuple[Route, Request]:
        """Find what answers, for those who may ask. Raises Refused (401, 403, 404, 405)."""
        here = [
            (one, named) for one in self.routes if (named := one.names(request.path)) is not None
        ]
        found = next((pair for pair in here if pair[0].method == request.method), None)
        # Where nothing answers, it is said to those alone who might have been answered.
        scopes = (found[0].scope,) if found else (READ, ADMIN)
        is_open = bool(here) and all(route.is_open for route, _ in here)
        tenant = self._access.tenant(request.headers, *scopes, is_open=is_open)
        if found:
            return found[0], replace(request, named=found[1], tenant=tenant)
        if not here:
            paths = ", ".join(sorted({one.path for one in self.routes}))
            raise Refused(HTTPStatus.NOT_FOUND, f"nothing is at {request.path}: there are {paths}")
        methods = ", ".join(route.method for route, _ in here)
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"use {methods}", (b"allow", methods.encode()))

    def _memories(self, request: Request) -> Document:
        identity, budget_tokens, trace_id = request.identity()
        delivery = delivered(self._desk.book, identity, budget_tokens=budget_tokens)
        if trace_id:
            now = datetime.now(UTC)
            self._exposures.put(exposures_of(delivery, identity, trace_id=trace_id, at=now))
        return delivery.json()

    def _lessons(self, request: Request) -> Document:
        wanted = request.parameters(frozenset({"state", "layer", "scope"}))
        for name, known in (("state", tuple(NEXT)), ("layer", _LAYERS), ("scope", _SCOPES)):
            if name in wanted and wanted[name] not in known:
                raise Refused(
                    HTTPStatus.BAD_REQUEST,
                    f"{name} is one of {', '.join(known)}: {wanted[name]!r}",
                )
        return [
            _standing_json(one)
            for one in self._desk.standings()
            if all(getattr(one.lesson, name) == value for name, value in wanted.items())
        ]

    def _lesson(self, request: Request) -> Document:
        request.parameters(frozenset())
        return _standing_json(self._desk.standing(request.named["lesson_id"]))

    def _event(self, request: Request) -> Document:
        caller, kind, detail = lesson_request.event(request)
        lesson_id = request.named["lesson_id"]
        return _standing_json(self._desk.happen(lesson_id, kind, caller=caller, detail=detail))

    def _proposals(self, request: Request) -> Document:
        caller, proposals, superseded, endings = lesson_request.proposals(request)
        standings = self._desk.propose(proposals, superseded, caller=caller, endings=endings)
        return {"lessons": [_standing_json(one) for one in standings]}

    def _effect(self, request: Request) -> Document:
        caller, effect = lesson_request.effect(request)
        standing = self._desk.measure(effect, caller=caller)
        return {"lesson": _standing_json(standing), "effect": effect_json(effect)}

    def _revocation(self, request: Request) -> Document:
        caller, trace_ids, reason = lesson_request.revocation(request)
        standings = self._desk.revoke_traces(trace_ids, caller=caller, reason=reason)
        return {"lessons": [_standing_json(one) for one in standings]}

    def _entries(self, request: Request) -> Document:
        wanted = request.parameters(frozenset({"lesson_id", "limit"}))
        limit = whole_number(wanted, "limit", default=_ENTRIES_DEFAULT, largest=_ENTRIES_MAX)
        entries = self._desk.entries(lesson_id=wanted.get("lesson_id", ""), limit=limit)
        broken = self._desk.broken
        return {
            "entries": entries,
            "verified": broken is None,
            "broken_at": broken.seq if broken else None,
            "broken_because": broken.reason if broken else None,
            "erased_entries": self._desk.erased_entries,
        }

    def _status(self, request: Request) -> Document:
        request.parameters(frozenset())
        return {**self._desk.status(), "exposures": self._exposures.counts()}

    def _erasable(self, request: Request) -> Document:
        user, tenant, _ = request.erasing()
        return self._eraser.found(user, tenant)

    def _erasing(self, request: Request) -> Document:
        user, tenant, by = request.erasing()
        caller = Caller(by=by, peer=request.peer, human=True)
        return self._eraser.erase(user, tenant, caller=caller)


def _standing_json(standing: Standing) -> dict[str, Any]:
    return {**lesson_json(standing.lesson), "version": standing.version}


def _refused(error: Refused | StoreError | TransitionRefused) -> Refused:
    """Return the answer to an error: it may not be, or cannot be now."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, TransitionRefused):
        return Refused(HTTPStatus.CONFLICT, str(error))
    _log.warning("%s", error)
    return unavailable(f"{error}; see `spanlore status`, and try again")


def _json(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")

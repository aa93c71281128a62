"""`lessons_for`: what earlier runs taught, for the agent that runs now."""

import json
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from spanlore.instrumentation.identity import CurrentRun, Identity, current_run
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.said import expose
from spanlore.instrumentation.switch import current_settings
from spanlore.schemas import semconv

ANSWER_S_MAX = 0.3
FRESH_S = 60.0
ABSENT_S = 5.0
_ANSWER_BYTES_MAX = 1024 * 1024
_CACHED_MAX = 1_000
_PATH = "/v1/memories"
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredLesson:
    """One lesson as it was delivered. ``tokens`` is an estimate of its text's length."""

    lesson_id: str
    version: int
    scope: str
    title: str
    text: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What an agent is given: ``text`` goes into its instructions, and is empty without lessons.

    ``held_out``: (lesson id, version) of what this user is not given, so that its effect can be
    known.
    """

    text: str = ""
    items: tuple[DeliveredLesson, ...] = ()
    held_out: tuple[tuple[str, int], ...] = ()


_NONE = Lessons()


def lessons_for(
    *,
    user: str | None = None,
    tenant: str | None = None,
    agent: str | None = None,
    task: str | None = None,
    segments: Mapping[str, str] | None = None,
    budget_tokens: int = 1000,
) -> Lessons:
    """Ask for the approved lessons that hold here; what is not said is the current run's.

    Takes at most 0.3 s, and asks again after a minute; where nobody answers it gives none, and
    does not ask for 5 s. Never raises. In a run it is recorded which lessons the run was given.
    It waits, so in asyncio call it through ``asyncio.to_thread``.
    """
    with quiet:
        run = current_run()
        said = Identity(user=user, tenant=tenant, task=task, segments=segments or {})
        query = _query(said, run, agent=agent, budget_tokens=budget_tokens)
        lessons = _door.ask(current_settings().delivery_url, query)
        if run is not None:
            _record(run, lessons)
        return lessons
    return _NONE


def _query(said: Identity, run: CurrentRun | None, *, agent: str | None, budget_tokens: int) -> str:
    around = run.identity if run else Identity()
    segments = {**around.segments, **said.segments}
    known = {
        "user": said.user or around.user,
        "tenant": said.tenant or around.tenant,
        "agent": agent or (run.agent if run else "") or None,
        "task": said.task or _task(around),
        "budget_tokens": int(budget_tokens),
        **{f"segment.{name}": str(value) for name, value in sorted(segments.items())},
    }
    return urlencode({name: value for name, value in known.items() if value is not None})


def _task(identity: Identity) -> str | None:
    return (
        f"{identity.task}/{identity.task_id}"
        if identity.task and identity.task_id
        else (identity.task)
    )


def _record(run: CurrentRun, lessons: Lessons) -> None:
    """Record what the run was given, and what it was held out of."""
    given = [(item.lesson_id, item.version) for item in lessons.items]
    for lesson in given:
        expose(run, lesson, semconv.ARM_EXPOSED)
    for lesson in lessons.held_out:
        expose(run, lesson, semconv.ARM_HELD_OUT)
    if given:
        names = [f"{lesson_id}@{version}" for lesson_id, version in given]
        run.span.set_attribute(semconv.CONTEXT_ITEM_IDS, names)


class _Door:
    """Remembers what it was answered, and for a while that it was not."""

    def __init__(self) -> None:
        self._cached: dict[tuple[str, str], tuple[float, Lessons]] = {}
        self._absent_until: dict[str, float] = {}

    def ask(self, url: str, query: str) -> Lessons:
        now = time.monotonic()
        until, lessons = self._cached.get((url, query), (0.0, _NONE))
        if now < until or now < self._absent_until.get(url, 0.0):
            return lessons if now < until else _NONE
        answer = _within(ANSWER_S_MAX, url, query)
        if answer is None:
            self._absent_until[url] = time.monotonic() + ABSENT_S
            return _NONE
        status, body = answer
        found = _lessons(json.loads(body)) if status == _OK else _NONE
        if len(self._cached) >= _CACHED_MAX:
            self._cached.clear()
        self._cached[url, query] = (now + (FRESH_S if status == _OK else ABSENT_S), found)
        return found


_door = _Door()


def _within(seconds: float, url: str, query: str) -> tuple[int, bytes] | None:
    """Ask in a thread of its own: neither a name server nor a door that drips can hold us up."""
    answers: list[tuple[int, bytes]] = []
    is_done = threading.Event()

    def ask() -> None:
        try:
            answers.append(_get(url, query))
        except (OSError, HTTPException, ValueError):
            return  # nobody there, or nobody that we understand
        finally:
            is_done.set()

    threading.Thread(target=ask, name="spanlore-delivery", daemon=True).start()
    is_done.wait(seconds)
    return answers[0] if answers else None


def _get(url: str, query: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    with closing(kind(parts.hostname or "", parts.port, timeout=ANSWER_S_MAX)) as connection:
        headers = current_settings().delivery_headers()
        connection.request("GET", f"{parts.path}{_PATH}?{query}", headers=headers)
        answer = connection.getresponse()
        body = answer.read(_ANSWER_BYTES_MAX + 1)
    if len(body) > _ANSWER_BYTES_MAX:
        raise HTTPException("the answer is too long")
    return answer.status, body


def _lessons(document: Any) -> Lessons:
    items = tuple(
        DeliveredLesson(
            lesson_id=str(item["lesson_id"]),
            version=int(item["version"]),
            scope=str(item.get("scope", "")),
            title=str(item.get("title", "")),
            text=str(item.get("text", "")),
            tokens=int(item.get("tokens", 0)),
        )
        for item in document["items"]
    )
    held_out = tuple(
        (str(item["lesson_id"]), int(item["version"])) for item in document.get("held_out", [])
    )
    return Lessons(text=str(document["text"]), items=items, held_out=held_out)

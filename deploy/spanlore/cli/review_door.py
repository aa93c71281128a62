"""The review door: the one keeper of lessons, asked and told over HTTP."""

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from spanlore.cli.connection import Running
from spanlore.cli.errors import CannotReach, CommandFailed
from spanlore.cli.kept_lessons import KeptLesson
from spanlore.cli.output import clean
from spanlore.schemas.lesson_state import Ending
from spanlore.schemas.types import Lesson

if TYPE_CHECKING:
    from spanlore.analyzers.lessons.desk import Proposal

__all__ = [
    "ReviewDesk",
    "effect",
    "erasable",
    "erase",
    "event",
    "lessons",
    "log",
    "memories",
    "review_status",
    "revoke_traces",
    "submit",
]

_TIMEOUT_S = 65.0  # the door itself gives up after 60
_STATUS_TIMEOUT_S = 5.0
_ERASING_TIMEOUT_S = 3_605.0
_SAID_CHARACTERS_MAX = 500
_REQUEST_BYTES_MAX = 2 << 20  # half of what the door takes at once
_LOG_ENTRIES = 100


class ReviewDesk:
    """The desk of a round of learning (``lessons.desk.Desk``): the review door."""

    def __init__(self, running: Running, *, by: str) -> None:
        self._running = running
        self._by = by

    def submit(
        self,
        proposals: "Sequence[Proposal]",
        superseded: Sequence[str],
        endings: Sequence[Ending] = (),
    ) -> list[Lesson]:
        """Hand in proposals and endings; return the lessons as they stand, in order.

        Raises CannotReach, and CommandFailed when the door refuses them.
        """
        ends = [asdict(one) for one in endings]
        stand = submit(self._running, proposals, superseded, by=self._by, endings=ends)
        return [one.lesson for one in stand]


def review_status(running: Running) -> dict[str, Any]:
    """Return ``{"lessons": {state: n}, "log_entries", "head"}``. Raises CannotReach."""
    found: dict[str, Any] = _ask(running, "GET", "/v1/status", timeout_s=_STATUS_TIMEOUT_S)
    return found


def lessons(running: Running) -> list[KeptLesson]:
    """Return every lesson as it stands. Raises CannotReach."""
    return [_kept(one) for one in _ask(running, "GET", "/v1/lessons")]


def submit(
    running: Running,
    proposals: "Sequence[Proposal]",
    superseded: Sequence[str],
    *,
    by: str,
    endings: Sequence[Mapping[str, str]] = (),
) -> list[KeptLesson]:
    """Hand in proposals with their evaluations; return the lessons as they stand, in order.

    What ends goes with the last requests, when all that stands in its place is there. Raises
    CannotReach, and CommandFailed when the door refuses them.
    """
    from spanlore.schemas.lesson_records import lesson_json

    stand: list[KeptLesson] = []
    entries = [
        {
            "lesson": lesson_json(one.lesson),
            "evaluation": None if one.evaluation is None else dict(one.evaluation),
        }
        for one in proposals
    ]
    for batch in _batches(entries):
        if batch:
            stand += _handed_in(running, {"by": by, "proposals": batch})
    if superseded:
        _handed_in(running, {"by": by, "superseded": list(superseded)})
    for ends in _batches([dict(one) for one in endings]):
        if ends:
            _handed_in(running, {"by": by, "endings": ends})
    return stand


def _handed_in(running: Running, body: Mapping[str, Any]) -> list[KeptLesson]:
    said = _ask(running, "POST", "/v1/proposals", body=body)
    return [_kept(one) for one in said["lessons"]]


def event(
    running: Running,
    lesson_id: str,
    kind: str,
    *,
    by: str,
    human: bool,
    detail: Mapping[str, Any],
) -> KeptLesson:
    """Have something happen to a lesson (``lesson_state.EventKind``); return it afterwards.

    Raises CommandFailed, in the door's words, when it may not; CannotReach.
    """
    path = f"/v1/lessons/{quote(lesson_id, safe='')}/events"
    body = {"kind": kind, "by": by, "human": human, "detail": dict(detail)}
    return _kept(_ask(running, "POST", path, body=body))


def effect(
    running: Running, measured: Mapping[str, Any], *, by: str
) -> tuple[KeptLesson, dict[str, Any]]:
    """Have a measurement kept; return the lesson afterwards, and the effect as it was written.

    A context lesson that did harm is rolled back by the door. Raises CommandFailed, CannotReach.
    """
    said = _ask(running, "POST", "/v1/effects", body={"by": by, **measured})
    return _kept(said["lesson"]), said["effect"]


def revoke_traces(
    running: Running, trace_ids: Sequence[str], *, by: str, reason: str
) -> list[KeptLesson]:
    """Have nothing learned from these traces any more; return the lessons that are quarantined.

    Raises CommandFailed, CannotReach.
    """
    body = {"trace_ids": list(trace_ids), "by": by, "reason": reason}
    return [_kept(one) for one in _ask(running, "POST", "/v1/revocations", body=body)["lessons"]]


def erasable(running: Running, user: str, *, tenant: str | None) -> list[dict[str, Any]]:
    """Return what is there of a user, by tenant: ``tenant``, ``rows`` of tables, ``lessons``.

    Raises CannotReach, CommandFailed.
    """
    question = {"user": user} | ({"tenant": tenant} if tenant else {})
    path = f"/v1/users?{urlencode(question)}"
    found: list[dict[str, Any]] = _ask(running, "GET", path, timeout_s=_ERASING_TIMEOUT_S)
    return found


def erase(running: Running, user: str, *, tenant: str, by: str) -> dict[str, Any]:
    """Have a user of a tenant erased; return what went. Raises CommandFailed, CannotReach."""
    path = f"/v1/users?{urlencode({'user': user, 'tenant': tenant, 'by': by})}"
    gone: dict[str, Any] = _ask(running, "DELETE", path, timeout_s=_ERASING_TIMEOUT_S)
    return gone


def memories(running: Running, question: Mapping[str, str]) -> dict[str, Any]:
    """Return what an agent would be given: ``items``, ``held_out``, ``left_out``, ``text`` ….

    ``question`` holds ``user``, ``tenant``, ``agent``, ``task``, ``budget_tokens`` and
    ``segment.<name>``. Without a trace id nothing is recorded. Raises CommandFailed, CannotReach.
    """
    found: dict[str, Any] = _ask(running, "GET", f"/v1/memories?{urlencode(question)}")
    return found


def log(
    running: Running, lesson_id: str | None = None, *, limit: int = _LOG_ENTRIES
) -> dict[str, Any]:
    """Return ``{"entries", "verified", "broken_at", …}``: the last entries, of one lesson or all.

    Raises CannotReach.
    """
    question = {"limit": str(limit)} | ({"lesson_id": lesson_id} if lesson_id else {})
    found: dict[str, Any] = _ask(running, "GET", f"/v1/log?{urlencode(question)}")
    return found


def _batches(entries: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Split entries, in order, into requests that the door takes; one that is too big is alone."""
    batches: list[list[dict[str, Any]]] = [[]]
    size = 0
    for entry in entries:
        bytes_more = len(json.dumps(entry))
        if batches[-1] and size + bytes_more > _REQUEST_BYTES_MAX:
            batches.append([])
            size = 0
        batches[-1].append(entry)
        size += bytes_more
    return batches


def _kept(document: Mapping[str, Any]) -> KeptLesson:
    from spanlore.schemas.lesson_records import lesson_of_json

    rest = {name: value for name, value in document.items() if name != "version"}
    return KeptLesson(lesson=lesson_of_json(rest), version=int(document["version"]))


def _ask(
    running: Running,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Any:
    """Talk to the door directly: a proxy of the environment is not asked for loopback."""
    address = urlsplit(running.review_url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=timeout_s)
    headers = {"Authorization": f"Bearer {running.review_token or ''}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(
            method, path, body=None if body is None else json.dumps(body), headers=headers
        )
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise CannotReach(
            f"cannot reach the review door at {running.review_url}: {error}; "
            "see `spanlore status`, or start it with `spanlore up`"
        ) from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        raise _refused(running, answer.status, said)
    return json.loads(said)


def _refused(running: Running, status: int, said: bytes) -> CannotReach | CommandFailed:
    """Return the error of an answer: what the door decided against is 1, all else is 3."""
    words = _words(said)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return CannotReach(
            f"the review door at {running.review_url} does not know us ({words or status}); "
            "name the --data-dir that it runs on, or set SPANLORE_REVIEW_TOKEN to the "
            "review_token in its credentials.json"
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return CannotReach(
            f"the review door at {running.review_url} answered {status}: {words}; "
            "see `spanlore status`, and try again"
        )
    return CommandFailed(words or f"the review door answered {status}")


def _words(said: bytes) -> str:
    """Return the door's own words; whatever else answered is quoted, cut short."""
    try:
        return clean(str(json.loads(said)["error"]))
    except (ValueError, KeyError, TypeError):
        return clean(said[:_SAID_CHARACTERS_MAX].decode(errors="replace")).strip()

"""What callers say of lessons, checked before it is believed: proposals, events, effects."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from spanlore.review.change import Caller, Proposal
from spanlore.review.refusal import bad_request
from spanlore.review.request import Request, trace_id, who
from spanlore.schemas.effect_records import effect_of_json
from spanlore.schemas.lesson_records import lesson_of_json
from spanlore.schemas.lesson_state import END_KINDS, VERDICTS, Ending, EventKind
from spanlore.schemas.types import Effect, Lesson

__all__ = ["EVENTS", "effect", "event", "proposals", "revocation"]

# What may be said from outside; "measure" has a path of its own, "supersede" comes with what
# stands in for a lesson.
EVENTS: Final[frozenset[EventKind]] = frozenset(
    {
        "approve",
        "reject",
        "revoke",
        "evaluate",
        "roll_out",
        "roll_back",
        "quarantine",
        "release",
        "expire",
    }
)
_LESSON_ID: Final = re.compile(r"[A-Za-z0-9._:@+-]{1,128}")
_COUNT_MAX: Final = 2**63 - 1


def proposals(request: Request) -> tuple[Caller, list[Proposal], list[str], list[Ending]]:
    """Read ``{"by", "proposals": [{"lesson", "evaluation"}], "superseded": [id], "endings"}``."""
    said = request.document()
    _only(said, {"by", "proposals", "superseded", "endings"}, "the body")
    found = [_proposal(one) for one in _list(said, "proposals")]
    superseded = _texts(said, "superseded")
    both = {one.lesson.lesson_id for one in found} & set(superseded)
    if both:
        raise bad_request(f"lesson {min(both)} is proposed and superseded at once: say one")
    endings = [_ending(one) for one in _list(said, "endings")]
    caller = Caller(by=who(said), peer=request.peer)
    return caller, found, list(dict.fromkeys(superseded)), endings


def event(request: Request) -> tuple[Caller, EventKind, dict[str, Any]]:
    """Read ``{"kind", "by", "human", "detail"}``."""
    said = request.document()
    _only(said, {"kind", "by", "human", "detail"}, "the body")
    kind = said.get("kind")
    if not isinstance(kind, str) or kind not in EVENTS:
        raise bad_request(f"kind is one of {', '.join(sorted(EVENTS))}: {kind!r}")
    human = said.get("human", False)
    if not isinstance(human, bool):
        raise bad_request(f"human is true or false: {human!r}")
    detail = _object(said, "detail")
    if kind == "roll_out":
        detail = {**detail, "trace_id": trace_id(detail.get("trace_id"))}
    return Caller(by=who(said), peer=request.peer, human=human), kind, detail


def effect(request: Request) -> tuple[Caller, Effect]:
    """Read the JSON of an effect, with ``by`` in it."""
    said = request.document()
    caller = Caller(by=who(said), peer=request.peer)
    try:
        found = effect_of_json({name: value for name, value in said.items() if name != "by"})
    except (ValueError, OverflowError) as error:
        raise bad_request(str(error)) from error
    arms = (found.exposed, found.other)
    counts = [n for arm in arms for n in (arm.runs, arm.users, arm.clusters, arm.events)]
    if not all(0 <= number <= _COUNT_MAX for number in (found.lesson_version, *counts)):
        raise bad_request("not an effect: a count is below 0 or beyond 63 bits")
    return caller, found


def revocation(request: Request) -> tuple[Caller, list[str], str]:
    """Read ``{"by", "trace_ids": [32 hex digits], "reason"}``."""
    said = request.document()
    _only(said, {"by", "trace_ids", "reason"}, "the body")
    found = [trace_id(one) for one in _texts(said, "trace_ids")]
    if not found:
        raise bad_request("trace_ids names at least one trace")
    caller = Caller(by=who(said), peer=request.peer, human=True)
    return caller, list(dict.fromkeys(found)), str(said.get("reason") or "")


def _proposal(said: object) -> Proposal:
    if not isinstance(said, dict):
        raise bad_request('a proposal is {"lesson": {...}, "evaluation": {...} or null}')
    _only(said, {"lesson", "evaluation"}, "a proposal")
    evaluation = None if said.get("evaluation") is None else _object(said, "evaluation")
    if evaluation is not None and evaluation.get("verdict") not in VERDICTS:
        raise bad_request(f"the verdict of an evaluation is one of {', '.join(VERDICTS)}")
    return Proposal(lesson=_lesson(_object(said, "lesson")), evaluation=evaluation)


def _ending(said: object) -> Ending:
    names = set(Ending.__dataclass_fields__)
    if not isinstance(said, dict) or not all(isinstance(one, str) for one in said.values()):
        raise bad_request(f"an ending is an object of texts: {', '.join(sorted(names))}")
    _only(said, names, "an ending")
    missing = sorted(names - said.keys() - {"successor"})
    if missing or said["kind"] not in END_KINDS:
        raise bad_request(f"an ending says {missing or 'kind: ' + ', '.join(END_KINDS)}")
    return Ending(**said)


def _lesson(said: Mapping[str, Any]) -> Lesson:
    _check_types(said)
    try:
        found = lesson_of_json(said)
    except (ValueError, TypeError) as error:
        raise bad_request(str(error)) from error
    if not _LESSON_ID.fullmatch(found.lesson_id):
        raise bad_request(f"a lesson's id is letters, digits and ._:@+-: {found.lesson_id!r}")
    _check_scope(found)
    return replace(
        found,
        patch=found.patch or None,
        base_path=found.base_path or None,
        base_hash=found.base_hash or None,
    )


def _check_types(said: Mapping[str, Any]) -> None:
    for name in ("lesson_id", "scope_key", "kind", "title", "body", "tenant"):
        if not isinstance(said.get(name, ""), str):
            raise bad_request(f"not a lesson: {name} is a text")
    for name in ("patch", "base_path", "base_hash"):
        if not isinstance(said.get(name) or "", str):
            raise bad_request(f"not a lesson: {name} is a text or null")
    for name in ("findings", "evidence"):
        _texts(said, name)
    _object(said, "content")
    if not all(isinstance(value, str) for value in _object(said, "selector").values()):
        raise bad_request("not a lesson: selector holds texts")


def _check_scope(lesson: Lesson) -> None:
    """Refuse a lesson that does not say whom it is for: it would be for nobody, or for others."""
    whom, tenant = lesson.scope_key, lesson.tenant
    if lesson.scope == "user" and not (whom and tenant):
        raise bad_request(
            f"lesson {lesson.lesson_id} is one user's: scope_key names the user, tenant the tenant"
        )
    if lesson.scope == "tenant" and not (tenant and whom == tenant):
        raise bad_request(
            f"lesson {lesson.lesson_id} is one tenant's: scope_key and tenant both name it"
        )
    if lesson.scope == "global" and whom:
        raise bad_request(f"lesson {lesson.lesson_id} is for everybody: scope_key is empty")


def _object(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = said.get(name)
    if not isinstance(found if found is not None else {}, dict):
        raise bad_request(f"{name} is an object")
    return dict(found or {})


def _list(said: Mapping[str, Any], name: str) -> list[Any]:
    found = said.get(name)
    if not isinstance(found if found is not None else [], list):
        raise bad_request(f"{name} is a list")
    return list(found or [])


def _texts(said: Mapping[str, Any], name: str) -> list[str]:
    found = _list(said, name)
    if not all(isinstance(one, str) for one in found):
        raise bad_request(f"{name} is a list of texts")
    return found


def _only(said: Mapping[str, Any], known: set[str], what: str) -> None:
    unknown = sorted(said.keys() - known)
    if unknown:
        raise bad_request(
            f"{what} does not take {unknown[0]!r}: it takes {', '.join(sorted(known))}"
        )

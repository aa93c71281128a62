"""The life of a lesson: one function that says what may follow what, and no back door.

``proposed -> evaluated -> approved -> rolled_out -> verified | no_effect | harmful ->
rolled_back``; ``rolled_out`` stays so while there is not enough data. Beside that road lie
``quarantined``, ``rejected``, ``superseded``, ``expired``, ``revoked`` and ``withdrawn``: what a
round of learning took back because nothing speaks for it any more, which it may propose again.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from spanlore.schemas.types import Lesson

State = Literal[
    "proposed",
    "quarantined",
    "evaluated",
    "approved",
    "rolled_out",
    "verified",
    "no_effect",
    "harmful",
    "rolled_back",
    "rejected",
    "superseded",
    "expired",
    "revoked",
    "withdrawn",
]
EventKind = Literal[
    "evaluate",
    "approve",
    "reject",
    "roll_out",
    "measure",
    "roll_back",
    "quarantine",
    "release",
    "supersede",
    "expire",
    "revoke",
    "withdraw",
]
# How a lesson ends by itself, without a person's judgement of it; what is in quarantine may come
# back by a person's.
EndKind = Literal["supersede", "expire", "withdraw", "quarantine"]
END_KINDS: Final[tuple[EndKind, ...]] = ("supersede", "expire", "withdraw", "quarantine")
VERDICTS: Final = ("pass", "fail", "inconclusive")
MEASURED: Final[Mapping[str, State]] = {
    "improved": "verified",
    "no_effect": "no_effect",
    "worse": "harmful",
    "not_enough_data": "rolled_out",
}
# A context lesson in one of these states is given to agents.
DELIVERED: Final = frozenset({"approved", "rolled_out", "verified", "no_effect"})
# Nobody has decided on it: a new round of learning may word it anew.
UNDECIDED: Final = frozenset({"proposed", "quarantined", "evaluated"})
TERMINAL: Final = frozenset({"rolled_back", "rejected", "superseded", "expired", "revoked"})

_ENDS: Final[dict[EventKind, State]] = {
    "supersede": "superseded",
    "expire": "expired",
    "revoke": "revoked",
}
_UNDECIDED: Final[dict[EventKind, State]] = {
    **_ENDS,
    "withdraw": "withdrawn",
    "evaluate": "evaluated",
    "reject": "rejected",
    "quarantine": "quarantined",
}
_DELIVERED: Final[dict[EventKind, State]] = {
    **_ENDS,
    "withdraw": "withdrawn",
    "measure": "rolled_out",
    "roll_back": "rolled_back",
    "quarantine": "quarantined",
}
NEXT: Final[Mapping[str, Mapping[EventKind, State]]] = {
    "proposed": _UNDECIDED,
    "quarantined": {**_ENDS, "release": "proposed", "reject": "rejected"},
    "evaluated": {**_UNDECIDED, "approve": "approved"},
    "approved": {
        **_ENDS,
        "withdraw": "withdrawn",
        "roll_out": "rolled_out",
        "quarantine": "quarantined",
    },
    "rolled_out": _DELIVERED,
    "verified": _DELIVERED,
    "no_effect": _DELIVERED,
    "harmful": {"roll_back": "rolled_back", "revoke": "revoked"},
    "rolled_back": {},
    "rejected": {},
    "superseded": {},
    "expired": {},
    "revoked": {},
    "withdrawn": {},
}


class TransitionRefused(Exception):
    """The lesson may not go there from where it is; the message says why and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonEvent:
    """Something that happens to a lesson.

    ``by`` names who did it; ``human`` says that the caller knows this to be a person (who must
    then be named). ``detail`` holds what the kind needs: ``{"verdict": ...}`` for evaluate,
    ``{"effect": ...}`` for measure; for the others whatever is worth keeping. With a
    ``content_hash`` in it, evaluate and approve are about that content alone. Times are UTC.
    """

    kind: EventKind
    by: str
    at: datetime
    human: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """That a standing lesson is to end, said by one who saw it in ``state`` with that content.

    ``successor`` is the id of the lesson that stands in its place, "" where none does.
    """

    lesson_id: str
    kind: EndKind
    state: str
    content_hash: str
    reason: str
    successor: str = ""


def transition(lesson: Lesson, event: LessonEvent) -> Lesson:
    """Return the lesson after the event.

    Raises TransitionRefused when the event may not follow the lesson's state, when an approval
    lacks a named human or a verdict, and ValueError for an unknown state, verdict or effect.
    """
    if lesson.state not in NEXT:
        message = f"lesson {lesson.lesson_id} is in an unknown state {lesson.state!r}"
        raise ValueError(message)
    following = NEXT[lesson.state].get(event.kind)
    if following is None:
        possible = ", ".join(sorted(NEXT[lesson.state])) or "nothing, this state is final"
        message = (
            f"lesson {lesson.lesson_id} is {lesson.state}: {event.kind} may not follow; "
            f"possible: {possible}"
        )
        raise TransitionRefused(message)
    if event.kind in ("evaluate", "approve"):
        _need_the_content_that_was_seen(lesson, event)
    if event.kind == "evaluate":
        return _evaluated(lesson, event)
    if event.kind == "approve":
        return _approved(lesson, event)
    if event.kind == "measure":
        return replace(lesson, state=MEASURED[_one_of(event, "effect", tuple(MEASURED))])
    decided_by_human = lesson.state in DELIVERED and not approved_by_policy(lesson)
    if event.kind == "release" or (event.kind == "withdraw" and decided_by_human):
        _need_a_named_human(lesson, event)
    return replace(lesson, state=following)


def proposed(standing: Lesson | None, fresh: Lesson) -> Lesson | None:
    """Return the lesson after it is proposed (again), None when that changes nothing.

    ``standing`` is what the store holds under its id. Only what nobody has decided on is worded
    anew, and then it has to be evaluated again, as what was withdrawn; what a quarantine holds
    stays there. Raises
    ValueError for a fresh lesson that claims more than to be proposed or quarantined.
    """
    if fresh.state not in ("proposed", "quarantined") or fresh.evaluations or fresh.approvals:
        message = f"lesson {fresh.lesson_id} may be proposed, not handed in as {fresh.state}"
        raise ValueError(message)
    if standing is None:
        return fresh
    if standing.state == "withdrawn":
        return fresh
    if standing.state not in UNDECIDED or standing.state == "quarantined":
        return None
    if content_hash(standing) != content_hash(fresh):
        return fresh
    kept = replace(
        fresh,
        state=standing.state if fresh.state == "proposed" else fresh.state,
        evaluations=standing.evaluations,
        approvals=standing.approvals,
    )
    return None if kept == standing else kept


def approved_by_policy(lesson: Lesson) -> bool:
    """Whether no person stood behind the last approval: what policy gave, it may take back."""
    return bool(lesson.approvals) and not lesson.approvals[-1].get("human", True)


def promoted_from(lessons: Mapping[str, Lesson], origins: Collection[str]) -> set[str]:
    """Return the ids of the lessons that were promoted from these, and from those in turn."""
    found: set[str] = set()
    newest = set(origins)
    while newest:
        newest = {
            lesson_id
            for lesson_id, lesson in lessons.items()
            if lesson_id not in found and newest & _origins(lesson)
        }
        found |= newest
    return found - set(origins)


def _origins(lesson: Lesson) -> set[str]:
    """Return the ids of the lessons that a lesson was promoted from; older ones hold how many."""
    said = lesson.content.get("promoted_from")
    return set(map(str, said)) if isinstance(said, list | tuple) else set()


def content_hash(lesson: Lesson) -> str:
    """Return the SHA-256 (hex) of what a lesson would do and to whom.

    Evaluations and approvals are bound to it; title, findings and evidence may grow.
    """
    text = json.dumps(
        {
            "layer": lesson.layer,
            "scope": [lesson.scope, lesson.scope_key, lesson.tenant, dict(lesson.selector)],
            "kind": lesson.kind,
            "body": lesson.body,
            "content": dict(lesson.content),
            "patch": [lesson.patch, lesson.base_path, lesson.base_hash],
        },
        sort_keys=True,
        ensure_ascii=False,
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _evaluated(lesson: Lesson, event: LessonEvent) -> Lesson:
    verdict = _one_of(event, "verdict", VERDICTS)
    entry = {
        **event.detail,
        "verdict": verdict,
        "by": event.by,
        "at": event.at.isoformat(),
        "content_hash": content_hash(lesson),
    }
    return replace(lesson, state="evaluated", evaluations=(*lesson.evaluations, entry))


def _approved(lesson: Lesson, event: LessonEvent) -> Lesson:
    last = lesson.evaluations[-1] if lesson.evaluations else {}
    verdict = last.get("verdict")
    if last.get("content_hash") != content_hash(lesson):
        message = f"lesson {lesson.lesson_id} was changed after its evaluation; evaluate it again"
        raise TransitionRefused(message)
    if verdict not in ("pass", "inconclusive"):
        message = (
            f"lesson {lesson.lesson_id} may not be approved: its last evaluation says {verdict}; "
            "evaluate it again or reject it"
        )
        raise TransitionRefused(message)
    by_policy = lesson.layer == "context" and lesson.scope == "user" and verdict == "pass"
    if not by_policy:
        _need_a_named_human(lesson, event)
    entry = {
        **event.detail,
        "decision": "approve",
        "by": event.by,
        "human": event.human,
        "at": event.at.isoformat(),
        "content_hash": content_hash(lesson),
    }
    return replace(lesson, state="approved", approvals=(*lesson.approvals, entry))


def _need_the_content_that_was_seen(lesson: Lesson, event: LessonEvent) -> None:
    """Refuse a judgement of other words than the lesson's, which may have changed meanwhile."""
    seen = event.detail.get("content_hash")
    if seen is not None and seen != content_hash(lesson):
        message = (
            f"lesson {lesson.lesson_id} was changed since it was looked at; look at it again, "
            f"then {event.kind} it"
        )
        raise TransitionRefused(message)


def _need_a_named_human(lesson: Lesson, event: LessonEvent) -> None:
    if not event.human or not event.by.strip():
        message = (
            f"lesson {lesson.lesson_id} ({lesson.layer}, {lesson.scope}) needs a named human to "
            f"{event.kind} it; say who with --by"
        )
        raise TransitionRefused(message)


def _one_of(event: LessonEvent, key: str, allowed: tuple[str, ...]) -> str:
    value = event.detail.get(key)
    if value not in allowed:
        message = f"{event.kind} needs detail[{key!r}] to be one of {', '.join(allowed)}: {value!r}"
        raise ValueError(message)
    return str(value)

"""A change of some lessons while it is made: what happens to them, before it has happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from spanlore.review.log import PROPOSE, Draft
from spanlore.review.memories import HOLD_OUT_DEFAULT
from spanlore.review.refusal import bad_request, not_found
from spanlore.review.shelf import Standing
from spanlore.schemas.lesson_state import (
    DELIVERED,
    Ending,
    EventKind,
    LessonEvent,
    content_hash,
    proposed,
    transition,
)
from spanlore.schemas.lesson_validity import validity_of
from spanlore.schemas.types import Lesson

__all__ = ["Caller", "Change", "Proposal"]

# What an evaluation is marked with when it is made; equal without it is the same said again.
_MARKS: Final = frozenset({"by", "at", "content_hash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks for a change: the name given, the address, and whether it speaks for a person."""

    by: str
    peer: str = ""
    human: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A lesson, and what its gate says of it where one did."""

    lesson: Lesson
    evaluation: Mapping[str, Any] | None


@dataclass(slots=True)
class Change:
    """Drafts of entries, each following from the one before. Nothing is kept by making one."""

    standings: Mapping[str, Standing]
    caller: Caller
    at: datetime
    drafts: list[Draft] = field(default_factory=list)
    _changed: dict[str, tuple[Lesson, int]] = field(default_factory=dict)

    def lesson(self, lesson_id: str) -> Lesson:
        """Return a lesson as it is by now. Raises Refused (404)."""
        found, _ = self._found(lesson_id)
        if found is None:
            raise not_found(f"there is no lesson {lesson_id}; see `spanlore lessons list`")
        return found

    def propose(self, proposal: Proposal) -> None:
        """Propose a lesson (again), and evaluate it where that says anything new.

        Nobody evaluates what is quarantined or decided on. Raises Refused, TransitionRefused.
        """
        fresh = proposal.lesson
        known = fresh.lesson_id in self.standings or fresh.lesson_id in self._changed
        try:
            after = proposed(self.lesson(fresh.lesson_id) if known else None, fresh)
        except ValueError as error:
            raise bad_request(str(error)) from error
        if after is not None:
            self._draft(PROPOSE, after, detail={}, caller=self.caller)
        lesson = self.lesson(fresh.lesson_id)
        evaluation = proposal.evaluation
        if evaluation is None or lesson.state not in ("proposed", "evaluated"):
            return
        # What was released has to be evaluated again, also where that says the same.
        if lesson.state == "proposed" or not _said_before(lesson, evaluation):
            self.happen(fresh.lesson_id, "evaluate", detail=evaluation)

    def end(self, ending: Ending) -> None:
        """End a lesson, unless it is no more as the one who says so saw it.

        Nothing that is delivered is superseded by what is not, or expires before its time. Raises
        Refused, TransitionRefused.
        """
        lesson = self.lesson(ending.lesson_id)
        if (lesson.state, content_hash(lesson)) != (ending.state, ending.content_hash):
            return
        if lesson.state in DELIVERED:
            if ending.kind == "supersede" and not self._is_delivered(ending.successor):
                return
            if ending.kind == "expire" and not validity_of(lesson.content).is_over(self.at):
                raise bad_request(f"lesson {lesson.lesson_id} still holds: it may be revoked")
        successor = {"successor": ending.successor} if ending.successor else {}
        self.happen(lesson.lesson_id, ending.kind, detail={"reason": ending.reason, **successor})

    def happen(
        self,
        lesson_id: str,
        kind: EventKind,
        *,
        detail: Mapping[str, Any] | None = None,
        caller: Caller | None = None,
    ) -> None:
        """Let an event happen to a lesson. Raises Refused, TransitionRefused."""
        by = caller or self.caller
        before = self.lesson(lesson_id)
        said = dict(detail or {})
        if kind == "approve":
            said = _approval(before, said)
        event = LessonEvent(kind=kind, by=by.by, at=self.at, human=by.human, detail=said)
        try:
            after = transition(before, event)
        except ValueError as error:
            raise bad_request(str(error)) from error
        self._draft(kind, after, detail=said, caller=by)

    def _is_delivered(self, lesson_id: str) -> bool:
        found, _ = self._found(lesson_id)
        return found is not None and found.state in DELIVERED

    def _found(self, lesson_id: str) -> tuple[Lesson | None, int]:
        """Return a lesson as it is by now and its version; none has the version 0."""
        standing = self.standings.get(lesson_id)
        before = (standing.lesson, standing.version) if standing else (None, 0)
        return self._changed.get(lesson_id, before)

    def _draft(
        self, event: str, after: Lesson, *, detail: Mapping[str, Any], caller: Caller
    ) -> None:
        _, version = self._found(after.lesson_id)
        draft = Draft(
            at=self.at,
            by=caller.by,
            human=caller.human,
            event=event,
            lesson=after,
            version=version + 1,
            detail=detail,
            peer=caller.peer,
        )
        self._changed[after.lesson_id] = (after, draft.version)
        self.drafts.append(draft)


def _said_before(lesson: Lesson, evaluation: Mapping[str, Any]) -> bool:
    last = lesson.evaluations[-1] if lesson.evaluations else {}
    return last.get("content_hash") == content_hash(lesson) and (
        _unmarked(last) == _unmarked(evaluation)
    )


def _unmarked(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in evaluation.items() if name not in _MARKS}


def _approval(lesson: Lesson, detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return the detail of an approval, with the share of users held out of a memory."""
    share = detail.get("hold_out")
    if lesson.layer != "context":
        if share is not None:
            raise bad_request("hold_out is for memories: nobody can be held out of a changed file")
        return dict(detail)
    if share is None:
        share = HOLD_OUT_DEFAULT[lesson.scope]
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise bad_request(f"hold_out is a share of users from 0 to 1: {share!r}")
    if share and lesson.scope == "user":
        raise bad_request("a user is never held out of their own memory: leave hold_out out")
    return {**detail, "hold_out": share}

"""Where a round of learning hands in its proposals: the one who keeps the lessons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from spanlore.schemas.lesson_state import Ending, LessonEvent, proposed, transition
from spanlore.schemas.types import Lesson

BY = "spanlore learn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A lesson as it is proposed, and what its gate says of it (``gates``).

    ``evaluation`` is the detail of the event "evaluate"; None for what is quarantined, which
    nobody evaluates before a person has looked at it.
    """

    lesson: Lesson
    evaluation: Mapping[str, Any] | None


class Desk(Protocol):
    """The keeper of lessons: the review door, which alone writes them."""

    def submit(
        self,
        proposals: Sequence[Proposal],
        superseded: Sequence[str],
        endings: Sequence[Ending] = (),
    ) -> list[Lesson]:
        """Hand in proposals, the ids of lessons they replace, and what else is to end.

        Returns the lessons as they stand afterwards, in the order of the proposals.
        """
        ...


class DryRun:
    """The desk of a dry run: it says what would stand, and keeps nothing."""

    def __init__(self, standing: Mapping[str, Lesson], at: datetime) -> None:
        self._standing = standing
        self._at = at

    def submit(
        self,
        proposals: Sequence[Proposal],
        superseded: Sequence[str],
        endings: Sequence[Ending] = (),
    ) -> list[Lesson]:
        """Return the lessons as they would stand."""
        del superseded, endings
        return [self._after(one) for one in proposals]

    def _after(self, proposal: Proposal) -> Lesson:
        standing = self._standing.get(proposal.lesson.lesson_id)
        lesson = proposed(standing, proposal.lesson) or standing or proposal.lesson
        if proposal.evaluation is None or lesson.state != "proposed":
            return lesson
        event = LessonEvent(kind="evaluate", by=BY, at=self._at, detail=proposal.evaluation)
        return transition(lesson, event)

"""The real keeper of lessons, in this process, as a round of learning sees it."""

from collections.abc import Mapping, Sequence
from typing import Any

from spanlore.analyzers.lessons.desk import Proposal
from spanlore.review import change
from spanlore.review.desk import Desk
from spanlore.schemas.lesson_state import Ending, EventKind
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson

LEARN = change.Caller(by="spanlore learn")
ADA = change.Caller(by="ada", human=True)


class LocalDesk:
    """``spanlore.analyzers.lessons.desk.Desk`` over the store of a test."""

    def __init__(self, store_url: str) -> None:
        self.desk = Desk(lambda: Store.connect(store_url))
        self.desk.open()

    def submit(
        self,
        proposals: Sequence[Proposal],
        superseded: Sequence[str],
        endings: Sequence[Ending] = (),
    ) -> list[Lesson]:
        handed_in = [
            change.Proposal(lesson=one.lesson, evaluation=one.evaluation) for one in proposals
        ]
        stand = self.desk.propose(handed_in, superseded, caller=LEARN, endings=endings)
        return [standing.lesson for standing in stand]

    def propose(self, *lessons: Lesson) -> list[Lesson]:
        """Propose lessons that no round of learning came to."""
        return self.submit([Proposal(lesson=one, evaluation=None) for one in lessons], [])

    def happen(
        self, lesson_id: str, kind: EventKind, detail: Mapping[str, Any] | None = None
    ) -> Lesson:
        """Let a person do something to a lesson."""
        return self.desk.happen(lesson_id, kind, caller=ADA, detail=detail or {}).lesson

    def by_policy(self, lesson_id: str) -> Lesson:
        """Approve a lesson as policy does: no person stands behind it."""
        return self.desk.happen(lesson_id, "approve", caller=LEARN, detail={}).lesson

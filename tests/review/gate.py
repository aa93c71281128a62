"""What must be true of a lesson that agents may see, on whatever path it came there."""

from collections.abc import Sequence
from dataclasses import dataclass

from spanlore.schemas.lesson_state import DELIVERED, content_hash
from spanlore.schemas.types import Lesson

# Approved, or in a state that only follows an approval.
LIVE = DELIVERED | {"harmful", "rolled_back"}


@dataclass(frozen=True)
class Told:
    """One thing that the log tells of a lesson."""

    event: str
    by: str
    human: bool
    lesson: Lesson


def assert_passed_the_gate(lesson: Lesson, story: Sequence[Told]) -> None:
    """Fail unless the lesson was evaluated as it is now, and then approved by who may."""
    wording = content_hash(lesson)
    assert story, "the log tells nothing of it"
    assert story[-1].lesson == lesson
    last = max(at for at, told in enumerate(story) if told.event == "approve")
    # Nothing was worded anew or judged again behind the approval's back.
    assert not {told.event for told in story[last:]} & {"propose", "evaluate", "release"}
    approval = story[last]
    assert content_hash(approval.lesson) == wording
    before = [told for told in story[:last] if told.event == "evaluate"]
    verdict = before[-1].lesson.evaluations[-1]
    assert verdict["content_hash"] == wording
    entry = lesson.approvals[-1]
    assert (entry["content_hash"], entry["by"], entry["human"]) == (
        wording,
        approval.by,
        approval.human,
    )
    named_human = approval.human and bool(approval.by.strip())
    assert verdict["verdict"] == "pass" or (verdict["verdict"] == "inconclusive" and named_human)
    assert lesson.evaluations[-1] == verdict
    if lesson.layer != "context" or lesson.scope != "user":
        assert named_human

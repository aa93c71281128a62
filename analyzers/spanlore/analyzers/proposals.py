"""The lessons a round of learning proposes, beside those that stand already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spanlore.analyzers.harness_lesson import harness_lessons
from spanlore.analyzers.memory_lesson import memory_lessons, replaced
from spanlore.schemas.lesson_state import UNDECIDED
from spanlore.schemas.types import Finding, Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a round of learning has to say about lessons.

    ``decided`` stand already and answer what was found; ``proposed`` are new, or worded anew;
    ``superseded`` are the ids of undecided lessons that wider ones among them replace.
    """

    decided: tuple[Lesson, ...]
    proposed: tuple[Lesson, ...]
    superseded: tuple[str, ...]


def propose(standing: Mapping[str, Lesson], found: Sequence[Finding], repo: Path | None) -> Round:
    """Return the lessons of the confirmed findings, given those that stand (by id).

    Only a lesson that nobody has decided on is worded anew, and never loses its patch because
    this time no repository was given. What somebody decided on answers its findings. Raises
    NotADirectoryError when ``repo`` is no folder.
    """
    confirmed = {one.finding_id: one for one in found if one.confirmed}
    decided = [
        lesson
        for lesson in standing.values()
        if lesson.state not in (*UNDECIDED, "superseded") and confirmed.keys() & lesson.findings
    ]
    answered = {finding_id for lesson in decided for finding_id in lesson.findings}
    unanswered = [one for one in confirmed.values() if one.finding_id not in answered]
    fresh = [*memory_lessons(unanswered), *harness_lessons(unanswered, repo)]
    kept = [_kept(lesson, list(standing.values())) for lesson in fresh]
    proposed = list({lesson.lesson_id: lesson for lesson in kept}.values())
    stands = [*decided, *proposed]
    gone = [
        lesson.lesson_id
        for lesson in standing.values()
        if lesson.state in UNDECIDED and _is_within(lesson, stands)
    ]
    return Round(
        decided=tuple(decided),
        proposed=tuple(proposed),
        superseded=tuple(dict.fromkeys([*gone, *replaced(stands, standing)])),
    )


def _kept(fresh: Lesson, standing: Sequence[Lesson]) -> Lesson:
    """Return the standing lesson that the fresh one must not replace, else the fresh one."""
    for known in standing:
        if known.state not in UNDECIDED:
            continue
        if known.lesson_id == fresh.lesson_id:
            held = (known.state == "quarantined") != (fresh.state == "quarantined")
            if held or (known.patch is not None and fresh.patch is None):
                return _as_proposed(known)
        elif (
            known.patch is not None
            and fresh.patch is None
            and {*fresh.findings} < {*known.findings}
        ):
            return _as_proposed(known)
    return fresh


def _as_proposed(lesson: Lesson) -> Lesson:
    state = lesson.state if lesson.state == "quarantined" else "proposed"
    return replace(lesson, state=state, evaluations=(), approvals=())


def _is_within(lesson: Lesson, lessons: Sequence[Lesson]) -> bool:
    """Whether another lesson answers everything that this one does."""
    return all(one.lesson_id != lesson.lesson_id for one in lessons) and any(
        {*lesson.findings} <= {*one.findings} for one in lessons if one.layer == lesson.layer
    )

"""Lessons as they are kept, with their versions, and which of them a person means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spanlore.cli.errors import CommandFailed
from spanlore.schemas.types import Lesson

if TYPE_CHECKING:
    from spanlore.schemas.store import Store

__all__ = ["KeptLesson", "chosen", "stored_lessons"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLesson:
    """A lesson as it stands; ``version`` counts how often it was written, from 1."""

    lesson: Lesson
    version: int

    def json(self) -> dict[str, Any]:
        """Return the JSON object of the lesson with its version."""
        from spanlore.schemas.lesson_records import lesson_json

        return {**lesson_json(self.lesson), "version": self.version}


def stored_lessons(store: "Store") -> list[KeptLesson]:
    """Return every lesson of the store as it stands. Raises StoreError."""
    from spanlore.schemas.lesson_records import latest_lessons

    found = latest_lessons(store).values()
    return [KeptLesson(lesson=lesson, version=version) for lesson, version in found]


def chosen(lessons: Sequence[KeptLesson], beginning: str) -> KeptLesson:
    """Return the lesson of this id, or the one whose id begins so; CommandFailed when none is."""
    if not beginning.strip():
        raise CommandFailed("an empty id names no lesson; see `spanlore lessons list`")
    same = [one for one in lessons if one.lesson.lesson_id == beginning]
    found = same or [one for one in lessons if one.lesson.lesson_id.startswith(beginning)]
    if len(found) != 1:
        how_many = "no lesson begins" if not found else f"{len(found)} lessons begin"
        raise CommandFailed(f"{how_many} with {beginning}; see `spanlore lessons list`")
    return found[0]

"""What a round of learning would have a person look at; the next round says it anew."""

from collections.abc import Sequence
from datetime import datetime

from spanlore.analyzers.lessons.lesson_note import Note
from spanlore.schemas.learning_tables import LESSON_NOTES
from spanlore.schemas.store import Store

_STANDING_SQL = f"""
SELECT LessonId, Kind, OtherId, Reason FROM {LESSON_NOTES}
WHERE At = (SELECT max(At) FROM {LESSON_NOTES}) AND LessonId != ''
ORDER BY Kind, LessonId, OtherId
"""


def standing_notes(store: Store) -> list[Note]:
    """Return the notes of the latest round that had other ones than the round before."""
    return [
        Note(
            lesson_id=row["LessonId"],
            kind=row["Kind"],
            other_id=row["OtherId"],
            reason=row["Reason"],
        )
        for row in store.query(_STANDING_SQL)
    ]


def write_notes(store: Store, notes: Sequence[Note], at: datetime) -> None:
    """Let these notes stand, and no others; nothing is written where they do already."""
    if set(notes) == set(standing_notes(store)):
        return
    rows = [
        {
            "At": at,
            "LessonId": one.lesson_id,
            "Kind": one.kind,
            "OtherId": one.other_id,
            "Reason": one.reason,
        }
        for one in notes
    ]
    store.insert(LESSON_NOTES, rows or [{"At": at, "LessonId": ""}])


def note_json(note: Note) -> dict[str, str | None]:
    """Return the JSON object of a note."""
    return {
        "lesson_id": note.lesson_id,
        "kind": note.kind,
        "other_id": note.other_id or None,
        "reason": note.reason,
    }

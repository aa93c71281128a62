"""A note on a lesson, for whoever writes and whoever only reads it: no statistics are needed."""

from dataclasses import dataclass
from typing import Literal

NoteKind = Literal["conflict", "retire"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person should look at: ``other_id`` is the other lesson of a conflict, else ""."""

    lesson_id: str
    kind: NoteKind
    reason: str
    other_id: str = ""

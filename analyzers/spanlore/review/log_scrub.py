"""What the learning log is to say without one user: rows in the place of its entries. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spanlore.review import log
from spanlore.review.log import Draft, Entry
from spanlore.review.scrub import Whose, cleaned, says_of, without
from spanlore.schemas.lesson_state import content_hash
from spanlore.schemas.types import Lesson

__all__ = ["LogScrub"]


@dataclass(slots=True)
class LogScrub:
    """Goes through the rows of a log in order; ``rows`` are to stand in their entries' places.

    ``lesson_ids`` are the lessons of which these are.
    """

    whose: Whose
    rows: list[dict[str, Any]] = field(default_factory=list)
    lesson_ids: set[str] = field(default_factory=set)
    _hashes: dict[str, dict[str, str]] = field(default_factory=dict)

    def read(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Read rows that hold (``log.verify``)."""
        for row in rows:
            entry = log.entry_of_row(row)
            if entry.lesson is not None and self._is_of_them(row, entry.lesson):
                draft = self._draft(entry, entry.lesson)
                self.rows.append(log.rewritten(entry, draft))
                self.lesson_ids.add(entry.lesson.lesson_id)

    def commitments(self) -> dict[str, str]:
        """Return number of an entry -> commitment to what is to stand in its place."""
        return {str(row["Seq"]): log.commitment(row) for row in self.rows}

    def _is_of_them(self, row: Mapping[str, Any], lesson: Lesson) -> bool:
        if lesson.lesson_id in self.whose.lesson_ids or lesson.lesson_id in self._hashes:
            return True
        said = "\n".join((row["By"], row["Detail"], row["Lesson"]))
        return says_of(said, self.whose, tenant=lesson.tenant)

    def _draft(self, entry: Entry, lesson: Lesson) -> Draft:
        by = cleaned(entry.by, self.whose)
        if lesson.lesson_id in self.whose.lesson_ids:
            return _draft_of(entry, by=by, lesson=None, detail={})
        fresh = without(lesson, self.whose)
        hashes = self._hashes.setdefault(lesson.lesson_id, {})
        hashes[content_hash(lesson)] = content_hash(fresh)
        return _draft_of(
            entry,
            by=by,
            lesson=replace(
                fresh,
                evaluations=tuple(_bound(one, hashes) for one in fresh.evaluations),
                approvals=tuple(_bound(one, hashes) for one in fresh.approvals),
            ),
            detail=_bound(cleaned(entry.detail, self.whose), hashes),
        )


def _draft_of(entry: Entry, *, by: str, lesson: Lesson | None, detail: Mapping[str, Any]) -> Draft:
    return Draft(
        at=entry.at,
        by=by,
        human=entry.human,
        event=entry.event,
        lesson=lesson,
        version=entry.version if lesson else 0,
        detail=detail,
        peer=entry.peer if lesson else "",
    )


def _bound(said: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, Any]:
    """Bind what was said of a lesson's content to the same content without them."""
    seen = said.get("content_hash")
    return {**said, "content_hash": hashes.get(seen, seen)} if seen is not None else dict(said)

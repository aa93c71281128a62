"""The lessons as the log tells them: every entry is followed again, by the rules, from the first.

A chain of hashes alone would vouch for whatever somebody wrote with a fitting hash. So an entry
holds only when ``lesson_state`` makes of the lesson before it exactly the lesson in it: no row in
the store, however it came there, approves what was not evaluated.

The rows of ``lessons`` and ``effects`` are copies. Those that a crash kept from being written are
made again; one that says more than the log, or other things, breaks the log: entries were taken
off its end, or somebody else wrote the row.

An entry that an erasing has rewritten holds by the same rules; only that it worded a lesson anew
can no longer be seen where the words that were new are gone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from spanlore.review import log
from spanlore.review.log import PROPOSE, START, Break, Entry, Head
from spanlore.schemas.effect_records import effect_of_json, effect_row
from spanlore.schemas.learning_tables import EFFECTS, LEARNING_LOG, LESSONS
from spanlore.schemas.lesson_records import lesson_of_row, lesson_row
from spanlore.schemas.lesson_state import (
    EventKind,
    LessonEvent,
    TransitionRefused,
    proposed,
    transition,
)
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson

__all__ = ["Shelf", "Standing", "Unvouched", "follow", "followed", "read", "written_rows"]

_VERSIONS_SQL: Final = f"SELECT DISTINCT LessonId, Version FROM {LESSONS}"
_LAST_ROWS_SQL: Final = f"""
SELECT * FROM {LESSONS}
WHERE (LessonId, Version) IN (SELECT LessonId, max(Version) FROM {LESSONS} GROUP BY LessonId)
"""
_EFFECTS_SQL: Final = f"""
SELECT DISTINCT LessonId, toUnixTimestamp64Micro(At) AS Micros FROM {EFFECTS}
"""
# With the lessons of entries that an erasing behind the break is said to have rewritten.
_NAMED_SQL: Final = f"""
SELECT DISTINCT LessonId FROM {LEARNING_LOG}
WHERE Seq > {{after:UInt64}} OR ErasedBy > {{after:UInt64}}
"""

Rows = Mapping[str, list[dict[str, Any]]]


class Unvouched(Exception):
    """An entry tells of a change that the rules do not allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A lesson as it stands: ``seq`` is its last entry's, ``approved_seq`` its approval's or 0."""

    lesson: Lesson
    version: int
    seq: int
    approved_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Every lesson as it stands after the entry ``head``.

    Where the log is broken this is the state before the break, and ``disputed`` holds the lessons
    of which anything later, also a row of ``lessons``, tells. ``owed`` is table -> the rows that
    the log calls for and the store lacks.
    """

    standings: Mapping[str, Standing] = field(default_factory=dict)
    head: Head = START
    broken: Break | None = None
    disputed: frozenset[str] = frozenset()
    owed: Rows = field(default_factory=dict)


def follow(standing: Standing | None, entry: Entry, lesson: Lesson) -> Standing:
    """Return the lesson's standing after an entry that tells of it. Raises Unvouched."""
    before = standing.lesson if standing else None
    if entry.version != (standing.version if standing else 0) + 1:
        raise Unvouched(f"entry {entry.seq} skips a version of lesson {lesson.lesson_id}")
    try:
        after = _after(before, entry, lesson)
    except (ValueError, TransitionRefused, Unvouched) as error:
        raise Unvouched(f"entry {entry.seq} may not be: {error}") from error
    if after != lesson:
        raise Unvouched(f"entry {entry.seq} is not what {entry.event} makes of the lesson")
    return followed(standing, entry, lesson)


def followed(standing: Standing | None, entry: Entry, lesson: Lesson) -> Standing:
    """Return the standing after an entry that is known to follow from it."""
    approved_seq = standing.approved_seq if standing else 0
    return Standing(
        lesson=lesson,
        version=entry.version,
        seq=entry.seq,
        approved_seq=entry.seq if entry.event == "approve" else approved_seq,
    )


def read(store: Store, since: Shelf | None = None) -> Shelf:
    """Read the log (after ``since``, a shelf that is not broken) and hold the copies against it.

    Raises StoreError.
    """
    # Before the log: it is written first, so what a row tells the log told already.
    copies = _Copies.of(store)
    since = since or Shelf()
    standings = dict(since.standings)
    head, broken = since.head, None
    owed: dict[str, list[dict[str, Any]]] = {LESSONS: [], EFFECTS: []}
    for entry in _entries(store, since.head):
        if isinstance(entry, Break):
            broken = entry
            break
        if (lesson := entry.lesson) is not None:
            try:
                standing = follow(standings.get(lesson.lesson_id), entry, lesson)
            except Unvouched as error:
                broken = Break(entry.seq, str(error))
                break
            standings[lesson.lesson_id] = standing
        head = entry.head
        for table, rows in written_rows([entry]).items():
            owed[table] += [row for row in rows if not copies.hold(table, row)]
    strange = dict(copies.strange(standings, head))
    broken = broken or next(iter(strange.values()), None)
    if broken is None:
        return Shelf(standings=standings, head=head, owed=owed)
    named = {row["LessonId"] for row in store.query(_NAMED_SQL, {"after": head.seq})}
    disputed = frozenset(named | strange.keys())
    return Shelf(standings=standings, head=head, broken=broken, disputed=disputed)


def written_rows(entries: Iterable[Entry]) -> Rows:
    """Return table -> the rows that entries call for."""
    rows: dict[str, list[dict[str, Any]]] = {LESSONS: [], EFFECTS: []}
    for entry in entries:
        if entry.lesson is None:
            continue
        row = lesson_row(entry.lesson, at=entry.at, version=entry.version, by=entry.by)
        rows[LESSONS].append(row)
        if entry.event == "measure":
            measured = effect_of_json(entry.detail["measured"])
            rows[EFFECTS].append(effect_row(measured, at=entry.at))
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copies:
    """What the tables hold that are written after the log: keys of rows, and the last lessons."""

    keys: Mapping[str, set[tuple[str, int]]]
    last_rows: list[dict[str, Any]]

    @classmethod
    def of(cls, store: Store) -> "_Copies":
        last_rows = store.query(_LAST_ROWS_SQL)
        lessons = {(row["LessonId"], row["Version"]) for row in store.query(_VERSIONS_SQL)}
        effects = {(row["LessonId"], row["Micros"]) for row in store.query(_EFFECTS_SQL)}
        return cls(keys={LESSONS: lessons, EFFECTS: effects}, last_rows=last_rows)

    def hold(self, table: str, row: Mapping[str, Any]) -> bool:
        number = row["Version"] if table == LESSONS else log.micros(row["At"])
        return (row["LessonId"], number) in self.keys[table]

    def strange(self, standings: Mapping[str, Standing], head: Head) -> Iterator[tuple[str, Break]]:
        """Yield lesson id and Break for the last rows that the log does not tell of."""
        for row in self.last_rows:
            lesson_id, version = row["LessonId"], row["Version"]
            standing = standings.get(lesson_id)
            named = f"version {version} of lesson {lesson_id} in the table {LESSONS}"
            if standing is None or version > standing.version:
                yield lesson_id, Break(head.seq + 1, f"no entry of the log tells of {named}")
            elif version == standing.version and not _says(row, standing.lesson):
                yield lesson_id, Break(standing.seq, f"the log tells otherwise than {named}")


def _entries(store: Store, head: Head) -> Iterator[Entry | Break]:
    """Yield the entries after ``head`` that hold, and at last, where the log does not, why."""
    for page in log.pages(store, head.seq):
        rows, broken = log.verify(page, head)
        for row in rows:
            try:
                entry = log.entry_of_row(row)
            except ValueError as error:
                yield Break(row["Seq"], f"entry {row['Seq']} cannot be read: {error}")
                return
            head = entry.head
            yield entry
        if broken is not None:
            yield broken
            return


def _after(before: Lesson | None, entry: Entry, lesson: Lesson) -> Lesson:
    """Return what the rules make of a lesson by an entry's event."""
    if entry.event == PROPOSE:
        state = "quarantined" if lesson.state == "quarantined" else "proposed"
        fresh = replace(lesson, state=state, evaluations=(), approvals=())
        # The words that were new in it may be gone.
        if entry.erased_by and before is not None and lesson in (before, fresh):
            return lesson
        after = proposed(before, fresh)
        if after is None:
            raise Unvouched("it was proposed before")
        return after
    if before is None:
        raise Unvouched("nobody proposed the lesson")
    event = LessonEvent(
        kind=cast("EventKind", entry.event),
        by=entry.by,
        at=entry.at,
        human=entry.human,
        detail=entry.detail,
    )
    return transition(before, event)


def _says(row: Mapping[str, Any], lesson: Lesson) -> bool:
    try:
        return lesson_of_row(row) == lesson
    except (ValueError, TypeError):
        return False

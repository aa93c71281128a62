"""The learning log: who changed what the agents know, when and why, as a chain of hashes.

An entry's hash is the SHA-256 of its commitment and of the hash before it, and the commitment that
of what it says and a random salt. So an entry that is edited, taken out or put in between breaks
the chain at its place. It holds the whole lesson as it stood after: rows of ``lessons`` and
``effects`` can be made again from it.

What an entry says of a user can be erased (``rewritten``): the commitment stays where the words and
the salt, without which nobody can guess them, are gone. What may stand in their place is committed
to by the entry of the erasing, in its detail, so nothing else can be put there.

There may be one entry with a number. Appending names that number in the insert's deduplication
token, so that of two doors on one store that append at once the store keeps the first.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from spanlore.schemas.learning_tables import LEARNING_LOG
from spanlore.schemas.lesson_records import lesson_json, lesson_of_json
from spanlore.schemas.lesson_state import content_hash
from spanlore.schemas.store import Store
from spanlore.schemas.types import Lesson

__all__ = [
    "ERASE",
    "ERASED",
    "PROPOSE",
    "REWRITTEN",
    "START",
    "Break",
    "Draft",
    "Entry",
    "Head",
    "append",
    "broken_link",
    "chained",
    "commitment",
    "drop_replaced",
    "entry_hash",
    "entry_of_row",
    "entry_row",
    "is_erased_after",
    "latest_rows",
    "micros",
    "pages",
    "rewrite",
    "rewritten",
    "row_json",
    "tail",
    "verify",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE_ENTRIES: Final = 2_000
_SALT_BYTES: Final = 16

# Entries with the same number stay on one page, so that a reader of pages sees a fork.
_PAGE_SQL: Final = f"""
SELECT * EXCEPT (At), toUnixTimestamp64Nano(At) AS AtNano FROM {LEARNING_LOG}
WHERE Seq > {{after:UInt64}} ORDER BY Seq, Hash LIMIT {{entries:UInt32}} WITH TIES
"""
_LATEST_SQL: Final = f"""
SELECT * EXCEPT (At), toUnixTimestamp64Nano(At) AS AtNano FROM {LEARNING_LOG}
WHERE {{lesson_id:String}} IN ('', LessonId)
ORDER BY Seq DESC, ErasedBy DESC LIMIT 1 BY Seq, Hash LIMIT {{limit:UInt32}}
"""
_TAIL_SQL: Final = f"""
SELECT Seq, Hash FROM {LEARNING_LOG} WHERE Seq >= {{seq:UInt64}} ORDER BY Seq LIMIT 3
"""
_AT_SQL: Final = f"SELECT Seq, Hash FROM {LEARNING_LOG} WHERE Seq IN %(seqs)s ORDER BY Seq"
_ERASINGS_SQL: Final = f"""
SELECT Seq, Detail FROM {LEARNING_LOG} WHERE Seq IN %(seqs)s AND Event = 'erase'
"""
_ERASED_AFTER_SQL: Final = f"""
SELECT Seq FROM {LEARNING_LOG} WHERE Seq > {{seq:UInt64}} AND Event IN ('erase', 'erased') LIMIT 1
"""
_DROP_SQL: Final = f"""
ALTER TABLE {LEARNING_LOG} DELETE WHERE (Seq, Hash, ErasedBy) NOT IN (
    SELECT Seq, Hash, max(ErasedBy) FROM {LEARNING_LOG} GROUP BY Seq, Hash
) SETTINGS mutations_sync = 2
"""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """The first place at which a log does not hold."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry before it has its place in the chain. ``lesson`` is the lesson after the event.

    ``event`` is PROPOSE, a kind of ``LessonEvent``, ERASE or ERASED; ``peer`` the address that
    asked, "" for what the door does by itself. ``detail`` is JSON-plain. An erasing is of no
    lesson, and an entry that was erased whole no longer tells of one.
    """

    at: datetime
    by: str
    human: bool
    event: str
    lesson: Lesson | None
    version: int
    detail: Mapping[str, Any]
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Draft):
    """An entry of the log; ``erased_by`` is the number of the one that took words out of it, or 0.

    ``commitment`` is to what it said when it was written, ``salt`` belongs to what it says now.
    """

    seq: int
    previous_hash: str
    hash: str
    salt: str
    commitment: str
    erased_by: int = 0

    @property
    def head(self) -> Head:
        """The chain's end, where this is the last entry."""
        return Head(self.seq, self.hash)


START: Final = Head(0, "0" * 64)
# The event of an entry by which a lesson is new, or worded anew.
PROPOSE: Final = "propose"
# An erasing begins, and has ended; the other events are EventKinds.
ERASE: Final = "erase"
ERASED: Final = "erased"
# In the detail of ERASE: number of an entry -> commitment to what stands in its place.
REWRITTEN: Final = "rewritten"


def chained(drafts: Sequence[Draft], head: Head) -> list[Entry]:
    """Give drafts their places after ``head``."""
    entries = []
    for draft in drafts:
        said = {**_said(draft), "Salt": secrets.token_hex(_SALT_BYTES)}
        row = {
            **said,
            "Seq": head.seq + 1,
            "AtNano": micros(draft.at) * 1000,
            "Commitment": commitment(said),
            "ErasedBy": 0,
            "PreviousHash": head.hash,
        }
        entry = entry_of_row({**row, "Hash": entry_hash(row)})
        entries.append(entry)
        head = entry.head
    return entries


def rewritten(entry: Entry, draft: Draft) -> dict[str, Any]:
    """Return the row that says ``draft`` in an entry's place, but for ``ErasedBy``."""
    said = {**_said(draft), "Salt": secrets.token_hex(_SALT_BYTES)}
    return {**entry_row(entry), **said}


def entry_row(entry: Entry) -> dict[str, Any]:
    """Return the row of ``learning_log``."""
    return {
        **_said(entry),
        "Seq": entry.seq,
        "At": entry.at,
        "Salt": entry.salt,
        "Commitment": entry.commitment,
        "ErasedBy": entry.erased_by,
        "PreviousHash": entry.previous_hash,
        "Hash": entry.hash,
    }


def entry_of_row(row: Row) -> Entry:
    """Read a row as ``pages`` gives it. Raises ValueError when it cannot be an entry."""
    try:
        said = json.loads(row["Detail"])
        return Entry(
            at=_EPOCH + timedelta(microseconds=row["AtNano"] // 1000),
            by=row["By"],
            human=bool(row["Human"]),
            event=row["Event"],
            lesson=lesson_of_json(json.loads(row["Lesson"])) if row["Lesson"] else None,
            version=row["LessonVersion"],
            detail=said["detail"],
            peer=said["peer"],
            seq=row["Seq"],
            previous_hash=row["PreviousHash"],
            hash=row["Hash"],
            salt=row["Salt"],
            commitment=row["Commitment"],
            erased_by=row["ErasedBy"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"entry {row['Seq']} lacks {error}") from error


def commitment(row: Row) -> str:
    """Return the SHA-256 (hex) of what a row says and of its salt."""
    said = [
        row["Salt"],
        row["By"],
        bool(row["Human"]),
        row["Event"],
        row["LessonId"],
        row["LessonVersion"],
        row["ContentHash"],
        row["Detail"],
        row["Lesson"],
    ]
    return hashlib.sha256(_canonical(said).encode()).hexdigest()


def entry_hash(row: Row) -> str:
    """Return the SHA-256 (hex) of a row's place, time and commitment, and of the hash before it."""
    held = [row["PreviousHash"], row["Seq"], row["AtNano"] // 1000, row["Commitment"]]
    return hashlib.sha256(_canonical(held).encode()).hexdigest()


def broken_link(row: Row, head: Head) -> str | None:
    """Say what is wrong with a row that should follow ``head``, None when nothing is."""
    if row["Seq"] != head.seq + 1:
        return f"entry {head.seq + 1} is missing"
    if row["PreviousHash"] != head.hash:
        return f"entry {row['Seq']} does not follow the one before it"
    # What stands in a rewritten entry's place is committed to by the entry that erased.
    committed = row["Replacement"] if row["ErasedBy"] else row["Commitment"]
    if row["Hash"] != entry_hash(row) or committed != commitment(row):
        return f"entry {row['Seq']} was changed after it was written"
    return None


def verify(rows: Sequence[Row], after: Head = START) -> tuple[list[Row], Break | None]:
    """Follow the chain through rows in order of Seq.

    Gives those that hold, a copy of a row taken once, and where it breaks.
    """
    once = _once(rows)
    held: list[Row] = []
    for at, row in enumerate(once):
        if at + 1 < len(once) and once[at + 1]["Seq"] == row["Seq"]:
            return held, Break(
                row["Seq"],
                f"there are two entries {row['Seq']}: another review door writes this store",
            )
        reason = broken_link(row, after)
        if reason is not None:
            return held, Break(after.seq + 1, reason)
        held.append(row)
        after = Head(row["Seq"], row["Hash"])
    return held, None


def micros(at: datetime) -> int:
    """Return the microseconds since 1970, which is how exactly the log keeps a time."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def pages(store: Store, after: int = 0) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows after number ``after``, in order; the time is ``AtNano`` in them.

    ``Replacement`` is what the entry that erased commits to in the place of each rewritten one.
    """
    while page := store.query(_PAGE_SQL, {"after": after, "entries": _PAGE_ENTRIES}):
        # After the page: an erasing is written down before anything is rewritten by it.
        replaced = _replacements(store, {row["ErasedBy"] for row in page} - {0})
        for row in page:
            row["Replacement"] = replaced.get(row["ErasedBy"], {}).get(str(row["Seq"]), "")
        yield page
        after = page[-1]["Seq"]


def rewrite(store: Store, rows: Sequence[Row], *, erased_by: int) -> None:
    """Put rows (as ``rewritten`` gives them) in their entries' places. Raises StoreError.

    They stand beside those that say more until these are gone, and count already.
    """
    if rows:
        store.insert(LEARNING_LOG, [{**row, "ErasedBy": erased_by} for row in rows])


def drop_replaced(store: Store) -> None:
    """Delete the rows in whose place others stand, of a log that holds. Raises StoreError."""
    store.command(_DROP_SQL)


def latest_rows(store: Store, *, lesson_id: str, limit: int) -> list[dict[str, Any]]:
    """Return the last rows (of one lesson, of all for ""), the oldest of them first."""
    rows = store.query(_LATEST_SQL, {"lesson_id": lesson_id, "limit": limit})
    return rows[::-1]


def row_json(row: Row) -> dict[str, Any]:
    """Return the JSON object of a row, also of one that was tampered with."""
    said, lesson = _object(row["Detail"]), _object(row["Lesson"])
    return {
        "seq": row["Seq"],
        "at": (_EPOCH + timedelta(microseconds=row["AtNano"] // 1000)).isoformat(),
        "by": row["By"],
        "human": bool(row["Human"]),
        "event": row["Event"],
        "lesson_id": row["LessonId"],
        "version": row["LessonVersion"],
        "state": lesson.get("state"),
        "content_hash": row["ContentHash"],
        "detail": said.get("detail"),
        "peer": said.get("peer"),
        "erased_by": row["ErasedBy"] or None,
        "previous_hash": row["PreviousHash"],
        "hash": row["Hash"],
    }


def tail(store: Store, seq: int) -> list[Head]:
    """Return the first few entries from number ``seq`` on, as heads."""
    return [Head(row["Seq"], row["Hash"]) for row in store.query(_TAIL_SQL, {"seq": seq})]


def is_erased_after(store: Store, seq: int) -> bool:
    """Say whether behind number ``seq`` an erasing is told of."""
    return bool(store.query(_ERASED_AFTER_SQL, {"seq": seq}))


def append(store: Store, entries: Sequence[Entry]) -> bool:
    """Write entries in one insert; say whether they are in, False when another was first.

    Raises StoreError; whether they were written is unknown then.
    """
    seq = entries[0].seq
    rows = [entry_row(entry) for entry in entries]
    store.insert(LEARNING_LOG, rows, token=f"entry {seq}")
    found = _at(store, entries)
    if not found:
        # The store remembers the token of an entry that was since deleted, to mend the log.
        store.insert(LEARNING_LOG, rows, token=f"entry {seq} {entries[0].hash}")
        found = _at(store, entries)
    return found == [entry.head for entry in entries]


def _at(store: Store, entries: Sequence[Entry]) -> list[Head]:
    found = store.query(_AT_SQL, {"seqs": [entry.seq for entry in entries]})
    return [Head(row["Seq"], row["Hash"]) for row in found]


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _once(rows: Sequence[Row]) -> list[Row]:
    """Leave out copies of a row, and rows in whose place a rewritten one stands."""
    latest: dict[tuple[int, str], int] = {}
    for row in rows:
        key = (row["Seq"], row["Hash"])
        latest[key] = max(latest.get(key, 0), row["ErasedBy"])
    standing = [row for row in rows if row["ErasedBy"] == latest[row["Seq"], row["Hash"]]]
    return [row for at, row in enumerate(standing) if not at or row != standing[at - 1]]


def _replacements(store: Store, seqs: AbstractSet[int]) -> dict[int, Mapping[str, str]]:
    """Return what erasings commit to: number of the erasing -> number of an entry -> commitment."""
    rows = store.query(_ERASINGS_SQL, {"seqs": sorted(seqs)}) if seqs else []
    return {
        row["Seq"]: (_object(row["Detail"]).get("detail") or {}).get(REWRITTEN) or {}
        for row in rows
    }


def _said(draft: Draft) -> dict[str, Any]:
    """Return the columns that a commitment is of, but for the salt."""
    lesson = draft.lesson
    return {
        "By": draft.by,
        "Human": int(draft.human),
        "Event": draft.event,
        "LessonId": lesson.lesson_id if lesson else "",
        "LessonVersion": draft.version,
        "ContentHash": content_hash(lesson) if lesson else "",
        "Detail": _canonical({"detail": dict(draft.detail), "peer": draft.peer}),
        "Lesson": _canonical(lesson_json(lesson)) if lesson else "",
    }


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

"""The owner of the lessons: all of them in memory, changed here alone, one change at a time.

A change is made in this order: look whether the log in the store still ends where ours does (and
read on when another door has written), ask ``lesson_state`` what the events make of the lessons,
append the entries, and only then count it as done. The rows of ``lessons`` and ``effects`` are
written after the log, and owed until they are: a crash or a store that goes away in between
leaves a log that tells all, and the rows are made again from it.

What is read (lessons, memories) comes from memory and needs neither the lock nor the store. When
the log is found broken nothing is changed any more, and only those memories are given that the
intact part vouches for and of which nothing later, in the log or in ``lessons``, tells.
"""

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from spanlore.review import log, shelf
from spanlore.review.change import Caller, Change, Proposal
from spanlore.review.exposures import first_exposures
from spanlore.review.log import ERASE, ERASED, REWRITTEN, Break, Draft
from spanlore.review.log_scrub import LogScrub
from spanlore.review.memories import Book, Memory, memory
from spanlore.review.refusal import Refused, bad_request, conflict, not_found, unavailable
from spanlore.review.scrub import Whose, is_theirs
from spanlore.review.shelf import Shelf, Standing
from spanlore.schemas.effect_records import effect_json
from spanlore.schemas.learning_tables import REVOKED_TRACES
from spanlore.schemas.lesson_state import (
    NEXT,
    UNDECIDED,
    Ending,
    EventKind,
    TransitionRefused,
    promoted_from,
)
from spanlore.schemas.store import Store, StoreError
from spanlore.schemas.types import Effect

__all__ = ["FIRST_EXPOSURE", "HARMFUL_EFFECT", "Desk"]

_log = logging.getLogger(__name__)

FIRST_EXPOSURE: Final = "spanlore (first exposure)"
HARMFUL_EFFECT: Final = "spanlore (harmful effect)"
_TRIES_MAX: Final = 5  # of one change, when another door is faster each time
_LOOK_EVERY_S: Final = 3.0
_CLOSE_S_MAX: Final = 1.0
_TOKEN_BYTES: Final = 8
_TOO_BUSY: Final = "another review door writes this store all the time: stop one of them"

Standings = Mapping[str, Standing]


class Desk:
    """The lessons of one store. ``open`` first; every method may be called from any thread.

    A method that changes something raises Refused or TransitionRefused, and then nothing has
    changed; after a StoreError it may have: ask for the lesson again.
    """

    def __init__(
        self,
        connect: Callable[[], Store],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._lock = threading.RLock()
        self._store: Store
        self._shelf = Shelf()
        self._owed: dict[str, list[dict[str, Any]]] = {}
        self._owed_token = ""
        self._memories: dict[tuple[str, int], Memory] = {}
        self._book = Book(())
        self._looked_at = float("-inf")
        self._store_error: str | None = None
        self.erased_entries = 0

    @property
    def book(self) -> Book:
        """The memories that may be given now."""
        return self._book

    @property
    def broken(self) -> Break | None:
        """Where the log does not hold, None while it does."""
        return self._shelf.broken

    def open(self) -> None:
        """Connect, read the log, and write the rows that are owed. Raises StoreError."""
        with self._lock:
            self._store = self._connect()
            self._take(shelf.read(self._store))
            self._settle()

    def close(self) -> None:
        """Close the connection; a change that hangs with the store is not waited for."""
        if self._lock.acquire(timeout=_CLOSE_S_MAX):
            try:
                self._store.close()
            finally:
                self._lock.release()

    def standings(self) -> list[Standing]:
        """Return every lesson as it stands, in the order of their ids."""
        found = self._shelf.standings
        return [found[lesson_id] for lesson_id in sorted(found)]

    def standing(self, lesson_id: str) -> Standing:
        """Return a lesson as it stands. Raises Refused (404)."""
        found = self._shelf.standings.get(lesson_id)
        if found is None:
            raise not_found(f"there is no lesson {lesson_id}; see `spanlore lessons list`")
        return found

    def status(self) -> dict[str, Any]:
        """Return how many lessons are in which state, and how the log and the store are."""
        try:
            self.look()
        except (StoreError, Refused) as error:
            _log.info("exposures are looked at later: %s", error)
        held = self._shelf
        states = Counter(standing.lesson.state for standing in held.standings.values())
        return {
            "lessons": dict(sorted(states.items())),
            "log_entries": held.head.seq,
            "head": held.head.hash,
            "verified": held.broken is None,
            "broken_at": held.broken.seq if held.broken else None,
            "broken_because": held.broken.reason if held.broken else None,
            "rows_owed": sum(len(rows) for rows in self._owed.values()),
            "store_error": self._store_error,
        }

    def entries(self, *, lesson_id: str, limit: int) -> list[dict[str, Any]]:
        """Verify the whole log as it is in the store; return the JSON of its last entries.

        With a ``lesson_id`` those of that lesson. What was found is ``broken`` afterwards, and how
        many entries no longer say all they did ``erased_entries``.
        """
        with self._lock:
            if self._shelf.broken is None:
                self._verify()
            rows = log.latest_rows(self._store, lesson_id=lesson_id, limit=limit)
        return [log.row_json(row) for row in rows]

    def propose(
        self,
        proposals: Sequence[Proposal],
        superseded: Sequence[str],
        *,
        caller: Caller,
        endings: Sequence[Ending] = (),
    ) -> list[Standing]:
        """Take proposals, with their evaluations, and the ids of lessons they stand in for.

        What nobody has decided on is worded anew or superseded; all else stays as it is. Lessons
        of ``endings`` end if they still are as they were seen.
        """

        def make(change: Change) -> None:
            unknown = sorted(set(superseded) - change.standings.keys())
            if unknown:
                raise bad_request(f"there is no lesson {unknown[0]} that could be superseded")
            for one in proposals:
                change.propose(one)
            for lesson_id in superseded:
                if change.lesson(lesson_id).state in UNDECIDED:
                    change.happen(lesson_id, "supersede")
            for ending in endings:
                change.end(ending)

        after = self._change(caller, make)
        return [after[one.lesson.lesson_id] for one in proposals]

    def happen(
        self, lesson_id: str, kind: EventKind, *, caller: Caller, detail: Mapping[str, Any]
    ) -> Standing:
        """Let an event happen to a lesson. A memory is rolled out by its exposure alone."""
        if kind == "roll_out" and self.standing(lesson_id).lesson.layer == "context":
            return self._rolled_out(lesson_id)
        after = self._change(caller, lambda change: change.happen(lesson_id, kind, detail=detail))
        return after[lesson_id]

    def revoke_traces(
        self, trace_ids: Sequence[str], *, caller: Caller, reason: str
    ) -> list[Standing]:
        """Learn nothing from these traces any more; quarantine the lessons they are evidence of.

        And those that were promoted from these. Of what else the traces were part of, the next
        round of learning says whether it still stands (a lesson names but some of its evidence).
        A quarantined lesson is given to nobody until a person releases it. Returns those lessons.
        """
        revoked = set(trace_ids)
        row = {"By": caller.by, "Reason": reason, "At": self._clock()}
        with self._lock:
            # Before the lessons: nothing may be learned from them again meanwhile.
            self._store.insert(REVOKED_TRACES, [{"TraceId": one, **row} for one in sorted(revoked)])
        touched: list[str] = []

        def make(change: Change) -> None:
            touched.clear()
            lessons = {key: one.lesson for key, one in self._shelf.standings.items()}
            resting = {key for key, one in lessons.items() if revoked & set(one.evidence)}
            for lesson_id in sorted(resting | promoted_from(lessons, resting)):
                lesson = lessons[lesson_id]
                found = sorted(revoked & set(lesson.evidence))
                if "quarantine" in NEXT[lesson.state]:
                    detail = {"reason": reason, "revoked_traces": found}
                    change.happen(lesson_id, "quarantine", detail=detail)
                    touched.append(lesson_id)

        after = self._change(caller, make)
        return [after[lesson_id] for lesson_id in touched]

    def measure(self, effect: Effect, *, caller: Caller) -> Standing:
        """Keep what a lesson did. A memory that did harm is rolled back at once."""
        lesson_id = effect.lesson_id
        standing = self.standing(lesson_id)
        if effect.lesson_version > standing.version:
            raise bad_request(
                f"lesson {lesson_id} has no version {effect.lesson_version} yet: name the one "
                "that runs were given"
            )
        if standing.lesson.layer == "context" and standing.lesson.state == "approved":
            self._rolled_out(lesson_id)

        def make(change: Change) -> None:
            detail = {"effect": effect.verdict, "measured": effect_json(effect)}
            change.happen(lesson_id, "measure", detail=detail)
            after = change.lesson(lesson_id)
            if after.state == "harmful" and after.layer == "context":
                reason = {"reason": effect.reason}
                itself = Caller(by=HARMFUL_EFFECT)
                change.happen(lesson_id, "roll_back", detail=reason, caller=itself)

        return self._change(caller, make)[lesson_id]

    def erase(
        self, whose: Whose, *, caller: Caller, drop_copies: Callable[[LogScrub], None]
    ) -> LogScrub:
        """Let the log and the lessons say nothing of a user any more; return what was rewritten.

        ``drop_copies`` deletes the rows in ``lessons`` and ``effects`` of the lessons that it is
        given, before the log is rewritten, from which what stays of them is made again.
        """
        with self._lock:
            scrub, seq = self._written_down(whose, caller)
            drop_copies(scrub)
            log.rewrite(self._store, scrub.rows, erased_by=seq)
            log.drop_replaced(self._store)
            self._memories = {}
            self._take(shelf.read(self._store))
            self._settle()
        return scrub

    def note_erased(self, detail: Mapping[str, Any], *, caller: Caller) -> int:
        """Write down that an erasing has ended, and what went; return the entry's number."""
        with self._lock:
            for _ in range(_TRIES_MAX):
                self._sync()
                if self._append([self._of_erasing(ERASED, detail, caller)]):
                    return self._shelf.head.seq
        raise unavailable(_TOO_BUSY)

    def _written_down(self, whose: Whose, caller: Caller) -> tuple[LogScrub, int]:
        """Write down what is to stand in the place of which entries, and give that one's number.

        The log is followed from its first entry, and must hold.
        """
        for _ in range(_TRIES_MAX):
            self._sync()
            theirs = {
                key for key, one in self._shelf.standings.items() if is_theirs(one.lesson, whose)
            }
            scrub = LogScrub(replace(whose, lesson_ids=frozenset(theirs)))
            head = log.START
            for page in log.pages(self._store):
                rows, broken = log.verify(page, head)
                if broken is not None:
                    self._take(self._read_anew())
                    self._need_a_whole_log()
                scrub.read(rows)
                head = log.Head(rows[-1]["Seq"], rows[-1]["Hash"])
            if head != self._shelf.head:
                continue
            detail = {REWRITTEN: scrub.commitments()}
            if not scrub.rows or self._append([self._of_erasing(ERASE, detail, caller)]):
                return scrub, self._shelf.head.seq
        raise unavailable(_TOO_BUSY)

    def _of_erasing(self, event: str, detail: Mapping[str, Any], caller: Caller) -> Draft:
        return Draft(
            at=self._clock(),
            by=caller.by,
            human=caller.human,
            event=event,
            lesson=None,
            version=0,
            detail=detail,
            peer=caller.peer,
        )

    def exposed(self, first: Mapping[str, str]) -> None:
        """Roll out the approved memories of lesson id -> a run that was given it.

        What keeps it from being written now is not an error: exposures are looked at again.
        """
        if not self._awaiting().keys() & first.keys():
            return
        try:
            self._roll_out(first)
        except (StoreError, Refused, TransitionRefused) as error:
            _log.info("a first exposure is noted later: %s", error)

    def look(self, *, at_once: bool = False) -> None:
        """Look for first exposures in the store, at most every few seconds. Raises StoreError."""
        with self._lock:
            awaiting = self._awaiting()
            due = at_once or time.monotonic() - self._looked_at > _LOOK_EVERY_S
            if not awaiting or not due:
                return
            self._looked_at = time.monotonic()
            self._roll_out(first_exposures(self._store, awaiting))

    def catch_up(self) -> None:
        """Read on where another door wrote, or we did without being told; write what is owed.

        What keeps it from being done now is not an error: it is called again and again.
        """
        with self._lock:
            if self._shelf.broken is not None:
                return
            try:
                self._sync()
                self.look()
            except (StoreError, Refused, TransitionRefused) as error:
                _log.info("the log is read on later: %s", error)

    def _awaiting(self) -> dict[str, int]:
        """Return id -> version of the memories that were approved and not seen by any run yet."""
        return {
            lesson_id: standing.version
            for lesson_id, standing in self._shelf.standings.items()
            if standing.lesson.state == "approved" and standing.lesson.layer == "context"
        }

    def _rolled_out(self, lesson_id: str) -> Standing:
        """Return a memory after its first exposure. Raises Refused (409) when there was none."""
        self.look(at_once=True)
        standing = self.standing(lesson_id)
        if standing.lesson.state == "approved":
            raise conflict(
                f"no run was given lesson {lesson_id} yet: a memory is rolled out by its first "
                "exposure, which is noted when an agent asks with a trace id"
            )
        return standing

    def _roll_out(self, first: Mapping[str, str]) -> None:
        def make(change: Change) -> None:
            for lesson_id in sorted(self._awaiting().keys() & first.keys()):
                change.happen(lesson_id, "roll_out", detail={"trace_id": first[lesson_id]})

        if first:
            self._change(Caller(by=FIRST_EXPOSURE), make, looks=False)

    def _change(
        self, caller: Caller, make: Callable[[Change], None], *, looks: bool = True
    ) -> Standings:
        """Make a change and keep it; return all lessons as they stand then."""
        with self._lock:
            if looks:
                self.look()
            for _ in range(_TRIES_MAX):
                self._sync()
                change = Change(self._shelf.standings, caller, self._clock())
                make(change)
                if not change.drafts or self._append(change.drafts):
                    return self._shelf.standings
            raise unavailable(_TOO_BUSY)

    def _append(self, drafts: Sequence[Draft]) -> bool:
        entries = log.chained(drafts, self._shelf.head)
        if not log.append(self._store, entries):
            return False
        standings = dict(self._shelf.standings)
        for entry in entries:
            if (lesson := entry.lesson) is not None:
                before = standings.get(lesson.lesson_id)
                standings[lesson.lesson_id] = shelf.followed(before, entry, lesson)
        owed = shelf.written_rows(entries)
        self._take(Shelf(standings=standings, head=entries[-1].head, owed=owed))
        self._settle()
        return True

    def _sync(self) -> None:
        """Stand where the log in the store stands. Raises StoreError, Refused when it is broken."""
        self._need_a_whole_log()
        ours = self._shelf.head
        found = log.tail(self._store, ours.seq)
        known = [] if ours == log.START else [ours]
        if found[: len(known)] != known or (known and [h.seq for h in found].count(ours.seq) > 1):
            self._take(self._read_anew())
        elif len(found) > len(known):
            if log.is_erased_after(self._store, ours.seq):
                # What another door erases is in memory here, and entries were rewritten.
                self._memories = {}
                self._take(self._read_anew())
            else:
                self._take(shelf.read(self._store, self._shelf))
        self._need_a_whole_log()
        self._settle()

    def _verify(self) -> None:
        """Follow the hashes of the whole log; where they do not hold, take it for broken."""
        head, broken = log.START, None
        self.erased_entries = 0
        for page in log.pages(self._store):
            rows, broken = log.verify(page, head)
            if broken is not None:
                break
            self.erased_entries += sum(row["ErasedBy"] > 0 for row in rows)
            head = log.Head(rows[-1]["Seq"], rows[-1]["Hash"])
        ours = self._shelf.head
        known = ours == log.START or ours in log.tail(self._store, ours.seq)
        if broken is not None or not known:
            self._take(self._read_anew())

    def _read_anew(self) -> Shelf:
        """Read the log from its first entry; it must hold what we know of it."""
        fresh = shelf.read(self._store)
        ours = self._shelf
        if fresh.broken is None and ours.head not in (
            log.START,
            *log.tail(self._store, ours.head.seq),
        ):
            reason = "the log in the store is not the one that was read before: entries are gone"
            standings = {**ours.standings, **fresh.standings}
            disputed = {
                lesson_id
                for lesson_id in standings
                if fresh.standings.get(lesson_id) != ours.standings.get(lesson_id)
            }
            at = min(ours.head.seq, fresh.head.seq + 1)
            return replace(fresh, broken=Break(at, reason), disputed=frozenset(disputed), owed={})
        return fresh

    def _need_a_whole_log(self) -> None:
        broken = self._shelf.broken
        if broken is not None:
            raise unavailable(
                f"the learning log is broken at entry {broken.seq} ({broken.reason}): nothing is "
                "changed any more, and no memory is given that the entries before do not vouch "
                "for; see the README of spanlore.review for how to mend it"
            )

    def _take(self, fresh: Shelf) -> None:
        """Make a shelf ours: the lessons, the rows that are owed, and the memories."""
        if fresh.broken is not None:
            _log.error("the learning log is broken: %s", fresh.broken)
        for table, rows in fresh.owed.items():
            self._owed.setdefault(table, []).extend(rows)
            self._owed_token = secrets.token_hex(_TOKEN_BYTES) if rows else self._owed_token
        ready: dict[tuple[str, int], Memory] = {}
        for lesson_id, standing in fresh.standings.items():
            key = (lesson_id, standing.version)
            found = self._memories.get(key) or memory(standing)
            if found is not None and lesson_id not in fresh.disputed:
                ready[key] = found
        self._memories = ready
        self._book = Book(ready.values())
        self._shelf = fresh

    def _settle(self) -> None:
        """Write the rows that are owed; those that cannot be written now stay owed."""
        try:
            for table, rows in self._owed.items():
                # The store would take rows that it had before, and that were deleted, for a copy.
                self._store.insert(table, rows, token=self._owed_token)
                rows.clear()
            self._store_error = None
        except StoreError as error:
            _log.warning("rows are written later, from the log: %s", error)
            self._store_error = str(error)

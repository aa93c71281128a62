"""Erasing a user: everything that the store and the learning log hold of them, and nothing else.

In this order, each step of which may be done again: note in the store what is to go; let the
learning log, and the lessons with it, say nothing of them; delete the rows; write down that it was
done, with counts alone; have the engine take what it keeps of deleted rows off the disk. An erasing
that dies is finished by asking for it again. What is received after it has begun is new data.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

from spanlore.review.change import Caller
from spanlore.review.desk import Desk
from spanlore.review.erased_findings import erase_from_findings, rows_of_them
from spanlore.review.erased_rows import COPIED, LESSON, Erasure, begun, ids_of, tenants_of
from spanlore.review.exposures import ExposureQueue
from spanlore.review.log_scrub import LogScrub
from spanlore.review.refusal import conflict, not_found, unavailable
from spanlore.review.scrub import Whose, is_theirs
from spanlore.schemas import tables
from spanlore.schemas.credentials import EVERY_TENANT
from spanlore.schemas.learning_tables import EFFECTS, FINDINGS, LESSONS
from spanlore.schemas.store import Store

__all__ = ["Eraser"]

_QUEUE_S_MAX: Final = 10.0
_OFF_DISK_S_MAX: Final = 60.0
_LOOK_S: Final = 0.5
_COPIES: Final = f"LessonId IN (SELECT Id FROM (<{COPIED}>))"
_OLD_PARTS_SQL: Final = """
SELECT table, name FROM system.parts
WHERE database = currentDatabase() AND NOT active AND table IN %(tables)s
"""


class Eraser:
    """Erases one user at a time. Its methods may be called from any thread.

    They raise Refused and StoreError.
    """

    def __init__(self, desk: Desk, exposures: ExposureQueue, connect: Callable[[], Store]) -> None:
        self._desk = desk
        self._exposures = exposures
        self._connect = connect
        self._alone = threading.Lock()

    def found(self, user: str, tenant: str) -> list[dict[str, Any]]:
        """Return what would go of a user, by tenant; ``tenant`` is one, or EVERY_TENANT."""
        with closing(self._connect()) as store:
            return [self._found_in(store, user, one) for one in _tenants(store, user, tenant)]

    def erase(self, user: str, tenant: str, *, caller: Caller) -> dict[str, Any]:
        """Erase a user of a tenant; of EVERY_TENANT, where they are in one alone."""
        if not self._alone.acquire(blocking=False):
            raise conflict("another user is being erased: try again when that is done")
        try:
            with closing(self._connect()) as store:
                return self._erased(store, user, tenant, caller=caller)
        finally:
            self._alone.release()

    def _erased(self, store: Store, user: str, tenant: str, *, caller: Caller) -> dict[str, Any]:
        here = _tenants(store, user, tenant)
        if not here:
            where = "" if tenant == EVERY_TENANT else f" of tenant {tenant}"
            raise not_found(f"nothing here names a user {user}{where}: there is nothing to erase")
        if len(here) > 1:
            raise conflict(f"a user {user} is in the tenants {', '.join(here)}: name one of them")
        [tenant] = here
        if not self._exposures.drained(_QUEUE_S_MAX):
            raise unavailable("exposures wait for the store: see `spanlore status`, and try again")
        erasure = begun(store, tenant=tenant, user=user)
        whose = Whose(tenant=tenant, user=user, trace_ids=erasure.ids.trace_ids(store))
        scrub = self._desk.erase(
            whose, caller=caller, drop_copies=lambda found: _drop_copies(erasure, found)
        )
        rows = erasure.delete_rows()
        rows[FINDINGS] = erase_from_findings(store, erasure, scrub.whose)
        gone = {"rows": rows, **_of_log(scrub)}
        seq = self._desk.note_erased({"tenant": tenant, **gone}, caller=caller)
        erasure.end()
        return {"tenant": tenant, **gone, "log_entry": seq, "old_parts_left": _taken_off(store)}

    def _found_in(self, store: Store, user: str, tenant: str) -> dict[str, Any]:
        ids = ids_of(tenant=tenant, user=user)
        whose = Whose(tenant=tenant, user=user, trace_ids=ids.trace_ids(store))
        lessons = [one.lesson for one in self._desk.standings()]
        theirs = frozenset(one.lesson_id for one in lessons if is_theirs(one, whose))
        whose = replace(whose, lesson_ids=theirs)
        ids = ids_of(tenant=tenant, user=user, lesson_ids=theirs)
        rows = ids.counted(store)
        rows[FINDINGS] = len(rows_of_them(store, ids, whose))
        return {"tenant": tenant, "rows": rows, "lessons": len(theirs)}


def _tenants(store: Store, user: str, tenant: str) -> list[str]:
    found = tenants_of(store, user)
    return [one for one in found if tenant in (EVERY_TENANT, one)]


def _of_log(scrub: LogScrub) -> dict[str, Any]:
    return {
        "lessons": len(scrub.whose.lesson_ids),
        "lessons_cut": len(scrub.lesson_ids - scrub.whose.lesson_ids),
        "log_entries": len(scrub.rows),
    }


def _drop_copies(erasure: Erasure, scrub: LogScrub) -> None:
    erasure.add(LESSON, sorted(scrub.whose.lesson_ids))
    erasure.add(COPIED, sorted(scrub.lesson_ids))
    for table in (LESSONS, EFFECTS):
        erasure.delete(table, _COPIES)


def _taken_off(store: Store) -> int:
    """Have the engine delete the files of rows that went; return how many parts are left.

    A server may keep them for a time of its own (old_parts_lifetime).
    """
    # What was written anew is not synced by the engine, and what it stands in for goes now.
    os.sync()
    asked = {"tables": [table.name for table in tables.ALL]}
    old = {tuple(row.values()) for row in store.query(_OLD_PARTS_SQL, asked)}
    deadline = time.monotonic() + _OFF_DISK_S_MAX
    while old and time.monotonic() < deadline:
        for table in {table for table, _ in old}:
            # To drop a partition, also one that is not there, deletes old parts at once.
            store.command(f"ALTER TABLE {table} DROP PARTITION ID 'none'")
        old &= {tuple(row.values()) for row in store.query(_OLD_PARTS_SQL, asked)}
        time.sleep(_LOOK_S if old else 0)
    return len(old)

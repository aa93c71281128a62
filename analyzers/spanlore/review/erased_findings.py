"""What findings say without one user: their own go, those of many lose the ids and the quotes."""

import json
from collections.abc import Mapping
from typing import Any, Final

from spanlore.review.erased_rows import FINDING, Erasure, Ids
from spanlore.review.scrub import Whose, cleaned, says_of
from spanlore.schemas.learning_tables import FINDINGS
from spanlore.schemas.store import Store

__all__ = ["erase_from_findings", "rows_of_them"]

_SAID: Final = "toString(sipHash64(FindingId, Title, Reason, Detail, Evidence, CounterEvidence))"
_NEAR: Final = f"""SELECT *, {_SAID} AS Said FROM {FINDINGS}
WHERE hasAny(Evidence, <ids>) OR hasAny(CounterEvidence, <ids>)
    OR hasAny(extractAll(concat(Title, Reason, Detail), '[0-9a-f]{{32}}'), <ids>)
    OR position(concat(Title, Reason, Detail), (SELECT any(Id) FROM (<user>))) > 0"""
_GOES: Final = f"{_SAID} IN (SELECT Id FROM (<{FINDING}>))"


def rows_of_them(store: Store, ids: Ids, whose: Whose) -> list[dict[str, Any]]:
    """Return the rows of ``findings`` that say something of a user. Raises StoreError."""
    return [row for row in ids.query(store, _NEAR) if _is_of_them(row, whose)]


def erase_from_findings(store: Store, erasure: Erasure, whose: Whose) -> int:
    """Let findings say nothing of a user any more; return how many rows went or say less.

    What stands in a row's place is written first, so that none is lost. Raises StoreError.
    """
    found = rows_of_them(store, erasure.ids, whose)
    if found:
        erasure.add(FINDING, sorted({row["Said"] for row in found}))
        fresh = [_without(row, whose) for row in found if not _is_theirs(row, whose)]
        store.insert(FINDINGS, fresh)
        erasure.delete(FINDINGS, _GOES)
    return len(found)


def _scope(row: Mapping[str, Any]) -> Mapping[str, Any]:
    scope = json.loads(row["Detail"] or "{}").get("scope")
    return scope if isinstance(scope, Mapping) else {}


def _is_of_them(row: Mapping[str, Any], whose: Whose) -> bool:
    if not whose.trace_ids.isdisjoint((*row["Evidence"], *row["CounterEvidence"])):
        return True
    said = "\n".join((row["Title"], row["Reason"], row["Detail"]))
    return says_of(said, whose, tenant=str(_scope(row).get("tenant") or ""))


def _is_theirs(row: Mapping[str, Any], whose: Whose) -> bool:
    scope = _scope(row)
    named = (scope.get("level"), scope.get("key"), scope.get("tenant"))
    if named == ("user", whose.user, whose.tenant):
        return True
    return bool(row["Evidence"]) and whose.trace_ids.issuperset(row["Evidence"])


def _without(row: Mapping[str, Any], whose: Whose) -> dict[str, Any]:
    detail = cleaned(json.loads(row["Detail"] or "{}"), whose)
    kept = {name: value for name, value in row.items() if name != "Said"}
    return {
        **kept,
        "Title": whose.cleaned(row["Title"]),
        "Reason": whose.cleaned(row["Reason"]),
        "Evidence": cleaned(row["Evidence"], whose),
        "CounterEvidence": cleaned(row["CounterEvidence"], whose),
        "Detail": json.dumps(detail, sort_keys=True, ensure_ascii=False),
    }

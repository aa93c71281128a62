"""What becomes of delivered memories when traces were revoked since they were approved."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from spanlore.analyzers.lessons.consolidation import consolidate
from spanlore.analyzers.lessons.lesson_round import REVOKED_SQL
from spanlore.schemas.learning_tables import REVOKED_TRACES
from spanlore.schemas.lesson_state import DELIVERED
from spanlore.schemas.store import Store
from tests.analyzers.effect_runs import NOW as THEN
from tests.analyzers.effect_runs import Meeting, stored
from tests.analyzers.standing_lessons import NOW, ends, finding, in_state, known, memory, settled

YESTERDAY = {"acme": NOW - timedelta(days=1)}
GONE = {"finding of m": finding("finding of m", confirmed=False)}


def test_a_delivered_memory_that_is_confirmed_no_more_without_them_goes_into_quarantine() -> None:
    for state in ("approved", "approved by ada", "rolled_out"):
        lesson = memory("m", state=state)
        state_of = known(lesson, findings=GONE, revoked=YESTERDAY)
        assert ends(consolidate(state_of)) == {"m": ("quarantine", "")}
        after = settled(state_of)
        assert after.lessons["m"].state == "quarantined"
        assert ends(consolidate(after)) == {}


def test_it_stays_where_it_is_confirmed_still_or_was_not_looked_for() -> None:
    lesson = memory("m", state="rolled_out")
    assert ends(consolidate(known(lesson, revoked=YESTERDAY))) == {}
    changed: tuple[dict[str, Any], ...] = (
        {"complete": frozenset()},
        {"revoked": {}},
        {"revoked": {"globex": YESTERDAY["acme"]}},
        {"revoked": {"acme": NOW - timedelta(days=90)}},
    )
    for changes in changed:
        said = consolidate(known(lesson, **{"findings": GONE, "revoked": YESTERDAY, **changes}))
        assert ends(said) == {}, changes


def test_what_was_promoted_from_it_goes_with_it() -> None:
    origin = memory("m", state="rolled_out")
    made = {"promoted_from": ["m", "x"]}
    wide = in_state(memory("t", scope="tenant", content={"value": "x", **made}), "approved")
    widest = in_state(
        memory("g", scope="global", content={"value": "x", "promoted_from": ["t"]}), "approved"
    )
    other = in_state(memory("o", scope="tenant", content={"promoted_from": 5}), "approved")
    state = known(origin, replace(wide, body="a"), widest, replace(other, body="other words"))
    findings = {key: one for key, one in state.findings.items() if key != "finding of m"}
    said = consolidate(replace(state, findings=findings, revoked=YESTERDAY))
    assert set(ends(said)) == {"m", "t", "g"}
    assert {one.kind for one in said.endings} == {"quarantine"}
    assert origin.state in DELIVERED


def test_when_a_tenants_traces_were_revoked_is_known(store: Store) -> None:
    stored(store, [Meeting(number=1, user="u"), Meeting(number=2, user="u", tenant="globex")])
    said = {"By": "ada", "Reason": "", "At": THEN}
    store.insert(REVOKED_TRACES, [{"TraceId": f"{number:032x}", **said} for number in (1, 9)])
    [row] = store.query(REVOKED_SQL)
    assert (row["TenantId"], row["Ms"]) == ("acme", THEN.timestamp() * 1000)

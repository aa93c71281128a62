from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from spanlore.schemas.lesson_state import (
    NEXT,
    TERMINAL,
    EventKind,
    LessonEvent,
    TransitionRefused,
    content_hash,
    proposed,
    transition,
)
from spanlore.schemas.types import Lesson

AT = datetime(2024, 5, 1, tzinfo=UTC)
HARNESS = Lesson(
    lesson_id="l1",
    layer="harness",
    scope="global",
    scope_key="",
    kind="tool_description",
    title="t",
    body="b",
    patch="diff",
    base_path="tools.json",
    base_hash="00",
    findings=("f",),
    evidence=("e",),
)
MEMORY = replace(HARNESS, layer="context", scope="user", scope_key="u", patch=None)


def event(kind: EventKind, *, human: bool = False, by: str = "ada", **detail: Any) -> LessonEvent:
    return LessonEvent(kind=kind, by=by, at=AT, human=human, detail=detail)


def test_the_road_from_proposed_to_verified() -> None:
    lesson = transition(HARNESS, event("evaluate", verdict="pass"))
    lesson = transition(lesson, event("approve", human=True))
    lesson = transition(lesson, event("roll_out"))
    lesson = transition(lesson, event("measure", effect="not_enough_data"))
    assert lesson.state == "rolled_out"
    lesson = transition(lesson, event("measure", effect="improved"))
    assert lesson.state == "verified"
    assert lesson.evaluations[0]["verdict"] == "pass"
    assert lesson.approvals[0]["content_hash"] == content_hash(HARNESS)


def test_a_harmful_lesson_can_only_be_taken_back() -> None:
    harmful = replace(HARNESS, state="harmful")
    assert transition(harmful, event("roll_back")).state == "rolled_back"
    with pytest.raises(TransitionRefused, match="possible: revoke, roll_back"):
        transition(harmful, event("measure", effect="improved"))


def test_nothing_is_approved_without_an_evaluation() -> None:
    with pytest.raises(TransitionRefused, match="approve may not follow"):
        transition(HARNESS, event("approve", human=True))


def test_a_failed_evaluation_cannot_be_approved_by_anybody() -> None:
    failed = transition(HARNESS, event("evaluate", verdict="fail"))
    with pytest.raises(TransitionRefused, match="says fail"):
        transition(failed, event("approve", human=True))


def test_a_later_evaluation_is_the_one_that_counts() -> None:
    lesson = transition(HARNESS, event("evaluate", verdict="pass"))
    lesson = transition(lesson, event("evaluate", verdict="fail"))
    with pytest.raises(TransitionRefused):
        transition(lesson, event("approve", human=True))


@pytest.mark.parametrize("scope", ["user", "tenant", "global"])
@pytest.mark.parametrize("layer", ["harness", "model"])
def test_harness_and_model_lessons_need_a_named_human(layer: Any, scope: Any) -> None:
    lesson = replace(HARNESS, layer=layer, scope=scope)
    lesson = transition(lesson, event("evaluate", verdict="pass"))
    for approval in (event("approve"), event("approve", human=True, by=" ")):
        with pytest.raises(TransitionRefused, match="named human"):
            transition(lesson, approval)


def test_policy_approves_a_users_own_memory_that_passed() -> None:
    passed = transition(MEMORY, event("evaluate", verdict="pass"))
    assert transition(passed, event("approve", by="policy")).state == "approved"


def test_policy_does_not_approve_what_was_inconclusive_or_is_wider_than_a_user() -> None:
    unclear = transition(MEMORY, event("evaluate", verdict="inconclusive"))
    wide = transition(replace(MEMORY, scope="tenant"), event("evaluate", verdict="pass"))
    for lesson in (unclear, wide):
        with pytest.raises(TransitionRefused, match="named human"):
            transition(lesson, event("approve", by="policy"))


def test_a_quarantined_lesson_is_released_by_a_human_only() -> None:
    kept = transition(HARNESS, event("quarantine"))
    with pytest.raises(TransitionRefused, match="named human"):
        transition(kept, event("release"))
    assert transition(kept, event("release", human=True)).state == "proposed"


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_nothing_follows_a_final_state(state: str) -> None:
    assert NEXT[state] == {}
    with pytest.raises(TransitionRefused, match="final"):
        transition(replace(HARNESS, state=state), event("evaluate", verdict="pass"))


def test_the_only_way_to_rolled_out_is_through_approved() -> None:
    into = {
        (state, kind)
        for state, ways in NEXT.items()
        for kind, to in ways.items()
        if to == "rolled_out" and kind != "measure"
    }
    assert into == {("approved", "roll_out")}
    assert {state for state, ways in NEXT.items() if "approved" in ways.values()} == {"evaluated"}


def test_every_state_that_can_be_reached_is_known() -> None:
    assert {to for ways in NEXT.values() for to in ways.values()} <= NEXT.keys()


@pytest.mark.parametrize("verdict", [None, "great"])
def test_an_unknown_verdict_is_an_error(verdict: str | None) -> None:
    with pytest.raises(ValueError, match="one of pass, fail, inconclusive"):
        transition(HARNESS, event("evaluate", verdict=verdict))


def test_an_unknown_state_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown state"):
        transition(replace(HARNESS, state="evaluted"), event("approve"))


def test_a_change_after_the_evaluation_needs_another_one() -> None:
    passed = transition(MEMORY, event("evaluate", verdict="pass"))
    with pytest.raises(TransitionRefused, match="changed after its evaluation"):
        transition(replace(passed, body="another rule"), event("approve", human=True))


@pytest.mark.parametrize(
    "change",
    [
        {"scope": "tenant"},
        {"scope_key": "other"},
        {"tenant": "other"},
        {"selector": {"agent": "a"}},
        {"content": {"value": 1}},
        {"patch": "other"},
        {"base_hash": "ff"},
        {"body": "other"},
    ],
)
def test_the_content_hash_covers_what_a_lesson_does_and_to_whom(change: dict[str, Any]) -> None:
    assert content_hash(replace(HARNESS, **change)) != content_hash(HARNESS)


def test_more_evidence_leaves_the_content_hash_alone() -> None:
    assert content_hash(replace(HARNESS, evidence=("e", "f"), title="u")) == content_hash(HARNESS)


def test_a_proposal_worded_anew_has_to_be_evaluated_again() -> None:
    passed = transition(MEMORY, event("evaluate", verdict="pass"))
    fresh = replace(MEMORY, body="another rule")
    assert proposed(passed, fresh) == fresh


def test_a_proposal_with_more_evidence_keeps_its_evaluation() -> None:
    passed = transition(MEMORY, event("evaluate", verdict="pass"))
    grown = proposed(passed, replace(MEMORY, evidence=("e", "f")))
    assert grown is not None
    assert (grown.state, grown.evaluations) == ("evaluated", passed.evaluations)


def test_the_same_proposal_again_changes_nothing() -> None:
    assert proposed(transition(MEMORY, event("evaluate", verdict="pass")), MEMORY) is None


@pytest.mark.parametrize("state", sorted(NEXT.keys() - {"proposed", "evaluated", "withdrawn"}))
def test_what_was_decided_or_quarantined_is_not_proposed_away(state: str) -> None:
    assert proposed(replace(MEMORY, state=state), replace(MEMORY, body="other")) is None


def test_what_was_withdrawn_may_be_proposed_again_and_is_evaluated_anew() -> None:
    passed = transition(MEMORY, event("evaluate", verdict="pass"))
    withdrawn = transition(passed, event("withdraw", reason="no longer confirmed"))
    assert withdrawn.state == "withdrawn"
    assert proposed(withdrawn, MEMORY) == MEMORY


def test_only_what_policy_approved_is_withdrawn_without_a_person() -> None:
    passed = transition(MEMORY, event("evaluate", verdict="pass"))
    by_policy = transition(passed, event("approve"))
    assert transition(by_policy, event("withdraw")).state == "withdrawn"
    by_ada = transition(passed, event("approve", human=True))
    with pytest.raises(TransitionRefused, match="named human"):
        transition(by_ada, event("withdraw"))
    assert transition(by_ada, event("withdraw", human=True)).state == "withdrawn"


def test_nobody_withdraws_what_a_quarantine_holds() -> None:
    with pytest.raises(TransitionRefused, match="withdraw may not follow"):
        transition(replace(MEMORY, state="quarantined"), event("withdraw"))


@pytest.mark.parametrize(
    "claim",
    [{"state": "approved"}, {"evaluations": ({"verdict": "pass"},)}, {"state": "evaluated"}],
)
def test_a_proposal_cannot_claim_to_be_more(claim: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="may be proposed"):
        proposed(None, replace(MEMORY, **claim))

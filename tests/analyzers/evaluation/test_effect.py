"""What a memory did, counted in a real store."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from spanlore.analyzers.evaluation.effect import measure_effect
from spanlore.schemas.effect_records import effect_json, effect_of_json, effect_row
from spanlore.schemas.learning_tables import EFFECTS, EXPOSURES, LESSONS
from spanlore.schemas.lesson_records import lesson_row
from spanlore.schemas.store import Store
from spanlore.schemas.types import Effect, Lesson
from tests.analyzers.effect_runs import NOW, START, Meeting, memory, stored


def measured(store: Store, lesson: Lesson, **also: Any) -> Effect:
    found = measure_effect(store, lesson, lesson_version=3, **({"now": NOW} | also))
    assert effect_of_json(json.loads(json.dumps(effect_json(found)))) == found
    return found


def arm(name: str, *, every: int, first: int = 0, **also: Any) -> Iterator[Meeting]:
    """Yield 8 runs of each of 10 users, of which every so manieth was changed (0: none)."""
    for number in range(80):
        changed = bool(every) and number % every == 0
        user = f"{name}{number // 8}"
        yield replace(Meeting(number=first + number, user=user, arm=name, changed=changed), **also)


def test_a_memory_after_which_users_change_less_improved(store: Store) -> None:
    stored(store, [*arm("exposed", every=9), *arm("held_out", every=2, first=100)])
    found = measured(store, memory())
    assert found.verdict == "improved"
    assert (found.metric, found.compared_with, found.randomised) == ("override", "held_out", True)
    assert (found.exposed.runs, found.exposed.users, found.exposed.events) == (80, 10, 9)
    assert (found.other.runs, found.other.users, found.other.events) == (80, 10, 40)
    assert found.difference == pytest.approx((9 - 40) / 80)
    assert found.interval is not None
    assert found.difference is not None
    assert found.interval[0] < found.difference < found.interval[1] < 0
    low, high = found.detail["verdict_interval"]
    assert low < found.interval[0]
    assert found.interval[1] < high < 0
    assert found.reason.startswith(
        "the user changed what the agent proposed in 9 of 80 runs (11%) with the lesson and "
        "40 of 80 runs (50%) without: -39% (95 % interval"
    )
    assert found.reason.endswith("Chance decided which users were given it")


def test_a_memory_after_which_users_change_more_is_worse(store: Store) -> None:
    stored(store, [*arm("exposed", every=2), *arm("held_out", every=0, first=100)])
    assert measured(store, memory()).verdict == "worse"


def test_where_runs_succeed_less_the_metric_excuses_nothing(store: Store) -> None:
    exposed = [
        replace(one, outcome="fail" if one.number % 8 < 5 else "pass")
        for one in arm("exposed", every=9)
    ]
    stored(store, [*exposed, *arm("held_out", every=2, first=100)])
    found = measured(store, memory())
    assert found.verdict == "worse"
    assert found.reason.startswith("runs succeed less often: 30 of 80 runs (38%) with the lesson")
    assert found.detail["success_rate"]["difference"] == pytest.approx(-0.625)
    assert found.detail["success_rate"]["verdict_interval"][1] < 0


def test_what_was_not_judged_says_nothing_of_success(store: Store) -> None:
    both = [*arm("exposed", every=9), *arm("held_out", every=2, first=100)]
    stored(store, [replace(one, outcome="") for one in both])
    found = measured(store, memory())
    assert found.verdict == "improved"
    assert found.detail["success_rate"]["exposed_runs_judged"] == 0
    assert found.detail["success_rate"]["interval"] is None


@pytest.mark.parametrize("few", [{"users": 4, "runs": 80}, {"users": 10, "runs": 19}])
def test_few_users_or_runs_are_not_enough(store: Store, few: dict[str, int]) -> None:
    exposed = [
        replace(one, user=f"u{one.number % few['users']}")
        for one in list(arm("exposed", every=0))[: few["runs"]]
    ]
    stored(store, [*exposed, *arm("held_out", every=1, first=100)])
    found = measured(store, memory())
    assert found.verdict == "not_enough_data"
    assert "it needs 5 of them and 20 runs on either side" in found.reason
    assert found.detail["look"] == 0


def test_a_run_given_twice_counts_once_and_by_its_latest_arm(store: Store) -> None:
    both = [*arm("exposed", every=9), *arm("held_out", every=2, first=100)]
    stored(store, both)
    moved = {**both[0].exposure(), "Arm": "held_out", "At": both[0].at + timedelta(hours=1)}
    store.insert(EXPOSURES, [both[1].exposure(), moved])
    found = measured(store, memory())
    assert (found.exposed.runs, found.other.runs) == (79, 81)


def test_an_exposure_that_names_another_tenant_than_its_run_does_not_count(store: Store) -> None:
    both = [*arm("exposed", every=9), *arm("held_out", every=2, first=100)]
    foreign = [replace(one, tenant="other") for one in arm("", every=0, first=300)]
    stored(store, [*both, *foreign])
    said = [{**one.exposure(), "TenantId": "acme", "Arm": "exposed"} for one in foreign]
    store.insert(EXPOSURES, said)
    assert measured(store, memory()).exposed.runs == 80


def test_runs_of_others_that_asked_in_a_users_name_are_not_that_users(store: Store) -> None:
    before = [Meeting(number=n, user="ann", changed=n % 4 != 0) for n in range(24)]
    after = [Meeting(number=100 + n, user="ann", arm="exposed", day=1) for n in range(24)]
    others = [Meeting(number=200 + n, user="bob", day=1, changed=True) for n in range(24)]
    stored(store, [*before, *after, *others])
    said = [{**one.exposure(), "UserId": "ann", "Arm": "exposed"} for one in others]
    store.insert(EXPOSURES, said)
    assert measured(store, memory("user", "ann")).exposed.runs == 24


def test_runs_for_which_no_lots_were_drawn_are_in_neither_arm(store: Store) -> None:
    """Who asked without a user is in one arm with all who did, whoever their users are."""
    nameless = [replace(one, arm="") for one in arm("exposed", every=1, first=500)]
    stored(store, [*arm("exposed", every=9), *arm("held_out", every=2, first=100), *nameless])
    store.insert(
        EXPOSURES, [{**one.exposure(), "UserId": "", "Arm": "exposed"} for one in nameless]
    )
    found = measured(store, memory())
    assert (found.exposed.runs, found.exposed.users) == (80, 10)
    assert found.detail["runs_without_a_user"] == 80


def test_what_was_given_before_the_last_approval_does_not_count(store: Store) -> None:
    stored(store, [*arm("exposed", every=9), *arm("held_out", every=2, first=100)])
    lesson = replace(memory(), state="approved")
    store.insert(LESSONS, [lesson_row(lesson, at=START, version=4, by="ada")])
    assert measured(store, memory()).exposed.runs == 0


def test_other_lessons_other_slots_and_later_exposures_do_not_count(store: Store) -> None:
    stored(store, [*arm("exposed", every=9), *arm("held_out", every=2, first=100)])
    assert measured(store, memory(lesson_id="m2")).exposed.runs == 0
    other = {"slot": {"tool": "create_event", "field": "/end", "part": "time_of_day"}}
    assert measured(store, memory(content=other)).exposed.runs == 0
    assert measured(store, memory(), now=START + timedelta(minutes=79)).other.runs == 0


def test_runs_in_which_nothing_was_proposed_are_counted_apart(store: Store) -> None:
    quiet = [replace(one, proposes=False) for one in list(arm("exposed", every=0))[:5]]
    exposed = list(arm("exposed", every=9))[5:]
    stored(store, [*quiet, *exposed, *arm("held_out", every=2, first=100)])
    found = measured(store, memory())
    assert found.exposed.runs == 75
    assert found.detail["runs_in_which_nothing_was_proposed"] == {"exposed": 5, "other": 0}


def test_a_user_s_own_memory_is_compared_with_the_runs_before(store: Store) -> None:
    before = [Meeting(number=n, user="ann", changed=n % 4 != 0) for n in range(24)]
    after = [Meeting(number=100 + n, user="ann", arm="exposed", day=1) for n in range(24)]
    strangers = [Meeting(number=200 + n, user="bob") for n in range(24)]
    namesake = [Meeting(number=300 + n, user="ann", tenant="other") for n in range(24)]
    later = [Meeting(number=400 + n, user="ann", day=2) for n in range(24)]
    stored(store, [*before, *after, *strangers, *namesake, *later])
    found = measured(store, memory("user", "ann"))
    assert (found.verdict, found.compared_with, found.randomised) == ("improved", "before", False)
    assert (found.exposed.runs, found.other.runs, found.other.events) == (24, 24, 18)
    assert (found.exposed.users, found.other.users) == (1, 1)
    assert (found.exposed.clusters, found.clusters_are) == (24, "sessions of the user")
    assert "nobody drew lots" in found.reason


def test_nine_runs_of_a_user_are_not_enough(store: Store) -> None:
    before = [Meeting(number=n, user="ann", changed=True) for n in range(9)]
    after = [Meeting(number=100 + n, user="ann", arm="exposed", day=1) for n in range(24)]
    stored(store, [*before, *after])
    found = measured(store, memory("user", "ann"))
    assert found.verdict == "not_enough_data"
    assert "it needs 2 of them and 10 runs on either side" in found.reason


def test_a_tenant_s_memory_that_nobody_is_held_out_from_is_compared_within_its_scope(
    store: Store,
) -> None:
    before = [Meeting(number=n, user=f"u{n % 8}", changed=n % 3 != 0) for n in range(48)]
    elsewhere = [Meeting(number=300 + n, user=f"u{n % 8}", tenant="other") for n in range(48)]
    after = [Meeting(number=100 + n, user=f"u{n % 8}", arm="exposed", day=1) for n in range(48)]
    stored(store, [*before, *elsewhere, *after])
    found = measured(store, memory())
    assert (found.compared_with, found.other.runs, found.verdict) == ("before", 48, "improved")
    assert measured(store, memory(selector={"task": "meeting/1"})).other.runs == 12
    assert measured(store, memory(selector={"task": "meeting", "agent": "x"})).other.runs == 0
    assert measured(store, memory(selector={"segment.time_zone": "x"})).other.runs == 0


def test_looking_again_widens_the_interval_that_decides(store: Store) -> None:
    lesson = memory()
    both = [*arm("exposed", every=9), *arm("held_out", every=2, first=100)]
    stored(store, both)
    first = measured(store, lesson)
    store.insert(EFFECTS, [effect_row(first, at=NOW)])
    again = measured(store, lesson)
    assert again.detail["look"] == first.detail["look"] == 1
    assert again.detail["verdict_interval"] == first.detail["verdict_interval"]
    stored(store, [Meeting(number=999, user="exposed1", arm="exposed")])
    second = measured(store, lesson)
    assert (second.detail["look"], second.detail["looks_before"]) == (2, 1)
    assert second.detail["alpha"] == pytest.approx(first.detail["alpha"] / 4, abs=1e-5)
    width = [
        one.detail["verdict_interval"][1] - one.detail["verdict_interval"][0]
        for one in (first, second)
    ]
    assert width[0] < width[1]


def test_a_look_at_too_little_costs_nothing(store: Store) -> None:
    stored(store, list(arm("exposed", every=9))[:5])
    early = measured(store, memory())
    assert early.detail["look"] == 0
    store.insert(EFFECTS, [effect_row(early, at=NOW)])
    stored(store, [*list(arm("exposed", every=9))[5:], *arm("held_out", every=2, first=100)])
    assert measured(store, memory()).detail["looks_before"] == 0


def test_a_lesson_that_names_nothing_to_measure_is_an_error(store: Store) -> None:
    with pytest.raises(ValueError, match="neither a slot nor a tool"):
        measured(store, memory(content={}))

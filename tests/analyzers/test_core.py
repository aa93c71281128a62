from dataclasses import replace
from random import Random

import pytest

from spanlore.analyzers.core import finding_id, findings_of
from spanlore.analyzers.halves import in_discovery_half
from spanlore.analyzers.hypothesis import Hypothesis, Stratum, Support
from spanlore.analyzers.statistics import Table


def hypothesis(
    tables: dict[str, Table], *, key: str = "a", support: Support | None = None
) -> Hypothesis:
    events = sum(int(table.k) for table in tables.values())
    return Hypothesis(
        analyzer="test",
        key=key,
        title="a thing",
        support=support
        or Support(
            n=sum(int(table.n) for table in tables.values()),
            k=events,
            runs=sum(int(table.n) for table in tables.values()),
            units=sum(table.k > 0 for table in tables.values()),
        ),
        strata=tuple(Stratum(name=f"{u}|m", unit=u, table=t) for u, t in tables.items()),
        adjusted_for=("task",),
        evidence=("aa",),
        counter_evidence=("bb",),
    )


def tasks(number: int, table: Table) -> dict[str, Table]:
    return {f"task/{position}": table for position in range(number)}


def test_a_strong_effect_in_many_tasks_is_confirmed() -> None:
    [found] = findings_of([hypothesis(tasks(20, Table(5, 2, 20, 1)))])
    assert found.confirmed
    assert found.reason is None
    assert found.adjusted_for == ("task",)
    assert found.interval is not None
    assert found.effect is not None
    assert found.interval[0] < found.effect < found.interval[1]
    assert found.q == found.p


def test_too_few_calls_are_held_back_with_the_count() -> None:
    one = hypothesis(tasks(3, Table(1, 1, 10, 0)))
    [found] = findings_of([one])
    assert not found.confirmed
    assert found.reason == "too few: 3 calls in 3 tasks; needs 5 calls in 3 tasks"


def test_many_calls_of_one_task_are_too_few() -> None:
    [found] = findings_of([hypothesis(tasks(1, Table(40, 30, 40, 1)))])
    assert found.reason == "too few: 30 calls in 1 task; needs 5 calls in 3 tasks"


def test_an_effect_of_one_half_alone_is_not_confirmed() -> None:
    tables = {
        unit: Table(5, 3, 20, 1) if in_discovery_half(unit) else Table(5, 0, 20, 1)
        for unit in tasks(24, Table(0, 0, 0, 0))
    }
    [found] = findings_of([hypothesis(tables)])
    assert not found.confirmed
    assert found.reason is not None
    assert found.reason.startswith("not confirmed on the other half (p=")


def test_what_only_differs_between_tasks_is_not_confirmed() -> None:
    hard = {f"hard/{n}": Table(10, 8, 0, 0) for n in range(12)}
    easy = {f"easy/{n}": Table(0, 0, 10, 1) for n in range(12)}
    [found] = findings_of([hypothesis({**hard, **easy})])
    assert not found.confirmed
    assert found.adjusted_for == ()
    assert (
        found.reason == "not comparable: no calls of both kinds with both results within one task"
    )


def test_nothing_comparable_has_no_effect_rather_than_a_crude_one() -> None:
    hard = {f"hard/{n}": Table(10, 8, 0, 0) for n in range(12)}
    easy = {f"easy/{n}": Table(0, 0, 10, 1) for n in range(12)}
    [found] = findings_of([hypothesis({**hard, **easy})])
    assert (found.effect, found.interval) == (None, None)
    assert found.detail["effect_is"] is None
    assert found.detail["effect_unadjusted"] == pytest.approx(0.7)


def test_the_effect_and_the_reason_are_those_within_strata() -> None:
    hard = {f"hard/{n}": Table(18, 9, 2, 1) for n in range(12)}
    easy = {f"easy/{n}": Table(2, 0, 18, 1) for n in range(12)}
    [found] = findings_of([hypothesis({**hard, **easy})])
    assert found.detail["effect_unadjusted"] > 0.3
    assert found.effect == pytest.approx(-0.027778, abs=1e-6)
    assert found.reason is not None
    assert found.reason.startswith("not more often but less: -0.028 within one task (p=")
    assert found.detail["effect_is"].startswith("Mantel-Haenszel risk difference within one task")


def test_the_same_rate_within_strata_is_no_effect() -> None:
    [found] = findings_of([hypothesis(tasks(12, Table(10, 3, 20, 6)))])
    assert found.reason == "no effect worth naming: +0.000 within one task (p=1)"


def test_what_is_held_back_is_told_with_the_most_telling_first() -> None:
    half = {
        unit: Table(5, 3, 20, 1) if in_discovery_half(unit) else Table(5, 0, 20, 1)
        for unit in tasks(24, Table(0, 0, 0, 0))
    }
    found = findings_of(
        [
            hypothesis(tasks(12, Table(10, 8, 0, 0)), key="apart"),
            hypothesis(tasks(20, Table(5, 1, 20, 4)), key="no effect"),
            hypothesis(tasks(3, Table(1, 1, 10, 0)), key="few"),
            hypothesis(tasks(4, Table(1, 1, 10, 0)), key="less few"),
            hypothesis(half, key="half"),
            hypothesis(tasks(20, Table(5, 2, 20, 1)), key="confirmed"),
        ]
    )
    told = [(one.detail["key"], one.detail["held_back"]) for one in found]
    assert told == [
        ("confirmed", None),
        ("half", "not_confirmed"),
        ("less few", "too_few"),
        ("few", "too_few"),
        ("no effect", "no_effect"),
        ("apart", "not_comparable"),
    ]


def test_with_nothing_to_compare_with_the_rate_is_tested_against_the_floor() -> None:
    alone = replace(hypothesis(tasks(20, Table(5, 2, 0, 0))), floor=0.05)
    [found] = findings_of([alone])
    assert found.confirmed
    assert found.adjusted_for == ()
    assert found.effect == pytest.approx(0.35)


def test_many_true_nulls_make_a_weak_finding_weaker() -> None:
    weak = hypothesis(tasks(12, Table(4, 1, 8, 0)))
    nulls = [hypothesis(tasks(12, Table(5, 1, 20, 4)), key=f"null {n}") for n in range(60)]
    [alone] = findings_of([weak])
    together = next(one for one in findings_of([weak, *nulls]) if one.detail["key"] == "a")
    assert alone.q is not None
    assert together.q is not None
    assert alone.q < together.q


def test_findings_do_not_depend_on_the_order_of_hypotheses() -> None:
    random = Random(1)
    several = [hypothesis(tasks(n + 3, Table(6, n % 5, 20, 1)), key=f"h{n}") for n in range(1, 15)]
    expected = findings_of(several)
    random.shuffle(several)
    assert findings_of(several) == expected


def test_the_id_of_a_finding_does_not_change_with_its_counts() -> None:
    [few] = findings_of([hypothesis(tasks(3, Table(1, 1, 10, 0)))])
    [many] = findings_of([hypothesis(tasks(20, Table(5, 2, 20, 1)))])
    assert few.finding_id == many.finding_id == finding_id("test", "a")


def test_what_never_happened_gives_no_finding() -> None:
    assert findings_of([hypothesis(tasks(20, Table(5, 0, 20, 1)))]) == []


def test_both_halves_get_about_half_of_the_tasks() -> None:
    first = sum(in_discovery_half(f"task/{n}") for n in range(1000))
    assert 420 < first < 580


def test_families_are_corrected_each_by_itself() -> None:
    weak = hypothesis(tasks(12, Table(4, 1, 8, 0)))
    nulls = [
        replace(
            hypothesis(tasks(12, Table(5, 1, 20, 4)), key=f"null {n}"), family="of another kind"
        )
        for n in range(60)
    ]
    [alone] = findings_of([weak])
    together = next(one for one in findings_of([weak, *nulls]) if one.detail["key"] == "a")
    assert together.q == alone.q


def test_what_is_not_told_counts_all_the_same() -> None:
    weak = hypothesis(tasks(12, Table(4, 1, 8, 0)))
    nulls = [
        replace(hypothesis(tasks(12, Table(5, 1, 20, 4)), key=f"null {n}"), told=False)
        for n in range(60)
    ]
    [alone], [together] = findings_of([weak]), findings_of([weak, *nulls])
    assert alone.q is not None
    assert together.q is not None
    assert alone.q < together.q


def test_a_doubt_known_beforehand_holds_back_what_else_would_be_confirmed() -> None:
    strong = hypothesis(tasks(20, Table(5, 2, 20, 1)))
    [found] = findings_of([replace(strong, doubt="most keep it")])
    assert (found.confirmed, found.reason) == (False, "most keep it")


def test_a_hypothesis_may_ask_for_more_units_and_names_what_it_counts() -> None:
    strong = hypothesis(tasks(20, Table(5, 2, 20, 1)))
    [found] = findings_of([replace(strong, units_min=30, counted="run", units_noun="user")])
    assert found.reason == "too few: 40 runs in 20 users; needs 5 runs in 30 users"


def test_a_stratum_may_say_itself_which_half_it_belongs_to() -> None:
    strata = tuple(
        Stratum(name=str(early), unit="", table=Table(12.5, 8.25, 0, 0), discovers=early)
        for early in (True, False)
    )
    alone = replace(hypothesis(tasks(20, Table(5, 2, 0, 0))), strata=strata, floor=0.05)
    [found] = findings_of([alone])
    assert found.confirmed
    assert found.p is not None
    assert found.detail["p_confirmation"] == pytest.approx(found.p / 2)

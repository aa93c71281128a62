from dataclasses import replace
from random import Random

import pytest

from spanlore.analyzers.core.findings import finding_id, findings_of
from spanlore.analyzers.core.halves import in_discovery_half
from spanlore.analyzers.core.hypothesis import Hypothesis, Stratum, Support
from spanlore.analyzers.core.statistics import Table
from spanlore.analyzers.core.verdict import p_words


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
    assert (found.verdict, found.n_needed) == ("inconclusive", None)


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
    assert found.reason == (
        "confounded by task: +35.0 points over everything turns into -2.8 points "
        "once that is held fixed"
    )
    assert found.detail["effect_is"].startswith("Mantel-Haenszel risk difference within one task")


def test_the_same_rate_in_many_looks_is_no_effect() -> None:
    [found] = findings_of([hypothesis(tasks(12, Table(10_000, 3000, 20_000, 6000)))])
    assert (found.verdict, found.n_needed) == ("no_effect", None)
    assert found.reason == "no effect worth naming: +0.0 points within one task (p=1)"


def test_the_same_rate_in_few_looks_says_what_is_still_possible() -> None:
    [found] = findings_of([hypothesis(tasks(12, Table(10, 3, 20, 6)))])
    assert found.verdict == "underpowered"
    assert found.n_needed is not None
    assert found.n_needed > 10_000
    assert found.reason == (
        "not shown: +0.0 points within one task (p=1), as much as +10.2 points is possible"
    )


def test_what_is_seen_too_seldom_says_how_many_looks_it_would_take() -> None:
    [found] = findings_of([hypothesis(tasks(4, Table(1, 1, 10, 2)))])
    assert found.verdict == "underpowered"
    assert found.n_needed is not None
    assert found.n_needed >= 5


def test_an_effect_not_shown_names_the_looks_that_would_show_it() -> None:
    [few] = findings_of([hypothesis(tasks(12, Table(3, 1, 12, 2)))])
    assert few.verdict == "underpowered"
    assert few.effect is not None
    assert few.n_needed is not None
    times = -(-few.n_needed // 36)
    [enough] = findings_of([hypothesis(tasks(12, Table(3 * times, times, 12 * times, 2 * times)))])
    assert (enough.verdict, enough.n_needed) == ("confirmed", None)


def test_what_was_to_be_expected_by_chance_is_told() -> None:
    [found] = findings_of([hypothesis(tasks(20, Table(5, 2, 20, 1)))])
    assert found.detail["expected_by_chance"] == pytest.approx(20 * 5 * 3 / 25)


def test_hypotheses_may_come_one_at_a_time() -> None:
    several = [hypothesis(tasks(n + 3, Table(6, n % 5, 20, 1)), key=f"h{n}") for n in range(1, 9)]
    assert findings_of(iter(several)) == findings_of(several)


def test_what_is_held_back_is_told_with_the_most_telling_first() -> None:
    half = {
        unit: Table(5, 3, 20, 1) if in_discovery_half(unit) else Table(5, 0, 20, 1)
        for unit in tasks(24, Table(0, 0, 0, 0))
    }
    hard = {f"hard/{n}": Table(18, 9, 2, 1) for n in range(12)}
    easy = {f"easy/{n}": Table(2, 0, 18, 1) for n in range(12)}
    found = findings_of(
        [
            hypothesis(tasks(12, Table(10, 8, 0, 0)), key="apart"),
            hypothesis(tasks(20, Table(5000, 1000, 20_000, 4000)), key="no effect"),
            hypothesis({**hard, **easy}, key="confounded"),
            hypothesis(tasks(3, Table(1, 1, 10, 0)), key="few"),
            hypothesis(tasks(4, Table(1, 1, 10, 0)), key="less few"),
            hypothesis(half, key="half"),
            hypothesis(tasks(20, Table(5, 2, 20, 1)), key="confirmed"),
        ]
    )
    told = [(one.detail["key"], one.verdict) for one in found]
    assert told == [
        ("confirmed", "confirmed"),
        ("half", "inconclusive"),
        ("confounded", "confounded"),
        ("less few", "underpowered"),
        ("few", "underpowered"),
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


def test_what_never_happens_makes_nothing_else_easier_to_discover() -> None:
    weak = replace(hypothesis(tasks(12, Table(20, 2, 0, 0))), floor=0.05)
    nulls = [
        replace(hypothesis(tasks(12, Table(20, 1, 0, 0)), key=f"null {n}"), floor=0.05)
        for n in range(20)
    ]
    never = [
        replace(hypothesis(tasks(12, Table(60, 0, 0, 0)), key=f"never {n}"), floor=0.05)
        for n in range(60)
    ]
    few, many = (
        next(one for one in findings_of(all_of) if one.detail["key"] == "a").q
        for all_of in ([weak, *nulls], [weak, *nulls, *never])
    )
    assert few is not None
    assert many is not None
    assert many >= few


def test_the_p_of_a_finding_stays_the_two_sided_one() -> None:
    [found] = findings_of([replace(hypothesis(tasks(12, Table(60, 1, 0, 0))), floor=0.2)])
    assert found.p is not None
    assert found.p < 1e-6
    assert found.q == 1.0


@pytest.mark.parametrize("discovers", [True, False])
def test_tasks_that_all_fall_in_one_half_are_too_few_and_not_in_conflict(discovers: bool) -> None:
    strata = tuple(
        Stratum(name=f"task/{n}", unit="", table=Table(30, 18, 30, 3), discovers=discovers)
        for n in range(5)
    )
    one = hypothesis(tasks(5, Table(30, 18, 30, 3)))
    [found] = findings_of([replace(one, strata=strata)])
    assert (found.verdict, found.n_needed) == ("underpowered", None)
    assert found.reason == "all its tasks fall in one half"


def test_fewer_than_three_strata_say_nothing_of_how_many_looks_it_takes() -> None:
    [two] = findings_of([hypothesis(tasks(2, Table(9, 4, 9, 2)))])
    assert (two.verdict, two.n_needed) == ("underpowered", None)


def test_an_effect_that_points_the_other_way_has_no_number_of_looks() -> None:
    [found] = findings_of([hypothesis(tasks(12, Table(10, 3, 20, 7)))])
    assert found.effect is not None
    assert found.effect < 0
    assert (found.verdict, found.n_needed) == ("underpowered", None)


def test_more_than_a_million_looks_are_not_named() -> None:
    [found] = findings_of([hypothesis(tasks(12, Table(1000, 500, 2, 1)))])
    assert str(found.reason).startswith("not shown: +0.0 points")
    assert (found.verdict, found.n_needed) == ("underpowered", None)


def test_less_is_only_said_where_less_is_shown() -> None:
    [shown] = findings_of([hypothesis(tasks(12, Table(50, 5, 100, 30)))])
    assert str(shown.reason).startswith("not more often but less: -20.0 points")
    [not_shown] = findings_of([hypothesis(tasks(12, Table(10, 3, 20, 7)))])
    assert "less" not in str(not_shown.reason)


def test_a_small_effect_that_is_shown_is_below_one_point_rather_than_none() -> None:
    [found] = findings_of([hypothesis(tasks(10, Table(5000, 50, 50_000, 50)))])
    assert found.verdict == "no_effect"
    assert found.reason == "below one point: +0.9 points within one task (p<1e-300)"


def test_a_p_too_small_for_a_number_is_not_told_as_none() -> None:
    assert p_words(0.0) == "p<1e-300"
    assert p_words(0.0123) == "p=0.0123"


def test_the_interval_of_an_effect_that_is_not_shown_reaches_zero() -> None:
    """Without it 9 of 20 against 3 of 20 is [+0.1, +54] points with p = .088."""
    [found] = findings_of([hypothesis({"task/0": Table(20, 9, 20, 3)})])
    assert found.detail["p_overall"] == pytest.approx(0.0885, abs=5e-5)
    assert found.interval == pytest.approx((0.0, 0.5411), abs=5e-5)


def test_calls_of_one_run_do_not_narrow_the_interval_of_the_rate() -> None:
    once = hypothesis(tasks(20, Table(5, 2, 20, 1)))
    often = replace(once, support=Support(n=1000, k=400, runs=100, units=20))
    [one], [many] = findings_of([once]), findings_of([often])
    assert one.detail["rate_interval"] == many.detail["rate_interval"]

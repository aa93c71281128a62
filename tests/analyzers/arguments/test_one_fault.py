"""Hypotheses that the same failing calls gave rise to are told once."""

from collections.abc import Iterable
from random import Random

import pytest

from spanlore.analyzers.arguments.one_fault import SAME_MIN, Candidate, one_a_fault
from spanlore.analyzers.core.hypothesis import Hypothesis, Support


def candidate(
    key: str, happened: Iterable[int], *, rank: tuple[int, int], template: str | None = None
) -> Candidate:
    failing = sum(1 << number for number in happened)
    return Candidate(
        hypothesis=Hypothesis(
            analyzer="test",
            key=key,
            title=f"title of {key}",
            support=Support(n=200, k=failing.bit_count(), runs=9, units=9),
            strata=(),
            adjusted_for=(),
            evidence=(),
            counter_evidence=(),
            detail={"kind": key} | ({"template": template} if template else {}),
        ),
        happened=failing,
        rank=rank,
    )


def test_the_one_that_says_most_is_kept_and_the_others_are_listed_with_counts() -> None:
    lacks = candidate("lacks", range(100), rank=(0, 0))
    absent = candidate("absent", range(100), rank=(0, 1))
    text = candidate("text", range(5, 100), rank=(2, 0), template="missing field")
    [kept] = one_a_fault([text, absent, lacks])
    assert kept.key == "lacks"
    assert kept.detail["template"] == "missing field"
    assert kept.detail["also"] == [
        {"title": "title of absent", "n": 200, "k": 100, "k_in_common": 100},
        {"title": "title of text", "n": 200, "k": 95, "k_in_common": 95},
    ]


@pytest.mark.parametrize(("common", "kept"), [(80, 1), (79, 2)])
def test_the_same_are_those_with_four_of_five_failing_calls_in_common(
    common: int, kept: int
) -> None:
    one = candidate("one", range(100), rank=(0, 0))
    other = candidate("other", range(common), rank=(2, 0))
    assert SAME_MIN == 0.8
    assert len(list(one_a_fault([one, other]))) == kept


def test_other_failing_calls_are_another_fault_however_alike_the_counts() -> None:
    one = candidate("one", range(100), rank=(0, 0))
    other = candidate("other", range(100, 200), rank=(0, 0))
    assert [kept.detail["also"] for kept in one_a_fault([one, other])] == [[], []]


def test_what_never_happened_is_merged_with_nothing() -> None:
    several = [candidate(key, (), rank=(0, 0)) for key in "abc"]
    assert len(list(one_a_fault(several))) == 3


def test_what_is_kept_does_not_depend_on_the_order() -> None:
    random = Random(3)
    several = [
        candidate(f"{n}", range(n, n + 40), rank=(n % 3, n % 2), template=f"text {n}")
        for n in range(30)
    ]
    expected = list(one_a_fault(several))
    assert 1 < len(expected) < 30
    random.shuffle(several)
    assert list(one_a_fault(several)) == expected

"""Values of a text, normalised, and whether a run was told them before."""

from datetime import date

import pytest

from spanlore.analyzers.runs.known_values import KnownValues
from spanlore.analyzers.runs.typed_values import NO_YEAR, numbers_of, typed_values, whole_value


def values(text: str) -> list[tuple[str, str]]:
    return [(one.kind, one.text) for one in typed_values(text)]


@pytest.mark.parametrize(
    ("numeral", "meant"),
    [
        ("1,234.50", (1234.5,)),
        ("1.234,50", (1234.5,)),
        ("1234.5", (1234.5,)),
        ("1'234'567", (1234567.0,)),
        ("1.234", (1.234, 1234.0)),
        ("12,5", (12.5,)),
    ],
)
def test_a_numeral_is_read_in_every_spelling(numeral: str, meant: tuple[float, ...]) -> None:
    assert numbers_of(numeral) == meant


@pytest.mark.parametrize(
    "text",
    ["2026-03-04", "March 4, 2026", "4 March 2026", "4th of March 2026", "04.03.2026"],
)
def test_a_date_is_the_same_in_every_format(text: str) -> None:
    [value] = typed_values(f"It is on {text}.")
    assert date(2026, 3, 4) in value.days


def test_a_date_without_a_year_holds_in_any() -> None:
    [value] = typed_values("on March 4")
    assert value.days == (date(NO_YEAR, 3, 4),)


def test_what_has_a_form_of_its_own_is_a_value() -> None:
    said = "Order AB12-77 for a.b@example.com: $1,200 (1200 USD), call 555-123-2002."
    assert values(said) == [
        ("code", "AB12-77"),
        ("email", "a.b@example.com"),
        ("amount", "$1,200"),
        ("amount", "1200 USD"),
        ("code", "555-123-2002"),
    ]


@pytest.mark.parametrize(
    "text",
    ["3 bags in 24 hours", "at 10:30 am", "in 2026", "50 %", "a 5-day trip", "100GB", "nothing"],
)
def test_counts_times_shares_and_measures_are_none(text: str) -> None:
    assert values(text) == []


def test_a_text_is_one_value_or_it_is_none() -> None:
    assert whole_value("credit_card_7334") is not None
    assert whole_value("pay credit_card_7334 now") is None


def holds(heard: str, said: str) -> bool:
    known = KnownValues()
    known.hear(heard)
    *before, value = typed_values(said)
    return known.holds(value, before)


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ('{"price": 1234.5}', "$1,234.50"),
        ("fares of 300 and 155", "$455"),
        ("from 1200 to 245", "$955"),
        ("155 each", "$465"),
        ('[{"price": 101}, {"price": 102}, {"price": 104}]', "$307"),
        ("101, 202, 404", "$101 + $202 + $404 = $707"),
        ('{"id": "card_450987"}', "ending in 0987"),
        ("the order ab 1277", "AB-1277"),
        ("on 2026-03-04", "on March 4"),
        ("today is 2026-03-04; tomorrow please", "2026-03-05"),
        ("Mail A.B@Example.com", "a.b@example.com"),
    ],
)
def test_what_follows_from_what_was_heard_is_known(heard: str, said: str) -> None:
    assert holds(heard, said)


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("fares of 300 and 155", "$17,021"),
        ("order AB12-77", "AB12-78"),
        ("on 2026-03-04", "2026-05-04"),
        ("Mail a.b@example.com", "c.d@example.com"),
    ],
)
def test_what_does_not_is_not(heard: str, said: str) -> None:
    assert not holds(heard, said)

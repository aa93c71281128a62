import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanlore.analyzers.runs.error_template import error_template


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Error: Payment amount is 375, paid 299", "error: payment amount is 12.5, paid 0"),
        ("Flight HAT083 not found", "flight HAT2 not found"),
        ("gift_card_8516878 is empty", "certificate_1 is empty"),
        ("no row for 'a b'", 'no row for "c"'),
        ("got {'id': 1}", "got {}"),
        ("date 2024-05-01 is past", "date 1999-12-31 is past"),
        ("see https://a.example/x?y=1", "see http://b.example"),
    ],
)
def test_texts_that_differ_in_values_share_a_template(one: str, other: str) -> None:
    assert error_template(one).text == error_template(other).text


def test_constant_words_keep_templates_apart() -> None:
    assert error_template("card not found").text != error_template("card not valid").text


def test_slots_keep_what_stood_there() -> None:
    found = error_template("Error: total price is 1,375.50, but paid 299 by card_12.")
    assert found.text == "total price is <number>, but paid <number> by <id>."
    assert [slot.value for slot in found.slots] == ["1,375.50", "299", "card_12"]


def test_an_apostrophe_is_not_a_quotation_mark() -> None:
    assert error_template("can't pay, won't pay").text == "can't pay, won't pay"


def test_control_characters_and_escapes_are_gone() -> None:
    assert error_template("\x1b[31mbad\x1b[0m\x00 \u202evalue").text == "bad value"


@given(st.text(max_size=3000))
def test_any_text_has_a_short_template_of_printable_words(text: str) -> None:
    found = error_template(text)
    assert len(found.text) <= 300
    assert not any(ord(letter) < 32 for letter in found.text)
    assert error_template(text) == found

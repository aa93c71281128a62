"""What of a call's arguments is compared: slots and their texts."""

import pytest

from spanlore.analyzers.preferences.slot_values import (
    SLOTS_MAX,
    Slot,
    part_and_text,
    pointer,
    said_value,
    slot_of,
    values_of,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2025-09-03T09:30", "09:30"),
        ("2025-09-03 09:30:00", "09:30"),
        ("2025-09-03T09:30:00.000+09:00", "09:30"),
        ("2025-09-03T09:30:15Z", "09:30:15"),
        ("9:30", "09:30"),
    ],
)
def test_a_time_is_compared_by_the_time_of_day_as_it_is_written(value: str, text: str) -> None:
    assert part_and_text(value) == ("time_of_day", text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("pdf", "pdf"),
        ("2025-09-03", "2025-09-03"),
        ("25:00", "25:00"),
        (30, "30"),
        (30.0, "30"),
        (0.5, "0.5"),
        (True, "true"),
    ],
)
def test_every_other_scalar_is_compared_whole(value: object, text: str) -> None:
    assert part_and_text(value) == ("value", text)


@pytest.mark.parametrize("value", [None, "", " ", "x" * 81, {"a": 1}, ["a"], float("1e400")])
def test_what_is_no_short_scalar_is_no_value(value: object) -> None:
    assert part_and_text(value) == ("value", "")


def test_arguments_are_named_by_json_pointers() -> None:
    arguments = {
        "start": "2025-09-03T09:30",
        "options": {"a/b": 1, "c~d": {"e": "x"}},
        "people": ["ana"],
        "note": None,
    }
    assert values_of("t", arguments) == {
        Slot("t", "/start", "time_of_day"): "09:30",
        Slot("t", "/options/a~1b", "value"): "1",
        Slot("t", "/options/c~0d/e", "value"): "x",
    }


def test_arguments_that_are_no_object_have_no_slots() -> None:
    assert values_of("t", None) == values_of("t", ["a"]) == values_of("t", "a") == {}


def test_a_call_has_a_limited_number_of_slots() -> None:
    assert len(values_of("t", {str(n): n for n in range(1000)})) == SLOTS_MAX


def test_an_event_may_say_a_value_as_json_or_plain() -> None:
    assert said_value('"10:00"') == said_value("10:00") == "10:00"
    assert said_value("30") == 30
    assert said_value("[" * 100_000) == "[" * 100_000


def test_a_bare_field_is_one_of_the_top() -> None:
    assert pointer("start") == pointer("/start") == "/start"


def test_a_slot_is_the_same_after_its_json() -> None:
    slot = Slot("t", "/start", "time_of_day")
    assert slot_of(slot.json()) == slot
    with pytest.raises(ValueError, match="not a part"):
        slot_of({**slot.json(), "part": "mood"})

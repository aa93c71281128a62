"""Which of the calls that a model asked for a tool's run is."""

import json
from typing import Any

import pytest

from spanlore.instrumentation import asked_tools

PARIS, ROME = {"city": "Paris"}, {"city": "Rome"}


def answer(*calls: tuple[str, str, dict[str, Any]]) -> str:
    parts = [
        {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}
        for call_id, name, arguments in calls
    ]
    return json.dumps([{"role": "assistant", "parts": parts}])


@pytest.fixture(autouse=True)
def _nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_tools, "_answers", type(asked_tools._answers)())  # noqa: SLF001


def test_a_call_is_known_by_its_arguments_and_claimed_once() -> None:
    asked_tools.note(1, answer(("a", "weather", PARIS), ("b", "weather", ROME)))
    assert asked_tools.claim(1, "weather", ROME) == "b"
    assert asked_tools.claim(1, "weather", PARIS) == "a"
    assert asked_tools.claim(1, "weather", PARIS) is None


def test_with_other_arguments_it_is_the_one_that_there_is_and_never_one_of_two() -> None:
    asked_tools.note(1, answer(("a", "weather", PARIS), ("b", "time", PARIS), ("c", "time", ROME)))
    assert asked_tools.claim(1, "time", {}) is None
    assert asked_tools.claim(1, "weather", {}) == "a"


def test_the_last_answer_goes_first_and_a_call_told_on_two_spans_is_one() -> None:
    asked_tools.note(1, answer(("old", "weather", PARIS)))
    for _ in range(2):
        asked_tools.note(1, answer(("new", "weather", PARIS)))
    assert asked_tools.claim(1, "weather", PARIS) == "new"
    assert asked_tools.claim(1, "weather", PARIS) == "old"


def test_nothing_is_taken_from_another_trace_or_from_one_that_is_over() -> None:
    asked_tools.note(1, answer(("a", "weather", PARIS)))
    assert asked_tools.claim(2, "weather", PARIS) is None
    asked_tools.forget(1)
    assert asked_tools.claim(1, "weather", PARIS) is None


def test_what_is_kept_is_bounded_in_traces_answers_and_size() -> None:
    asked_tools.note(0, answer(("long", "weather", {"city": "P" * 70_000})))
    assert asked_tools.claim(0, "weather", PARIS) is None
    for number in range(asked_tools.ANSWERS_MAX + 1):
        asked_tools.note(1, answer((str(number), f"tool {number}", PARIS)))
    assert asked_tools.claim(1, "tool 0", PARIS) is None
    assert asked_tools.claim(1, "tool 1", PARIS) == "1"
    for trace_id in range(2, asked_tools.TRACES_MAX + 2):
        asked_tools.note(trace_id, answer(("a", "weather", PARIS)))
    assert asked_tools.claim(1, "tool 2", PARIS) is None


def test_a_text_and_a_call_without_an_id_are_not_asked_for() -> None:
    asked_tools.note(1, json.dumps([{"role": "assistant", "parts": [{"type": "text"}]}]))
    asked_tools.note(2, json.dumps([{"parts": [{"type": "tool_call", "name": "weather"}]}]))
    assert asked_tools.claim(1, "weather", {}) is None
    assert asked_tools.claim(2, "weather", {}) is None

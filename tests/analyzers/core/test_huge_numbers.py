"""Numbers that no float can hold, wherever a trace may say them."""

import json
from typing import Any

import pytest

from spanlore.analyzers.arguments.call_facts import call_facts
from spanlore.analyzers.models.answer_schema import misfit
from spanlore.analyzers.preferences.slot_values import NO_VALUE, part_and_text
from spanlore.analyzers.runs.calls import Call, calls_of
from spanlore.analyzers.runs.json_paths import number, number_in, sums
from spanlore.analyzers.runs.typed_values import numbers_in, typed_values

HUGE = 10**400


def test_a_number_is_none_where_a_float_cannot_hold_it() -> None:
    assert [number(one) for one in (HUGE, -HUGE, float("inf"), float("nan"), True, "1")] == [
        None
    ] * 6
    assert (number(3), number(2.5)) == (3.0, 2.5)
    assert [number_in(one) for one in ("1,234.5", str(HUGE), "nan", "three")] == [
        1234.5,
        None,
        None,
        None,
    ]


def test_a_path_with_a_number_too_large_has_no_sum() -> None:
    assert sums({"a": [1, 2], "b": [1, HUGE]}) == {"a[]": 3.0}


def _calls(arguments: dict[str, Any]) -> list[Call]:
    row = {
        "TenantId": "",
        "TraceId": "t",
        "StartUnixNano": 1,
        "ToolName": "pay",
        "ToolArguments": json.dumps(arguments),
        "TaskType": "",
        "TaskId": "",
        "UserId": "",
        "AgentName": "",
        "AgentVersion": "",
        "Model": "",
    }
    paid = {"SpanId": "a", "ToolResult": json.dumps({"id": "x1", "sum": HUGE})}
    refused = {"SpanId": "b", "ToolResult": f"Error: amount {HUGE} is not 3"}
    said = {"StatusMessage": "", "ErrorType": ""}
    return calls_of([{**row, **said, **paid, "Failed": 0}, {**row, **said, **refused, "Failed": 1}])


def test_calls_with_huge_numbers_have_facts() -> None:
    calls = _calls({"amount": HUGE, "items": [{"id": "x1", "price": HUGE}]})
    facts = list(call_facts(calls))
    assert sum(one.key.startswith("call|") for one in facts) == 2
    assert "Infinity" not in "".join(one.detail for one in facts)


def test_a_slot_with_a_huge_number_has_no_value() -> None:
    assert part_and_text(HUGE) == ("value", NO_VALUE)
    assert part_and_text(7.0) == ("value", "7")
    assert part_and_text(value=True) == ("value", "true")


@pytest.mark.parametrize("figures", ["9" * 400, "9" * 308])
def test_a_text_of_endless_figures_names_no_number(figures: str) -> None:
    assert list(numbers_in(f"it is {figures} of 12")) == [12.0]
    assert [one.kind for one in typed_values(f"${figures} or $12")] == ["amount"]


def test_a_models_answer_may_not_hold_a_huge_number() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert misfit({"n": HUGE}, schema) is not None

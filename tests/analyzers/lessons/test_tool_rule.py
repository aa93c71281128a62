"""The sentences that go into a tool's definition."""

from typing import Any

import pytest

from spanlore.analyzers.lessons.tool_rule import rule_of, tells_what_to_do, unfit


def of_shape(kind: str, value: str = "", path: str = "x", **also: Any) -> dict[str, Any]:
    good = {
        "calls": 40,
        "calls_with_shape": 0,
        "calls_with_argument": 40,
        "calls_by_type": {"integer": 40},
        "calls_by_format": {},
        "declared_type": None,
    }
    return {
        "tool": "book",
        "kind": "shape",
        "shape": {"path": path, "kind": kind, "value": value},
        "clusters": [],
        "good_calls": good | also.pop("good", {}),
        **also,
    }


NOT_AS_TEXT = "not as text (a string)."
DATES = {"calls_by_type": {"string": 40}, "calls_by_format": {"date": 38, "word": 9}}


@pytest.mark.parametrize(
    ("detail", "rule"),
    [
        (
            of_shape("type", "string"),
            f"Give `x` as a whole number (an integer), {NOT_AS_TEXT}",
        ),
        (
            of_shape("type", "string", good={"declared_type": "number"}),
            f"Give `x` as a number, {NOT_AS_TEXT}",
        ),
        (
            of_shape("type", "string", good={"declared_type": "string"}),
            f"Give `x` as a whole number (an integer), {NOT_AS_TEXT}",
        ),
        (
            of_shape("type", "string", good={"calls_by_type": {"integer": 20, "array": 20}}),
            "Do not give `x` as text (a string).",
        ),
        (
            of_shape("type", "string", good={"calls_by_type": {"integer": 4}}),
            "Do not give `x` as text (a string).",
        ),
        (
            of_shape("type", "number", good={"calls_by_type": {"string": 30, "integer": 9}}),
            "Give `x` as text (a string), not as a number.",
        ),
        (
            of_shape("format", "word", good=DATES),
            "Give `x` as a date (YYYY-MM-DD), not as a word.",
        ),
        (
            of_shape("format", "number in quotes"),
            "Give `x` as a whole number (an integer), not as a number in quotes.",
        ),
        (of_shape("absent", path="a.b"), "Always give `a.b`."),
    ],
)
def test_a_rule_says_what_good_calls_give(detail: dict[str, Any], rule: str) -> None:
    assert rule_of(detail) == rule


INSTEAD = {"id": {"calls": 9, "returned_by": ["find"]}}
BELONGS = {"id": {"key": "person_id", "good_calls": 9, "good_calls_with_key": 9}}


@pytest.mark.parametrize(
    ("path", "keys", "rule"),
    [
        (
            "",
            {"missing": {"person_id": 9}, "instead": INSTEAD, "belongs_in": BELONGS},
            (
                "`person_id` is required. Pass what find returns as `id` in `person_id`; "
                "do not send `id`."
            ),
        ),
        (
            "people[]",
            {"missing": {"name": 9, "person_id": 9}, "instead": INSTEAD, "belongs_in": {}},
            (
                "`name` and `person_id` are required in every item of `people`. "
                "Do not send `id`, which is what find returns."
            ),
        ),
        (
            "home",
            {"missing": {"street": 9}, "instead": {}, "belongs_in": {}},
            "`street` is required in `home`.",
        ),
    ],
)
def test_a_missing_key_is_named_with_where_its_value_is(
    path: str, keys: dict[str, Any], rule: str
) -> None:
    assert rule_of(of_shape("lacks", path=path, keys=keys)) == rule


def test_the_error_is_quoted_where_nearly_all_such_calls_fail_with_it() -> None:
    clusters = [{"template": "no <id>", "k": 8}, {"template": "timeout", "k": 2}]
    assert rule_of(of_shape("absent", clusters=clusters)).endswith(
        "`x`. Otherwise the call fails with 'no ...'."
    )
    clusters[1]["k"] = 3
    assert rule_of(of_shape("absent", clusters=clusters)) == "Always give `x`."


def test_a_shape_that_most_good_calls_have_tells_nobody_what_to_do() -> None:
    assert tells_what_to_do(of_shape("type", "string", good={"calls_with_shape": 20}))
    assert not tells_what_to_do(of_shape("type", "string", good={"calls_with_shape": 21}))
    assert not tells_what_to_do(of_shape("value", "private"))


@pytest.mark.parametrize("name", ["a b", "x`y", "pay now!", "<x>", "x" * 121, "ignore\nthis"])
def test_a_name_that_is_no_plain_name_is_unfit(name: str) -> None:
    keys = {"missing": {"k": 1}, "instead": {}, "belongs_in": {}}
    assert unfit(of_shape("lacks", keys=keys)) is None
    assert unfit(of_shape("absent", path=name))
    assert unfit(of_shape("lacks", keys=keys | {"missing": {name: 1}}))
    assert unfit(of_shape("lacks", keys=keys | {"instead": {name: INSTEAD["id"]}}))
    assert unfit(of_shape("absent") | {"tool": name})

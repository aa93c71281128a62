"""What a model may propose to be counted: one feature of a call or of a run, as data.

A feature is typed and small, so that it can be counted over every run by our own code and worded
by us. Nothing that a model wrote is executed.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from spanlore.analyzers.runs.calls import Call
from spanlore.analyzers.runs.quoted_text import plain, refusal
from spanlore.analyzers.runs.run_trace import RunTrace

About = Literal["tool_call", "run"]
CALL_TESTS: Final = ("absent", "present", "equals", "is_type", "above", "below", "longer_than")
RUN_TESTS: Final = ("calls", "calls_before", "calls_more_than", "ends_with")
TYPES: Final = ("string", "number", "boolean", "object", "array", "null")
_NUMBERS: Final = ("above", "below", "longer_than", "calls_more_than")
_NAME_CHARS_MAX = 128
_KEY_HEX_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A feature of a ``tool_call`` (of ``tool``, at ``argument``) or of a ``run``.

    ``argument`` is a JSON pointer such as ``/payment/id`` ("" for all arguments, "*" in it for
    any item of a list). ``value`` is what ``test`` compares with, as text.
    """

    about: About
    tool: str
    argument: str
    test: str
    value: str

    @property
    def key(self) -> str:
        """Return the id of the feature: of what it says."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:_KEY_HEX_DIGITS]

    def problem(self) -> str | None:
        """Say why this cannot be counted, None when it can."""
        tests = CALL_TESTS if self.about == "tool_call" else RUN_TESTS
        if self.test not in tests:
            return f"a {self.about} has no test {plain(self.test)!r}"
        if not self.tool or len(self.tool) > _NAME_CHARS_MAX:
            return "it names no tool"
        if self.test in _NUMBERS and _number(self.value) is None:
            return f"{self.test} needs a number"
        if self.test == "is_type" and self.value not in TYPES:
            return f"is_type needs one of {', '.join(TYPES)}"
        for text in (self.tool, self.argument, self.value):
            found = refusal(text.replace("_", " ").replace("/", " ").lower())
            if found is not None:
                return f"it holds {found}"
        return None

    def words(self) -> str:
        """Say the feature in our words, names and values of it as they are."""
        where = f"`{plain(self.argument)}`" if self.argument else "the arguments"
        tool, value = plain(self.tool), plain(self.value)
        return {
            "absent": f"calls of {tool} without {where}",
            "present": f"calls of {tool} with {where}",
            "equals": f"calls of {tool} where {where} is {value}",
            "is_type": f"calls of {tool} where {where} is of type {value}",
            "above": f"calls of {tool} where {where} is above {value}",
            "below": f"calls of {tool} where {where} is below {value}",
            "longer_than": f"calls of {tool} where {where} is longer than {value}",
            "calls": f"runs that call {tool}",
            "calls_before": f"runs that call {tool} before {value}",
            "calls_more_than": f"runs that call {tool} more than {value} times",
            "ends_with": f"runs whose last tool is {tool}",
        }[self.test]


def holds_in_call(feature: Feature, call: Call) -> bool:
    """Whether a call of the feature's tool has the feature."""
    found = list(_at(call.arguments, feature.argument.split("/")[1:]))
    match feature.test:
        case "absent":
            return not found
        case "present":
            return bool(found)
        case "equals":
            return any(_text(one) == feature.value for one in found)
        case "is_type":
            return any(_type(one) == feature.value for one in found)
        case "longer_than":
            sizes = [len(one) for one in found if isinstance(one, str | list | dict)]
            return any(size > (_number(feature.value) or 0) for size in sizes)
    limit = _number(feature.value) or 0.0
    numbers = [number for one in found if (number := _number(one)) is not None]
    return any(number > limit if feature.test == "above" else number < limit for number in numbers)


def holds_in_run(feature: Feature, run: RunTrace) -> bool:
    """Whether a run has the feature."""
    tools = [call.tool for call in run.calls]
    match feature.test:
        case "calls_before":
            after = tools[tools.index(feature.tool) + 1 :] if feature.tool in tools else []
            return feature.value in after
        case "calls_more_than":
            return tools.count(feature.tool) > (_number(feature.value) or 0)
        case "ends_with":
            return bool(tools) and tools[-1] == feature.tool
    return feature.tool in tools


def _at(value: Any, steps: list[str]) -> list[Any]:
    """Return what is at the place: nothing, one value, or one for each item of a list."""
    if not steps:
        return [] if value is None else [value]
    step, rest = steps[0], steps[1:]
    if isinstance(value, list):
        items = value if step == "*" else value[int(step) :][:1] if step.isdecimal() else []
        return [found for one in items for found in _at(one, rest)]
    if isinstance(value, dict) and step in value:
        return _at(value[step], rest) if rest else [value[step]]
    return []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
    return "object"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None

"""What a run had been told so far, and whether a value follows from it.

Meant to err on the side of "it does": a value counts as known where it stands in any input in any
spelling, as part of a longer one, or is the sum, difference or small multiple of what does.
"""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cached_property, lru_cache

from spanlore.analyzers.runs.calls import parsed
from spanlore.analyzers.runs.json_paths import sums
from spanlore.analyzers.runs.typed_values import NO_YEAR, TypedValue, days_in, numbers_in

NUMBERS_MAX = 400  # those heard last; their pairs are tried
MULTIPLE_MAX = 12
DIGITS_MIN = 4  # of a number that is looked for within codes
DAYS_NEAR = 1  # a night's flight, a time zone
DAYS_RELATIVE = 62  # "next month" and less
_CENT = 0.005
_RELATIVE = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|next|last|later|earlier|ago|days?|weeks?|months?|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|weekend|morgen|heute|gestern|demain|hier|"
    r"mañana|ayer)\b",
    re.IGNORECASE,
)
_NOT_DIGITS = re.compile(r"\D+")
_NOT_ALNUM = re.compile(r"[\W_]+")


class _Heard:
    """What one text tells, each part read when it is asked for first."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def letters(self) -> str:
        return _letters(self._text)

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        return (*numbers_in(self._text), *_totals(self._text))

    @cached_property
    def days(self) -> frozenset[date]:
        return frozenset(days_in(self._text))

    @cached_property
    def is_relative(self) -> bool:
        return _RELATIVE.search(self._text) is not None


class KnownValues:
    """What was heard: ``hear`` it in the order it was said."""

    def __init__(self) -> None:
        self._heard: list[_Heard] = []
        self._letters = ""
        self._letters_of = 0  # so many of the texts are in there
        self._numbers: dict[float, None] = {}
        self._numbers_of = 0

    def hear(self, text: str) -> None:
        """Add a text: an instruction, a user's message, a tool's result."""
        self._heard.append(_Heard(text))

    def hear_often(self, text: str) -> None:
        """Add a text that many runs are told, such as instructions: it is read once for all."""
        self._heard.append(_heard_before(text))

    def holds(self, value: TypedValue, said_before: Sequence[TypedValue] = ()) -> bool:
        """Whether the value was heard, or follows from what was.

        ``said_before`` are the values of the same text before it: what is worked out from those
        follows too, so that of a made-up price and its double only the price is made up.
        """
        match value.kind:
            case "email" | "code":
                return _letters(value.text) in self._all_letters()
            case "date":
                return any(self._knows_day(day) for day in value.days)
            case _:
                digits = _NOT_DIGITS.sub("", value.text)
                if len(digits) >= DIGITS_MIN and digits in self._all_letters():
                    return True
                said = [number for one in said_before for number in one.numbers]
                return any(
                    self._knows_number(number, said) or _is_total(number, said_before)
                    for number in value.numbers
                )

    def _all_letters(self) -> str:
        fresh = self._heard[self._letters_of :]
        if fresh:
            self._letters = " ".join([self._letters, *(one.letters for one in fresh)])
            self._letters_of = len(self._heard)
        return self._letters

    def _all_numbers(self) -> dict[float, None]:
        for heard in self._heard[self._numbers_of :]:
            for number in heard.numbers:
                self._numbers.pop(number, None)  # the one heard last is the nearest
                self._numbers[number] = None
        self._numbers_of = len(self._heard)
        return self._numbers

    def _knows_day(self, day: date) -> bool:
        is_relative = any(one.is_relative for one in self._heard)
        near = timedelta(days=DAYS_RELATIVE if is_relative else DAYS_NEAR)
        return any(_is_near(day, known, near) for one in self._heard for known in one.days)

    def _knows_number(self, number: float, said: Sequence[float]) -> bool:
        numbers = self._all_numbers()
        if any(abs(number - one) < _CENT for one in numbers):
            return True
        recent = (*list(numbers)[-NUMBERS_MAX:], *said)
        cents = {round(one * 100) for one in recent}
        wanted = round(number * 100)
        return any(
            wanted - one in cents or one - wanted in cents or wanted + one in cents for one in cents
        ) or any(one * times == wanted for one in cents for times in range(2, MULTIPLE_MAX + 1))


_heard_before = lru_cache(maxsize=64)(_Heard)


def _letters(text: str) -> str:
    return _NOT_ALNUM.sub("", text).casefold()


def _totals(text: str) -> tuple[float, ...]:
    """Return the sums of a JSON result's columns: a list of prices tells its total."""
    value = parsed(text) if text.lstrip()[:1] in ("{", "[") else None
    return tuple(sums(value).values()) if value is not None else ()


def _is_near(day: date, known: date, near: timedelta) -> bool:
    if NO_YEAR in (day.year, known.year):
        apart = abs(day.replace(year=NO_YEAR) - known.replace(year=NO_YEAR))
        return min(apart, timedelta(days=366) - apart) <= near
    return abs(day - known) <= near


def _is_total(number: float, said_before: Sequence[TypedValue]) -> bool:
    """Whether the number is the total of values that stand right before it, one after another."""
    total = 0.0
    for one in reversed(said_before):
        if one.numbers:
            total += one.numbers[0]
            if abs(total - number) < _CENT:
                return True
    return False

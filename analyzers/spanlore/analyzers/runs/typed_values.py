"""Values that a text states as facts: amounts, dates, e-mail addresses and codes, normalised.

Only what has a form of its own is a value: times of day, percentages, small whole numbers and
years are left out, because texts are full of those that nobody looked up.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

Kind = Literal["amount", "date", "email", "code"]

TEXT_CHARS_MAX = 200_000
WHOLE_CHARS_MAX = 128
# Beyond it a float tells no cents apart.
NUMBER_MAX = 1e13
SMALL_MAX = 100  # numbers below, but for money, are counts, positions, hours
_YEARS = range(1900, 2101)
# A leap year stands for the year where the text names none.
NO_YEAR = 4

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_NUMERAL = r"\d{1,3}(?:[,.'\u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d+)?"
# The first that matches at a place is what stands there.
_VALUES = re.compile(
    rf"""(?P<url>https?://\S+|www\.\S+)
    |(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
    |(?P<iso>\b\d{{4}}-\d{{2}}-\d{{2}}(?!\d))
    |(?P<month_first>\b{_MONTH}\.?\s\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s\d{{4}}\b)?)
    |(?P<day_first>\b\d{{1,2}}(?:st|nd|rd|th|\.)?\s(?:of\s)?{_MONTH}\b\.?(?:,?\s\d{{4}}\b)?)
    |(?P<slashed>\b\d{{1,2}}(?P<mark>[/.])\d{{1,2}}(?P=mark)\d{{4}}\b)
    |(?P<clock>\b\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?:\s?[ap]\.?m\b)?|\b\d{{1,2}}\s?[ap]\.?m\b)
    |(?P<phone>\b\d{{2,}}(?:-\d{{2,}})+\b)
    |(?P<measure>\b\d+(?:[.,]\d+)?-?[^\W\d_]{{1,4}}\b|\b\d+-[^\W\d_]+(?:-[^\W\d_]+)*\b)
    |(?P<code>\b(?=[\w-]*\d)(?=[\w-]*[^\W\d_])[^\W_][\w-]{{4,}})
    |(?P<percent>(?:{_NUMERAL})\s?(?:%|percent\b))
    |(?P<money>[$€£¥]\s?(?:{_NUMERAL})|(?:{_NUMERAL})\s?(?:[$€£¥]|usd\b|eur\b|gbp\b|dollars?\b|euros?\b))
    |(?P<number>\b(?:{_NUMERAL}))""",
    re.IGNORECASE | re.VERBOSE,
)
_ANY = re.compile(r"[\d@]")
_NUMBER = re.compile(_NUMERAL)
# The dates of _VALUES alone: inputs are long, and of them nothing else is asked for by its form.
_DATES = re.compile(
    rf"""\b(?:(?P<iso>\d{{4}}-\d{{2}}-\d{{2}})(?!\d)
    |(?P<slashed>\d{{1,2}}(?P<mark>[/.])\d{{1,2}}(?P=mark)\d{{4}}\b)
    |(?P<day_first>\d{{1,2}}(?:st|nd|rd|th|\.)?\s(?:of\s)?{_MONTH}\b\.?(?:,?\s\d{{4}}\b)?)
    |(?P<month_first>{_MONTH}\.?\s\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s\d{{4}}\b)?))""",
    re.IGNORECASE | re.VERBOSE,
)
_SEPARATORS = re.compile(r"[.,'\u00a0\u202f]")
_IGNORED = frozenset({"url", "clock", "measure", "percent"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedValue:
    """A value as it stands (``text``), and what it may mean where its form leaves that open.

    ``numbers`` holds 1234.0 and 1.234 for "1.234"; ``days`` both readings of "03/04/2026", with
    the year ``NO_YEAR`` where none is named.
    """

    kind: Kind
    text: str
    numbers: tuple[float, ...] = ()
    days: tuple[date, ...] = ()


def typed_values(text: str) -> Iterator[TypedValue]:
    """Yield the values of a text in their order; of a long one those of the beginning."""
    if _ANY.search(text) is None:
        return
    for match in _VALUES.finditer(text[:TEXT_CHARS_MAX]):
        name = match.lastgroup or ""
        value = None if name in _IGNORED else _value(name, match.group(name))
        if value is not None:
            yield value


def numbers_in(text: str) -> Iterator[float]:
    """Yield every number that stands in a text, whatever it is part of."""
    for match in _NUMBER.finditer(text[:TEXT_CHARS_MAX]):
        yield from (one for one in numbers_of(match.group()) if one <= NUMBER_MAX)


def days_in(text: str) -> Iterator[date]:
    """Yield every day that a text names, in each reading."""
    for match in _DATES.finditer(text[:TEXT_CHARS_MAX]):
        name = match.lastgroup or ""
        yield from _days(name, match.group(name))


def whole_value(text: str) -> TypedValue | None:
    """Return the value that a text is, None where it is anything more."""
    if len(text) > WHOLE_CHARS_MAX:
        return None
    found = list(typed_values(text))
    return found[0] if len(found) == 1 and found[0].text == text.strip() else None


def numbers_of(numeral: str) -> tuple[float, ...]:
    """Return what a numeral may mean: 1,234.50 is one number, 1.234 may be two."""
    marks = _SEPARATORS.findall(numeral)
    digits = _SEPARATORS.split(numeral)
    whole = float("".join(digits))
    if not marks:
        return (whole,)
    decimal = float("".join(digits[:-1]) + "." + digits[-1])
    if len(set(marks)) > 1 and marks.count(marks[-1]) == 1:
        return (decimal,)
    if len(marks) > 1:
        return (whole,)
    return (decimal, whole) if len(digits[-1]) == 3 else (decimal,)  # noqa: PLR2004 - thousands


def _value(name: str, text: str) -> TypedValue | None:
    match name:
        case "email" | "code":
            return TypedValue(kind="email" if name == "email" else "code", text=text.rstrip("-_"))
        case "phone":
            return TypedValue(kind="code", text=text)
        case "iso" | "slashed" | "month_first" | "day_first":
            days = _days(name, text)
            return TypedValue(kind="date", text=text, days=days) if days else None
        case _:
            return _amount(text, is_money=name == "money")


def _amount(text: str, *, is_money: bool) -> TypedValue | None:
    numeral = _NUMBER.search(text)
    if numeral is None:
        return None
    numbers = numbers_of(numeral.group())
    first = numbers[0]
    if (
        first == 0
        or max(numbers) > NUMBER_MAX
        or (not is_money and (first < SMALL_MAX or first in _YEARS))
    ):
        return None
    return TypedValue(kind="amount", text=text, numbers=numbers)


def _days(name: str, text: str) -> tuple[date, ...]:
    figures = [int(one) for one in re.findall(r"\d+", text)]
    if name == "iso":
        readings = [(figures[0], figures[1], figures[2])]
    elif name == "slashed":
        readings = [(figures[2], figures[0], figures[1]), (figures[2], figures[1], figures[0])]
    else:
        month = next(
            number
            for number, short in enumerate(_MONTHS, start=1)
            if re.search(rf"\b{short}", text, re.IGNORECASE)
        )
        readings = [(figures[1] if len(figures) > 1 else NO_YEAR, month, figures[0])]
    return tuple(dict.fromkeys(filter(None, (_day(*reading) for reading in readings))))


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None

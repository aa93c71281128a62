"""Where values sit inside JSON: ``lines[].amount`` is the amount of every item of lines."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

Json = Any
Scalar = str | int | float | bool | None
DEPTH_MAX = 12


def scalars(value: Json, path: str = "", depth: int = 0) -> Iterator[tuple[str, Scalar]]:
    """Yield every scalar with its path; what is deeper than ``DEPTH_MAX`` is left out."""
    for where, one in nodes(value, path, depth):
        if not isinstance(one, dict | list):
            yield where, one


def objects(value: Json, path: str = "") -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield every object with its path, the outermost first."""
    for where, one in nodes(value, path):
        if isinstance(one, dict):
            yield where, one


def arrays(value: Json, path: str = "") -> Iterator[tuple[str, list[Json]]]:
    """Yield every array with its path (which does not end in ``[]``)."""
    for where, one in nodes(value, path):
        if isinstance(one, list):
            yield where, one


def nodes(value: Json, path: str = "", depth: int = 0) -> Iterator[tuple[str, Json]]:
    """Yield the value itself and everything inside, each with its path."""
    yield path, value
    if depth >= DEPTH_MAX:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from nodes(inner, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner, f"{path}[]", depth + 1)


def number(value: Json) -> float | None:
    """Return a JSON number as float, None for anything else and for what no float can hold.

    A bool is not a number; neither is a whole number of 400 digits, nor infinity.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        said = float(value)
    except OverflowError:
        return None
    return said if isfinite(said) else None


def number_in(text: str) -> float | None:
    """Return the number that a text is (1,234.5 too), None as in ``number``."""
    try:
        return number(float(text.replace(",", "")))
    except ValueError:
        return None


def sums(value: Json) -> dict[str, float]:
    """Return the sum of the numbers at each path; a path with anything else there is left out."""
    totals: dict[str, float] = {}
    spoilt: set[str] = set()
    for path, one in scalars(value):
        amount = number(one)
        if amount is None:
            spoilt.add(path)
        else:
            totals[path] = totals.get(path, 0.0) + amount
    return {path: total for path, total in totals.items() if path not in spoilt}

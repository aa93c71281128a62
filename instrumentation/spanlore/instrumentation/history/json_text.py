"""JSON text: read so that every value can be written again, written compact and canonical."""

import json
import math
import re
from typing import Any, NoReturn

_HALF_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_canonical = json.JSONEncoder(allow_nan=False, sort_keys=True, separators=(",", ":"))


class NotJson(ValueError):
    """The text is not JSON; the message says where and why."""


def parse(text: str) -> Any:
    """Return the value of a JSON text; raise NotJson.

    What JSON cannot say (NaN, infinities, numbers beyond a double) becomes None, and half of a
    surrogate pair U+FFFD, so that what was read can be encoded.
    """
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        return _well_formed(value) if _HALF_OF_A_PAIR.search(text) else value
    except json.JSONDecodeError as error:
        raise NotJson(f"not JSON ({error.msg} at column {error.colno})") from error
    except RecursionError as error:
        raise NotJson("not JSON that can be read (nested too deeply)") from error
    except ValueError as error:
        raise NotJson("not JSON that can be read (a number has too many digits)") from error


def parse_exact(text: str) -> Any:
    """Return the value of a JSON text if it can be written again unchanged; else raise NotJson."""
    try:
        value = json.loads(text, parse_constant=_refused, parse_float=_finite_or_refused)
        if _HALF_OF_A_PAIR.search(text):
            compact(value).encode()
    except (ValueError, RecursionError) as error:
        raise NotJson("not JSON that can be written again unchanged") from error
    return value


def compact(value: Any) -> str:
    """Return the value as JSON without spaces, other scripts unescaped."""
    return _compact.encode(value)


def canonical(value: Any) -> str:
    """Return the value as ASCII JSON that does not depend on spaces or the order of keys."""
    return _canonical.encode(value)


def text_of(value: Any) -> str | None:
    """Return a string as it is, None and "" as None, anything else as JSON."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else compact(value)


def _no_number(_name: str) -> None:
    return None


def _refused(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a JSON number")


def _finite_or_refused(text: str) -> float:
    number = _finite(text)
    return _refused(text) if number is None else number


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _well_formed(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_well_formed(member) for member in value]
    if isinstance(value, dict):
        return {_well_formed(key): _well_formed(member) for key, member in value.items()}
    return value

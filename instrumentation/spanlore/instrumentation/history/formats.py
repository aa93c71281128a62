"""The formats history comes in, each turned into objects of the trajectory format."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

# Members of which a line of OTLP/JSON has one.
OTLP_KEYS = ("resourceSpans", "resourceLogs", "resourceMetrics")

_TRAJECTORY_KEYS = ("run_id", "outcome", "task", "agent")


class Format(StrEnum):
    """A format of recorded runs that can be imported."""

    TRAJECTORY = "trajectory"
    OPENAI = "openai"
    OTLP_JSON = "otlp-json"


class NotImportable(ValueError):
    """A line, or one run of it, cannot become a run: what is wrong and what to do."""


def format_of(value: Any) -> tuple[Format, str] | None:
    """Return the format of a line's value with the key it is known by, None where none tells."""
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, dict):
        return None
    signs = ((Format.OTLP_JSON, OTLP_KEYS), (Format.TRAJECTORY, _TRAJECTORY_KEYS))
    return next(((each, key) for each, keys in signs for key in keys if key in first), None)


def split_runs(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each run of a line's value, with where in the line it stands ("" for all of it).

    A line (or a whole file) holds one object, one bare list of messages, or a list of either.
    """
    if not isinstance(value, list) or not value or _is_messages(value):
        yield "", value
        return
    for number, member in enumerate(value, 1):
        yield f"item {number}: ", member


def trajectory_object(value: Any, file_format: Format) -> dict[str, Any]:
    """Return one run's value as an object of the trajectory format; raise NotImportable."""
    run = {"messages": value} if _is_messages(value) else value
    if not isinstance(run, dict):
        raise NotImportable(f"{_kind(value)} where a JSON object with messages belongs; remove it")
    messages = run.get("messages")
    if not isinstance(messages, list) or not messages:
        raise NotImportable('no messages; a run needs a list "messages" with at least one in it')
    return run if file_format is Format.TRAJECTORY else _from_openai(run)


def _from_openai(run: dict[str, Any]) -> dict[str, Any]:
    """Give what a chat names in OpenAI's words the trajectory format's names."""
    renamed = dict(run)
    if isinstance(run.get("functions"), list) and not run.get("tools"):
        functions = renamed.pop("functions")
        renamed["tools"] = [{"type": "function", "function": each} for each in functions]
    if "user" in run and "user_id" not in run:
        renamed["user_id"] = renamed.pop("user")
    return renamed


def _is_messages(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(member, dict) and "role" in member for member in value
    )


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")

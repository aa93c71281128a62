"""The tools themselves: what the calendar, the directory and the rooms answer to a call."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from spanlore.demo import TOOLS
from spanlore.demo.faults import TIMEOUT
from spanlore.demo.meetings import CONTACTS

__all__ = ["Answer", "Office", "tool_definitions"]

_TIMEOUT_MS = 10_000
_QUICKEST_MS = 40
_SLOWEST_MS = 420
_SLOTS = ("09:30", "11:00", "14:00", "15:30")
_ROOMS = (("r_201", "Aspen"), ("r_207", "Birch"), ("r_312", "Cedar"), ("r_318", "Oak"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tool answered, as the model reads it, and after how many milliseconds."""

    text: str
    is_error: bool
    took_ms: int

    @property
    def result(self) -> dict[str, Any]:
        """The answer of a call that worked, as an object."""
        found: dict[str, Any] = json.loads(self.text)
        return found


def tool_definitions() -> list[dict[str, Any]]:
    """Return what the model is told of the tools."""
    definitions: list[dict[str, Any]] = json.loads(TOOLS.read_text(encoding="utf-8"))
    return definitions


class Office:
    """The tools for one run. They check what they are given and sometimes are not reachable.

    ``timeouts`` is the share of calls, whatever they say, that the servers do not answer.
    """

    def __init__(self, random: Random, *, timeouts: float) -> None:
        self._random = random
        self._timeouts = timeouts
        self._required = {
            tool["function"]["name"]: tool["function"]["parameters"]["required"]
            for tool in tool_definitions()
        }

    def answer(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """Carry out one call."""
        if self._random.random() < self._timeouts:
            return Answer(text=TIMEOUT, is_error=True, took_ms=_TIMEOUT_MS)
        took_ms = self._random.randrange(_QUICKEST_MS, _SLOWEST_MS)
        problem = self._problem(tool, arguments)
        if problem is not None:
            return Answer(text=problem, is_error=True, took_ms=took_ms)
        found = json.dumps(self._result(tool, arguments))
        return Answer(text=found, is_error=False, took_ms=took_ms)

    def _problem(self, tool: str, arguments: Mapping[str, Any]) -> str | None:
        for key in self._required[tool]:
            if key not in arguments:
                return f"missing required field {key}"
        duration = arguments.get("duration", 0)
        if not isinstance(duration, int):
            return f"duration must be a whole number of minutes, got '{duration}'"
        return None

    def _result(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if tool == "find_contact":
            [contact] = [one for one in CONTACTS if one.name == arguments["name"]]
            return {"contact_id": contact.contact_id, "name": contact.name}
        if tool == "find_free_slots":
            times = sorted(self._random.sample(_SLOTS, 2))
            rooms = self._random.sample(_ROOMS, 2)
            return {
                "slots": [
                    {"start": f"{arguments['day']}T{time}", "room_id": room, "room_name": name}
                    for time, (room, name) in zip(times, rooms, strict=True)
                ]
            }
        if tool == "create_event":
            return {"event_id": f"e_{self._random.randrange(10_000, 99_999)}"}
        return {"ok": True}

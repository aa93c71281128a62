"""The office's own servers: what the calendar, the directory and the rooms answer to a call."""

from collections.abc import Mapping
from random import Random
from typing import Any

from spanlore.demo.faults import TIMEOUT
from spanlore.demo.meetings import CONTACTS

__all__ = ["Office", "OfficeError"]

_REQUIRED = {
    "find_contact": ("name",),
    "find_free_slots": ("people", "day"),
    "create_event": ("title", "start", "duration", "visibility", "video", "reminder"),
    "book_room": ("event_id", "room_id"),
    "send_invitation": ("event_id", "attendee_id"),
}
_FREE_ALWAYS = ("09:30", "14:00")
_FREE_SOMETIMES = ("09:00", "10:30", "11:00", "13:00", "15:30", "16:00")
_ROOMS = (("r_201", "Aspen"), ("r_207", "Birch"), ("r_312", "Cedar"), ("r_318", "Oak"))


class OfficeError(Exception):
    """The office did not do what it was asked; the message is its own."""


class Office:
    """The servers as one run meets them. They check what they are given.

    ``timeouts`` is the share of calls, whatever they say, that are not answered.
    """

    def __init__(self, random: Random, *, timeouts: float) -> None:
        self._random = random
        self._timeouts = timeouts
        self._event_ids: dict[tuple[str, str], str] = {}
        self.events: dict[str, Mapping[str, Any]] = {}
        self.invited: set[tuple[str, str]] = set()

    def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one call. Raises OfficeError."""
        if self._random.random() < self._timeouts:
            raise OfficeError(TIMEOUT)
        for key in _REQUIRED[name]:
            if key not in arguments:
                raise OfficeError(f"missing required field {key}")
        answer: dict[str, Any] = getattr(self, f"_{name}")(arguments)
        return answer

    def _find_contact(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for contact in CONTACTS:
            if contact.name == arguments["name"]:
                return {"contact_id": contact.contact_id, "name": contact.name}
        raise OfficeError(f"nobody is called '{arguments['name']}'")

    def _find_free_slots(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        free = sorted({*_FREE_ALWAYS, *self._random.sample(_FREE_SOMETIMES, 3)})
        rooms = [{"room_id": room, "room_name": name} for room, name in _ROOMS]
        return {
            "slots": [f"{arguments['day']}T{time}" for time in free],
            "rooms": self._random.sample(rooms, 2),
        }

    def _create_event(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        duration = arguments["duration"]
        if not isinstance(duration, int):
            raise OfficeError(f"duration must be a whole number of minutes, got '{duration}'")
        which = (str(arguments["title"]), str(arguments["start"])[:10])
        if which not in self._event_ids:
            self._event_ids[which] = f"e_{self._random.randrange(10_000, 99_999)}"
        event_id = self._event_ids[which]
        self.events[event_id] = dict(arguments)
        return {"event_id": event_id, "start": arguments["start"]}

    def _book_room(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"booked": arguments["room_id"]}

    def _send_invitation(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.invited.add((arguments["event_id"], arguments["attendee_id"]))
        return {"invited": arguments["attendee_id"]}

"""The agent: a model's way of arranging a meeting, with the habits that go wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from spanlore.demo.faults import CONFOUNDED, MISNAMED_KEY, TIMEOUT, VAGUE_DURATION
from spanlore.demo.meetings import Contact, Meeting
from spanlore.demo.office import Office
from spanlore.demo.transcript import Transcript

__all__ = ["Assistant", "GaveUp", "Habits", "draw_habits"]

_ATTEMPTS_MAX = 4
_GIVES_UP = 0.15  # after an error
_SEES_WHAT_IS_WRONG = 0.85  # when the error is about its arguments
# Minutes -> the ways of writing them that are no whole number of minutes.
_WRITTEN = {
    30: ("30m", "30min", "PT30M", "0.5h"),
    45: ("45m", "45min", "PT45M"),
    60: ("1h", "60min", "PT1H", "1h"),
    90: ("1h30m", "90min", "PT1H30M", "1.5h"),
    120: ("2h", "120min", "PT2H"),
}


class GaveUp(Exception):
    """The assistant stopped trying; the message says what did not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What the model will do in one run when it gets there."""

    writes_duration: str | None
    sends_contact_id: bool
    sends_room_name: bool
    visibility: str


def draw_habits(random: Random, meeting: Meeting, *, sends_room_name: bool) -> Habits:
    """Decide what will go wrong in a run."""
    vague = random.random() < VAGUE_DURATION.share
    written = random.choice(_WRITTEN[meeting.minutes])
    planning = meeting.task_type == CONFOUNDED.task_type
    private = random.random() < (CONFOUNDED.share if planning else CONFOUNDED.share_elsewhere)
    return Habits(
        writes_duration=written if vague else None,
        sends_contact_id=random.random() < MISNAMED_KEY.share,
        sends_room_name=sends_room_name,
        visibility=CONFOUNDED.value if private else "default",
    )


class Assistant:
    """The agent in one run: it calls the office's tools and writes everything down."""

    def __init__(
        self, random: Random, office: Office, transcript: Transcript, *, habits: Habits
    ) -> None:
        self._random = random
        self._office = office
        self._transcript = transcript
        self._habits = habits

    def arrange(self, meeting: Meeting, people: list[Contact], day: str) -> str:
        """Arrange the meeting and return its start. Raises GaveUp."""
        names = [{"name": person.name} for person in people]
        found = [self._call("find_contact", name)["contact_id"] for name in names]
        slots = self._call("find_free_slots", {"people": found, "day": day})["slots"]
        slot = self._random.choice(slots)
        event_id = self._create_event(meeting, slot["start"])
        if meeting.needs_room:
            self._book_room(event_id, slot)
        self._invite(event_id, found)
        return str(slot["start"])

    def _create_event(self, meeting: Meeting, start: str) -> str:
        right = {
            "title": meeting.title,
            "start": start,
            "duration": meeting.minutes,
            "visibility": self._habits.visibility,
        }
        written = self._habits.writes_duration
        first = right if written is None else {**right, "duration": written}
        return str(self._call("create_event", first, right=right)["event_id"])

    def _book_room(self, event_id: str, slot: Mapping[str, Any]) -> None:
        right = {"event_id": event_id, "room_id": slot["room_id"]}
        wrong = {"event_id": event_id, "room_name": slot["room_name"]}
        self._call("book_room", wrong if self._habits.sends_room_name else right, right=right)

    def _invite(self, event_id: str, people: list[str]) -> None:
        key = MISNAMED_KEY.returned_as if self._habits.sends_contact_id else MISNAMED_KEY.argument
        for person in people:
            right = {"event_id": event_id, MISNAMED_KEY.argument: person}
            self._call("send_invitation", {"event_id": event_id, key: person}, right=right)
            key = MISNAMED_KEY.argument  # learned for the rest of the run

    def _call(
        self, tool: str, arguments: Mapping[str, Any], *, right: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Call a tool until it works, in the end with the right arguments. Raises GaveUp."""
        for _ in range(_ATTEMPTS_MAX):
            self._transcript.call(tool, arguments)
            answer = self._office.answer(tool, arguments)
            self._transcript.hear(answer)
            if not answer.is_error:
                return answer.result
            if self._random.random() < _GIVES_UP:
                break
            if answer.text != TIMEOUT and self._random.random() < _SEES_WHAT_IS_WRONG:
                arguments = right or arguments
        raise GaveUp(f"{tool} did not work: {answer.text}")

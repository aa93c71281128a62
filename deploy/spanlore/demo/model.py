"""The scripted model: it answers a chat request from what stands in it, and from nothing else.

It follows instructions, memory and tool definitions as far as it understands them, has the
habits that ``faults`` says, and draws what it leaves to chance from its seed and the words of the
user: the same request gets the same answer, in whatever order requests come.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from spanlore.demo.conversation import Call, Conversation
from spanlore.demo.faults import CONFOUNDED, MISNAMED_KEY, STILL_WRONG, VAGUE_DURATION
from spanlore.demo.settings import settings_in

__all__ = ["LENGTHS", "Reply", "Wanted", "reply"]

# Minutes -> how people say it.
LENGTHS = {30: "half an hour", 45: "45 minutes", 60: "one hour", 90: "90 minutes", 120: "2 hours"}
# Minutes -> the ways of writing them that are no whole number of minutes.
_WRITTEN = {
    30: ("30m", "30min", "PT30M", "0.5h"),
    45: ("45m", "45min", "PT45M"),
    60: ("1h", "60min", "PT1H", "1h"),
    90: ("1h30m", "90min", "PT1H30M", "1.5h"),
    120: ("2h", "120min", "PT2H"),
}
_CONFIDENTIAL = re.compile(r"\b(?:budget|roadmap|board|hiring)\b", re.IGNORECASE)
_USUAL_TIME, _USUAL_VIDEO, _USUAL_REMINDER = "09:30", "meet", 10
_FOLLOWS_MEMORY = 0.97
_GIVES_UP = 0.08  # after an answer with an error in it
_SEES_WHAT_IS_WRONG = 0.85  # when the error is about its arguments
_FAILURES_MAX = 12  # in one run
_NAME = re.compile(r"\b[A-Z][a-z]+ [A-Z][a-z]+\b")
_DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_TITLE = re.compile(r"'([^']+)'")
_ROOM = re.compile(r"\bthe ([A-Z]\w+) room\b")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tool call that the model makes."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """The model's answer: tool calls, or else what it says to the user."""

    calls: tuple[Wanted, ...] = ()
    text: str | None = None


def reply(request: Mapping[str, Any], *, seed: int) -> Reply:
    """Answer the body of a request for a chat completion. Raises ValueError, KeyError."""
    return _Thought(Conversation.read(request), seed).reply()


class _Thought:
    """What the model makes of one conversation."""

    def __init__(self, conversation: Conversation, seed: int) -> None:
        self._conversation = conversation
        self._seed = seed

    def reply(self) -> Reply:
        """Do what comes next, or stop trying, or say that all is done."""
        failures = [call for call in self._conversation.calls if call.result is None]
        for calls in (self._look_up, self._put_into_calendar, self._tell_everybody):
            wanted = calls()
            if not wanted:
                continue
            if failures and self._gives_up(failures):
                last = failures[-1]
                return Reply(text=f"I am sorry, {last.name} did not work: {last.answer}.")
            return Reply(calls=tuple(wanted))
        event = self._event()
        return Reply(text=f"'{self._title}' is in the calendar for {event.arguments['start']}.")

    @property
    def _title(self) -> str:
        return str(_TITLE.findall(self._conversation.asked)[0])

    def _people(self) -> list[str]:
        without_title = _TITLE.sub(" ", self._conversation.asked)
        return _NAME.findall(without_title)

    def _look_up(self) -> list[Wanted]:
        """Find the people and the times when they are free."""
        people = self._people()
        [day] = _DAY.findall(self._conversation.asked)
        calls = [Wanted("find_contact", {"name": name}) for name in people]
        calls.append(Wanted("find_free_slots", {"people": people, "day": day}))
        return [
            one
            for one in calls
            if self._conversation.done(one.name, *one.arguments.values()) is None
        ]

    def _put_into_calendar(self) -> list[Wanted]:
        """Create the event; change it when the user has said something since."""
        conversation = self._conversation
        stands = conversation.done("create_event")
        if stands is not None and stands.turn == conversation.turn:
            return []
        failed = conversation.failed("create_event")
        if failed and failed[-1].turn == conversation.turn:
            right = {**failed[-1].arguments, "duration": self._minutes()}
            return [Wanted("create_event", self._tried_again(failed, right))]
        if stands is not None:
            return [Wanted("create_event", {**stands.arguments, **self._asked_since(stands)})]
        first = self._event_arguments()
        written = self._written_duration()
        return [Wanted("create_event", {**first, "duration": written} if written else first)]

    def _tell_everybody(self) -> list[Wanted]:
        """Book the room where one was asked for, and invite the others."""
        event_id = str((self._event().result or {})["event_id"])
        calls = []
        if "room" in self._conversation.asked and not self._conversation.done("book_room"):
            calls.append(Wanted("book_room", self._room(event_id)))
        for name in self._people():
            found = self._conversation.done("find_contact", name)
            person = (found.result or {})["contact_id"] if found else ""
            if not self._conversation.done("send_invitation", person):
                calls.append(Wanted("send_invitation", self._invitation(event_id, person)))
        return calls

    def _event(self) -> Call:
        call = self._conversation.done("create_event")
        if call is None:
            message = "no event stands in the calendar yet"
            raise ValueError(message)
        return call

    def _event_arguments(self) -> dict[str, Any]:
        """Choose what an event is created with: habits, and what is remembered of them."""
        confidential = bool(_CONFIDENTIAL.search(self._title))
        private = CONFOUNDED.share if confidential else CONFOUNDED.share_elsewhere
        choice: dict[str, Any] = {
            "start": _USUAL_TIME,
            "visibility": CONFOUNDED.value if self._draw("visibility") < private else "default",
            "video": _USUAL_VIDEO,
            "reminder": _USUAL_REMINDER,
        }
        properties = self._conversation.properties("create_event")
        for line in self._conversation.remembered:
            if self._draw(f"follows {line}") < _FOLLOWS_MEMORY:
                remembered = settings_in(line, properties, named=True)
                choice |= {key: value for key, value in remembered.items() if key in choice}
        start = self._free_time(choice["start"])
        return {"title": self._title, **choice, "start": start, "duration": self._minutes()}

    def _free_time(self, time: str) -> str:
        """Return the first free slot at or after a time of day, else the last one."""
        found = self._conversation.done("find_free_slots")
        slots = sorted((found.result or {})["slots"]) if found else []
        return str(next((slot for slot in slots if slot[11:] >= time), slots[-1]))

    def _asked_since(self, stands: Call) -> dict[str, Any]:
        """Return what the user's last words change of the event."""
        properties = self._conversation.properties("create_event")
        found = settings_in(self._conversation.said[-1], properties, named=False)
        changes: dict[str, Any] = {
            key: value for key, value in found.items() if key not in ("title", "duration")
        }
        if "start" in changes:
            day = str(stands.arguments["start"])[:10]
            changes["start"] = f"{day}T{changes['start']}"
        return changes

    def _minutes(self) -> int:
        """Read how long the meeting takes: the longest way of saying it that stands there."""
        asked = self._conversation.asked
        return max((len(words), minutes) for minutes, words in LENGTHS.items() if words in asked)[1]

    def _written_duration(self) -> str | None:
        """Write the length in words where the definition does not say how it is wanted."""
        schema = self._conversation.properties("create_event")["duration"]
        says = str(schema.get("description", ""))
        told = schema.get("type") == "integer" or re.search(r"whole number|minutes", says)
        share = STILL_WRONG if told else VAGUE_DURATION.share
        if self._draw("duration") >= share:
            return None
        return self._choose("written", _WRITTEN[self._minutes()])

    def _room(self, event_id: str) -> dict[str, Any]:
        """Choose a room; one that the user named is sent by its name at first."""
        found = self._conversation.done("find_free_slots")
        rooms = (found.result or {})["rooms"] if found else []
        right = {"event_id": event_id, "room_id": rooms[0]["room_id"]}
        named = _ROOM.findall(self._conversation.asked)
        told = any("room_id" in call.answer for call in self._conversation.failed("book_room"))
        return {"event_id": event_id, "room_name": named[0]} if named and not told else right

    def _invitation(self, event_id: str, person: str) -> dict[str, Any]:
        right = {"event_id": event_id, MISNAMED_KEY.argument: person}
        failed = self._conversation.failed("send_invitation", person)
        if failed:
            return self._tried_again(failed, right)
        tool = self._conversation.tools["send_invitation"]
        share = STILL_WRONG if MISNAMED_KEY.returned_as in str(tool) else MISNAMED_KEY.share
        if self._draw("attendee") < share:
            return {"event_id": event_id, MISNAMED_KEY.returned_as: person}
        return right

    def _tried_again(self, failed: Sequence[Call], right: dict[str, Any]) -> dict[str, Any]:
        """Correct the last try, when its error is about the arguments and that was understood."""
        last = failed[-1]
        about_arguments = "timeout" not in last.answer
        understood = self._draw(f"understands {last.name} {len(failed)}") < _SEES_WHAT_IS_WRONG
        return right if about_arguments and understood else dict(last.arguments)

    def _gives_up(self, failures: Sequence[Call]) -> bool:
        tired = len(failures) >= _FAILURES_MAX
        return tired or self._draw(f"gives up {len(failures)}") < _GIVES_UP

    def _draw(self, what: str) -> float:
        return Random(f"{self._seed}/{self._conversation.asked}/{what}").random()

    def _choose(self, what: str, among: Sequence[str]) -> str:
        return Random(f"{self._seed}/{self._conversation.asked}/{what}").choice(among)

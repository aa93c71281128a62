"""The users at work: what each asks the assistant for, and what they make of its answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import cycle, islice
from random import Random
from typing import Any

from spanlore.demo.meetings import CONTACTS, TASKS, USERS, Meeting, User
from spanlore.demo.model import LENGTHS
from spanlore.demo.preferences import OTHER_WISHES, Phase, wanted

__all__ = ["RUNS", "Person", "Request", "requests"]

RUNS = 288  # in each phase
_FREQUENT_USER, _FREQUENT_RUNS = "ana", 24
# The runs in which the user names the room that they want.
_NAMED_ROOM_RUNS = frozenset({58, 151, 242})
_EDITS_DRAFTS = 0.65  # else they say it when they see what was done
_FIRST_DAY: dict[Phase, date] = {1: date(2026, 1, 5), 2: date(2026, 3, 2)}  # Mondays
_WORKING_DAYS = 5
_ASKS = (
    "Please set up '{title}' with {people} on {day}, {length}{room}.",
    "Can you find {length} for '{title}' on {day}{room}? {people} should come.",
    "I need '{title}' with {people} in the calendar for {day}, {length}{room}.",
)
_SAYS = {
    "start": "start at {value}",
    "visibility": "make it {value} for others",
    "video": "for the video call take {value}",
    "reminder": "remind us {value} minutes before",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asks for: ``number`` counts the runs of a phase from 0."""

    number: int
    phase: Phase
    user: User
    meeting: Meeting
    text: str


def requests(phase: Phase, *, seed: int) -> list[Request]:
    """Return what the users ask for in a phase, in order; no two ask the same."""
    users = _users(Random(f"{seed}/{phase}/users"))
    return [_request(number, phase, user, seed=seed) for number, user in enumerate(users)]


class Person:
    """The one who asked: looks at drafts or at what was done, and changes what is not wanted.

    What they want is drawn from the seed and the number of the run alone.
    """

    def __init__(self, request: Request, *, seed: int) -> None:
        self._request = request
        self._key = f"{seed}/{request.phase}/{request.number}"
        self._edits_drafts = self._random("edits drafts").random() < _EDITS_DRAFTS
        self._has_spoken = False

    def edit(self, draft: Mapping[str, Any]) -> dict[str, Any]:
        """Give back the draft of an event as it should be."""
        if not self._edits_drafts or self._has_spoken:
            return dict(draft)
        self._has_spoken = True
        return {**draft, **self.changes(draft)}

    def objection(self, event: Mapping[str, Any]) -> str | None:
        """Say what is to be changed of an event that stands, None when it may stay."""
        if self._edits_drafts or self._has_spoken:
            return None
        self._has_spoken = True
        changes = self.changes(event)
        if not changes:
            return None
        says = [_SAYS[name].format(value=str(value)[-5:]) for name, value in changes.items()]
        return f"No, please {' and '.join(says)}."

    def changes(self, event: Mapping[str, Any]) -> dict[str, str | int]:
        """Return argument -> the value to have in the place of the one proposed."""
        preferences = wanted(self._request.user, self._request.phase)
        changes: dict[str, str | int] = {}
        for name, (share, others) in OTHER_WISHES.items():
            random, day = self._random(name), f"{event['start'][:11]}" if name == "start" else ""
            proposed = event[name][11:] if name == "start" else event[name]
            wish, preference = proposed, preferences.get(name)
            if random.random() < share:
                wish = random.choice(others)
            elif preference and random.random() < preference.insists:
                wish = preference.value
            if wish != proposed:
                changes[name] = f"{day}{wish}" if name == "start" else wish
        return changes

    def _random(self, what: str) -> Random:
        return Random(f"{self._key}/{what}")


def _users(random: Random) -> list[User]:
    """Choose who asks in each run: all about equally often, but for one who asks more."""
    [frequent] = [user for user in USERS if user.user_id == _FREQUENT_USER]
    others = [user for user in USERS if user != frequent]
    chosen = [frequent] * _FREQUENT_RUNS + list(islice(cycle(others), RUNS - _FREQUENT_RUNS))
    random.shuffle(chosen)
    return chosen


def _request(number: int, phase: Phase, user: User, *, seed: int) -> Request:
    random = Random(f"{seed}/{phase}/{number}/request")
    # The task and the day tell every request of a phase from every other.
    days, position = divmod(number, len(TASKS))
    weeks, weekday = divmod(days, _WORKING_DAYS)
    meeting, day = TASKS[position], _FIRST_DAY[phase] + timedelta(weeks=weeks, days=weekday)
    people = random.sample(CONTACTS, meeting.people)
    named = " in the Oak room" if number in _NAMED_ROOM_RUNS else " in a room of ours"
    return Request(
        number=number,
        phase=phase,
        user=user,
        meeting=meeting,
        text=random.choice(_ASKS).format(
            title=meeting.title,
            people=" and ".join(person.name for person in people),
            day=day.isoformat(),
            length=LENGTHS[meeting.minutes],
            room=named if meeting.needs_room else "",
        ),
    )

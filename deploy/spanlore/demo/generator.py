"""Simulate the agent at work and write `recording.jsonl`: `python -m spanlore.demo.generator`.

The same seed gives the same bytes on every machine: nothing here is drawn from a distribution
that a mathematics library computes, and nothing is read from the clock.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from spanlore.demo import RECORDING
from spanlore.demo.assistant import Assistant, GaveUp, draw_habits
from spanlore.demo.faults import CONFOUNDED
from spanlore.demo.meetings import CONTACTS, TASKS, USERS, Meeting
from spanlore.demo.office import Office, tool_definitions
from spanlore.demo.transcript import Transcript, compact

__all__ = ["RUNS", "SEED", "main", "recording"]

SEED = 11
RUNS = 324
INSTRUCTIONS = (
    "You arrange meetings. Look people up, find a time when all are free, create the event, "
    "book the room if one is needed, then invite everybody. Do not ask back."
)
AGENT = {"name": "meeting-assistant", "version": "1.4.0"}
MODEL = "gpt-4o"
# The runs in which the assistant sends a room's name where its id belongs.
ROOM_NAME_RUNS = frozenset({58, 151, 242})
TIMEOUTS = 0.02
TIMEOUTS_IN_PLANNING = 0.35

_FIRST_DAY = datetime(2025, 9, 1, 7, tzinfo=UTC)  # a Monday
_RUNS_A_DAY = 18
_DAYS_A_WEEK = 5
_MINUTES_APART = 31
_LENGTHS = {30: "half an hour", 45: "45 minutes", 60: "one hour", 90: "90 minutes", 120: "2 hours"}
_ASKS = (
    "Please set up '{title}' with {people} on {day}, {length}.",
    "Can you find {length} for '{title}' on {day}? {people} should come.",
    "I need '{title}' with {people} in the calendar for {day} ({length}).",
)


def recording(seed: int = SEED) -> str:
    """Return the recording: one run a line, in the trajectory format."""
    return "".join(f"{compact(run)}\n" for run in _runs(seed))


def main() -> None:
    """Write the recording to where the package keeps it."""
    Path(str(RECORDING)).write_text(recording(), encoding="utf-8", newline="\n")


def _runs(seed: int) -> Iterator[dict[str, Any]]:
    tools = tool_definitions()
    for number in range(RUNS):
        # A generator for each run, so that a change in one leaves the others as they were.
        yield _run(Random(f"{seed}/{number}"), number, tools)


def _run(random: Random, number: int, tools: list[dict[str, Any]]) -> dict[str, Any]:
    meeting, user = TASKS[number % len(TASKS)], random.choice(USERS)
    started_at = _start(random, number)
    run_id = f"demo-{number:04d}"
    transcript = Transcript(random, run_id=f"{number:04d}", started_at=started_at, tools=tools)
    done = _converse(random, meeting, transcript, number=number)
    return {
        "run_id": run_id,
        "task": {"type": meeting.task_type, "id": meeting.task_id},
        "agent": AGENT,
        "model": MODEL,
        "user_id": user.user_id,
        "tenant_id": user.tenant,
        "user_time_zone": user.time_zone,
        "trial": number // len(TASKS),
        "started_at": started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ended_at": transcript.messages[-1]["timestamp"],
        "outcome": {
            "label": "pass" if done else "fail",
            "score": 1.0 if done else 0.0,
            "source": "environment",
        },
        "tools": tools,
        "messages": transcript.messages,
    }


def _converse(random: Random, meeting: Meeting, transcript: Transcript, *, number: int) -> bool:
    """Play one run into the transcript; say whether the meeting stands in the end."""
    people = random.sample(CONTACTS, meeting.people)
    day = f"{transcript.now + timedelta(days=random.randrange(1, 8)):%Y-%m-%d}"
    habits = draw_habits(random, meeting, sends_room_name=number in ROOM_NAME_RUNS)
    planning = meeting.task_type == CONFOUNDED.task_type
    office = Office(random, timeouts=TIMEOUTS_IN_PLANNING if planning else TIMEOUTS)
    transcript.instruct(INSTRUCTIONS)
    transcript.ask(
        random.choice(_ASKS).format(
            title=meeting.title,
            people=" and ".join(person.name for person in people),
            day=day,
            length=_LENGTHS[meeting.minutes],
        )
    )
    assistant = Assistant(random, office, transcript, habits=habits)
    try:
        start = assistant.arrange(meeting, people, day)
    except GaveUp as error:
        transcript.say(f"I am sorry, I could not arrange '{meeting.title}': {error}.")
        return False
    transcript.say(f"'{meeting.title}' is in the calendar for {start}; invitations are out.")
    return True


def _start(random: Random, number: int) -> datetime:
    """Return when a run starts: on a working day, one run after the other."""
    weeks, weekday = divmod(number // _RUNS_A_DAY, _DAYS_A_WEEK)
    minutes = number % _RUNS_A_DAY * _MINUTES_APART + random.randrange(_MINUTES_APART)
    day = _FIRST_DAY + timedelta(weeks=weeks, days=weekday)
    return day + timedelta(minutes=minutes, milliseconds=random.randrange(60_000))


if __name__ == "__main__":
    main()

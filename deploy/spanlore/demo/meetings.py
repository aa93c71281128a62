"""Who asks for which meeting: tenants, their users, and the tasks that come up again and again."""

from dataclasses import dataclass

__all__ = ["CONTACTS", "TASKS", "TENANTS", "USERS", "Contact", "Meeting", "User"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A task: ``minutes`` is how long it takes, ``people`` how many others come."""

    task_type: str
    task_id: str
    title: str
    people: int
    minutes: int
    needs_room: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who asks the assistant for meetings."""

    user_id: str
    tenant: str
    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Somebody who can be invited."""

    contact_id: str
    name: str


TENANTS = ("acme", "globex", "initech", "hooli")
_TIME_ZONES = ("America/New_York", "Europe/Berlin", "Asia/Tokyo")
_FIRST_NAMES = (
    "ana", "ben", "chloe", "dev", "elif", "finn", "grace", "hugo", "ines", "jonas", "kofi", "lea",
    "mina", "noah", "olga", "priya", "quinn", "rosa", "sam", "tara", "uma", "viktor", "wei", "zoe",
)  # fmt: skip
USERS = tuple(
    User(
        user_id=name,
        tenant=TENANTS[number % len(TENANTS)],
        time_zone=_TIME_ZONES[number // len(TENANTS) % len(_TIME_ZONES)],
    )
    for number, name in enumerate(_FIRST_NAMES)
)

_NAMES = (
    "Dana Reyes", "Marcus Webb", "Aiko Tanaka", "Lena Vogel", "Tom Okafor", "Sara Lindqvist",
    "Ravi Menon", "Julia Costa", "Peter Novak", "Amira Haddad", "Owen Clarke", "Nadia Petrova",
)  # fmt: skip
CONTACTS = tuple(
    Contact(contact_id=f"c_{4101 + 37 * number}", name=name) for number, name in enumerate(_NAMES)
)


def _meetings(
    task_type: str, people: int, minutes: int, *titles: str, needs_room: bool
) -> tuple[Meeting, ...]:
    return tuple(
        Meeting(
            task_type=task_type,
            task_id=title.lower().replace(" ", "-"),
            title=title,
            people=people,
            minutes=minutes,
            needs_room=needs_room,
        )
        for title in titles
    )


TASKS = (
    *_meetings("one_on_one", 1, 30, "Mentor chat", "Career talk", needs_room=False),
    *_meetings("one_on_one", 1, 45, "Feedback talk", "Coaching", needs_room=False),
    *_meetings("team_meeting", 2, 45, "Sprint planning", "Retrospective", needs_room=True),
    *_meetings("team_meeting", 2, 60, "Design review", "Incident review", needs_room=True),
    *_meetings("team_meeting", 1, 30, "Weekly sync", "Onboarding", needs_room=True),
    *_meetings("customer_call", 1, 60, "Demo call", "Renewal", needs_room=False),
    *_meetings("customer_call", 1, 45, "Kickoff", "Support call", needs_room=False),
    *_meetings("quarterly_planning", 2, 90, "Budget review", "Roadmap", needs_room=True),
    *_meetings("quarterly_planning", 2, 120, "Board prep", "Hiring plan", needs_room=True),
)

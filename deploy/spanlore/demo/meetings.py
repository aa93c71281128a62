"""Who asks for which meeting: tenants, their users, and the tasks that come up again and again."""

from dataclasses import dataclass
from itertools import product

__all__ = ["CONTACTS", "TASKS", "TENANTS", "TIME_ZONES", "USERS", "Contact", "Meeting", "User"]


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


TENANTS = ("acme", "globex", "hooli", "initech")
# How many users of each tenant live there: neither tenant nor time zone can pass for the other.
TIME_ZONES = {"America/New_York": 4, "Asia/Tokyo": 6, "Europe/Berlin": 5}
_FIRST_NAMES = (
    "ana", "arun", "bea", "ben", "carl", "chloe", "dana", "dev", "dora", "elif", "emil", "eva",
    "finn", "flora", "gina", "grace", "hana", "hugo", "ida", "ines", "ivan", "jan", "jonas",
    "june", "karl", "kofi", "lea", "leo", "liam", "mara", "mina", "nina", "nils", "noah", "olga",
    "omar", "otto", "paul", "pia", "priya", "quinn", "rosa", "rui", "sam", "sofia", "sven",
    "tara", "theo", "tim", "uma", "vera", "viktor", "wei", "xenia", "yara", "yuki", "yusuf",
    "zara", "zeno", "zoe",
)  # fmt: skip
_PLACES = [zone for zone, users in TIME_ZONES.items() for _ in range(users)]
USERS = tuple(
    User(user_id=name, tenant=tenant, time_zone=time_zone)
    for name, (time_zone, tenant) in zip(_FIRST_NAMES, product(_PLACES, TENANTS), strict=True)
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

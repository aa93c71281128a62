"""The truth about the users: what they really want, and never say before they are asked.

`spanlore learn` is not told any of this; the tests compare what it says with what stands here.
"""

from dataclasses import dataclass
from typing import Literal

from spanlore.demo.meetings import User

__all__ = [
    "AFTERNOON_IN_TOKYO",
    "BACK_TO_MEET_AT_HOOLI",
    "EARLY_REMINDER_FOR_ANA",
    "OTHER_WISHES",
    "PREFERENCES",
    "ZOOM_AT_HOOLI",
    "Phase",
    "Preference",
    "wanted",
]

Phase = Literal[1, 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A value of an argument of `create_event` that some users want, and insist on.

    ``scope`` and ``key`` say whose it is: a user, a tenant, or all who live in a time zone.
    ``insists`` is how often (0 to 1) such a user changes another value into it, ``phases`` when
    they do.
    """

    scope: Literal["user", "tenant", "time_zone"]
    key: str
    argument: str
    value: str | int
    instead_of: str | int
    insists: float = 0.95
    phases: tuple[Phase, ...] = (1, 2)

    def holds_for(self, user: User, phase: Phase) -> bool:
        """Whether a user has this preference at that time."""
        is_whose = {"user": user.user_id, "tenant": user.tenant, "time_zone": user.time_zone}
        return phase in self.phases and is_whose[self.scope] == self.key


# To be found at every tenant, for one time zone; for `start` the value is the time of day.
AFTERNOON_IN_TOKYO = Preference(
    scope="time_zone", key="Asia/Tokyo", argument="start", value="14:00", instead_of="09:30"
)
# To be found for the one user.
EARLY_REMINDER_FOR_ANA = Preference(
    scope="user", key="ana", argument="reminder", value=60, instead_of=10
)
# To be found for the one tenant, and to be rolled back: later its users change back.
ZOOM_AT_HOOLI = Preference(
    scope="tenant", key="hooli", argument="video", value="zoom", instead_of="meet", phases=(1,)
)
BACK_TO_MEET_AT_HOOLI = Preference(
    scope="tenant", key="hooli", argument="video", value="meet", instead_of="zoom", phases=(2,)
)
PREFERENCES = (
    AFTERNOON_IN_TOKYO,
    EARLY_REMINDER_FOR_ANA,
    ZOOM_AT_HOOLI,
    BACK_TO_MEET_AT_HOOLI,
)

# Not to be believed: any user may for once want something else. Argument -> how often, and what.
OTHER_WISHES: dict[str, tuple[float, tuple[str | int, ...]]] = {
    "start": (0.07, ("09:00", "10:30", "11:00", "13:00", "15:30", "16:00")),
    "visibility": (0.03, ("default", "private")),
    "video": (0.05, ("meet", "zoom", "none")),
    "reminder": (0.05, (5, 15, 30)),
}


def wanted(user: User, phase: Phase) -> dict[str, Preference]:
    """Return argument -> the preference of a user at that time."""
    return {one.argument: one for one in PREFERENCES if one.holds_for(user, phase)}

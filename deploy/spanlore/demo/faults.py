"""The truth about the tools: which faults were planted, and what must not be believed.

`spanlore learn` is not told any of this; the tests compare what it says with what stands here.
Error texts are templates as the analyzers write them: lower case, values masked.
"""

from dataclasses import dataclass

__all__ = [
    "CONFOUNDED",
    "MISNAMED_KEY",
    "RARE",
    "RARE_CALLS",
    "STILL_WRONG",
    "TIMEOUT",
    "TIMEOUTS",
    "TIMEOUTS_IN_PLANNING",
    "VAGUE_DURATION",
    "Confounder",
    "Fault",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A way in which calls of a tool go wrong because of one argument.

    ``share`` is how often the model starts out wrong (0 to 1), ``returned_as`` the key under
    which an earlier tool returned the value ("" if that is not the matter).
    """

    tool: str
    argument: str
    template: str
    share: float
    returned_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confounder:
    """A value of an argument that goes with failures and causes none: a kind of task does both.

    ``share`` is how often the value is used in tasks of that type, ``share_elsewhere`` in others.
    """

    tool: str
    argument: str
    value: str
    task_type: str
    share: float
    share_elsewhere: float


# To be confirmed: "Length of the meeting" does not say that the tool wants whole minutes.
VAGUE_DURATION = Fault(
    tool="create_event",
    argument="duration",
    template="duration must be a whole number of minutes, got <text>",
    share=0.3,
)
# To be confirmed: `find_contact` says `contact_id`, `send_invitation` wants `attendee_id`.
MISNAMED_KEY = Fault(
    tool="send_invitation",
    argument="attendee_id",
    template="missing required field attendee_id",
    share=0.3,
    returned_as="contact_id",
)
# How often the model goes wrong all the same once the definition says what is wanted.
STILL_WRONG = 0.02
# To be held back as too few: in three runs of each phase the user names the room.
RARE = Fault(
    tool="book_room",
    argument="room_id",
    template="missing required field room_id",
    share=0.0,
)
RARE_CALLS = 3
# To be no lesson: the servers' own failures, at random, whatever the arguments.
TIMEOUT = "upstream timeout"
TIMEOUTS = 0.02
TIMEOUTS_IN_PLANNING = 0.30
# To be seen through: planning meetings overload the servers, and are mostly private.
CONFOUNDED = Confounder(
    tool="create_event",
    argument="visibility",
    value="private",
    task_type="quarterly_planning",
    share=0.8,
    share_elsewhere=0.12,
)

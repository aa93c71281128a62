"""Which runs an analysis counts."""

from dataclasses import dataclass
from datetime import UTC, datetime

IN_WINDOW = "LastReceivedAt >= {since:DateTime64(9)} AND SealedAt <= {until:DateTime64(9)}"
"""SQL over ``agent_runs``, with the parameters of a window: whether a run counts."""
NO_END = "2200-01-01 00:00:00"
"""What ``until`` is in the parameters of a window without an end."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """Runs whose last span was received at or after ``since``; all runs when it is None.

    Of what was sealed after ``until`` nothing counts (None sets no end): a run sealed again since
    counts as it was, so that all questions of one round are about the same runs.
    """

    since: datetime | None = None
    until: datetime | None = None

    @property
    def since_text(self) -> str:
        """The start as the store's DateTime64(9) reads it (UTC)."""
        return _text(self.since or _EPOCH)

    @property
    def params(self) -> dict[str, str]:
        """``since`` and ``until`` as parameters of a query."""
        if self.until is None:
            return {"since": self.since_text, "until": NO_END}
        # Python knows microseconds: whatever was sealed within the last one belongs to it.
        return {"since": self.since_text, "until": f"{_text(self.until)}999"}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

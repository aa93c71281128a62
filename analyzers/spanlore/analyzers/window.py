"""Which runs an analysis counts."""

from dataclasses import dataclass
from datetime import UTC, datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """Runs whose last span was received at or after ``since``; all runs when it is None."""

    since: datetime | None = None

    @property
    def since_text(self) -> str:
        """The start as the store's DateTime64(9) reads it (UTC)."""
        return (self.since or _EPOCH).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

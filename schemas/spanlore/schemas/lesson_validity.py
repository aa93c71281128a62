"""When a lesson holds: ``valid_from`` and ``valid_until`` in its content, RFC 3339, UTC if unsaid.

A lesson holds from the first instant up to, not including, the second; without either it is not
bounded on that side. What cannot be read holds at no time: better nothing than the wrong thing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["ALWAYS", "NEVER", "Validity", "validity_of"]

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Validity:
    """The time from ``start`` up to, not including, ``end``; both are UTC."""

    start: datetime = _FIRST
    end: datetime = _LAST

    def holds(self, at: datetime) -> bool:
        """Whether it holds at an instant."""
        return self.start <= at < self.end

    def is_over(self, at: datetime) -> bool:
        """Whether it will never hold again."""
        return self.end <= at

    def overlaps(self, other: "Validity") -> bool:
        """Whether there is an instant at which both hold."""
        return max(self.start, other.start) < min(self.end, other.end)


ALWAYS: Final = Validity()
NEVER: Final = Validity(_FIRST, _FIRST)


def validity_of(content: Mapping[str, Any]) -> Validity:
    """Return when a lesson of this content holds, ``NEVER`` where that cannot be read."""
    try:
        start = _instant(content.get("valid_from"), _FIRST)
        end = _instant(content.get("valid_until"), _LAST)
    except (TypeError, ValueError, OverflowError):
        return NEVER
    return Validity(start, end) if start < end else NEVER


def _instant(text: Any, default: datetime) -> datetime:
    if text is None:
        return default
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

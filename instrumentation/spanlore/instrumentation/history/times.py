"""When the messages of a run happened, in Unix nanoseconds that never run backwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

# What a run without any times is said to have started at: 2000-01-01T00:00:00Z.
EPOCH_NS = 946_684_800 * 10**9
STEP_NS = 10**6

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_NS_MAX = 1 << 63
# A number is read as seconds, milliseconds, microseconds or nanoseconds by its size: below the
# bound the unit before it would lie after the year 5000.
_UNITS_NS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (_NS_MAX, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Start and end of a run and the time of each message, ``known`` where it was given."""

    start_ns: int
    end_ns: int
    message_ns: tuple[int, ...]
    message_known: tuple[bool, ...]
    known: bool


def parse_time(value: Any) -> int | None:
    """Return Unix nanoseconds of RFC 3339 text (UTC if naive) or a Unix time, else None."""
    if isinstance(value, str):
        nanoseconds = _parse_text(value)
    elif isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        unit = next((unit for bound, unit in _UNITS_NS if value < bound), None)
        nanoseconds = None if unit is None else int(value * unit)
    else:
        return None
    return nanoseconds if nanoseconds is not None and 0 < nanoseconds < _NS_MAX else None


def timeline(
    given: Sequence[int | None], *, started_ns: int | None, ended_ns: int | None
) -> Timeline:
    """Place messages in time from what times were given.

    A message earlier than the one before it is moved up to it. One without a time stands 1 ms
    after the one before, or at the next known time if that comes sooner.
    """
    known = [time for time in (started_ns, *given, ended_ns) if time is not None]
    first_given = next((time for time in given if time is not None), None)
    starts = [time for time in (started_ns, first_given) if time is not None]
    start = min(starts) if starts else (ended_ns or EPOCH_NS)
    upcoming = _upcoming(given, ended_ns)
    now = start
    placed: list[int] = []
    for time, following in zip(given, upcoming, strict=True):
        if time is not None:
            now = max(now, time)
        elif following is not None:
            now = max(now, min(now + STEP_NS, following))
        else:
            now += STEP_NS
        placed.append(now)
    return Timeline(
        start_ns=start,
        end_ns=max(now, ended_ns or 0),
        message_ns=tuple(placed),
        message_known=tuple(time is not None for time in given),
        known=bool(known),
    )


def _upcoming(given: Sequence[int | None], ended_ns: int | None) -> list[int | None]:
    """Return for each message the next time that is known, its own or a later one."""
    upcoming: list[int | None] = []
    following = ended_ns
    for time in reversed(given):
        following = following if time is None else time
        upcoming.append(following)
    return upcoming[::-1]


def _parse_text(text: str) -> int | None:
    try:
        time = datetime.fromisoformat(text.strip())
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        return (aware - _UNIX) // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError):
        return None

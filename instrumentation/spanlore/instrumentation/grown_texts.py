"""Long texts that grow: the messages of a call are those of the call before and some more.

To look at all of them at every call would cost the square of a conversation's length. So what was
found in a text is remembered, and the next of its conversation is looked at where it differs.
"""

import threading
from collections.abc import Callable
from typing import Final

Found = tuple[int, int, str]

# Shorter ones cost less than to remember them.
GROWN_BYTES_MIN: Final = 16 * 1024
_REMEMBERED_BYTES_MAX: Final = 8 * 1024 * 1024
# Late enough for conversations to differ here that begin with the same instructions.
_KNOWN_BY: Final = slice(GROWN_BYTES_MIN - 1_024, GROWN_BYTES_MIN - 512)
_BLOCK_BYTES: Final = 4_096
# How far a look at one place reaches: ahead, and back to a name before a value.
AHEAD_BYTES_MAX: Final = 4_096
_BACK_BYTES_MAX: Final = 512


class GrownTexts:
    """Finds what ``look`` finds, by fewer looks. ``look`` must reach no further than said here.

    May be called from any thread: while one is at it, the others look at all of their text.
    """

    def __init__(self, look: Callable[[bytes], list[Found]]) -> None:
        self._look = look
        # The one seen last at the end.
        self._seen: dict[bytes, tuple[bytes, list[Found]]] = {}
        self._seen_bytes = 0
        self._lock = threading.Lock()

    def found(self, text: bytes) -> list[Found]:
        """Return begin, end and kind of all that is found in the text."""
        if not self._lock.acquire(blocking=False):  # a fork may have left it so, for good
            return self._look(text)
        try:
            seen, found_then = self._seen.pop(text[_KNOWN_BY], (b"", []))
            self._seen_bytes -= len(seen)
            found = self._found(text, seen, found_then)
            self._remember(text, found)
        finally:
            self._lock.release()
        return found

    def _found(self, text: bytes, seen: bytes, found_then: list[Found]) -> list[Found]:
        equal = _equal_bytes(seen, text)
        start = text.rfind(b" ", 0, max(0, equal - AHEAD_BYTES_MAX - _BACK_BYTES_MAX))
        # Before here all that decides about a place is as it was; from here on it is in the look.
        settled = start + _BACK_BYTES_MAX
        kept = [one for one in found_then if one[0] < settled]
        if start < 0 or any(one[1] >= equal for one in kept):
            return self._look(text)
        more = [(begin + start, end + start, kind) for begin, end, kind in self._look(text[start:])]
        return kept + [one for one in more if one[0] >= settled]

    def _remember(self, text: bytes, found: list[Found]) -> None:
        if len(text) > _REMEMBERED_BYTES_MAX:
            return
        self._seen[text[_KNOWN_BY]] = text, found
        self._seen_bytes += len(text)
        while self._seen_bytes > _REMEMBERED_BYTES_MAX:
            oldest, _ = self._seen.pop(next(iter(self._seen)))
            self._seen_bytes -= len(oldest)


def _equal_bytes(one: bytes, other: bytes) -> int:
    """Return how many bytes are equal from the beginning on, in whole blocks."""
    shorter = min(len(one), len(other))
    at = 0
    while at < shorter and one[at : at + _BLOCK_BYTES] == other[at : at + _BLOCK_BYTES]:
        at += _BLOCK_BYTES
    return min(at, shorter)

"""How this process takes and gives back memory, once for its life.

A request is some hundred KiB that is copied a few times and gone a moment later. What the C library
gives back to the system meanwhile is faulted in again, page by page, with the next one.
"""

import ctypes
import gc
from typing import Final

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_MMAP_BYTES_MIN: Final = 4 << 20  # what is larger is given back at once
_FREE_BYTES_MAX: Final = 32 << 20  # kept at the end of each arena
_ARENAS_MAX: Final = 2  # Python's lock lets hardly more than one thread ask at a time
_OBJECTS_BETWEEN_LOOKS: Final = 50_000


def look_for_cycles_seldom() -> None:
    """Have Python look for objects that hold each other after every few ten thousand new ones.

    To seal a thousand runs makes a million objects, none in a cycle: to look at them after every
    700 is a seventh of its CPU.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)


def keep_freed() -> None:
    """Have the C library keep what was freed for the next request, where it is glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS_MAX)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES_MIN)
        mallopt(_M_TRIM_THRESHOLD, _FREE_BYTES_MAX)

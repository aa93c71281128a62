"""The two disjoint halves: one to discover on, one to confirm on.

Whole tasks (users where a run names no task) go to one half, never single traces: repeats of a
task look alike, and a half that holds a sibling of what was discovered confirms anything.
"""

import hashlib


def in_discovery_half(unit: str) -> bool:
    """Whether a unit belongs to the discovery half: the low bit of its SHA-256, for ever."""
    return hashlib.sha256(unit.encode()).digest()[0] & 1 == 0

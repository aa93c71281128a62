"""The collector on a clock that leaps with each look: for tests of its clock.

Run as `spanlore.collector` is. grpc's own look is at the real clock: its server's start polls with
deadlines of that clock, and on one that leaps it would never come to an end.
"""

import itertools
import sys
import time

DAY_S = 86_400
_leaps_s = itertools.cycle((0, 400 * DAY_S, -3 * DAY_S, 1, -1))
_time, _time_ns = time.time, time.time_ns


def leaping() -> float:
    asking = sys._getframe(1).f_globals["__name__"]  # noqa: SLF001 - who asks decides
    return _time() + (0 if asking.startswith("grpc") else next(_leaps_s))


time.time = leaping
time.time_ns = lambda: _time_ns() + next(_leaps_s) * 10**9

if __name__ == "__main__":
    from spanlore.collector.__main__ import main

    main()

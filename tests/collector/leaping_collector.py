"""The collector on a clock that leaps with each look: for tests of its clock.

Run as `spanlore.collector` is.
"""

import itertools
import time

DAY_S = 86_400
_leaps_s = itertools.cycle((0, 400 * DAY_S, -3 * DAY_S, 1, -1))
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + next(_leaps_s)
time.time_ns = lambda: _time_ns() + next(_leaps_s) * 10**9

if __name__ == "__main__":
    from spanlore.collector.__main__ import main

    main()

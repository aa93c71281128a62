"""The collector, less patient with its clients than anybody would set it: for tests of its limits.

`python -m tests.collector.hurried_collector`, with the collector's own options.
"""

from functools import partial

from spanlore.collector import __main__ as program
from spanlore.collector.config import ClientLimits, Config

LIMITS = ClientLimits(header_s_max=1.0, body_s_max=1.0, idle_s_max=1, connections_max=20)
INFLIGHT_BYTES_MAX = 4 << 20

if __name__ == "__main__":
    program.Config = partial(  # type: ignore[misc,assignment]
        Config, clients=LIMITS, inflight_bytes_max=INFLIGHT_BYTES_MAX
    )
    program.main()

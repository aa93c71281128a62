"""The program that is measured: makes spans at a pace, and comes to an end of the kind asked for.

``python benchmarks/traced_program.py ATTRIBUTES SYSTEM SPANS RATE END``: what the spans bear, as a
JSON list of objects, a system of `traced_systems`, and an end: exit, cpu, sigterm, _exit or fork.
Says on stdout how many spans have ended, or with the end cpu what CPU a span took in microseconds.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from traced_systems import switch_on

_WARM_SPANS = 200
_WAITS_S = 30


def main() -> None:
    """Make the spans, then end."""
    path, system, spans, rate, end = sys.argv[1:]
    program = _Program(json.loads(Path(path).read_text()), float(rate))
    program.tracer, flush = switch_on(system)
    program.make(_WARM_SPANS, name="warm", says=False)
    flush()
    cpu_s = time.process_time()
    if end == "fork":
        program.make_in_child(int(spans))
    else:
        program.make(int(spans), name="span", says=end != "cpu")
    if end == "cpu":
        flush()
        print((time.process_time() - cpu_s) / int(spans) * 1e6, flush=True)
    elif end == "sigterm":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_WAITS_S)
    elif end == "_exit":
        os._exit(0)


class _Program:
    """Bears each of the attributes in turn, so that a long corpus makes no two spans alike."""

    def __init__(self, attributes: Sequence[Mapping[str, Any]], rate: float) -> None:
        self._attributes = attributes
        self._rate = rate
        self._made = 0
        self.tracer: Any = None

    def make(self, spans: int, *, name: str, says: bool) -> None:
        begun = time.monotonic()
        for number in range(spans):
            span = self.tracer.start_span(f"{name} {number}")
            span.set_attributes(self._attributes[self._made % len(self._attributes)])
            span.end()
            self._made += 1
            if says:
                os.write(1, b"%d\n" % (number + 1))
            time.sleep(max(0.0, begun + (number + 1) / self._rate - time.monotonic()))

    def make_in_child(self, spans: int) -> None:
        """Work as a server's worker does that is replaced: a child that leaves by `os._exit`."""
        child = os.fork()
        if child == 0:
            self.make(spans, name="span", says=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()

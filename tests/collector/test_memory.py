"""What requests free is there for the next, instead of being faulted in anew."""

import ctypes
import gc
import os
import subprocess
import sys

import pytest

from spanlore.collector import memory

BYTES = 700_000
AT_ONCE = 8
ROUNDS = 50
# A process of its own: what the C library was told holds for its life.
PROGRAM = f"""
import resource
import threading
from spanlore.collector import memory
memory.keep_freed()
def work():
    for _ in range({ROUNDS}):
        held = [bytes([number + 1]) * {BYTES} for number in range({AT_ONCE})]
thread = threading.Thread(target=work)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no glibc")
def test_memory_of_requests_is_used_again() -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    pages_at_once = AT_ONCE * BYTES // os.sysconf("SC_PAGE_SIZE")
    assert int(said) < 5 * pages_at_once


def test_cycles_are_looked_for_after_many_objects_and_still_found() -> None:
    before = gc.get_threshold()
    try:
        memory.look_for_cycles_seldom()
        seen = gc.get_stats()[0]["collections"]
        held: list[list[int]] = [[] for _ in range(20_000)]
        assert gc.get_stats()[0]["collections"] == seen
        held += [[] for _ in range(200_000)]
        assert gc.get_stats()[0]["collections"] > seen
    finally:
        gc.set_threshold(*before)

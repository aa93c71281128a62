"""No collector for a while, or a kill at any instant: what had ended comes all the same."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from spanlore.instrumentation import shipping
from spanlore.instrumentation.answer import FAILED, TAKEN, Answer
from spanlore.instrumentation.journal import Journal, Kind, journal_dir
from spanlore.instrumentation.outbox import Outbox
from tests.instrumentation.traced import Collector, collector, environment, run_script

KILLS = int(os.environ.get("SPANLORE_TEST_KILLS", "20"))
LOST_S_MAX = 0.2
# As the thread that writes waits, so does one of the program's own that does nothing else: what the
# machine takes beyond that to let a thread work is the machine's.
BEAT_S = 0.1
STARTS_MAX = 20
RATE = 200
OUTAGES = {
    "30 s": (30.0, RATE),
    "10 min of spans in 1 min": (60.0, 10 * RATE),
    "10 min": (600.0, RATE),
}

WORKS = """
    import os, sys, threading, time
    import spanlore.auto
    from spanlore.instrumentation import run, tool

    rate, seconds = float(sys.argv[1]), float(sys.argv[2])

    def beat():
        while True:
            threading.Event().wait(BEAT_S)
            os.write(1, b"beat %.6f\\n" % time.monotonic())

    @tool
    def step():
        return "x" * 1000

    threading.Thread(target=beat, daemon=True).start()
    begun = time.monotonic()
    with run("assistant"):
        for number in range(int(rate * seconds)):
            step()
            os.write(1, b"step %.6f\\n" % time.monotonic())
            time.sleep(max(0.0, begun + (number + 1) / rate - time.monotonic()))
"""
NEXT_START = """
    import spanlore.auto
    from spanlore.instrumentation import run
    with run("next"):
        pass
"""


def steps(there: Collector) -> int:
    return len({span.span_id for span in there.spans() if span.name == "execute_tool step"})


def of_one_service(url: str) -> dict[str, str]:
    """The journal of a service is sent by that service alone, whatever its program is called."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SERVICE_NAME": "works"}


def start(folder: Path, url: str, *, rate: float, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(WORKS).replace("BEAT_S", str(BEAT_S)),
            str(rate),
            str(seconds),
        ],
        env=environment(of_one_service(url), folder=folder),
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )


def start_again(folder: Path, there: Collector) -> None:
    """Start a short program until nothing is left: none gives its exit to a large journal."""
    for _ in range(STARTS_MAX):
        run_script(NEXT_START, folder, env=of_one_service(there.url))
        if not (left := list((folder / "nothing" / "journal").glob("*/*"))):
            return
    pytest.fail(f"after {STARTS_MAX} starts there is still {left}")


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(("outage_s", "rate"), OUTAGES.values(), ids=OUTAGES)
def test_an_outage_costs_nothing(outage_s: float, rate: float, tmp_path: Path) -> None:
    with collector() as there:
        there.statuses = [503] * 1_000_000
        again = threading.Timer(outage_s, there.statuses.clear)
        again.start()
        with start(tmp_path, there.url, rate=rate, seconds=outage_s + 10) as working:
            assert working.stdout is not None
            ended = len(times("step", working.stdout.readlines()))
        again.join()
        start_again(tmp_path, there)
        assert (steps(there), ended) == (int(rate * (outage_s + 10)),) * 2


def times(word: str, said: Iterable[str]) -> list[float]:
    """Read when the program said the word; a kill may have cut its last line off."""
    lines = (line.split() for line in said if line.endswith("\n"))
    return [float(line[1]) for line in lines if line[0] == word]


def late_s(beats: Sequence[float], killed_at: float) -> float:
    """Return how late at most the machine let a thread go on that had waited for ``BEAT_S``."""
    return max(after - before for before, after in pairwise([*beats, killed_at])) - BEAT_S


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_at_any_instant_costs_at_most_the_last_moment(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng, worst_s = random.Random(seed), 0.0
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with collector() as there:
            working = start(folder, there.url, rate=RATE, seconds=60)
            with working:
                assert working.stdout is not None
                said = [working.stdout.readline()]
                while not times("step", said):
                    said.append(working.stdout.readline())
                time.sleep(rng.uniform(0.2, 4.0))
                killed_at = time.monotonic()
                working.send_signal(signal.SIGKILL)
                said += working.stdout.readlines()
            start_again(folder, there)
        ended_at, arrived = times("step", said), steps(there)
        assert arrived <= len(ended_at) + 1
        if arrived:
            assert "invoke_agent assistant" in {span.name for span in there.spans()}
        lost_s = killed_at - ended_at[arrived] if arrived < len(ended_at) else 0.0
        # The thread that writes waits twice in the time that may be lost, and may be late twice.
        machine_s = 2 * late_s([ended_at[0], *times("beat", said)], killed_at)
        assert lost_s <= LOST_S_MAX + machine_s, (lost_s, machine_s)
        worst_s = max(worst_s, lost_s)
    print(f"lost of the last {worst_s * 1_000:.0f} ms at most, in {KILLS} kills")


def test_more_than_memory_may_hold_waits_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "KEPT_BYTES_MAX", 100_000)
    taken: list[bytes] = []
    answers = [FAILED]

    def send(signal: str, request: bytes, *, timeout_s: float) -> Answer:
        del signal, timeout_s
        taken.extend([request] if answers[0] is TAKEN else [])
        return answers[0]

    made = Journal(lambda: journal_dir(tmp_path, "s"), lambda: {"destination": "spanlore"})
    outbox = Outbox(
        send, {"traces": b"".join}, timeout_s=30, journal=made, kinds={"traces": Kind.ENDED}
    )
    for number in range(1_000):
        outbox.put("traces", b"%01000d" % number)
        if number % 100 == 0:
            outbox.write_down()
    outbox.write_down()
    answers[0] = TAKEN
    assert outbox.flush(30)
    assert b"".join(taken) == b"".join(b"%01000d" % number for number in range(1_000))
    assert (outbox.sent, outbox.dropped) == (1_000, 0)
    outbox.stop(1)
    assert list(journal_dir(tmp_path, "s").iterdir()) == []

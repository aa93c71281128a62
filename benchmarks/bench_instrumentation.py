"""What tracing costs a program and what it loses: spanlore beside the stock SDK, in one run.

``python benchmarks/bench_instrumentation.py [--quick]``. Stock is the OpenTelemetry SDK's batch
processor with its OTLP/HTTP exporter. Spans are agent spans of about 3.8 KB. ``--quick`` leaves
out the outages.

CPU: all of the process's user and system time while it makes spans at a pace and flushes, a span,
less what the same program takes without tracing; the best of rounds that take turns.
Lost: spans that ended and never came, after the program was started again.
Exit: from the program's last line to its end.
"""

import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from otlp_sink import Sink, sink

_PROGRAM = str(Path(__file__).with_name("traced_program.py"))
_SYSTEMS = ("stock", "spanlore")
_ROUNDS = 5
_CPU_SPANS, _CPU_RATE = 2_000, 500.0
_LOSS_SPANS, _LOSS_RATE = 400, 200.0
_KILLS = 10
_STARTS_MAX = 5
_KILL_S = (1.0, 4.0)
_OUTAGES_S = (30.0, 600.0)
_AFTER_OUTAGE_S = 15.0
_WAIT_S_MAX = 900.0
_SEED = 20261129


def main() -> None:
    """Print the tables."""
    is_quick = "--quick" in sys.argv[1:]
    _print_cpu()
    print(f"\n{'lost of the spans that ended':34}{'stock':>18}{'spanlore':>18}")
    for end in ("exit", "sigterm", "_exit", "fork"):
        _line(end, partial(_lost_at, end))
    _line(f"sigkill, worst of {_KILLS}", _worst_kill)
    for outage_s in () if is_quick else _OUTAGES_S:
        _line(f"outage of {outage_s:.0f} s", partial(_lost_in_outage, outage_s))
    print(f"\n{'exit delay, s':34}{'stock':>18}{'spanlore':>18}")
    _line("collector absent", partial(_exit_s, _absent))
    _line("collector a black hole", partial(_exit_s, _black_hole))


def _line(name: str, measured: Callable[[str], str]) -> None:
    print(f"{name:34}" + "".join(f"{measured(system):>18}" for system in _SYSTEMS), flush=True)


def _print_cpu() -> None:
    taken: dict[str, list[float]] = {}
    for _ in range(_ROUNDS):
        for system in ("none", *_SYSTEMS):
            with sink() as there, tempfile.TemporaryDirectory() as folder:
                made = _start(system, there.url, folder, "cpu", spans=_CPU_SPANS, rate=_CPU_RATE)
                taken.setdefault(system, []).append(float(made.communicate()[0]))
    none_us = min(taken["none"])
    print(f"{'CPU, us a span':34}{'best':>18}{'median':>18}")
    for system in _SYSTEMS:
        values = [value - none_us for value in taken[system]]
        print(f"{system:34}{min(values):18.1f}{statistics.median(values):18.1f}")
    ratio = (min(taken["stock"]) - none_us) / (min(taken["spanlore"]) - none_us)
    print(f"{'stock / spanlore':34}{ratio:18.2f}", flush=True)


def _start(
    system: str, url: str, folder: str, end: str, *, spans: int, rate: float
) -> subprocess.Popen[str]:
    ours = ("OTEL_", "SPANLORE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.Popen(
        [sys.executable, _PROGRAM, system, str(spans), str(rate), end],
        env=kept | {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "SPANLORE_DATA_DIR": folder},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _lost_at(end: str, system: str) -> str:
    with sink() as there, tempfile.TemporaryDirectory() as folder:
        made = _start(system, there.url, folder, end, spans=_LOSS_SPANS, rate=_LOSS_RATE)
        ended = len(made.communicate()[0].splitlines())
        _start_again(system, there, folder)
        return _told(ended, there)


def _start_again(system: str, there: Sink, folder: str) -> None:
    """Start the program again, as somebody does after a crash, until its journal is empty."""
    for _ in range(_STARTS_MAX):
        _start(system, there.url, folder, "exit", spans=0, rate=_LOSS_RATE).communicate()
        if not list(Path(folder).glob("journal/*/*")):
            return


def _told(ended: int, there: Sink) -> str:
    came, again = there.ended()
    return f"{ended - came} of {ended}" + (f" (+{again})" if again else "")


def _worst_kill(system: str) -> str:
    rng = random.Random(_SEED)
    worst = (-1, "")
    for _ in range(_KILLS):
        with sink() as there, tempfile.TemporaryDirectory() as folder:
            made = _start(system, there.url, folder, "exit", spans=10_000, rate=_LOSS_RATE)
            assert made.stdout is not None
            said = [made.stdout.readline()]
            time.sleep(rng.uniform(*_KILL_S))
            made.send_signal(signal.SIGKILL)
            said += made.communicate()[0].splitlines()
            _start_again(system, there, folder)
            lost = len(said) - there.ended()[0]
            worst = max(worst, (lost, f"{lost} ({lost / _LOSS_RATE * 1e3:.0f} ms)"))
    return worst[1]


def _lost_in_outage(outage_s: float, system: str) -> str:
    spans = int((outage_s + _AFTER_OUTAGE_S) * _LOSS_RATE)
    answers_from = time.monotonic() + outage_s
    with sink(answers_from=answers_from) as there, tempfile.TemporaryDirectory() as folder:
        made = _start(system, there.url, folder, "exit", spans=spans, rate=_LOSS_RATE)
        ended = len(made.communicate(timeout=_WAIT_S_MAX)[0].splitlines())
        _start_again(system, there, folder)
        return _told(ended, there)


@contextmanager
def _absent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    yield url


@contextmanager
def _black_hole() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _exit_s(collector: Callable[[], AbstractContextManager[str]], system: str) -> str:
    with collector() as url, tempfile.TemporaryDirectory() as folder:
        made = _start(system, url, folder, "exit", spans=200, rate=_LOSS_RATE)
        assert made.stdout is not None
        for line in made.stdout:
            if line == "200\n":
                break
        begun = time.monotonic()
        made.communicate()
        return f"{time.monotonic() - begun:.1f}"


if __name__ == "__main__":
    main()

"""What tracing costs a program and what it loses: spanlore beside others, in one run.

``python benchmarks/bench_instrumentation.py [--quick] [--only cpu parts loss exit]
[--systems stock spanlore openllmetry openlit] [--corpus agent chats]``. Every system traces the
same program (`traced_program.py`), which makes the same spans, no two alike, with the tracer that
the system gives it: agent spans of about 3.8 KB, or those of long chats of about 20 KB. What is
compared is what becomes of a span, not what a system's instrumentors write on it. All send
OTLP/HTTP to the same sink. Stock is the OpenTelemetry SDK's batch processor with its OTLP/HTTP
exporter; OpenLLMetry and OpenLIT are as their `init` makes them, without metrics, in environments
of their own (`peers.py`).

CPU: all of the process's user and system time while it makes spans at a pace and flushes, a span,
less what the same program takes without tracing; the best of rounds that take turns. ``sdk`` is
the OpenTelemetry SDK alone, which makes spans and tells nobody: what any system costs at least.
``parts`` leaves parts of spanlore out, each row one more than the row above.
Lost: spans that ended and never came, after the program was started again.
Exit: from the program's last line to its end. ``--quick`` leaves out the outages.
"""

import argparse
import json
import os
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from corpus import Corpus, agent_corpus, chat_corpus
from otlp_sink import Sink, sink
from peers import OPENLIT, OPENLLMETRY, peer_python
from provenance import commit_line
from running import NotAvailableError
from traced_systems import SPANLORE_PARTS

_PROGRAM = str(Path(__file__).with_name("traced_program.py"))
_PEERS = {"openllmetry": OPENLLMETRY, "openlit": OPENLIT}
_SYSTEMS = ("stock", "spanlore", *_PEERS)
_CORPORA = {"agent": agent_corpus, "chats": chat_corpus}
_SECTIONS = ("cpu", "parts", "loss", "exit")
_ROUNDS = 5
_CPU_SPANS, _CPU_RATE = 2_000, 500.0
_WARM_SPANS = 200
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
    asked = _arguments()
    _print_surroundings()
    with tempfile.TemporaryDirectory() as folder:
        corpus = _CORPORA[asked.corpus](_CPU_SPANS + _WARM_SPANS, seed=_SEED)
        bench = _Bench(Path(folder), _pythons(asked.systems), corpus)
        if "cpu" in asked.only:
            bench.print_cpu(asked.rounds, asked.rate)
        if "parts" in asked.only:
            bench.print_parts(asked.rounds, asked.rate)
        if "loss" in asked.only:
            bench.print_losses(() if asked.quick else _OUTAGES_S)
        if "exit" in asked.only:
            bench.print_exits()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without the outages")
    parser.add_argument("--only", nargs="+", choices=_SECTIONS, default=_SECTIONS, metavar="PART")
    parser.add_argument("--systems", nargs="+", choices=_SYSTEMS, default=_SYSTEMS)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--rate", type=float, default=_CPU_RATE, help="spans a second, of CPU")
    parser.add_argument("--corpus", choices=_CORPORA, default="agent")
    return parser.parse_args()


def _print_surroundings() -> None:
    print(f"- {os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
    print(f"- load average at the start {os.getloadavg()[0]:.1f}")
    names = ("spanlore", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
    print(f"- {', '.join(f'{name} {version(name)}' for name in names)}")
    print(commit_line())


def _pythons(systems: Sequence[str]) -> dict[str, str]:
    """Give the interpreter that each system is installed for; say which cannot be had, and why."""
    pythons: dict[str, str] = {}
    for system in systems:
        try:
            requirement = _PEERS.get(system)
            pythons[system] = str(peer_python(requirement)) if requirement else sys.executable
        except NotAvailableError as error:
            print(f"- {system} is not available: {error}")
    for system in _PEERS.keys() & pythons.keys():
        told = subprocess.run(
            [pythons[system], "-m", "pip", "list", "--format", "json"],
            check=True,
            capture_output=True,
            text=True,
        )
        found = {each["name"]: each["version"] for each in json.loads(told.stdout)}
        name = _PEERS[system].partition("==")[0]
        print(f"- {system}: {name} {found[name]}, opentelemetry-sdk {found['opentelemetry-sdk']}")
    return pythons


class _Bench:
    """Starts the program with each system."""

    def __init__(self, folder: Path, pythons: Mapping[str, str], corpus: Corpus) -> None:
        self._pythons = pythons
        self._attributes = folder / "attributes.json"
        self._attributes.write_text(json.dumps(_attributes(corpus)))

    def print_cpu(self, rounds: int, rate: float) -> None:
        systems = ("sdk", *self._pythons)
        taken = self._cpu(systems, rounds, rate)
        print(f"\n{'CPU, us a span':34}{'best':>12}{'median':>12}{'over the SDK':>14}", flush=True)
        for system in systems:
            self._print_taken(system, taken)
        if {"stock", "spanlore"} <= taken.keys():
            ratio = min(taken["stock"]) / min(taken["spanlore"])
            print(f"{'stock / spanlore':34}{ratio:12.2f}", flush=True)

    def print_parts(self, rounds: int, rate: float) -> None:
        systems = ("sdk", *(f"spanlore-{part}" for part in SPANLORE_PARTS), "spanlore")
        taken = self._cpu(systems, rounds, rate)
        print(f"\n{'CPU, us a span, as far as':34}{'best':>12}{'median':>12}{'more':>14}")
        for before, system in zip((None, *systems), systems, strict=False):
            self._print_taken(system, taken, against=before or system)

    def _print_taken(
        self, system: str, taken: Mapping[str, list[float]], *, against: str = "sdk"
    ) -> None:
        values = taken[system]
        more = min(values) - min(taken[against])
        name = system.replace("spanlore-", "... ")
        print(f"{name:34}{min(values):12.1f}{statistics.median(values):12.1f}{more:14.1f}")

    def _cpu(self, systems: Sequence[str], rounds: int, rate: float) -> dict[str, list[float]]:
        """Give each system's CPU microseconds a span in every round, less those without tracing."""
        taken: dict[str, list[float]] = {}
        for _ in range(rounds):
            for system in ("none", *systems):
                with sink() as there, tempfile.TemporaryDirectory() as folder:
                    made = self._start(
                        system, there.url, folder, end="cpu", spans=_CPU_SPANS, rate=rate
                    )
                    taken.setdefault(system, []).append(float(made.communicate()[0]))
        none_us = min(taken.pop("none"))
        return {system: [value - none_us for value in values] for system, values in taken.items()}

    def print_losses(self, outages_s: Sequence[float]) -> None:
        self._print_head("lost of the spans that ended")
        for end in ("exit", "sigterm", "_exit", "fork"):
            self._print_line(end, partial(self._lost_at, end))
        self._print_line(f"sigkill, worst of {_KILLS}", self._worst_kill)
        for outage_s in outages_s:
            self._print_line(f"outage of {outage_s:.0f} s", partial(self._lost_in_outage, outage_s))

    def print_exits(self) -> None:
        self._print_head("exit delay, s")
        self._print_line("collector absent", partial(self._exit_s, _absent))
        self._print_line("collector a black hole", partial(self._exit_s, _black_hole))

    def _print_head(self, what: str) -> None:
        print(f"\n{what:34}" + "".join(f"{system:>18}" for system in self._pythons))

    def _print_line(self, name: str, measured: Callable[[str], str]) -> None:
        told = "".join(f"{measured(system):>18}" for system in self._pythons)
        print(f"{name:34}{told}", flush=True)

    def _start(
        self, system: str, url: str, folder: str, *, end: str, spans: int, rate: float
    ) -> subprocess.Popen[str]:
        ours = ("OTEL_", "SPANLORE_", "TRACELOOP_", "OPENLIT_", "PYTHONPATH")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        python = self._pythons.get(system, sys.executable)
        return subprocess.Popen(
            [python, _PROGRAM, str(self._attributes), system, str(spans), str(rate), end],
            env=kept | {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "SPANLORE_DATA_DIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _lost_at(self, end: str, system: str) -> str:
        with sink() as there, tempfile.TemporaryDirectory() as folder:
            made = self._start(
                system, there.url, folder, end=end, spans=_LOSS_SPANS, rate=_LOSS_RATE
            )
            ended = len(made.communicate()[0].splitlines())
            self._start_again(system, there, folder)
            return _told(ended, there)

    def _start_again(self, system: str, there: Sink, folder: str) -> None:
        """Start the program again, as somebody does after a crash, until its journal is empty."""
        for _ in range(_STARTS_MAX):
            made = self._start(system, there.url, folder, end="exit", spans=0, rate=_LOSS_RATE)
            made.communicate()
            if not list(Path(folder).glob("journal/*/*")):
                return

    def _worst_kill(self, system: str) -> str:
        rng = random.Random(_SEED)
        worst = (-1, "")
        for _ in range(_KILLS):
            with sink() as there, tempfile.TemporaryDirectory() as folder:
                made = self._start(
                    system, there.url, folder, end="exit", spans=10_000, rate=_LOSS_RATE
                )
                assert made.stdout is not None
                said = [made.stdout.readline()]
                time.sleep(rng.uniform(*_KILL_S))
                made.send_signal(signal.SIGKILL)
                said += made.communicate()[0].splitlines()
                self._start_again(system, there, folder)
                lost = len(said) - there.ended()[0]
                worst = max(worst, (lost, f"{lost} ({lost / _LOSS_RATE * 1e3:.0f} ms)"))
        return worst[1]

    def _lost_in_outage(self, outage_s: float, system: str) -> str:
        spans = int((outage_s + _AFTER_OUTAGE_S) * _LOSS_RATE)
        answers_from = time.monotonic() + outage_s
        with sink(answers_from=answers_from) as there, tempfile.TemporaryDirectory() as folder:
            made = self._start(system, there.url, folder, end="exit", spans=spans, rate=_LOSS_RATE)
            ended = len(made.communicate(timeout=_WAIT_S_MAX)[0].splitlines())
            self._start_again(system, there, folder)
            return _told(ended, there)

    def _exit_s(self, collector: Callable[[], AbstractContextManager[str]], system: str) -> str:
        with collector() as url, tempfile.TemporaryDirectory() as folder:
            made = self._start(system, url, folder, end="exit", spans=200, rate=_LOSS_RATE)
            assert made.stdout is not None
            for line in made.stdout:
                if line == "200\n":
                    break
            begun = time.monotonic()
            made.communicate()
            return f"{time.monotonic() - begun:.1f}"


def _told(ended: int, there: Sink) -> str:
    came, again = there.ended()
    return f"{ended - came} of {ended}" + (f" (+{again})" if again else "")


@contextmanager
def _absent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    yield url


@contextmanager
def _black_hole() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _attributes(corpus: Corpus) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for body in corpus.requests:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                found += [_values(span.attributes) for span in scope.spans]
    return found


def _values(attributes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        if kind == "array_value":
            value = [part.string_value for part in value.values]
        values[each.key] = value
    return values


if __name__ == "__main__":
    main()

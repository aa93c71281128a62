"""What it costs to take spans in, and what is lost: spanlore beside its peers, in one run.

Every system gets the same requests into a store of its own; those that write to ClickHouse get
the same store process. They take turns, because a machine is never the same twice; only ratios
within one run mean something. A peer that cannot be had here is named with the reason.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final, TypeVar

import ingest_report
from client import Client, NotTakenError
from corpus import Corpus, agent_corpus, chat_corpus, classic_corpus
from ingest_report import Measured
from loss import ENDS, Lost, Start, lose
from peers import mlflow, phoenix
from running import NotAvailableError, NotStartedError, last_words
from stored import NotSettledError, wait_quiet, wait_stored
from systems import otelcol, rotel, spanlore

_OURS: Final = "spanlore"
Turn = TypeVar("Turn")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system under test; a slow one gets no more than ``spans_max`` of a corpus a turn."""

    start: Start
    spans_max: int | None = None
    counts_losses: bool = True


SYSTEMS: Final[Mapping[str, System]] = {
    _OURS: System(start=spanlore),
    "rotel": System(start=partial(rotel, own_tables=False)),
    "otelcol": System(start=partial(otelcol, durable=False)),
    "otelcol, queue on disk": System(start=partial(otelcol, durable=True)),
    "phoenix": System(start=phoenix, spans_max=2000),
    "mlflow": System(start=mlflow, spans_max=1000),
    # Controls: what sealing costs, what gRPC costs, what our tables cost another collector.
    "spanlore unsealed": System(start=partial(spanlore, seals=False), counts_losses=False),
    "spanlore over HTTP": System(start=partial(spanlore, http=True), counts_losses=False),
    "rotel, spanlore's tables": System(start=partial(rotel, own_tables=True), counts_losses=False),
}
CORPORA: Final[Mapping[str, Callable[..., Corpus]]] = {
    "agent": agent_corpus,
    "classic": classic_corpus,
    "chats": chat_corpus,
}
# Enough that every system's parts are merged, as they are under load that goes on.
_SPANS: Final = {"agent": 120_000, "classic": 1_200_000, "chats": 60_000}
_QUICK_SPANS: Final = {"agent": 20_000, "classic": 80_000, "chats": 4_000}
_SECTIONS: Final = ("speed", "loss")


def measure(name: str, corpus: Corpus, *, in_flight: int) -> Measured:
    """Start a system, send it the corpus, wait until all is stored and merged, and end it."""
    with (
        tempfile.TemporaryDirectory(prefix="spanlore-bench-") as directory,
        SYSTEMS[name].start(Path(directory)) as running,
        closing(running.open_store()) as stored,
    ):
        wait_quiet(stored, running.cpu_s)
        before, started_s = running.cpu_s(), time.perf_counter()
        sent = Client(running.door, in_flight=in_flight).send(corpus.requests)
        running.finish()
        if not wait_stored(stored, corpus.spans):
            _progress(f"{name} did not store all; it says: {last_words(running.log)}")
        stored_s = time.perf_counter() - started_s
        after = wait_quiet(stored, running.cpu_s)
        return Measured(
            corpus=corpus.name,
            system=name,
            spans=corpus.spans,
            size_bytes=corpus.size_bytes,
            cpu_s={process: after[process] - before[process] for process in after},
            rss_peak_bytes=running.rss_peak_bytes(),
            stored_s=stored_s,
            sent=sent,
            held=stored.held(),
        )


def check(measured: Measured) -> None:
    """See that a system of ours stored every span, once. Raises AssertionError."""
    held = measured.held
    assert not measured.system.startswith(_OURS) or (held.rows == held.spans == measured.spans), (
        f"{measured.system}: {measured.spans} sent: {held}"
    )


class Run:
    """One run: the turns that systems take, what they gave, and why some gave nothing."""

    def __init__(self, corpora: Sequence[Corpus], systems: Sequence[str], in_flight: int) -> None:
        self._corpora = corpora
        self._systems = systems
        self._in_flight = in_flight
        self.measured: list[Measured] = []
        self.losses: list[Lost] = []
        self.failures: dict[str, str] = {}

    def speed(self, rounds: int) -> None:
        """Measure every system with every corpus, round by round."""
        turns = product(self._corpora, range(1, rounds + 1), self._systems)
        for corpus, number, name in turns:
            some = corpus.first(SYSTEMS[name].spans_max)
            turn = partial(measure, name, some, in_flight=self._in_flight)
            done = self._try(f"{corpus.name}, round {number}", name, turn)
            if done is not None:
                check(done)
                self.measured.append(done)
                _progress(f"  {done.per_core:,.0f} spans/s a core")

    def loss(self) -> None:
        """End every system in every way with each corpus under way."""
        names = [name for name in self._systems if SYSTEMS[name].counts_losses]
        for corpus, end, name in product(self._corpora, ENDS, names):
            some = corpus.first(SYSTEMS[name].spans_max)
            start = SYSTEMS[name].start
            turn = partial(lose, name, start, some, end=end, in_flight=self._in_flight)
            done = self._try(f"{corpus.name}, {end}", name, turn)
            if done is not None:
                self.losses.append(done)
                _progress(f"  {done.lost:,} of {done.acked:,} acknowledged lost")

    def _try(self, what: str, name: str, turn: Callable[[], Turn]) -> Turn | None:
        """Take a turn; note why it cannot be taken. What cannot be had is asked for once."""
        if name in self.failures:
            return None
        _progress(f"{what}: {name}")
        try:
            return turn()
        except NotAvailableError as error:
            self.failures[name] = f"not available: {error}"
            _progress(f"  {self.failures[name]}")
        except (NotStartedError, NotTakenError, NotSettledError, sqlite3.Error) as error:
            self.failures[f"{name} ({what})"] = f"not measured: {error}"
            _progress(f"  {error}")
        return None


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=_SECTIONS, default=_SECTIONS, metavar="PART")
    parser.add_argument("--corpora", nargs="+", choices=CORPORA, default=list(CORPORA))
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--quick", action="store_true", help="one round, a fifth of the spans")
    parser.add_argument("--spans", type=int, help="of each corpus, instead of its own number")
    parser.add_argument("--rounds", type=int, help="3, or 1 with --quick")
    parser.add_argument("--in-flight", type=int, default=8, help="requests the client has open")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    return parser.parse_args()


def main() -> None:
    """Measure, and print Markdown."""
    if not Path("/proc/self/stat").exists():
        sys.exit("bench_ingest reads CPU time from /proc, which this system does not have")
    asked = _arguments()
    spans = _QUICK_SPANS if asked.quick else _SPANS
    corpora = [CORPORA[name](asked.spans or spans[name], seed=asked.seed) for name in asked.corpora]
    print("\n".join(ingest_report.surroundings(corpora)), flush=True)
    run = Run(corpora, asked.systems, asked.in_flight)
    if "speed" in asked.only:
        run.speed(asked.rounds or (1 if asked.quick else 3))
        print("\n".join(ingest_report.speeds(run.measured, against=_OURS)), flush=True)
    if "loss" in asked.only:
        run.loss()
        print("\n".join(ingest_report.losses(run.losses)))
    print("\n".join(ingest_report.failures(run.failures)))
    print(ingest_report.NOTES)
    if asked.json:
        speeds = [asdict(one) for one in run.measured]
        losses = [asdict(one) for one in run.losses]
        asked.json.write_text(json.dumps({"speed": speeds, "loss": losses}, indent=2))


if __name__ == "__main__":
    main()

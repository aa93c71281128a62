"""Spans a second a core, received to stored and merged: spanlore beside rotel, in one run.

Every system gets the same requests, into a store of its own that is the same program. They take
turns, because a machine is never the same twice; only ratios within one run mean something.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Final

from client import Sent, send
from corpus import Corpus, agent_corpus, classic_corpus, describe
from proc import cpu_s, rss_peak_bytes
from settle import Held, held, wait_merged, wait_stored
from spanlore.schemas.store import Store
from systems import Running, rotel, spanlore

_MIB: Final = 1 << 20
_WORDS_CHARACTERS_MAX: Final = 2000
_OURS: Final = "spanlore"
_UNSEALED: Final = "spanlore without sealing"
_RIVAL: Final = "rotel → exporter's tables"
_RIVAL_OUR_TABLES: Final = "rotel → spanlore's tables"

_BASES: Final = (_RIVAL, _RIVAL_OUR_TABLES)

Start = Callable[[Path], AbstractContextManager[Running]]
SYSTEMS: Final[Mapping[str, Start]] = {
    _OURS: spanlore,
    _RIVAL: partial(rotel, own_tables=False),
    _UNSEALED: partial(spanlore, seals=False),
    _RIVAL_OUR_TABLES: partial(rotel, own_tables=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One system's turn with one corpus. ``stored_s`` is from the first byte sent to all stored."""

    corpus: str
    system: str
    spans: int
    size_bytes: int
    cpu_s: Mapping[str, float]
    rss_peak_bytes: Mapping[str, int]
    stored_s: float
    sent: Sent
    held: Held

    @property
    def per_core(self) -> float:
        """Spans stored per CPU second of all the system's processes."""
        return self.held.spans / sum(self.cpu_s.values())


def measure(name: str, corpus: Corpus, *, in_flight: int) -> Measured:
    """Start a system, send it the corpus, wait until all is stored and merged, and end it."""
    with (
        tempfile.TemporaryDirectory(prefix="spanlore-bench-") as directory,
        SYSTEMS[name](Path(directory)) as running,
        Store.connect(running.store_url) as store,
    ):
        read = partial(_cpu_s, running)
        before, started_s = read(), time.perf_counter()
        sent = send(running.grpc_address, corpus.requests, in_flight=in_flight)
        running.finish()
        if not wait_stored(store, corpus.spans):
            _progress(f"{name} did not store all; it says: {_last_words(running.log)}")
        stored_s = time.perf_counter() - started_s
        after = wait_merged(store, read)
        return Measured(
            corpus=corpus.name,
            system=name,
            spans=corpus.spans,
            size_bytes=corpus.size_bytes,
            cpu_s={process: after[process] - before[process] for process in after},
            rss_peak_bytes={process: rss_peak_bytes(pid) for process, pid in running.pids.items()},
            stored_s=stored_s,
            sent=sent,
            held=held(store),
        )


def _last_words(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-_WORDS_CHARACTERS_MAX:]


def _cpu_s(running: Running) -> dict[str, float]:
    return {process: cpu_s([pid]) for process, pid in running.pids.items()}


def take_turns(corpora: Sequence[Corpus], *, rounds: int, in_flight: int) -> Iterator[Measured]:
    """Measure every system with every corpus, round by round."""
    turns = [
        (number, corpus, name)
        for corpus in corpora
        for number in range(1, rounds + 1)
        for name in SYSTEMS
    ]
    for number, corpus, name in turns:
        measured = measure(name, corpus, in_flight=in_flight)
        _progress(f"{corpus.name}, round {number}: {name}: {measured.per_core:,.0f} spans/s a core")
        yield measured


def check(measured: Measured) -> None:
    """See that a system of ours stored every span, once. Raises AssertionError."""
    ours = measured.system in {_OURS, _UNSEALED}
    held = measured.held
    assert not ours or held.rows == held.spans == measured.spans, f"{measured.spans} sent: {held}"


def report(all_measured: Sequence[Measured]) -> Iterator[str]:
    """Yield the lines of the Markdown tables: every turn, then the medians and their ratios."""
    for corpus, group in groupby(all_measured, key=lambda one: one.corpus):
        of_corpus = list(group)
        yield f"### {corpus.capitalize()} spans"
        yield ""
        yield from _table(
            "system",
            "spans/s a core",
            "CPU µs a span",
            "MB/s a core",
            "stored, spans/s wall",
            "ack p50 / p99 ms",
            "disk bytes a span",
            "parts",
            "peak RSS MiB",
            "rows stored of sent",
            rows=[_turn(one) for one in of_corpus],
        )
        yield from _medians(of_corpus)


def _turn(one: Measured) -> list[str]:
    cpu = " + ".join(f"{name} {1e6 * s / one.spans:.1f}" for name, s in one.cpu_s.items())
    peaks = " + ".join(f"{peak // _MIB:,}" for peak in one.rss_peak_bytes.values())
    rows = f"{one.held.rows:,} of {one.spans:,}"
    if one.held.rows != one.held.spans:
        rows += f" ({one.held.spans:,} distinct)"
    return [
        one.system,
        f"{one.per_core:,.0f}",
        cpu,
        f"{one.per_core * one.size_bytes / one.spans / 1e6:.1f}",
        f"{one.spans / one.stored_s:,.0f}",
        f"{one.sent.ack_p50_ms:.1f} / {one.sent.ack_p99_ms:.1f}",
        f"{one.held.disk_bytes / one.spans:,.0f}",
        str(one.held.parts),
        peaks,
        rows,
    ]


def _medians(of_corpus: Sequence[Measured]) -> Iterator[str]:
    """Yield the table of medians, and what share of spanlore's CPU the sealing of runs is."""
    medians = {
        name: median(one.per_core for one in of_corpus if one.system == name) for name in SYSTEMS
    }
    rows = [
        [name, f"{value:,.0f}", *(f"{value / medians[base]:.2f} x" for base in _BASES)]
        for name, value in medians.items()
    ]
    yield from _table("median", "spans/s a core", *(f"against {b}" for b in _BASES), rows=rows)
    sealing = 1 - medians[_OURS] / medians[_UNSEALED]
    client = median(1e6 * one.sent.cpu_s / one.spans for one in of_corpus)
    yield f"Sealing of runs: {100 * sealing:.0f} % of spanlore's CPU. "
    yield f"The client's own CPU, in no figure above: {client:.1f} µs a span."
    yield ""


def _table(*head: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def surroundings(corpora: Sequence[Corpus]) -> Iterator[str]:
    """Yield what a reader must know about the run: machine, versions, commit, command, corpora."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    names = ("spanlore", "chdb", "chdb-core", "grpcio", "protobuf", "rotel")
    yield f"- machine: {os.cpu_count()} x {cpu}, {memory:.0f} GiB, {platform.platform()}"
    yield f"- load average of 1, 5 and 15 minutes at the start: {load}"
    yield f"- Python {platform.python_version()}, {', '.join(f'{n} {version(n)}' for n in names)}"
    yield f"- commit {_commit()}, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}"
    yield f"- command: `{' '.join(['python', *sys.argv])}`"
    yield from (f"- corpus {describe(corpus)}" for corpus in corpora)
    yield ""


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "none"


_NOTES: Final = """\
A core is a CPU second of all processes of the system, from the first byte sent until every span
is stored and no merge is left to do; the client is not in it. spanlore acknowledges when a request
is on the disk (fdatasync); rotel when it is in its memory, before anything is stored. spanlore's
figures hold the sealing of runs, the write-ahead log and a synced store; rotel's hold none.
"""


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=100_000, help="agent spans a turn")
    parser.add_argument("--classic-spans", type=int, default=200_000, help="0: none")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--in-flight", type=int, default=8, help="requests the client has open")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    return parser.parse_args()


def main() -> None:
    """Measure, and print Markdown."""
    if not Path("/proc/self/stat").exists():
        sys.exit("bench_ingest reads CPU time from /proc, which this system does not have")
    asked = _arguments()
    corpora = [agent_corpus(asked.spans, seed=asked.seed)]
    if asked.classic_spans:
        corpora.append(classic_corpus(asked.classic_spans, seed=asked.seed))
    print("\n".join(surroundings(corpora)))
    all_measured = []
    for measured in take_turns(corpora, rounds=asked.rounds, in_flight=asked.in_flight):
        check(measured)
        all_measured.append(measured)
    print("\n".join(report(all_measured)))
    print(_NOTES)
    if asked.json:
        asked.json.write_text(json.dumps([asdict(one) for one in all_measured], indent=2))


if __name__ == "__main__":
    main()

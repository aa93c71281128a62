"""What bench_ingest prints: Markdown tables, and what a reader must know to believe them."""

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Final

from client import Sent
from corpus import Corpus, describe
from loss import Lost
from provenance import commit_line
from stored import Held

_MIB: Final = 1 << 20
_OURS_AND_PEERS: Final = ("spanlore", "chdb", "chdb-core", "grpcio", "protobuf", "rotel")

NOTES: Final = """\
A core is a CPU second of all processes of the system, from the first byte sent until every span
is stored and no merge is left to do; the client is not in it. spanlore acknowledges when a request
is on the disk (fdatasync), as the OpenTelemetry Collector does with its queue on the disk; its
figures hold the sealing of runs and a store that syncs its parts. The others acknowledge out of
their memory. Memory is the sum of each process's own peak.
"""


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


def surroundings(corpora: Sequence[Corpus]) -> Iterator[str]:
    """Yield what a reader must know about the run: machine, versions, commit, command, corpora."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    versions = ", ".join(f"{name} {_version(name)}" for name in _OURS_AND_PEERS)
    yield f"- machine: {os.cpu_count()} x {cpu}, {memory:.0f} GiB, {platform.platform()}"
    yield f"- load average of 1, 5 and 15 minutes at the start: {load}"
    yield f"- Python {platform.python_version()}, {versions}"
    yield commit_line()
    yield f"- command: `{' '.join(['python', *sys.argv])}`"
    yield from (f"- corpus {describe(corpus)}" for corpus in corpora)
    yield ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def speeds(all_measured: Sequence[Measured], *, against: str) -> Iterator[str]:
    """Yield, for each corpus, a row a system: the median turn, and ``against`` as a ratio to it."""
    for corpus, group in groupby(all_measured, key=lambda one: one.corpus):
        by_system: dict[str, list[Measured]] = {}
        for one in group:
            by_system.setdefault(one.system, []).append(one)
        base = _per_core(by_system[against]) if against in by_system else None
        yield f"### {corpus.capitalize()} spans"
        yield ""
        yield from _table(
            "system",
            "spans/s a core",
            f"{against} against it",
            "MB/s a core",
            "CPU µs a span",
            "each turn",
            "stored, spans/s wall",
            "ack p50 / p99 ms",
            "peak MiB",
            "disk B a span",
            "rows of sent",
            rows=[_system(turns, base) for turns in by_system.values()],
        )
        client = median(1e6 * one.sent.cpu_s / one.spans for one in by_system.get(against, []))
        yield f"The client's own CPU, in no figure above: {client:.1f} µs a span."
        yield ""


def _per_core(turns: Sequence[Measured]) -> float:
    return median(one.per_core for one in turns)


def _system(turns: Sequence[Measured], base: float | None) -> list[str]:
    """Word one system's row, from the turn that is the median."""
    one = sorted(turns, key=lambda turn: turn.per_core)[len(turns) // 2]
    per_core = _per_core(turns)
    cpu = " + ".join(f"{name} {1e6 * s / one.spans:,.1f}" for name, s in one.cpu_s.items())
    rows = f"{one.held.rows:,} of {one.spans:,}"
    if one.held.rows != one.held.spans:
        rows += f" ({one.held.spans:,} distinct)"
    if one.sent.refused:
        rows += f", {one.sent.refused:,} answers said later"
    return [
        one.system,
        f"{per_core:,.0f}",
        f"{base / per_core:,.2f} x" if base else "",
        f"{per_core * one.size_bytes / one.spans / 1e6:,.1f}",
        cpu,
        " ".join(f"{turn.per_core:,.0f}" for turn in turns),
        f"{one.spans / one.stored_s:,.0f}",
        f"{one.sent.ack_p50_ms:,.1f} / {one.sent.ack_p99_ms:,.1f}",
        " + ".join(f"{peak // _MIB:,}" for peak in one.rss_peak_bytes.values()),
        f"{one.held.disk_bytes / one.spans:,.0f}",
        rows,
    ]


def losses(all_lost: Sequence[Lost]) -> Iterator[str]:
    """Yield the table of what was acknowledged and lost."""
    yield "### Acknowledged and lost"
    yield ""
    yield from _table(
        "corpus",
        "system",
        "ended by",
        "spans acknowledged",
        "of these in no store after a restart",
        "rows twice",
        rows=[
            [one.corpus, one.system, one.end, f"{one.acked:,}", _share(one), f"{one.rows_twice:,}"]
            for one in all_lost
        ],
    )


def _share(one: Lost) -> str:
    return f"{one.lost:,} ({one.lost / max(one.acked, 1):.0%})" if one.lost else "0"


def failures(failed: Mapping[str, str]) -> Iterator[str]:
    """Yield what was not measured, and why."""
    for name, why in failed.items():
        yield f"- {name}: {' '.join(why.split())}"
    if failed:
        yield ""


def _table(*head: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""

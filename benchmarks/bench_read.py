"""What reading costs while the store holds many spans: a trace by its id, the runs of a user.

``python benchmarks/bench_read.py [--spans 1000000] [--asked 50]`` fills a store process with agent
spans as the collector's loader does, seals their runs, and puts the same spans into the tables of
the OpenTelemetry Collector's ClickHouse exporter, in the same store. Each question is then asked of
both in turns, over HTTP, each time about another trace or user. An answer is timed with its rows
read; nothing is asked twice.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from corpus import agent_corpus
from provenance import commit_line
from spanlore.collector import seal
from spanlore.schemas import migrate, otlp, runs, tables
from spanlore.schemas.log_files import log_dir
from spanlore.schemas.store import Store
from store_costs import SEGMENT_BYTES, write_segments
from systems import EXPORTER_TRACES, make_exporter_tables, store_process

_SPANS_A_CHUNK: Final = 100_000
_EXPORTER: Final = "exporter"
_RUNS_LISTED: Final = 50
# As Grafana's ClickHouse data source asks for a trace.
_TRACE_SQL: Final = """WITH {{trace_id:String}} AS t,
    (SELECT min(Start) FROM {database}.otel_traces_trace_id_ts WHERE TraceId = t) AS s,
    (SELECT max(End) + 1 FROM {database}.otel_traces_trace_id_ts WHERE TraceId = t) AS e
SELECT TraceId, SpanId, ParentSpanId, ServiceName, SpanName, Timestamp, Duration, StatusCode,
    SpanAttributes, ResourceAttributes
FROM {database}.otel_traces
WHERE TraceId = t AND Timestamp >= s AND Timestamp <= e LIMIT 1000"""
_RUNS_SQL: Final = """SELECT TraceId, min(Timestamp) AS started, count() AS spans,
    sum(toUInt64OrZero(SpanAttributes['gen_ai.usage.input_tokens'])) AS tokens
FROM {database}.otel_traces WHERE TraceId IN (
    SELECT TraceId FROM {database}.otel_traces WHERE SpanAttributes['user.id'] = {{user:String}})
GROUP BY TraceId ORDER BY started DESC LIMIT 50"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, of which tables, and how to ask it about one trace or user."""

    name: str
    asked_of: str
    ask: Callable[[str], Sequence[object]]
    about: Sequence[str]


def main() -> None:
    """Fill a store, ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--asked", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanlore-read-") as folder:
        directory = Path(folder)
        log_dir(directory).mkdir(mode=0o700)
        with store_process(directory) as (_, url):
            migrate.migrate(url)
            with Store.connect(url) as store:
                spans = _fill(store, log_dir(directory), asked.spans)
                _fill_exporter(store, url)
                _report(store, _questions(store, asked.asked), spans)


def _fill(store: Store, folder: Path, spans: int) -> int:
    """Load and seal agent spans; give how many."""
    made = 0
    for seed, start in enumerate(range(0, spans, _SPANS_A_CHUNK), 1):
        corpus = agent_corpus(min(_SPANS_A_CHUNK, spans - start), seed=seed)
        for path in write_segments(
            folder, corpus.requests, segment_bytes=SEGMENT_BYTES, log_id=seed
        ):
            store.insert_segment(path, token=path.stem, into=(otlp.TRACES_IN,))
            path.unlink()
        last_seq = len(corpus.requests)
        seal.seal_loaded(store, log_id=seed, first_seq=1, last_seq=last_seq, now_ns=time.time_ns())
        made += corpus.spans
    return made


def _fill_exporter(store: Store, url: str) -> None:
    make_exporter_tables(f"{url.rpartition('/')[0]}/{_EXPORTER}")
    names = ", ".join(f"`{name}`" for name in EXPORTER_TRACES.insertable)
    store.command(
        f"INSERT INTO {_EXPORTER}.{tables.TRACES} ({names}) SELECT {names} FROM {tables.TRACES}",
        settings={"max_threads": "1", "max_insert_threads": "1"},
    )


def _questions(store: Store, count: int) -> Iterator[Question]:
    rng = random.Random(1)
    sql = f"SELECT TraceId, any(UserId) AS UserId FROM {tables.RUNS} GROUP BY TraceId ORDER BY 1"
    found = store.query(sql)
    traces = [row["TraceId"] for row in rng.sample(found, 3 * count)]
    users = rng.sample(sorted({row["UserId"] for row in found}), 2 * count)
    now = datetime.now(UTC)
    ours = store.address.database

    def trace_of(database: str) -> Callable[[str], Sequence[object]]:
        sql = _TRACE_SQL.format(database=database)
        return lambda trace_id: store.query(sql, {"trace_id": trace_id})

    def listed(user: str) -> Sequence[object]:
        wanted = runs.RunFilter(user=user, limit=_RUNS_LISTED)
        return runs.list_runs(store, wanted, now=now)

    def grouped(user: str) -> Sequence[object]:
        return store.query(_RUNS_SQL.format(database=_EXPORTER), {"user": user})

    trace, of_user = "a trace by its id, as Grafana asks", "the runs of a user"
    yield Question(name=trace, asked_of="spanlore", ask=trace_of(ours), about=traces[:count])
    yield Question(
        name=trace, asked_of="exporter", ask=trace_of(_EXPORTER), about=traces[count : 2 * count]
    )
    yield Question(
        name="the spans of a run, as `spanlore runs` shows them",
        asked_of="spanlore",
        ask=lambda trace_id: runs.run_spans(store, trace_id),
        about=traces[2 * count :],
    )
    yield Question(name=of_user, asked_of="spanlore", ask=listed, about=users[:count])
    yield Question(name=of_user, asked_of="exporter", ask=grouped, about=users[count:])


def _report(store: Store, questions: Iterator[Question], spans: int) -> None:
    every = list(questions)
    taken_ms: list[list[float]] = [[] for _ in every]
    for number in range(len(every[0].about)):
        for question, taken in zip(every, taken_ms, strict=True):
            began_s = time.perf_counter()
            if not question.ask(question.about[number]):
                raise RuntimeError(f"{question.name}: {question.about[number]} was not found")
            taken.append(1e3 * (time.perf_counter() - began_s))
    [held] = store.query(f"SELECT count() AS runs FROM {tables.RUNS} FINAL")
    print(f"{commit_line()}\n- {spans:,} spans in {held['runs']:,} runs\n")
    print("| question | asked of the tables of | p50 ms | p99 ms |\n| --- | --- | ---: | ---: |")
    for question, taken in zip(every, taken_ms, strict=True):
        p99 = statistics.quantiles(taken, n=100)[98]
        print(
            f"| {question.name} | {question.asked_of} "
            f"| {statistics.median(taken):.1f} | {p99:.1f} |"
        )


if __name__ == "__main__":
    main()

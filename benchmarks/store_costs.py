"""Where the store's CPU goes, by leaving things out: one change to the schema at a time.

Every variant loads the same write-ahead-log segments as the loader does, into a fresh engine in a
process of its own, and takes turns with the others. ``python benchmarks/store_costs.py --list``
names the variants; ``--merges`` lets merges run and counts them until none is left to do.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import chdb

from corpus import agent_corpus, chat_corpus, classic_corpus
from spanlore.collector import record
from spanlore.collector.segment import name_of
from spanlore.collector.signals import TRACES
from spanlore.schemas import otlp, tables
from spanlore.schemas.store import segment_settings
from spanlore.schemas.table import Column, Table
from spanlore.schemas.views import ALL as VIEWS
from spanlore.schemas.views import INPUTS, View
from systems import EXPORTER_TRACES

_MIB: Final = 1 << 20
SEGMENT_BYTES: Final = 64 * _MIB
_QUIET_S: Final = 6.0
_CONTROL: Final = "control"
_CORPORA: Final = {"agent": agent_corpus, "chats": chat_corpus, "classic": classic_corpus}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a variant changes: the spans' table, the views, settings of the insert, segments."""

    traces: Table = tables.OTEL_TRACES
    views: tuple[View, ...] = VIEWS
    settings: Mapping[str, str] = field(default_factory=lambda: segment_settings(otlp.TRACES_IN))
    segment_bytes: int = SEGMENT_BYTES


def _table(**changes: object) -> Callable[[], Schema]:
    return lambda: Schema(traces=replace(tables.OTEL_TRACES, **changes))  # type: ignore[arg-type]


def _more_settings(*more: str) -> Callable[[], Schema]:
    return _table(settings=(*tables.OTEL_TRACES.settings, *more))


def _insert_setting(**settings: str) -> Callable[[], Schema]:
    return lambda: Schema(settings={**segment_settings(otlp.TRACES_IN), **settings})


def _codec(codec: str) -> Callable[[], Schema]:
    columns = tuple(
        replace(column, codec=re.sub(r"ZSTD\(1\)", codec, column.codec))
        for column in tables.OTEL_TRACES.columns
    )
    return _table(columns=columns)


def _big_codec(codec: str) -> Callable[[], Schema]:
    """Change the codec of the columns that hold the text, and of no other."""
    columns = tuple(
        replace(column, codec=codec)
        if column.name in {"SpanAttributes", "ToolArguments", "ToolResult"}
        else column
        for column in tables.OTEL_TRACES.columns
    )
    return _table(columns=columns)


def _without(*names: str) -> Callable[[], Schema]:
    columns = tuple(c for c in tables.OTEL_TRACES.columns if c.name not in names)
    return lambda: _fitting(replace(tables.OTEL_TRACES, columns=columns))


def _fitting(traces: Table) -> Schema:
    """Give a schema whose view selects only the columns that the table has."""
    names = ", ".join(
        f"`{name}`"
        for name in traces.insertable
        if f"AS {name}" in otlp.traces_view_sql() or f"AS `{name}`" in otlp.traces_view_sql()
    )
    select = f"SELECT {names} FROM ({otlp.traces_view_sql()})"
    of_traces = replace(VIEWS[0], select=select)
    return Schema(traces=traces, views=(of_traces, *VIEWS[1:]))


def _views(*targets: str) -> Callable[[], Schema]:
    return lambda: Schema(views=tuple(view for view in VIEWS if view.target in targets))


_EXPORTERS: Final = tables.OTEL_TRACES.columns[: len(EXPORTER_TRACES.columns)]
_DERIVED: Final = frozenset(
    c.name for c in tables.OTEL_TRACES.columns[len(_EXPORTERS) :] if c.default
)
_OF_TRACES: Final = tuple(v for v in VIEWS if v.target in {tables.TRACES, tables.TRACE_TIMES})
_COMPACT: Final = replace(
    tables.OTEL_TRACES,
    settings=(*tables.OTEL_TRACES.settings, "min_bytes_for_wide_part = 1073741824"),
)
_BEST: Final = "compact, no logs views, 32 MiB"


def _best(*settings: str) -> Callable[[], Schema]:
    """Put together what pays: compact parts, no views of logs, larger segments."""
    names = {setting.split()[0] for setting in settings}
    kept = (one for one in _COMPACT.settings if one.split()[0] not in names)
    return lambda: Schema(
        traces=replace(_COMPACT, settings=(*kept, *settings)),
        views=_OF_TRACES,
        segment_bytes=32 * _MIB,
    )


_NULL = _table(engine="Null", partition_by="", order_by="", indexes=(), settings=())

VARIANTS: Final[Mapping[str, Callable[[], Schema]]] = {
    _CONTROL: Schema,
    "decode only (no views)": lambda: Schema(views=()),
    "rows into Null, exporter's columns": lambda: _fitting(
        replace(
            tables.OTEL_TRACES, columns=_EXPORTERS, engine="Null", partition_by="", order_by="",
            indexes=(), settings=(),
        )
    ),
    "rows into Null, all columns": _NULL,
    "exporter's table": lambda: _fitting(EXPORTER_TRACES),
    "exporter's columns, our order": lambda: _fitting(
        replace(tables.OTEL_TRACES,
            columns=(*_EXPORTERS, _column("TenantId"), _column("ReceivedAt"), _column("LogId"),
                _column("LogSeq"), _column("Incomplete"), _column("RowVersion")),
            indexes=(tables.OTEL_TRACES.indexes[0],))
    ),
    "no skip indexes": _table(indexes=()),
    "no trace-times view": _views(tables.TRACES, tables.LOGS, tables.JUDGEMENTS),
    "no logs views": _views(tables.TRACES, tables.TRACE_TIMES),
    "no fsync": _table(settings=tables.OTEL_TRACES.settings[:1]),
    "LZ4": _codec("LZ4"),
    "LZ4 for text only": _big_codec("LZ4"),
    "no codec but text's": lambda: Schema(traces=replace(tables.OTEL_TRACES, columns=tuple(
        c if c.name in {"SpanAttributes", "ToolArguments", "ToolResult"}
        else replace(c, codec=c.codec and "LZ4") for c in tables.OTEL_TRACES.columns))),
    "without tool texts": _without("ToolArguments", "ToolResult"),
    "tool texts as aliases": lambda: Schema(traces=replace(tables.OTEL_TRACES, columns=tuple(
        replace(c, alias=c.name in {"ToolArguments", "ToolResult"} or c.alias)
        for c in tables.OTEL_TRACES.columns))),
    "without Sampling and hashes": _without("Sampling", "InstructionsHash", "ToolDefinitionsHash"),
    "without attribute types": _without(
        "SpanAttributeTypes", "ResourceAttributeTypes"
    ),
    "MergeTree": _table(engine="MergeTree"),
    "order by tenant, trace": _table(order_by="(TenantId, TraceId, SpanId)"),
    "order by trace": _table(order_by="(TraceId, SpanId)"),
    "order as it came": _table(engine="MergeTree", order_by="tuple()"),
    "compact parts": _more_settings("min_bytes_for_wide_part = 1073741824"),
    "compact parts until level 1": _more_settings("min_level_for_wide_part = 1"),
    "compact parts until level 2": _more_settings("min_level_for_wide_part = 2"),
    "compact parts, one block": _more_settings(
        "min_bytes_for_wide_part = 1073741824", "compress_per_column_in_compact_parts = 0"
    ),
    "no auto statistics": _more_settings("auto_statistics_types = ''"),
    "no sparse": _more_settings("ratio_of_defaults_for_sparse_serialization = 1.0"),
    "map buckets": _more_settings(
        "map_serialization_version = 'with_buckets'", "map_buckets_min_avg_size = 0"
    ),
    "strings without size stream": _more_settings(
        "string_serialization_version = 'single_stream'"
    ),
    "folded on insert": _insert_setting(optimize_on_insert="1"),
    "two threads": _insert_setting(max_threads="2", max_insert_threads="2"),
    "32 MiB segments": lambda: Schema(segment_bytes=32 * _MIB),
    "128 MiB segments": lambda: Schema(segment_bytes=128 * _MIB),
    "32 MiB segments, no logs views": lambda: Schema(views=_OF_TRACES, segment_bytes=32 * _MIB),
    "compact, no logs views": lambda: Schema(traces=_COMPACT, views=_OF_TRACES),
    _BEST: _best(),
    f"{_BEST}, 64 MiB": lambda: replace(_best()(), segment_bytes=64 * _MIB),
    f"{_BEST}, wide from 128 MiB": _best("min_bytes_for_wide_part = 134217728"),
    f"{_BEST}, merge base 5": _best("merge_selector_base = 5"),
    f"{_BEST}, merge at least 10": _best("min_parts_to_merge_at_once = 10"),
    f"{_BEST}, LZ4": lambda: replace(
        _best()(), traces=replace(_best()().traces, columns=_codec("LZ4")().traces.columns)
    ),
    f"{_BEST}, no fsync": lambda: replace(
        _best()(), traces=replace(_COMPACT, settings=_COMPACT.settings[-1:])
    ),
    f"{_BEST}, tool texts as aliases": lambda: replace(
        _best()(),
        traces=replace(_COMPACT, columns=VARIANTS["tool texts as aliases"]().traces.columns),
    ),
    f"{_BEST}, no skip indexes": lambda: replace(
        _best()(), traces=replace(_COMPACT, indexes=())
    ),
    "vertical merges": _more_settings("vertical_merge_algorithm_min_rows_to_activate = 1"),
    "no vertical merges": _more_settings("enable_vertical_merge_algorithm = 0"),
    "merge base 5": _more_settings("merge_selector_base = 5"),
    "merge base 8": _more_settings("merge_selector_base = 8"),
    "merge base 32": _more_settings("merge_selector_base = 32"),
    "merge at least 10": _more_settings("min_parts_to_merge_at_once = 10"),
    "merge blocks of 32 MiB": _more_settings(
        "merge_max_block_size = 65536", "merge_max_block_size_bytes = 33554432"
    ),
    "64 KiB compress blocks": _more_settings(
        "max_compress_block_size = 262144", "min_compress_block_size = 262144"
    ),
}  # fmt: skip


def _column(name: str) -> Column:
    return next(column for column in tables.OTEL_TRACES.columns if column.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU seconds of a load, rows stored, bytes on disk, parts, and peak memory."""

    cpu_s: float
    rows: int
    disk_bytes: int
    parts: int
    rss_bytes: int


def load(schema: Schema, segments: Sequence[Path], store_dir: Path, *, merges: bool) -> Cost:
    """Load the segments into a fresh engine in this process."""
    connection = chdb.connect(str(store_dir))
    run = connection.query
    run("CREATE DATABASE spanlore")
    run("USE spanlore")
    for table in (schema.traces, *tables.ALL):
        run(_null_ddl(table) if table.engine == "Null" else table.ddl())
    for _, ddl in INPUTS:
        run(ddl)
    for view in schema.views:
        run(view.ddl())
    if not merges:
        run("SYSTEM STOP MERGES")
    for name, value in schema.settings.items():
        escaped = value.replace("'", "\\'")
        run(f"SET {name} = '{escaped}'")
    before_s = _cpu_s()
    for path in segments:
        run(
            f"INSERT INTO {otlp.TRACES_IN} FROM INFILE '{path}' COMPRESSION 'none' "
            f"SETTINGS insert_deduplication_token = '{path.stem}' FORMAT Protobuf"
        )
    after_s = _wait_merged(connection) if merges else _cpu_s()
    held = json.loads(
        run(
            "SELECT toUInt32(sum(rows)) AS rows, toUInt32(count()) AS parts, "
            "toUInt32(sum(bytes_on_disk)) AS disk_bytes FROM system.parts "
            f"WHERE active AND table = '{tables.TRACES}'",
            "JSONEachRow",
        ).bytes()
    )
    connection.close()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Cost(cpu_s=after_s - before_s, rss_bytes=rss, **held)


def _null_ddl(table: Table) -> str:
    return table.ddl().replace("\nORDER BY ", "")


def _wait_merged(connection: Any) -> float:
    """Wait until merges have been quiet; give the CPU seconds of when they became so."""
    before, cpu_s, since_s = "", _cpu_s(), time.monotonic()
    while time.monotonic() - since_s < _QUIET_S:
        sql = (
            "SELECT (SELECT count() FROM system.merges), groupArray(concat(table, name)) "
            "FROM (SELECT table, name FROM system.parts WHERE active ORDER BY table, name)"
        )
        now = connection.query(sql, "TSV").bytes().decode()
        if now != before or not now.startswith("0\t"):
            before, cpu_s, since_s = now, _cpu_s(), time.monotonic()
        time.sleep(0.25)
    return cpu_s


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def write_segments(
    folder: Path, requests: Sequence[bytes], *, segment_bytes: int, log_id: int = 1
) -> list[Path]:
    """Write requests as the collector's log would: framed records, files of this size."""
    folder.mkdir(exist_ok=True)
    written: list[Path] = []
    first, parts, size = 1, list[bytes](), 0
    for seq, body in enumerate(requests, 1):
        head = record.encode(
            body, TRACES, tenant="", received_ns=time.time_ns(), seq=seq, log_id=log_id
        )
        parts += [head, body]
        size += len(head) + len(body)
        if size >= segment_bytes or seq == len(requests):
            path = folder / name_of(log_id, first)
            path.write_bytes(b"".join(parts))
            written.append(path)
            first, parts, size = seq + 1, [], 0
    return written


def _measure_one(name: str, folder: Path, *, merges: bool) -> Cost:
    """Measure a variant in a process of its own."""
    command = [sys.executable, __file__, "--one", name, "--segments", str(folder)]
    done = subprocess.run(
        [*command, *(["--merges"] if merges else [])], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-1500:]}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _run_one(name: str, folder: Path, *, merges: bool) -> None:
    schema = VARIANTS[name]()
    segments = sorted((folder / str(schema.segment_bytes)).iterdir())
    with tempfile.TemporaryDirectory(prefix="spanlore-costs-") as store_dir:
        cost = load(schema, segments, Path(store_dir) / "store", merges=merges)
        values = {name: getattr(cost, name) for name in Cost.__slots__}
        print(json.dumps(values), flush=True)


def _compare(asked: argparse.Namespace, names: Sequence[str], folder: Path) -> None:
    corpus = _CORPORA[asked.corpus](asked.spans, seed=1)
    for size in {VARIANTS[name]().segment_bytes for name in names}:
        write_segments(folder / str(size), corpus.requests, segment_bytes=size)
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    for _ in range(asked.rounds):
        for name in names:
            costs[name].append(_measure_one(name, folder, merges=asked.merges))
    control = min(cost.cpu_s for cost in costs[_CONTROL])
    print("| variant | CPU µs a span | against control | each | disk B | parts | RSS MiB | rows |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for name, of_name in costs.items():
        cpu_s, last = min(cost.cpu_s for cost in of_name), of_name[-1]
        each = " ".join(f"{1e6 * cost.cpu_s / corpus.spans:.1f}" for cost in of_name)
        print(
            f"| {name} | {1e6 * cpu_s / corpus.spans:.1f} "
            f"| {1e6 * (cpu_s - control) / corpus.spans:+.1f} | {each} "
            f"| {last.disk_bytes / corpus.spans:.0f} | {last.parts} "
            f"| {last.rss_bytes // _MIB} | {last.rows} |"
        )


def main() -> None:
    """Compare variants, or, for itself, measure one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", help="of --list; none: all")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--merges", action="store_true")
    parser.add_argument("--corpus", choices=_CORPORA, default="agent")
    parser.add_argument("--spans", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--segments", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(VARIANTS))
    elif asked.one:
        _run_one(asked.one, asked.segments, merges=asked.merges)
    else:
        names = list(dict.fromkeys([_CONTROL, *(asked.variants or VARIANTS)]))
        with tempfile.TemporaryDirectory(prefix="spanlore-costs-") as folder:
            _compare(asked, names, Path(folder))


if __name__ == "__main__":
    main()

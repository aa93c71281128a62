"""`spanlore status`: what runs, what it counted, and how far the flywheel has turned."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spanlore.cli.collector_door import collector_status
from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import data_dir_option, read_run_file
from spanlore.cli.errors import CannotReach
from spanlore.cli.output import print_json, print_table

if TYPE_CHECKING:
    from spanlore.schemas.store import Store

__all__ = ["status_command"]

# Up to here spans are counted exactly, each once; above, rows are: those of a span that was sent
# twice count twice until the store has merged them.
_EXACT_ROWS_MAX = 10_000_000

_COUNTS = {
    # By its key: a judgement that another tool sent has no id.
    "judgements": "SELECT uniqExact(TenantId, TraceId, SpanId, Name, Source, Evaluator) AS n "
    "FROM judgements",
    "findings": "SELECT uniqExact(FindingId) AS n FROM findings WHERE Confirmed",
    "lessons": "SELECT uniqExact(LessonId) AS n FROM lessons",
}
_RUNS = """SELECT count() AS runs, countIf(outcome != '') AS judged FROM
    (SELECT argMax(Outcome, Version) AS outcome FROM agent_runs GROUP BY TraceId)"""


@click.command("status")
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status_command(data_dir: Path | None, as_json: bool) -> None:
    """Show the processes, the collector's counters, what is stored and the flywheel.

    Exit code 3 when nothing runs.
    """
    running = find_running(data_dir)
    document = _document(running)
    if as_json:
        print_json(document)
    else:
        _print(document)


def _document(running: Running) -> dict[str, Any]:
    run_file = read_run_file(running.data_dir) or {}
    rows, store_problem = _rows(running)
    collector, collector_problem = _collector(running)
    return {
        "data_dir": str(running.data_dir),
        "version": run_file.get("version"),
        "pid": run_file.get("pid"),
        "started_at": run_file.get("started_at"),
        "store": {**run_file.get("store", {"pid": None}), "problem": store_problem},
        "collector": {
            **run_file.get("collector", {"pid": None}),
            "grpc_endpoint": running.grpc_endpoint,
            "http_url": running.http_url,
            "problem": collector_problem,
            "counters": collector,
        },
        "rows": {name: rows.get(name) for name in ("runs", "spans", *_COUNTS)},
        "flywheel": {
            "runs": rows.get("runs"),
            "judged": rows.get("judged"),
            "findings": rows.get("findings"),
            "lessons": rows.get("lessons"),
            "exposures": None,
            "effects": None,
        },
    }


def _collector(running: Running) -> tuple[dict[str, Any] | None, str | None]:
    try:
        return collector_status(running), None
    except CannotReach as error:
        return None, error.message


def _rows(running: Running) -> tuple[dict[str, int], str | None]:
    """Count what is stored; a store that does not answer is a fact to show, not an end."""
    from spanlore.schemas.store import Store, StoreError

    try:
        store = Store.connect(running.store_url)
        try:
            return _counted(store), None
        finally:
            store.close()
    except StoreError as error:
        return {}, str(error)


def _counted(store: "Store") -> dict[str, int]:
    [runs] = store.query(_RUNS)
    counts = {name: store.query(sql)[0]["n"] for name, sql in _COUNTS.items()}
    return {**runs, "spans": _spans(store), **counts}


def _spans(store: "Store") -> int:
    [row] = store.query("SELECT count() AS n FROM otel_traces")
    if row["n"] <= _EXACT_ROWS_MAX:
        [row] = store.query("SELECT uniqExact(TenantId, TraceId, SpanId) AS n FROM otel_traces")
    return int(row["n"])


def _print(document: dict[str, Any]) -> None:
    store, collector = document["store"], document["collector"]
    click.echo(f"spanlore on {document['data_dir']}, up since {document['started_at'] or '?'}")
    print_table(
        ("process", "pid", "address", "state"),
        [
            ("store", store["pid"], store.get("url"), store["problem"] or "ok"),
            (
                "collector",
                collector["pid"],
                f"{collector['grpc_endpoint']} (gRPC), {collector['http_url']} (HTTP)",
                collector["problem"] or "ok",
            ),
        ],
    )
    if collector["counters"] is not None:
        _print_counters(collector["counters"])
    stored = ", ".join(f"{_number(count)} {name}" for name, count in document["rows"].items())
    click.echo(f"stored: {stored}")
    wheel = document["flywheel"]
    click.echo(
        "flywheel: "
        f"{_number(wheel['runs'])} runs → {_number(wheel['judged'])} judged → "
        f"{_number(wheel['findings'])} findings → {_number(wheel['lessons'])} lessons → "
        f"{_number(wheel['exposures'])} exposures → {_number(wheel['effects'])} measured effects"
    )


def _print_counters(counters: dict[str, Any]) -> None:
    signals = {name: counters[name] for name in ("spans", "logs") if name in counters}
    columns = list(dict.fromkeys(key for counts in signals.values() for key in counts))
    rows = [[name, *(counts.get(key) for key in columns)] for name, counts in signals.items()]
    print_table(("since start", *columns), rows)
    backlog = counters["backlog"]
    if not backlog["records"]:
        click.echo("everything accepted is loaded")
        return
    click.echo(
        f"not loaded yet: {backlog['records']:,} records, {backlog['bytes']:,} bytes, "
        f"the oldest accepted {backlog['oldest_age_s']:.0f} s ago"
    )


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"

"""`spanlore status`: what runs, what it counted, and how far the flywheel has turned."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spanlore.cli.collector_door import collector_status, problem_of
from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import data_dir_option, read_run_file
from spanlore.cli.errors import CannotReach, CommandFailed
from spanlore.cli.output import print_json, print_table
from spanlore.cli.review_door import review_status
from spanlore.cli.show_forwarding import print_forwarding
from spanlore.cli.show_health import print_health

if TYPE_CHECKING:
    from spanlore.schemas.store import Store

__all__ = ["status_command"]

# Up to here spans are counted exactly, each once; above, rows are: those of a span that was sent
# twice count twice until the store has merged them.
_EXACT_ROWS_MAX = 10_000_000

_PARTS = ("store", "collector", "review")
_EXIT_PROBLEM = 1

_COUNTS = {
    # By its key: a judgement that another tool sent has no id.
    "judgements": "SELECT uniqExact(TenantId, TraceId, SpanId, Name, Source, Evaluator) AS n "
    "FROM judgements",
    "findings": "SELECT uniqExact(FindingId) AS n FROM findings WHERE Confirmed",
    "lessons": "SELECT uniqExact(LessonId) AS n FROM lessons",
}
# What was learned, by state or kind: lessons as they stand, runs that were given one or held out
# of one, and the last measurement of each lesson.
_WHEEL = {
    "lessons_by_state": "SELECT state AS key, count() AS n FROM "
    "(SELECT argMax(State, Version) AS state FROM lessons GROUP BY LessonId) GROUP BY 1 ORDER BY 1",
    "exposures_by_arm": "SELECT Arm AS key, uniqExact(TenantId, TraceId, LessonId) AS n "
    "FROM exposures GROUP BY 1 ORDER BY 1",
    "effects_by_verdict": "SELECT verdict AS key, count() AS n FROM "
    "(SELECT argMax(Verdict, At) AS verdict FROM effects GROUP BY LessonId) GROUP BY 1 ORDER BY 1",
}
_LEARNED_UNKNOWN = dict.fromkeys(("last_at", "new_runs", "waits_for", "reason", "next_at"))
_RUNS = """SELECT count() AS runs, countIf(outcome != '') AS judged FROM
    (SELECT argMax(Outcome, Version) AS outcome FROM agent_runs GROUP BY TraceId)"""


@click.command("status")
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status_command(data_dir: Path | None, as_json: bool) -> None:
    """Show the processes, the collector's counters, what is stored, and how far the loop turned.

    Exit codes: 1 when a part of it does not do its work, 3 when nothing runs.
    """
    running = find_running(data_dir)
    document = _document(running)
    if as_json:
        print_json(document)
    else:
        _print(document)
    if any(document[part]["problem"] for part in _PARTS):
        raise SystemExit(_EXIT_PROBLEM)


def _document(running: Running) -> dict[str, Any]:
    run_file = read_run_file(running.data_dir) or {}
    every_s = run_file.get("learn", {}).get("every_s")
    rows, wheel, learned, store_problem = _stored(running, every_s)
    collector, collector_problem = _collector(running)
    review, review_problem = _review(running)
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
        "review": {
            **run_file.get("review", {"pid": None}),
            "url": running.review_url,
            "problem": review_problem,
            "counters": review,
        },
        "learn": {"pid": None, "every_s": None, **run_file.get("learn", {}), **learned},
        "rows": {name: rows.get(name) for name in ("runs", "spans", *_COUNTS)},
        "flywheel": {
            "runs": rows.get("runs"),
            "judged": rows.get("judged"),
            "findings": rows.get("findings"),
            "lessons": rows.get("lessons"),
            "lessons_by_state": wheel.get("lessons_by_state"),
            "exposures": _sum(wheel, "exposures_by_arm"),
            "exposures_by_arm": wheel.get("exposures_by_arm"),
            "effects": _sum(wheel, "effects_by_verdict"),
            "effects_by_verdict": wheel.get("effects_by_verdict"),
        },
    }


def _collector(running: Running) -> tuple[dict[str, Any] | None, str | None]:
    try:
        counters = collector_status(running)
    except CannotReach as error:
        return None, error.message
    return counters, problem_of(counters)


def _review(running: Running) -> tuple[dict[str, Any] | None, str | None]:
    try:
        counters = review_status(running)
    except (CannotReach, CommandFailed) as error:
        return None, error.message
    if counters.get("broken_because"):
        return counters, f"the log of decisions is broken: {counters['broken_because']}"
    return counters, None


def _stored(
    running: Running, every_s: float | None
) -> tuple[dict[str, int], dict[str, dict[str, int]], dict[str, Any], str | None]:
    """Count what is stored; a store that does not answer is a fact to show, not an end."""
    from spanlore.schemas.store import Store, StoreError

    try:
        store = Store.connect(running.store_url)
        try:
            return _counted(store), _turned(store), _learned(store, every_s), None
        finally:
            store.close()
    except StoreError as error:
        return {}, {}, dict(_LEARNED_UNKNOWN), str(error)


def _learned(store: "Store", every_s: float | None) -> dict[str, Any]:
    """Return when was learned last, and where spanlore learns by itself what the next waits for."""
    from spanlore.analyzers.dream import Pace, dream_state, due

    state = dream_state(store)
    found = {**_LEARNED_UNKNOWN, "last_at": state.learned_at, "new_runs": state.new_runs}
    if every_s is None:
        return found
    said = due(state, datetime.now(UTC), Pace(period=timedelta(seconds=every_s)))
    return {**found, "waits_for": said.waits_for, "reason": said.reason, "next_at": said.next_at}


def _counted(store: "Store") -> dict[str, int]:
    [runs] = store.query(_RUNS)
    counts = {name: store.query(sql)[0]["n"] for name, sql in _COUNTS.items()}
    return {**runs, "spans": _spans(store), **counts}


def _turned(store: "Store") -> dict[str, dict[str, int]]:
    """Return each count of ``_WHEEL`` by its key."""
    return {
        name: {row["key"]: row["n"] for row in store.query(sql)} for name, sql in _WHEEL.items()
    }


def _sum(wheel: dict[str, dict[str, int]], name: str) -> int | None:
    return sum(wheel[name].values()) if name in wheel else None


def _spans(store: "Store") -> int:
    [row] = store.query("SELECT count() AS n FROM otel_traces")
    if row["n"] <= _EXACT_ROWS_MAX:
        [row] = store.query("SELECT uniqExact(TenantId, TraceId, SpanId) AS n FROM otel_traces")
    return int(row["n"])


def _print(document: dict[str, Any]) -> None:
    store, collector, review = document["store"], document["collector"], document["review"]
    click.echo(f"spanlore on {document['data_dir']}, up since {document['started_at'] or '?'}")
    print_table(
        ("process", "pid", "address", "state"),
        [
            ("store", store["pid"], store.get("url"), _state(store)),
            (
                "collector",
                collector["pid"],
                f"{collector['grpc_endpoint']} (gRPC), {collector['http_url']} (HTTP)",
                _state(collector),
            ),
            ("review", review["pid"], review["url"], _state(review)),
        ],
    )
    for part in (part for part in _PARTS if document[part]["problem"]):
        click.echo(f"{part}: {document[part]['problem']}")
    if collector["counters"] is not None:
        _print_counters(collector["counters"])
        print_health(collector["counters"])
        print_forwarding(collector["counters"]["forwarding"])
    stored = ", ".join(f"{_number(count)} {name}" for name, count in document["rows"].items())
    click.echo(f"stored: {stored}")
    _print_wheel(document["flywheel"])
    _print_learn(document["learn"])


def _state(part: dict[str, Any]) -> str:
    return "failing" if part["problem"] else "ok"


def _print_wheel(wheel: dict[str, Any]) -> None:
    click.echo(
        "flywheel: "
        f"{_number(wheel['runs'])} runs → {_number(wheel['judged'])} judged → "
        f"{_number(wheel['findings'])} findings → {_number(wheel['lessons'])} lessons → "
        f"{_number(wheel['exposures'])} exposures → {_number(wheel['effects'])} measured effects"
    )
    parts = ("lessons_by_state", "exposures_by_arm", "effects_by_verdict")
    for name in (name for name in parts if wheel[name]):
        said = (f"{count:,} {key.replace('_', ' ')}" for key, count in wheel[name].items())
        click.echo(f"  {name.partition('_')[0]}: {', '.join(said)}")


def _print_learn(learn: dict[str, Any]) -> None:
    last = f"{learn['last_at']:%Y-%m-%d %H:%M} UTC" if learn["last_at"] else "never"
    new = f"{_number(learn['new_runs'])} new runs since"
    if learn["every_s"] is None:
        click.echo(f"learned: {last}, {new}; by hand: spanlore learn")
    else:
        click.echo(f"learned: {last}, {new}; next: {learn['reason'] or 'not known'}")


def _print_counters(counters: dict[str, Any]) -> None:
    names = ("spans", "logs", "data_points")
    signals = {name: counters[name] for name in names if name in counters}
    columns = list(dict.fromkeys(key for counts in signals.values() for key in counts))
    rows = [
        [name.replace("_", " "), *(counts.get(key) for key in columns)]
        for name, counts in signals.items()
    ]
    print_table(("since start", *columns), rows)


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"

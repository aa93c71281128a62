"""`spanlore runs`: the list of runs, and one run as a tree."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanlore.cli.chosen_run import chosen_run
from spanlore.cli.collector_door import flush
from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CannotReach
from spanlore.cli.options import period
from spanlore.cli.output import note, print_json, print_table
from spanlore.cli.run_tree import print_run, token_counts

if TYPE_CHECKING:
    from spanlore.schemas.types import Run

__all__ = ["print_runs", "runs_command"]


@click.group(invoke_without_command=True)
@click.option("--user", help="Only this user's runs.")
@click.option("--tenant", help="Only this tenant's runs.")
@click.option("--agent", help="Only this agent's runs.")
@click.option("--task", help="Only this task: its type, its id, or TYPE/ID.")
@click.option("--failed", is_flag=True, help="Only runs judged as failed.")
@click.option("--since", help="Only runs received since: 30m, 12h, 7d, 2w.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@data_dir_option
@click.pass_context
def runs_command(ctx: click.Context, /, **options: object) -> None:
    """List runs, newest first; `spanlore runs show TRACE_ID` prints one."""
    if ctx.invoked_subcommand is None:
        _list(**options)  # type: ignore[arg-type]


def _list(
    *,
    user: str | None,
    tenant: str | None,
    agent: str | None,
    task: str | None,
    failed: bool,
    since: str | None,
    limit: int,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    from spanlore.schemas.runs import RunFilter, list_runs
    from spanlore.schemas.store import Store

    wanted = RunFilter(
        user=user,
        tenant=tenant,
        agent=agent,
        task=task,
        failed=failed,
        since=period(since, "--since"),
        limit=limit,
    )
    running = find_running(data_dir)
    with Store.connect(running.store_url) as store:
        runs = list_runs(store, wanted, now=datetime.now(UTC))
        if not runs and running.collector_token is not None:
            # What came in this second is on its way into the store.
            with suppress(CannotReach):
                flush(running)
            runs = list_runs(store, wanted, now=datetime.now(UTC))
    if not runs:
        note("no run is stored that fits; what is traced here and what is missing: spanlore doctor")
    if as_json:
        print_json(runs)
    else:
        print_runs(runs)


def print_runs(runs: "Sequence[Run]") -> None:
    """Print runs as a table."""
    columns = "trace agent user task outcome state started took steps tools errors tokens cost"
    print_table(columns.split(), map(_cells, runs))


def _cells(run: "Run") -> tuple[object, ...]:
    return (
        run.trace_id[:12],
        run.agent,
        run.user,
        "/".join(filter(None, (run.task, run.task_id))) or None,
        run.outcome,
        run.state,
        run.started_at and f"{run.started_at:%Y-%m-%d %H:%M:%S}",
        None if run.duration_ms is None else f"{run.duration_ms / 1000:.1f} s",
        run.steps,
        run.tool_calls,
        run.tool_errors or "",
        token_counts(run),
        None if run.cost_usd is None else f"${run.cost_usd:.4f}",
    )


@runs_command.command("show")
@click.argument("trace_id")
@click.option("--full", is_flag=True, help="Do not shorten arguments and results.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def show_command(trace_id: str, *, full: bool, as_json: bool, data_dir: Path | None) -> None:
    """Print one run as a tree: times, tokens, tool arguments and errors."""
    from spanlore.schemas.runs import run_spans
    from spanlore.schemas.store import Store

    with Store.connect(find_running(data_dir).store_url) as store:
        run = chosen_run(store, trace_id)
        spans = run_spans(store, run.trace_id)
    if as_json:
        print_json({"run": run, "spans": spans})
    else:
        print_run(run, spans, full=full)

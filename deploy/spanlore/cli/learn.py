"""`spanlore learn`: analyzers once, then findings, then lessons."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanlore.cli import review_door
from spanlore.cli.collector_door import flush
from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CommandFailed
from spanlore.cli.output import note, print_json

if TYPE_CHECKING:
    from spanlore.analyzers.job import LearnReport

__all__ = ["learn_command", "print_report"]

_HELD_BACK_ROWS_MAX = 10


@click.command("learn")
@click.option("--since", help="Only runs received since: 30m, 12h, 7d. Default: all runs.")
@click.option("--analyzer", "analyzers", multiple=True, help="Only this analyzer; may be repeated.")
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the agent's code: lessons get a diff against the files found there.",
)
@click.option("--dry-run", is_flag=True, help="Write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def learn_command(
    *,
    since: str | None,
    analyzers: tuple[str, ...],
    repo: Path | None,
    dry_run: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Run the analyzers over the runs: findings, then lessons.

    A finding is confirmed on tasks that it was not found on; what is not is held back with the
    reason. A lesson is a proposal with the verdict of its gate: nothing is given to agents or
    applied before a person approves it. Exit code 1 when an analyzer failed.
    """
    from spanlore.analyzers.desk import BY
    from spanlore.analyzers.job import learn
    from spanlore.analyzers.registry import UnknownAnalyzer
    from spanlore.schemas.runs import parse_since
    from spanlore.schemas.store import Store

    try:
        start = datetime.now(UTC) - parse_since(since) if since else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from error
    running = find_running(data_dir)
    if not dry_run:
        review_door.review_status(running)  # who keeps the lessons; before minutes are spent
    if running.collector_token is not None:
        flush(running)
    with Store.connect(running.store_url) as store:
        try:
            desk = None if dry_run else review_door.ReviewDesk(running, by=BY)
            report = learn(store, since=start, analyzers=analyzers, repo=repo, desk=desk)
        except UnknownAnalyzer as error:
            raise click.BadParameter(str(error), param_hint="--analyzer") from error
    if as_json:
        print_json(report.json())
    else:
        print_report(report, has_repo=repo is not None)
    if report.failed:
        said = "; ".join(f"{name}: {reason}" for name, reason in report.failed.items())
        message = f"an analyzer failed, the others went on: {said}"
        raise CommandFailed(message)


def print_report(report: "LearnReport", *, has_repo: bool) -> None:
    """Print what was learned: findings, what was held back, lessons."""
    from spanlore.cli.show_findings import print_findings, print_held_back
    from spanlore.cli.show_lessons import print_verdicts

    if report.nothing_new:
        note("no run was sealed since the last analysis; this is what it found")
    click.echo(
        f"runs {report.runs:,}, spans {report.spans:,}; findings {len(report.findings)}, "
        f"held back {len(report.held_back)}, lessons {len(report.lessons)}\n"
    )
    print_findings(report.findings)
    if report.held_back:
        print_held_back(report.held_back, rows_max=_HELD_BACK_ROWS_MAX)
    if report.lessons:
        print_verdicts(report.lessons)
        if not has_repo and any(one.layer == "harness" for one in report.lessons):
            click.echo("for diffs, name the agent's code: spanlore learn --repo PATH")

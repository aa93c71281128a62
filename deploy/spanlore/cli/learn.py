"""`spanlore learn`: analyzers once, then findings, then lessons."""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanlore.cli import review_door
from spanlore.cli.asked_model import asked_model
from spanlore.cli.collector_door import flush
from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CommandFailed
from spanlore.cli.options import given_as, period
from spanlore.cli.output import clean, note, print_json

if TYPE_CHECKING:
    from spanlore.analyzers.job import LearnReport
    from spanlore.analyzers.meta_harness.consultation import Consultation
    from spanlore.schemas.types import Lesson

__all__ = ["learn_command", "print_report"]

_HELD_BACK_ROWS_MAX = 10
_LOCK_FILE = "learn.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnOptions:
    """The options of `learn`, as they were given."""

    since: str | None
    analyzers: tuple[str, ...]
    repo: Path | None
    with_model: bool
    dry_run: bool
    as_json: bool
    data_dir: Path | None


@click.command("learn")
@click.option("--since", help="Only runs received since: 30m, 12h, 7d. Default: all runs.")
@click.option("--analyzer", "analyzers", multiple=True, help="Only this analyzer; may be repeated.")
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the agent's code: lessons get a diff against the files found there.",
)
@click.option(
    "--with-model",
    is_flag=True,
    help="Also ask the model that SPANLORE_MODEL names: what it proposes is counted and read.",
)
@click.option("--dry-run", is_flag=True, help="Write no finding and no lesson.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
@given_as(LearnOptions)
def learn_command(asked: LearnOptions) -> None:
    """Run the analyzers over the runs: findings, then lessons.

    A finding is confirmed on tasks that it was not found on; what is not is held back with the
    reason. A lesson is a proposal with the verdict of its gate: nothing is given to agents or
    applied before a person approves it. Exit code 1 when an analyzer failed, or could not read a
    run, in this round.
    """
    since = period(asked.since, "--since")
    start = None if since is None else datetime.now(UTC) - since
    running = find_running(asked.data_dir)
    if not asked.dry_run:
        review_door.review_status(running)  # who keeps the lessons; before minutes are spent
    if running.collector_token is not None:
        flush(running)
    report = _learnt(asked, running, start)
    if asked.as_json:
        print_json(report.json())
    else:
        print_report(report, has_repo=asked.repo is not None, dry_run=asked.dry_run)
    if report.failed_now:
        said = "; ".join(f"{name}: {report.failed[name]}" for name in sorted(report.failed_now))
        message = f"an analyzer failed, the others went on: {said}"
        raise CommandFailed(message)


def _learnt(asked: LearnOptions, running: Running, start: datetime | None) -> "LearnReport":
    """Run one round and return what came of it. Raises BadParameter for an unknown analyzer."""
    from spanlore.analyzers.job import learn
    from spanlore.analyzers.lessons.desk import BY
    from spanlore.analyzers.registry import UnknownAnalyzer
    from spanlore.schemas.store import Store

    desk = None if asked.dry_run else review_door.ReviewDesk(running, by=BY)
    with (
        Store.connect(running.store_url) as store,
        alone(running.data_dir, dry_run=asked.dry_run),
        _progress() as progress,
        asked_model(running) if asked.with_model else nullcontext() as model,
    ):
        try:
            return learn(
                store,
                since=start,
                analyzers=asked.analyzers,
                repo=asked.repo,
                desk=desk,
                progress=progress,
                model=model,
            )
        except UnknownAnalyzer as error:
            raise click.BadParameter(str(error), param_hint="--analyzer") from error


def _print_consultation(said: "Consultation") -> None:
    confirmed = sum(one.confirmed for one in said.findings)
    click.echo(
        f"{clean(said.model)} proposed: {len(said.findings)} hypotheses counted, {confirmed} "
        f"confirmed; {len(said.drafts)} drafts to read; {len(said.refused)} refused"
    )
    for reason in said.refused:
        click.echo(f"  refused {clean(reason)}")


@contextmanager
def alone(data_dir: Path, *, dry_run: bool) -> Iterator[None]:
    """Let no other round write beside this one. Raises CommandFailed where one does.

    A store that others on other machines learn from as well is safe too: the review door takes
    their proposals one after the other.
    """
    if dry_run or not data_dir.is_dir():
        yield
        return
    with (data_dir / _LOCK_FILE).open("a") as handle:
        try:
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandFailed(
                f"another `spanlore learn` is at work on {data_dir}; wait until it has ended"
            ) from None
        yield


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how many spans were read, as long as there are any to read."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    columns = (TextColumn("reading spans"), BarColumn(), MofNCompleteColumn(), Remaining())
    shown = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
    with shown as progress:
        task = progress.add_task("", total=None, visible=False)
        yield lambda read, total: progress.update(task, completed=read, total=total, visible=True)


def _print_unread(report: "LearnReport") -> None:
    for name in sorted(report.failed.keys() - report.failed_now):
        note(f"{name}: {clean(report.failed[name])}")
    if report.too_large:
        note(clean(report.too_large))


def print_report(report: "LearnReport", *, has_repo: bool, dry_run: bool = False) -> None:
    """Print what was learned: findings, what was held back, lessons."""
    from spanlore.cli.show_findings import print_findings, print_held_back
    from spanlore.cli.show_lessons import SHORT_ID

    if report.nothing_new:
        note("no run was sealed since the last analysis; this is what it found")
    _print_unread(report)
    click.echo(
        f"runs {report.runs:,}, spans {report.spans:,}; findings {len(report.findings)}, "
        f"held back {len(report.held_back)}, lessons {len(report.lessons)}\n"
    )
    print_findings(report.findings)
    if report.held_back:
        print_held_back(report.held_back, rows_max=_HELD_BACK_ROWS_MAX)
    for ended in report.ended:
        click.echo(f"took back {ended.lesson_id[:SHORT_ID]}: {clean(ended.reason)}")
    for said in report.notes:
        click.echo(f"look at   {said.lesson_id[:SHORT_ID]}: {clean(said.reason)}")
    if report.consultation:
        _print_consultation(report.consultation)
    _print_lessons(report.lessons, has_repo=has_repo)
    if dry_run:
        click.echo("dry run: no finding and no lesson was written")


def _print_lessons(lessons: "Sequence[Lesson]", *, has_repo: bool) -> None:
    from spanlore.cli.show_lessons import print_verdicts

    print_verdicts(lessons)
    if not has_repo and any(one.layer == "harness" and not one.patch for one in lessons):
        click.echo("for diffs, name the agent's code: spanlore learn --repo PATH")

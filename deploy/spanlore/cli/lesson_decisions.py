"""`spanlore lessons approve | reject | release | revoke`: what a person decides about a lesson."""

import getpass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from spanlore.cli import review_door
from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.kept_lessons import KeptLesson, chosen
from spanlore.cli.output import note, one_line, print_json
from spanlore.schemas.types import Lesson

__all__ = ["approve_command", "reject_command", "release_command", "revoke_command"]

_HOLD_OUT = 0.2


def _named(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Take a name without white space around it; a blank one is none."""
    del ctx
    if value is not None and not value.strip():
        raise click.BadParameter("say who, by name", param=parameter)
    return value and value.strip()


@click.command("approve")
@click.argument("lesson_id", metavar="LESSON")
@click.option("--by", required=True, callback=_named, help="Who approves it: a person's name.")
@click.option(
    "--hold-out",
    type=click.FloatRange(0, 1, max_open=True),
    default=_HOLD_OUT,
    show_default=True,
    help="Share of users not given a memory of a tenant or of everyone, to measure it by.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the lesson as one JSON object.")
@data_dir_option
@click.pass_context
def approve_command(
    ctx: click.Context,
    lesson_id: str,
    *,
    by: str,
    hold_out: float,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Approve an evaluated lesson, in your name.

    A memory is given to agents from now on; a diff may then be applied. The approval holds for
    what the lesson says now and no longer when it changes. LESSON is its id or the beginning
    of one.
    """
    running = find_running(data_dir)
    lesson = chosen(review_door.lessons(running), lesson_id).lesson
    from spanlore.schemas.lesson_state import content_hash

    detail: dict[str, Any] = {"content_hash": content_hash(lesson)}
    if _may_hold_out(lesson):
        detail["hold_out"] = hold_out
    elif ctx.get_parameter_source("hold_out") is not ParameterSource.DEFAULT:
        note("--hold-out is left aside: only memories of a tenant or of everyone are held out")
    kept = review_door.event(running, lesson.lesson_id, "approve", by=by, human=True, detail=detail)
    _say(kept, as_json=as_json, done=f"approved by {by}", means=_means(kept.lesson, hold_out))


@click.command("reject")
@click.argument("lesson_id", metavar="LESSON")
@click.option("--by", required=True, callback=_named, help="Who rejects it: a person's name.")
@click.option("--reason", help="Why, in a sentence.")
@click.option("--json", "as_json", is_flag=True, help="Print the lesson as one JSON object.")
@data_dir_option
def reject_command(
    lesson_id: str, *, by: str, reason: str | None, as_json: bool, data_dir: Path | None
) -> None:
    """Reject a lesson that was not approved yet; it is not proposed again.

    LESSON is its id or the beginning of one.
    """
    kept = _ended(lesson_id, "reject", by=by, reason=reason, data_dir=data_dir)
    means = "it is given to nobody, and `spanlore learn` does not propose it again"
    _say(kept, as_json=as_json, done=f"rejected by {by}", means=means)


@click.command("release")
@click.argument("lesson_id", metavar="LESSON")
@click.option("--by", required=True, callback=_named, help="Who releases it: a person's name.")
@click.option("--reason", help="Why, in a sentence.")
@click.option("--json", "as_json", is_flag=True, help="Print the lesson as one JSON object.")
@data_dir_option
def release_command(
    lesson_id: str, *, by: str, reason: str | None, as_json: bool, data_dir: Path | None
) -> None:
    """Let a quarantined lesson go on: it is proposed again, and the next `learn` evaluates it.

    LESSON is its id or the beginning of one.
    """
    kept = _ended(lesson_id, "release", by=by, reason=reason, data_dir=data_dir)
    means = "it is proposed again; `spanlore learn` evaluates it where its finding still holds"
    _say(kept, as_json=as_json, done=f"released by {by}", means=means)


@click.command("revoke")
@click.argument("lesson_id", metavar="[LESSON]", required=False)
@click.option(
    "--trace",
    "trace_ids",
    multiple=True,
    metavar="TRACE_ID",
    help="A trace that nothing may be learned from any more; may be repeated.",
)
@click.option("--by", callback=_named, help="Who revokes it. Default: your user name.")
@click.option("--reason", help="Why, in a sentence.")
@click.option("--json", "as_json", is_flag=True, help="Print the lesson as one JSON object.")
@data_dir_option
def revoke_command(
    lesson_id: str | None,
    *,
    trace_ids: tuple[str, ...],
    by: str | None,
    reason: str | None,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Take a lesson back, or all that was learned from a trace.

    A lesson (its id or the beginning of one): from now on no agent is given it, whatever became
    of it. Traces: nothing is learned from them any more, every lesson they are evidence of is
    quarantined until a person releases or rejects it, and the next `learn` counts without them.
    """
    who = by or _user_name()
    if bool(trace_ids) == (lesson_id is not None):
        message = "name one lesson, or traces with --trace"
        raise click.UsageError(message)
    if lesson_id is None:
        _revoke_traces(trace_ids, by=who, reason=reason, as_json=as_json, data_dir=data_dir)
        return
    kept = _ended(lesson_id, "revoke", by=who, reason=reason, data_dir=data_dir)
    means = "it is given to nobody from now on"
    if kept.lesson.layer == "harness":
        means = "it may no longer be applied; a branch that was merged has to be reverted in git"
    _say(kept, as_json=as_json, done=f"revoked by {who}", means=means)


def _revoke_traces(
    trace_ids: tuple[str, ...], *, by: str, reason: str | None, as_json: bool, data_dir: Path | None
) -> None:
    running = find_running(data_dir)
    held = review_door.revoke_traces(running, trace_ids, by=by, reason=reason or "")
    if as_json:
        print_json([kept.json() for kept in held])
        return
    what = "1 trace" if len(trace_ids) == 1 else f"{len(trace_ids)} traces"
    click.echo(f"{what} revoked by {one_line(by)}; nothing is learned from it any more")
    click.echo(f"lessons quarantined, which they are evidence of: {len(held)}")
    for kept in held:
        click.echo(f"  {kept.lesson.lesson_id[:8]}  {one_line(kept.lesson.title)}")
    click.echo("next: spanlore learn, which counts everything again without them")


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # as in a container, whose user has no entry
        message = "this machine knows no name of yours; say who"
        raise click.BadParameter(message, param_hint="--by") from error


def _ended(
    lesson_id: str, kind: str, *, by: str, reason: str | None, data_dir: Path | None
) -> KeptLesson:
    running = find_running(data_dir)
    lesson = chosen(review_door.lessons(running), lesson_id).lesson
    detail = {"reason": reason} if reason else {}
    return review_door.event(running, lesson.lesson_id, kind, by=by, human=True, detail=detail)


def _may_hold_out(lesson: Lesson) -> bool:
    """Say whether some users may go without: who has a memory alone cannot be compared."""
    return lesson.layer == "context" and lesson.scope != "user"


def _means(lesson: Lesson, hold_out: float) -> str:
    from spanlore.cli.show_lessons import holds_for

    if lesson.layer == "model":
        return "nothing here changes: the model layer is yours to train"
    if lesson.layer == "harness":
        return "nothing has changed yet: its diff may now be applied"
    whom = holds_for(lesson)
    if not _may_hold_out(lesson):
        return f"agents are given it in runs for {whom}, in all of them"
    held = f"{hold_out:.0%} of the users, chosen by chance, are held out to measure it"
    return f"agents are given it in runs for {whom}; {held if hold_out else 'nobody is held out'}"


def _say(kept: KeptLesson, *, as_json: bool, done: str, means: str) -> None:
    from spanlore.cli.show_lessons import SHORT_ID, next_step

    if as_json:
        print_json(kept.json())
        return
    lesson = kept.lesson
    click.echo(f"{lesson.lesson_id[:SHORT_ID]}  {one_line(lesson.title)}")
    click.echo(one_line(f"{done}: {means}"))
    if lesson.state in ("approved", "rolled_out"):
        click.echo(f"next: {next_step(lesson)}")

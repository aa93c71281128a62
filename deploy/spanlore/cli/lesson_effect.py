"""`spanlore lessons effect`: what a lesson did, measured now, and what follows from it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spanlore.cli import review_door
from spanlore.cli.collector_door import flush
from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CommandFailed
from spanlore.cli.kept_lessons import KeptLesson, chosen
from spanlore.cli.output import one_line, print_json
from spanlore.schemas.types import Effect, Lesson

if TYPE_CHECKING:
    from spanlore.schemas.store import Store

__all__ = ["effect_command", "measured"]

_BY = "spanlore lessons effect"


@click.command("effect")
@click.argument("lesson_id", metavar="LESSON")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def effect_command(lesson_id: str, *, as_json: bool, data_dir: Path | None) -> None:
    """Measure what a lesson does: runs that were given it against runs that were not.

    A memory is compared with the users held out from it, a diff with the runs before it. A
    memory that does harm is taken back at once. LESSON is its id or the beginning of one.
    """
    from spanlore.cli.show_lessons import SHORT_ID, next_step, print_effect

    running = find_running(data_dir)
    kept, effect = measured(running, lesson_id)
    if as_json:
        print_json(_document(kept, effect))
        return
    lesson = kept.lesson
    click.secho(f"{lesson.lesson_id[:SHORT_ID]}  {one_line(lesson.title)}", bold=True)
    print_effect(effect)
    click.echo(f"state     {lesson.state}")
    if effect.verdict == "not_enough_data":
        click.echo("next: let more runs come in and measure again")
    elif lesson.state == "rolled_back":
        click.echo("it was rolled back: no agent is given it any more")
    elif lesson.state != "harmful":
        click.echo("next: it stays; measure again when the agent, its tools or its users change")
    else:
        click.echo(f"next: {next_step(lesson)}")


def measured(running: Running, lesson_id: str) -> tuple[KeptLesson, Effect]:
    """Measure the lesson whose id begins so and have that kept; return both as they stand.

    What no run was given is measured as not enough data, and nothing is kept. Raises
    CommandFailed for a lesson that no agent has or that says nothing countable; CannotReach.
    """
    from spanlore.analyzers.evaluation.effect import measure_effect
    from spanlore.schemas.effect_records import effect_json, effect_of_json
    from spanlore.schemas.store import Store

    kept = chosen(review_door.lessons(running), lesson_id)
    _require_delivered(kept.lesson)
    if running.collector_token is not None:
        flush(running)
    with Store.connect(running.store_url) as store:
        kept = _rolled_out(running, store, kept)
        try:
            effect = measure_effect(
                store, kept.lesson, lesson_version=kept.version, now=datetime.now(UTC)
            )
        except ValueError as error:
            raise CommandFailed(str(error)) from error
    if effect.exposed.runs == 0 and kept.lesson.state == "approved":
        return kept, effect
    after, said = review_door.effect(running, effect_json(effect), by=_BY)
    return after, effect_of_json(said)


def _require_delivered(lesson: Lesson) -> None:
    from spanlore.schemas.lesson_state import DELIVERED

    if lesson.state not in DELIVERED:
        short = lesson.lesson_id[:8]
        raise CommandFailed(
            f"lesson {short} is {lesson.state}: what was approved and not taken back is measured, "
            f"nothing else; see `spanlore lessons show {short}`"
        )


def _rolled_out(running: Running, store: "Store", kept: KeptLesson) -> KeptLesson:
    """Tell the door of the first run that had the changed harness, where there is one."""
    from spanlore.analyzers.evaluation.effect import harness_seen

    lesson = kept.lesson
    if lesson.layer != "harness" or lesson.state != "approved":
        return kept
    trace_id = harness_seen(store, lesson)
    if trace_id is None:
        return kept
    detail = {"trace_id": trace_id}
    return review_door.event(
        running, lesson.lesson_id, "roll_out", by=_BY, human=False, detail=detail
    )


def _document(kept: KeptLesson, effect: Effect) -> dict[str, Any]:
    from spanlore.schemas.effect_records import effect_json

    return {**effect_json(effect), "state": kept.lesson.state}

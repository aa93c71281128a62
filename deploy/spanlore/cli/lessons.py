"""`spanlore lessons`: what is proposed."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CommandFailed
from spanlore.cli.output import print_json

if TYPE_CHECKING:
    from spanlore.schemas.types import Lesson

__all__ = ["lessons_command"]


@click.group("lessons")
def lessons_command() -> None:
    """List and read lessons: the changes that the findings propose."""


@lessons_command.command("list")
@click.option("--state", help="Only lessons in this state, e.g. proposed.")
@click.option("--layer", type=click.Choice(["context", "harness", "model"]))
@click.option("--scope", type=click.Choice(["user", "tenant", "global"]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@data_dir_option
def list_command(
    *,
    state: str | None,
    layer: str | None,
    scope: str | None,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """List lessons."""
    from spanlore.analyzers.records import lesson_json
    from spanlore.cli.show_findings import print_lessons

    lessons = [
        lesson
        for lesson in _lessons(data_dir)
        if state in (None, lesson.state)
        and layer in (None, lesson.layer)
        and scope in (None, lesson.scope)
    ]
    if as_json:
        print_json([lesson_json(lesson) for lesson in lessons])
    elif lessons:
        print_lessons(lessons)
    else:
        click.echo("no lessons: spanlore learn --repo PATH proposes some where findings allow it")


@lessons_command.command("show")
@click.argument("lesson_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def show_command(lesson_id: str, *, as_json: bool, data_dir: Path | None) -> None:
    """Print one lesson whole, with its diff. LESSON_ID may be the beginning of one."""
    from spanlore.analyzers.records import lesson_json
    from spanlore.cli.show_findings import print_lesson

    found = [one for one in _lessons(data_dir) if one.lesson_id.startswith(lesson_id)]
    if len(found) != 1:
        how_many = "no lesson begins" if not found else f"{len(found)} lessons begin"
        message = f"{how_many} with {lesson_id}; see `spanlore lessons list`"
        raise CommandFailed(message)
    if as_json:
        print_json(lesson_json(found[0]))
    else:
        print_lesson(found[0])


def _lessons(data_dir: Path | None) -> "list[Lesson]":
    from spanlore.analyzers.records import latest_lessons
    from spanlore.schemas.store import Store

    with Store.connect(find_running(data_dir).store_url) as store:
        return [lesson for lesson, _ in latest_lessons(store).values()]

"""`spanlore lessons`: what is proposed, and what people decide about it."""

from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click

from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.kept_lessons import chosen, stored_lessons
from spanlore.cli.lesson_apply import apply_command
from spanlore.cli.lesson_decisions import (
    approve_command,
    reject_command,
    release_command,
    revoke_command,
)
from spanlore.cli.lesson_effect import effect_command
from spanlore.cli.lesson_log import log_command
from spanlore.cli.output import print_json
from spanlore.schemas.lesson_state import State

__all__ = ["lessons_command"]


@click.group("lessons")
def lessons_command() -> None:
    """Read lessons (what the findings propose), decide on them, apply and measure them."""


for command in (
    approve_command,
    reject_command,
    release_command,
    revoke_command,
    apply_command,
    effect_command,
    log_command,
):
    lessons_command.add_command(command)


@lessons_command.command("list")
@click.option(
    "--state",
    type=click.Choice(get_args(State)),
    metavar="STATE",
    help=f"Only lessons in this state: {', '.join(get_args(State))}.",
)
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
    from spanlore.analyzers.lessons.lesson_notes import standing_notes
    from spanlore.cli.show_lessons import print_lessons, print_notes
    from spanlore.schemas.store import Store

    with Store.connect(find_running(data_dir).store_url) as store:
        every = stored_lessons(store)
        kept = [
            one
            for one in every
            if state in (None, one.lesson.state)
            and layer in (None, one.lesson.layer)
            and scope in (None, one.lesson.scope)
        ]
        notes = standing_notes(store)
    if as_json:
        print_json([one.json() for one in kept])
    elif kept:
        print_lessons([one.lesson for one in kept])
        shown = {one.lesson.lesson_id for one in kept}
        print_notes([one for one in notes if one.lesson_id in shown])
        click.echo("read one, with what it rests on: spanlore lessons show LESSON")
    elif every:
        wanted = {"state": state, "layer": layer, "scope": scope}
        said = ", ".join(f"{name} {value}" for name, value in wanted.items() if value)
        click.echo(f"none of {len(every)} lessons is of {said}: spanlore lessons list")
    else:
        click.echo("no lessons yet: spanlore learn --repo PATH proposes some where it can")


@lessons_command.command("show")
@click.argument("lesson_id", metavar="LESSON")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def show_command(lesson_id: str, *, as_json: bool, data_dir: Path | None) -> None:
    """Print one lesson whole, with its evidence, its diff and what was measured.

    LESSON is its id or the beginning of one.
    """
    from spanlore.analyzers.lessons.lesson_notes import note_json, standing_notes
    from spanlore.analyzers.lessons.lesson_usage import usage
    from spanlore.analyzers.records import finding_json, named_findings
    from spanlore.cli.show_lessons import next_step, print_lesson, print_notes, print_usage
    from spanlore.schemas.effect_records import effect_json, latest_effects
    from spanlore.schemas.store import Store

    with Store.connect(find_running(data_dir).store_url) as store:
        kept = chosen(stored_lessons(store), lesson_id)
        findings = named_findings(store, kept.lesson.findings)
        effect = latest_effects(store).get(kept.lesson.lesson_id)
        used = usage(store).get(kept.lesson.lesson_id)
        notes = [
            one
            for one in standing_notes(store)
            if kept.lesson.lesson_id in (one.lesson_id, one.other_id)
        ]
    if as_json:
        print_json(
            {
                **kept.json(),
                "effect": effect_json(effect) if effect else None,
                "seen": [finding_json(one) for one in findings],
                "usage": asdict(used) if used else None,
                "notes": [note_json(one) for one in notes],
            }
        )
    else:
        print_lesson(kept.lesson, findings=findings, effect=effect)
        print_usage(used)
        print_notes(notes)
        click.echo(f"next: {next_step(kept.lesson)}")

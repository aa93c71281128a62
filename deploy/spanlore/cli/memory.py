"""`spanlore memory`: what an agent would be given now, and what it would not, and why."""

from pathlib import Path
from typing import Any

import click

from spanlore.cli import review_door
from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.output import clean, print_json, print_table

__all__ = ["memory_command"]

_SHORT = 8
_BUDGET_TOKENS = 1000


@click.command("memory")
@click.option("--user", help="For runs of this user.")
@click.option("--tenant", help="For runs of this tenant.")
@click.option("--agent", help="For runs of this agent.")
@click.option("--task", help="For runs of this task: its type, or TYPE/ID.")
@click.option(
    "--segment",
    "segments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of what kind the user is, e.g. time_zone=Europe/Berlin; may be repeated.",
)
@click.option(
    "--budget-tokens",
    type=click.IntRange(1, 100_000),
    default=_BUDGET_TOKENS,
    show_default=True,
    help="As much text as an agent has room for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def memory_command(
    *,
    user: str | None,
    tenant: str | None,
    agent: str | None,
    task: str | None,
    segments: tuple[str, ...],
    budget_tokens: int,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Show what an agent would be given now for a run like this. Nothing is recorded."""
    named = {"user": user, "tenant": tenant, "agent": agent, "task": task}
    question = {name: value for name, value in named.items() if value is not None}
    question |= {f"segment.{name}": value for name, value in map(_segment, segments)}
    question["budget_tokens"] = str(budget_tokens)
    found = review_door.memories(find_running(data_dir), question)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _segment(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator and value):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--segment")
    return name, value


def _print(found: dict[str, Any]) -> None:
    items = [
        (one["lesson_id"][:_SHORT], "given", one["scope"], one["tokens"], one["title"])
        for one in found["items"]
    ]
    items += [
        (one["lesson_id"][:_SHORT], "held out", None, None, "to measure it by")
        for one in found["held_out"]
    ]
    items += [
        (one["lesson_id"][:_SHORT], "left out", None, None, one["reason"])
        for one in found["left_out"]
    ]
    if items:
        print_table(("lesson", "", "scope", "tokens", "what"), items)
    click.echo(f"{found['tokens']:,} of {found['budget_tokens']:,} tokens")
    if found["text"]:
        click.echo(f"\n{clean(found['text'])}")
    else:
        click.echo("an agent would be given nothing; see `spanlore lessons list --layer context`")

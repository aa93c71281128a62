"""`spanlore lessons log`: who changed what agents know, when and why; and is the chain whole."""

import textwrap
from pathlib import Path
from typing import Any

import click

from spanlore.cli import review_door
from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CommandFailed
from spanlore.cli.kept_lessons import chosen
from spanlore.cli.output import one_line, print_json, print_row

__all__ = ["log_command"]

_SHORT = 8
_INDENT = 6
_WHY_CHARACTERS_MAX = 200


@click.command("log")
@click.argument("lesson_id", metavar="[LESSON]", required=False)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="The last so many entries; the chain is followed from its beginning all the same.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def log_command(lesson_id: str | None, *, limit: int, as_json: bool, data_dir: Path | None) -> None:
    """Print the log of decisions, oldest first, of one lesson or of all.

    Each entry holds the hash of the one before; exit code 1 when the chain is broken. LESSON is
    an id or the beginning of one.
    """
    running = find_running(data_dir)
    if lesson_id is not None:
        lesson_id = chosen(review_door.lessons(running), lesson_id).lesson.lesson_id
    found = review_door.log(running, lesson_id, limit=limit)
    if as_json:
        print_json(found)
    else:
        _print(found["entries"])
    if not found["verified"]:
        raise CommandFailed(
            f"the log is broken at entry {found['broken_at']}: {found.get('broken_because')}; "
            "compare it with a backup before you trust what comes after"
        )
    if not as_json:
        erased = found["erased_entries"]
        more = f"; {erased} entries were erased, nothing else was changed" if erased else ""
        click.echo(f"the chain of hashes is whole{more}")


def _print(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        when = str(entry["at"])[:19].replace("T", " ")
        lesson = str(entry["lesson_id"])[:_SHORT]
        who = one_line(str(entry["by"]))
        click.secho(f"{entry['seq']:>4}  {when}  {entry['event']:<10} {lesson}  {who}", bold=True)
        why = textwrap.shorten(_why(entry.get("detail") or {}), _WHY_CHARACTERS_MAX)
        print_row("", why, indent=_INDENT)
    if not entries:
        click.echo("nothing was decided yet")


def _why(detail: dict[str, Any]) -> str:
    """Return what an entry says of itself; the whole of it is in the JSON."""
    measured = detail.get("measured") or {}
    verdict = detail.get("verdict") or detail.get("effect")
    reason = detail.get("reason") or measured.get("reason")
    held_out = f"{detail['hold_out']:.0%} held out" if detail.get("hold_out") else None
    return ": ".join(str(one) for one in (verdict, reason, held_out) if one)

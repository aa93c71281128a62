"""What a command says: one JSON document, or tables, on stdout; everything else on stderr.

Trace text is written by strangers and shown in a terminal, so control characters, ANSI sequences
and characters that reorder or hide text are taken out of what is shown (never out of JSON).
"""

import dataclasses
import json
import math
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

__all__ = [
    "clean",
    "count",
    "log_time",
    "note",
    "one_line",
    "print_json",
    "print_row",
    "print_table",
]

_PIPE_WIDTH = 200

# ANSI escape sequences (ECMA-48: CSI and OSC whole, the others two characters).
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_]?)")
# Controls but tab and newline; bidirectional marks, embeddings and isolates; line separators;
# zero-width space and word joiner; interlinear and tag characters.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """Return text that cannot move the cursor, colour, reorder or hide what a terminal shows."""
    return _UNSAFE.sub("", _ANSI.sub("", text))


def one_line(text: str) -> str:
    """Return clean text on one line, its white space single."""
    return " ".join(clean(text).split())


def count(number: int | None) -> str:
    """Return a number with its thousands apart, and a dash for None, which is not nought."""
    return _cell(None if number is None else f"{number:,}")


def print_json(document: object) -> None:
    """Print one JSON document: times RFC 3339 UTC, what is not a finite number null."""
    text = json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False)
    click.echo(text)


def print_row(label: str, text: str, *, indent: int = 10) -> None:
    """Print a label and a text beside it, wrapped within its own column; nothing for no text."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH
    lines = textwrap.wrap(
        one_line(text), max(width - indent, indent), break_long_words=False, break_on_hyphens=False
    )
    for number, line in enumerate(lines):
        click.echo(f"{'' if number else label:{indent}}{line}")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """Print rows as a table as wide as the terminal; None shows as a dash."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(Text(clean(column)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    console.print(table)


def log_time() -> str:
    """Return the time as it stands before a line of a log."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def note(text: str) -> None:
    """Say something on stderr, for a person."""
    click.echo(clean(text), err=True)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return _time(value)
    return clean(str(value))


def _time(value: datetime) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: object) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return _time(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return _plain({field.name: getattr(value, field.name) for field in fields})
        case Iterable():
            return [_plain(item) for item in value]
    message = f"{type(value).__name__} has no JSON form here"
    raise TypeError(message)

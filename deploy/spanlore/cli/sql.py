"""`spanlore sql`: ask the store directly."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CommandFailed
from spanlore.cli.output import note, print_table

if TYPE_CHECKING:
    from spanlore.schemas.store import Store

__all__ = ["sql_command"]

_TABLE_ROWS_MAX = 1000
_FINAL = {"final": "1"}
# The query may still change settings, but not this one.
_READS = {"readonly": "2"}
_READONLY = 164  # the engine's code of a statement that may not be run then
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_ENGINE_SAID = re.compile(r"(Code: \d+\. DB::Exception: .*?)(?: \(version [^)]*\).*)?$", re.DOTALL)
_COMMENTS = re.compile(r"^(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/|\()+", re.DOTALL)
_ANSWERS = re.compile(r"(SELECT|WITH|SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS|CHECK)\b", re.IGNORECASE)


@click.command("sql")
@click.argument("query")
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print the rows as one JSON array.")
@click.option("--write", is_flag=True, help="Let the statement change what is stored.")
def sql_command(*, query: str, data_dir: Path | None, as_json: bool, write: bool) -> None:
    """Run one statement on the store with spanlore's own credentials.

    The answer is a table. End the QUERY with FORMAT and the name of a ClickHouse format, such as
    TSV or Parquet, and the bytes come as the store writes them.

    A span that was sent twice counts once here, at once: queries run with ClickHouse's setting
    final=1. Other clients write FINAL behind a table's name for that. What changes something runs
    with --write alone.
    """
    from spanlore.schemas.store import Store, StoreError, StoreRefused

    store = Store.connect(find_running(data_dir).store_url)
    ask = _Ask(store, _FINAL if write else _FINAL | _READS)
    try:
        _answer(ask, query, as_json=as_json)
    except StoreError as error:
        if isinstance(error, StoreRefused) and error.code == _READONLY and not write:
            raise click.UsageError(
                "the statement changes something, and `spanlore sql` only reads: give --write too"
            ) from error
        said = _ENGINE_SAID.search(str(error))
        if said is None:
            raise
        # It was reached and it answered: the statement failed, whatever the reason.
        raise CommandFailed(said.group(1)) from error
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class _Ask:
    """The store and the settings of what it is asked."""

    store: "Store"
    settings: Mapping[str, str]

    def raw(self, query: str, fmt: str) -> Iterator[bytes]:
        return self.store.raw(query, fmt=fmt, settings=self.settings)


def _answer(ask: _Ask, query: str, *, as_json: bool) -> None:
    named = _FORMAT.search(query)
    if named and as_json:
        raise click.UsageError("--json and FORMAT say two things; give one of them")
    if named:
        _copy(ask.raw(query[: named.start()], named.group(1)))
    elif not _ANSWERS.match(_COMMENTS.sub("", query)):
        ask.store.command(query, settings=ask.settings)
        note("done")
    elif as_json:
        _print_array(_lines(ask.raw(_bare(query), "JSONEachRow")))
    else:
        _print_rows(_lines(ask.raw(_bare(query), "JSONCompactEachRowWithNames")))


def _bare(query: str) -> str:
    return query.rstrip().rstrip(";")


def _copy(chunks: Iterator[bytes]) -> None:
    stdout = sys.stdout.buffer
    for chunk in chunks:
        stdout.write(chunk)
    stdout.flush()


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield whole lines of a stream of bytes, without their ends."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _print_array(rows: Iterator[bytes]) -> None:
    """Print rows, each a JSON object, as one array without holding them all."""
    separator = "[\n"
    for row in rows:
        click.echo(separator + row.decode(), nl=False)
        separator = ",\n"
    click.echo("[]" if separator == "[\n" else "\n]")


def _print_rows(lines: Iterator[bytes]) -> None:
    """Print a table of rows, the first line being the column names."""
    names = json.loads(next(lines, b"[]"))
    rows = [json.loads(line) for line in islice(lines, _TABLE_ROWS_MAX)]
    print_table(names, ([_shown(value) for value in row] for row in rows))
    if next(lines, None) is not None:
        note(f"only the first {_TABLE_ROWS_MAX} rows are shown; for all, end with FORMAT TSV")


def _shown(value: Any) -> object:
    return value if value is None or isinstance(value, str) else json.dumps(value)

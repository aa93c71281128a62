"""`spanlore forget`: erase what a user did, and what was learned of it."""

import getpass
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spanlore.cli import review_door
from spanlore.cli.collector_door import collector_status, flush
from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CommandFailed
from spanlore.cli.learn import alone
from spanlore.cli.named_files import files_naming
from spanlore.cli.options import given_as
from spanlore.cli.output import clean, note, print_json, print_table

if TYPE_CHECKING:
    from spanlore.collector.erase_quarantined import ErasedFiles

__all__ = ["forget_command"]

# Of looking for what the collector was just summing up while it was erased.
_ROUNDS_MAX = 3
_COUNTED = ("lessons", "lessons_cut", "log_entries")
_NOT_HERE = (
    "what programs have not sent yet is in their journals, and comes as new data when they send it",
    "backups, exported files and branches made by `spanlore lessons apply` are as they were",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetOptions:
    """The options of `forget`, as they were given."""

    user: str
    tenant: str | None
    dry_run: bool
    yes: bool
    as_json: bool
    data_dir: Path | None


@click.command("forget")
@click.option("--user", required=True, help="The user's id, as the spans name it.")
@click.option("--tenant", help="Their tenant. Default: the one they are in.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and erase nothing.")
@click.option("--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
@given_as(ForgetOptions)
def forget_command(asked: ForgetOptions) -> None:
    """Erase a user of a tenant, for good: their runs and what was learned of them.

    Spans, logs, judgements, metrics that name them, and their own lessons go. A lesson or finding
    of many users keeps its numbers and loses their trace ids and quotes. The log of decisions
    still proves that nothing else was changed. What is received from now on is new data.
    """
    if not asked.user:
        raise click.BadParameter("name the user", param_hint="--user")
    running = find_running(asked.data_dir)
    _load_all(running)
    found = _found(running, asked)
    if asked.dry_run:
        _say_found(asked, found)
        return
    if sys.stdin.isatty() and not asked.yes:
        _ask(asked, found)
    with alone(running.data_dir, dry_run=False):
        gone = _erased(running, asked.user, found["tenant"])
    _say_gone(asked, gone)


def _load_all(running: Running) -> None:
    if running.collector_token is not None:
        flush(running)
    else:
        note(
            f"the collector at {running.http_url} is not asked to load what waits in its log: no "
            "token of it is known here; run this again when it has"
        )


def _found(running: Running, asked: ForgetOptions) -> dict[str, Any]:
    """Return what there is of a user in one tenant. Raises CommandFailed, UsageError."""
    found = review_door.erasable(running, asked.user, tenant=asked.tenant)
    if not found:
        where = f" of tenant {clean(asked.tenant)}" if asked.tenant else ""
        raise CommandFailed(
            f"nothing here names a user {clean(asked.user)}{where}; see `spanlore runs`"
        )
    if len(found) > 1:
        tenants = ", ".join(clean(one["tenant"]) for one in found)
        raise click.UsageError(
            f"a user {clean(asked.user)} is in the tenants {tenants}: name one with --tenant"
        )
    return found[0]


def _erased(running: Running, user: str, tenant: str) -> dict[str, Any]:
    """Erase, and again what a collector had in memory; return what went in all."""
    quarantined = _quarantined(running, user, tenant)
    gone = review_door.erase(running, user, tenant=tenant, by=getpass.getuser())
    rows = Counter(gone["rows"])
    for _ in range(_ROUNDS_MAX):
        _load_all(running)
        if not review_door.erasable(running, user, tenant=tenant):
            break
        again = review_door.erase(running, user, tenant=tenant, by=getpass.getuser())
        rows.update(again["rows"])
        gone = {**again, **{name: gone[name] + again[name] for name in _COUNTED}}
    return {
        "user": user,
        **gone,
        "rows": dict(rows),
        "quarantined_records": quarantined.records,
        "not_reached": [
            *_beside_the_store(running, user),
            *(f"{path} is damaged and names them: delete it" for path in quarantined.unread),
            *_forwarded(running),
            *_NOT_HERE,
        ],
    }


def _quarantined(running: Running, user: str, tenant: str) -> "ErasedFiles":
    from spanlore.collector.erase_quarantined import erase_quarantined
    from spanlore.review.erased_rows import ids_of
    from spanlore.schemas.store import Store

    with Store.connect(running.store_url) as store:
        trace_ids = ids_of(tenant=tenant, user=user).trace_ids(store)
    return erase_quarantined(
        running.data_dir / "quarantine", user=user, tenant=tenant, trace_ids=trace_ids
    )


def _beside_the_store(running: Running, user: str) -> Iterator[str]:
    for path in files_naming(running.data_dir, user):
        if path.parent.parent.name == "forward":
            yield f"{path} waits to be sent to {path.parent.name}, and is deleted after that"
        else:
            yield f"{path} names them: look whether it should"


def _forwarded(running: Running) -> Iterator[str]:
    if running.collector_token is None:
        return
    for target in collector_status(running)["forwarding"]:
        waiting = target["backlog"]["records"]
        more = f", {waiting} requests wait to be" if waiting else ""
        yield f"spans were forwarded to {target['url']}{more}: erase the user there as well"


def _ask(asked: ForgetOptions, found: Mapping[str, Any]) -> None:
    """Let the person at the terminal see what goes, and say no (exit code 1)."""
    if not asked.as_json:
        _say_found(asked, found)
    rows = sum(found["rows"].values())
    question = (
        f"Erase user {clean(asked.user)} of tenant {clean(found['tenant'])}, {rows} rows, for good?"
    )
    click.confirm(question, abort=True, err=True)


def _say_found(asked: ForgetOptions, found: Mapping[str, Any]) -> None:
    if asked.as_json:
        print_json({"user": asked.user, **found})
        return
    click.echo(f"these rows of user {clean(asked.user)}, tenant {clean(found['tenant'])}, would go")
    _table(found["rows"])
    click.echo(f"lessons of theirs alone: {found['lessons']}")


def _table(rows: Mapping[str, int]) -> None:
    print_table(("table", "rows"), [(table, n) for table, n in rows.items() if n])


def _say_gone(asked: ForgetOptions, gone: Mapping[str, Any]) -> None:
    if asked.as_json:
        print_json(gone)
        return
    click.echo(f"erased user {clean(asked.user)}, tenant {clean(gone['tenant'])}")
    _table(gone["rows"])
    click.echo(
        f"lessons of theirs alone: {gone['lessons']}; of many, without their ids and quotes: "
        f"{gone['lessons_cut']}; entries of the log rewritten: {gone['log_entries']} "
        f"(see entry {gone['log_entry']}); quarantined records: {gone['quarantined_records']}"
    )
    if gone["old_parts_left"]:
        click.echo(
            f"the store still keeps {gone['old_parts_left']} old parts on its disk, for the time "
            "that its setting old_parts_lifetime says"
        )
    else:
        click.echo("nothing of it is left on the store's disk")
    click.echo("not reached:")
    for one in gone["not_reached"]:
        click.echo(f"  {clean(one)}")

"""`spanlore migrate`: bring the store to this version's schema."""

from pathlib import Path

import click

from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.output import note, print_json

__all__ = ["migrate_command"]


@click.command("migrate")
@data_dir_option
@click.option(
    "--store-url", envvar="SPANLORE_STORE_URL", show_envvar=True, help="A ClickHouse server."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def migrate_command(data_dir: Path | None, store_url: str | None, as_json: bool) -> None:
    """Apply the schema changes that the store does not have yet; `spanlore up` does this too."""
    from spanlore.schemas.migrate import losses, migrate

    applied = migrate(store_url or find_running(data_dir).store_url)
    for loss in losses(applied):
        note(loss)
    if as_json:
        print_json({"applied": applied})
    elif applied:
        click.echo("applied " + ", ".join(applied))
    else:
        click.echo("the store is up to date")

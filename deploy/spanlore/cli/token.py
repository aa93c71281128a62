"""`spanlore token`: let others in, and shut them out again."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from spanlore.cli.datadir import data_dir_option, default_data_dir, make_data_dir
from spanlore.cli.errors import CannotReach, CommandFailed
from spanlore.cli.options import period
from spanlore.cli.output import note, print_json, print_table
from spanlore.schemas.full_disk import reason
from spanlore.schemas.tokens import (
    INGEST,
    SCOPES,
    Token,
    TokensError,
    create_token,
    read_tokens,
    revoke_token,
)

__all__ = ["token_command"]


@click.group("token")
def token_command() -> None:
    """Make, list and revoke tokens. A running spanlore follows at once.

    To rotate one: create a second, hand it out, revoke the first.
    """


@token_command.command("create")
@click.option(
    "--tenant",
    default="*",
    show_default=True,
    help="Whose spans it sends or whose memories it reads; * is every tenant.",
)
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=[INGEST],
    show_default=True,
    help="What it is for; may be given more than once.",
)
@click.option("--expires", help="For how long it is good: 12h, 90d, 52w. Default: for ever.")
@click.option("--name", default="", help="What to list it as.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@data_dir_option
def create_command(
    tenant: str,
    scopes: tuple[str, ...],
    expires: str | None,
    name: str,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Make a token and print it, this once: only its hash is kept."""
    directory = make_data_dir(_directory(data_dir))
    expires_at = _expiry(expires)
    try:
        kept, text = create_token(
            directory, tenant=tenant, scopes=scopes, name=name, expires_at=expires_at
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise CannotReach(reason(error, directory)) from error
    except TokensError as error:
        raise CannotReach(str(error)) from error
    if as_json:
        print_json({"token": text, **_shown(kept)})
        return
    click.echo(text)
    note("It is not shown again. A stock exporter sends it when told:")
    note(f"  export OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer%20{text}'")


@token_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@data_dir_option
def list_command(as_json: bool, data_dir: Path | None) -> None:
    """List what is known of the tokens: all but themselves."""
    try:
        tokens = [_shown(one) for one in read_tokens(_directory(data_dir))]
    except TokensError as error:
        raise CannotReach(str(error)) from error
    if as_json:
        print_json(tokens)
        return
    columns = ("token_id", "name", "tenant", "scopes", "created_at", "expires_at", "state")
    rows = [{**one, "scopes": ", ".join(one["scopes"])} for one in tokens]
    print_table(
        [name.replace("_", " ") for name in columns], [[*map(r.get, columns)] for r in rows]
    )


@token_command.command("revoke")
@click.argument("token_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@data_dir_option
def revoke_command(token_id: str, as_json: bool, data_dir: Path | None) -> None:
    """Shut out who holds a token, named by the id that `spanlore token list` shows."""
    directory = _directory(data_dir)
    try:
        revoked = revoke_token(directory, token_id) if directory.is_dir() else None
    except OSError as error:
        raise CannotReach(reason(error, directory)) from error
    except TokensError as error:
        raise CannotReach(str(error)) from error
    if revoked is None:
        raise CommandFailed(f"there is no token {token_id!r}: see `spanlore token list`")
    if as_json:
        print_json({**_shown(revoked), "state": "revoked"})
    else:
        click.echo(f"revoked {revoked.token_id} {revoked.name}".rstrip())


def _directory(data_dir: Path | None) -> Path:
    return (data_dir or default_data_dir()).absolute()


def _expiry(expires: str | None) -> datetime | None:
    if expires is None:
        return None
    good_for = period(expires, "--expires")
    if not good_for:
        message = f"{expires} is over at once; say for how long it is good: 12h, 90d"
        raise click.BadParameter(message, param_hint="--expires")
    return datetime.now(UTC).replace(microsecond=0) + good_for


def _shown(token: Token) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "name": token.name,
        "tenant": token.tenant,
        "scopes": list(token.scopes),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "state": "expired" if token.is_expired(datetime.now(UTC)) else "valid",
    }

"""What can go wrong for a command, and the exit code that says so.

0 done; 1 the thing asked for failed; 2 usage (click's own UsageError); 3 cannot reach or open
what it needs. Commands raise; only ``exit_codes`` turns errors of other parts into these.

    click.ClickException
    ├── CommandFailed        1
    ├── click.UsageError     2
    └── CannotReach          3
        └── NotRunning       3
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["CannotReach", "CommandFailed", "NotRunning", "exit_codes", "missing_extra"]


class CommandFailed(click.ClickException):
    """What was asked for failed. Exit code 1."""

    exit_code = 1


class CannotReach(click.ClickException):
    """Something needed cannot be reached or opened; the message ends with the next step. Exit 3."""

    exit_code = 3


class NotRunning(CannotReach):
    """No spanlore was found running. Exit code 3."""


# Distributions that an extra brings, by the module that is missing without it.
_EXTRAS = {
    "anthropic": "models",
    "chdb": "embedded",
    "clickhouse_cityhash": "embedded",
    "clickhouse_connect": "collector",
    "google_crc32c": "collector",
    "httptools": "collector",
    "rich": "collector",
    "uvicorn": "collector",
    "numpy": "analyzers",
    "openai": "models",
    "scipy": "analyzers",
    "statsmodels": "analyzers",
}


def missing_extra(module: str) -> CannotReach:
    """Return the error that says which extra brings a missing module."""
    extra = _EXTRAS.get(module.partition(".")[0], "all")
    return CannotReach(
        f"this command needs {module}, which is not installed; "
        f"run: python -m pip install 'spanlore[{extra}]'"
    )


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn errors of the parts below into exit codes; the one place that does."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = error.name or ""
        if name.startswith("spanlore"):
            raise CommandFailed(f"{name} is not part of this installation") from error
        raise missing_extra(name) from error
    except _store_errors() as error:
        raise _from_store(error) from error


def _store_errors() -> tuple[type[Exception], ...]:
    """Name the store's error only if its module was imported, so that --help need not do it."""
    module = sys.modules.get("spanlore.schemas.store")
    return (module.StoreError,) if module else ()


def _from_store(error: Exception) -> click.ClickException:
    from spanlore.schemas.store import StoreUnreachable

    if isinstance(error, StoreUnreachable):
        return CannotReach(f"{error}; see `spanlore status`, or start it with `spanlore up`")
    return CommandFailed(str(error))

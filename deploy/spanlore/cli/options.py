"""How options reach the work of a command: as one frozen value, a field for each."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar

import click

__all__ = ["given_as", "period"]

_Options = TypeVar("_Options")


def given_as(kind: type[_Options]) -> Callable[[Callable[[_Options], None]], Callable[..., None]]:
    """Give a command its options as a dataclass. It stands below all that add any.

    A further option is then its `click.option`, its field, and what is done with it.
    """

    def decorate(command: Callable[[_Options], None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(**given: Any) -> None:
            command(kind(**given))

        return with_options

    return decorate


def period(text: str | None, option: str) -> timedelta | None:
    """Return the time an option (``--since``) gives: 30m, 12h, 7d. Raises BadParameter."""
    from spanlore.schemas.runs import parse_since

    try:
        return None if text is None else parse_since(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error

"""The steps of a command that takes a while: what each does, and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["Steps"]


class Steps:
    """Says each step in one line as it goes; ``seconds`` holds what each took, by its name.

    With ``to_stderr`` the lines go there, for a command whose stdout is one JSON document.
    """

    def __init__(self, *, to_stderr: bool) -> None:
        self.seconds: dict[str, float] = {}
        self._to_stderr = to_stderr
        self._began = time.monotonic()

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Say what the block does, then how long it took."""
        click.secho(f"▸ {text} … ", nl=False, err=self._to_stderr, bold=True)
        began = time.monotonic()
        try:
            yield
        except BaseException:
            click.echo(err=self._to_stderr)  # what comes next begins a line of its own
            raise
        self.seconds[name] = round(time.monotonic() - began, 3)
        click.echo(f"{self.seconds[name]:.1f} s", err=self._to_stderr)

    def end(self) -> None:
        """Note the total since the beginning, pauses between the steps included."""
        self.seconds["total"] = round(time.monotonic() - self._began, 3)

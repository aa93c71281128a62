"""`spanlore` and `python -m spanlore.cli`: a command is imported only when it is asked for."""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, NamedTuple

import click

from spanlore.cli.errors import exit_codes

__all__ = ["main", "spanlore"]


class _Command(NamedTuple):
    """Where a command lives ("module:attribute" in this package) and its line in the overview."""

    target: str
    summary: str

    @property
    def module(self) -> str:
        return f"spanlore.cli.{self.target.partition(':')[0]}"


# In the order of `spanlore --help`, which needs none of the modules.
_COMMANDS = {
    "demo": _Command("demo:demo_command", "Show the whole loop on this machine."),
    "up": _Command("up:up_command", "Start the store, the collector and the review door."),
    "down": _Command("down:down_command", "Stop them."),
    "status": _Command("status:status_command", "What runs, what is stored, what was learned."),
    "run": _Command("run:run_command", "Run a program with tracing switched on."),
    "ship": _Command("ship:ship_command", "Send what killed programs left in their journals."),
    "import": _Command("import_:import_command", "Bring recorded runs in."),
    "runs": _Command("runs:runs_command", "List runs; show one as a tree."),
    "judge": _Command("judge:judge_command", "Say whether a run passed or failed."),
    "judges": _Command("judges:judges_command", "Let judges judge; hold them against gold."),
    "learn": _Command("learn:learn_command", "Run the analyzers: findings, then lessons."),
    "findings": _Command("findings:findings_command", "List what the analyzers saw."),
    "lessons": _Command("lessons:lessons_command", "Read, approve, apply and measure lessons."),
    "memory": _Command("memory:memory_command", "What an agent would be given now."),
    "forget": _Command("forget:forget_command", "Erase a user: runs, and what was learned."),
    "doctor": _Command("doctor:doctor_command", "What is traced here, what is not, and why."),
    "sql": _Command("sql:sql_command", "Ask the store directly."),
    "token": _Command("token:token_command", "Let others in, and shut them out again."),
    "migrate": _Command("migrate:migrate_command", "Bring the store to this version's schema."),
}


class _LazyCommands(click.Group):
    """A group that knows its commands by name and imports one when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [name for name, command in _COMMANDS.items() if find_spec(command.module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = _COMMANDS[cmd_name]
        with exit_codes():
            found = getattr(import_module(command.module), command.target.partition(":")[2])
        if not isinstance(found, click.Command):
            message = f"{command.target} is not a click command"
            raise TypeError(message)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            names = self.list_commands(ctx)
            formatter.write_dl([(name, _COMMANDS[name].summary) for name in names])

    def invoke(self, ctx: click.Context) -> Any:
        with exit_codes():
            return super().invoke(ctx)


@click.group(
    cls=_LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 cannot reach or open what it needs.",
)
@click.version_option(version("spanlore"), prog_name="spanlore")
def spanlore() -> None:
    """Spans become lore: record what agents do, learn, and measure what it changed."""


def main() -> None:
    """Run the command line and exit."""
    spanlore(prog_name="spanlore")


if __name__ == "__main__":
    main()

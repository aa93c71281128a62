import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from spanlore.cli.__main__ import spanlore
from tests.deploy.command_line import environment, run_cli

HEAVY = ("chdb", "scipy", "statsmodels", "numpy", "clickhouse_connect", "grpc", "uvicorn", "rich")
LIGHT_COMMANDS = ("up", "down", "status", "sql", "migrate")


def commands() -> list[tuple[str, click.Command]]:
    """Every command and subcommand, by the words that call it."""
    context = click.Context(spanlore)
    found: list[tuple[str, click.Command]] = []
    for name in spanlore.list_commands(context):
        command = spanlore.get_command(context, name)
        assert command
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {inner}", child) for inner, child in command.commands.items()]
    return found


COMMANDS = commands()
RUNNABLE = [
    (name, command)
    for name, command in COMMANDS
    if not isinstance(command, click.Group) or command.invoke_without_command
]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_says_what_it_is_for(name: str, command: click.Command) -> None:
    assert command.help, name
    assert CliRunner().invoke(spanlore, [*name.split(), "--help"]).exit_code == 0


@pytest.mark.parametrize(("name", "command"), RUNNABLE, ids=[name for name, _ in RUNNABLE])
def test_every_command_takes_the_data_directory(name: str, command: click.Command) -> None:
    assert "--data-dir" in {word for option in command.params for word in option.opts}, name


def imported_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    return set(ended.stdout.split())


def test_the_overview_imports_no_command_and_nothing_heavy() -> None:
    modules = imported_by(
        "from click.testing import CliRunner\n"
        "from spanlore.cli.__main__ import spanlore\n"
        "assert CliRunner().invoke(spanlore, ['--help']).exit_code == 0"
    )
    assert not modules & {*HEAVY, "spanlore.cli.up"}


@pytest.mark.parametrize("name", LIGHT_COMMANDS)
def test_a_command_of_the_base_imports_nothing_heavy_before_it_runs(name: str) -> None:
    assert not imported_by(f"import spanlore.cli.{name}") & set(HEAVY)


def test_a_command_that_is_not_there_is_a_usage_error() -> None:
    ended = run_cli("nonsense")
    assert ended.code == 2
    assert "No such command 'nonsense'" in ended.err


def test_a_missing_extra_is_named_with_the_command_that_installs_it() -> None:
    script = (
        "import sys; sys.modules['clickhouse_connect'] = None\n"
        "from spanlore.cli.__main__ import main\n"
        "sys.argv = ['spanlore', 'migrate', '--store-url', 'clickhouse://u:p@127.0.0.1:1/d']\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert ended.returncode == 3
    assert "pip install 'spanlore[collector]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_store_that_does_not_answer_is_exit_code_3_without_its_password() -> None:
    ended = run_cli("migrate", "--store-url", "clickhouse://u:secret@127.0.0.1:1/d")
    assert ended.code == 3
    assert "127.0.0.1:1" in ended.err
    assert "secret" not in ended.err
    assert "Traceback" not in ended.err

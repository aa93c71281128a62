"""The documents say what is the case: commands parse, names exist, options have these defaults."""

import re
import shlex
from pathlib import Path

import click
import pytest

from spanlore.cli.__main__ import spanlore
from spanlore.cli.up import up_command

ROOT = Path(__file__).parents[2]
DOCUMENTS = {name: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md")}
README = DOCUMENTS["README.md"]
FENCES = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
INTERNAL = {"SPANLORE_RUN_STDERR", "SPANLORE_STORE_ENVIRONMENT"}


def example_lines() -> list[str]:
    blocks = [block for text in DOCUMENTS.values() for block in FENCES.findall(text)]
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def command_lines() -> list[str]:
    inline = re.findall(r"`(spanlore [^`]+)`", README)
    named = [line for line in inline if shlex.split(line)[1] not in not_yet()]
    return [line for line in example_lines() if line.startswith("spanlore ")] + named


def not_yet() -> set[str]:
    """Commands that the README names as not there yet."""
    [row] = [line for line in README.splitlines() if line.startswith("| not yet")]
    return set(re.findall(r"`spanlore (\w+)`", row))


def parse(arguments: list[str], group: click.Group, context: click.Context) -> None:
    """Parse as click does, down through subcommands, without running anything."""
    name, command, rest = group.resolve_command(context, arguments)
    assert command
    if isinstance(command, click.Group) and rest and rest[0] in command.commands:
        parse(rest, command, click.Context(command, parent=context))
    else:
        command.make_context(name, list(rest), parent=context)


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_in_the_documents_is_one_that_parses(line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    parse(arguments, spanlore, click.Context(spanlore))


def test_what_is_said_not_to_be_there_is_not_there() -> None:
    assert not not_yet() & set(spanlore.list_commands(click.Context(spanlore)))


def test_every_make_target_in_the_documents_is_in_the_makefile_and_the_other_way_round() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    shown = {match for line in example_lines() for match in re.findall(r"^make (\S+)", line)}
    assert shown - set(phony.split()) == set()
    assert set(phony.split()) - shown == {"clean"}


def test_every_environment_variable_of_ours_is_in_the_readme_and_read_somewhere() -> None:
    folders = ("instrumentation", "collector", "analyzers", "schemas", "deploy")
    sources = [path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py")]
    read = {name for text in sources for name in re.findall(r'"(SPANLORE_[A-Z_]+)"', text)}
    assert set(re.findall(r"SPANLORE_[A-Z_]+", README)) == read - INTERNAL


def test_the_configuration_table_has_the_options_and_defaults_of_up() -> None:
    rows = dict(re.findall(r"^\| `(--[\w-]+)`[^|]*\| ([^|]+) \|", README, re.MULTILINE))
    options = {option.opts[0]: option for option in up_command.params}
    assert set(rows) == {
        name
        for name, option in options.items()
        if isinstance(option, click.Option) and not option.is_flag and not option.hidden
    }
    numbers = {name: int(default) for name, default in rows.items() if default.isdigit()}
    assert numbers == {name: options[name].default for name in numbers}
    assert len(numbers) == 4


def test_every_folder_in_the_layout_is_there() -> None:
    folders = re.findall(r"`(\w+)/`", README.partition("## Layout")[2])
    assert folders
    assert [name for name in folders if not (ROOT / name).is_dir()] == []

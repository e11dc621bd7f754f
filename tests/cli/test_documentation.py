"""Every command has help, an example that parses, a man page and a place in the lists."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from amictl import errors
from amictl.cli import completions, manual, manual_texts
from amictl.cli.command import Command, Example
from amictl.cli.lazy_group import LazyGroup
from amictl.cli.main import program
from amictl.cli.words import Words

ROOT = Path(__file__).resolve().parent.parent.parent
TREE = dict(manual.commands())
COMMANDS = {path: command for path, command in TREE.items() if isinstance(command, Command)}
GROUPS = {path: command for path, command in TREE.items() if isinstance(command, LazyGroup)}
EXAMPLES = [(command, example) for command in COMMANDS.values() for example in command.examples]


@pytest.mark.parametrize("command", COMMANDS.values(), ids=str)
def test_every_command_has_help_and_an_example(command: Command) -> None:
    assert command.help
    assert command.examples


def test_every_command_that_makes_something_has_an_id_to_print_quietly() -> None:
    makers = re.compile(r"(create|register|launch|copy|import)-(?!tags)")
    made = [command for command in COMMANDS.values() if makers.match(str(command.name))]
    assert len(made) >= 8
    assert [one.name for one in made if one.presentation.identifier is None] == []


@pytest.mark.parametrize("command", COMMANDS.values(), ids=str)
def test_every_visible_option_has_help(command: Command) -> None:
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert [option.name for option in options if not option.help and not option.hidden] == []


@pytest.mark.parametrize("group", [program, *GROUPS.values()], ids=str)
def test_the_list_of_commands_says_what_their_help_says(group: LazyGroup) -> None:
    context = click.Context(group)
    for name, entry in group.table.items():
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert (command.help or "").split("\n")[0] == entry.help


@pytest.mark.parametrize(("command", "example"), EXAMPLES, ids=str)
def test_examples_parse(command: Command, example: Example) -> None:
    words = shlex.split(example.line)
    rest = words[words.index(str(command.name)) + 1 :]
    context = click.Context(command)
    parser_words = Words.of(command, context).prepared(rest)
    assert click.Command.parse_args(command, context, parser_words) == []


@pytest.mark.parametrize(("command", "example"), EXAMPLES, ids=str)
def test_a_wrapped_example_is_the_same_command_line(command: Command, example: Example) -> None:
    joined = example.wrapped().replace("\\\n", " ")
    assert shlex.split(joined) == shlex.split(example.line)


@pytest.mark.parametrize(("name", "text"), manual.pages().items())
def test_man_pages_are_up_to_date(name: str, text: str) -> None:
    hint = "run: python -m amictl.cli.manual man"
    assert (ROOT / "man" / name).read_text() == text, hint


def test_no_man_page_is_left_of_a_command_that_is_gone() -> None:
    assert {path.name for path in ROOT.glob("man/*.1")} == set(manual.pages())


@pytest.mark.parametrize(("name", "text"), completions.scripts().items())
def test_completions_are_up_to_date(name: str, text: str) -> None:
    hint = "run: python -m amictl.cli.completions completions"
    assert (ROOT / "completions" / name).read_text() == text, hint


def test_man_pages_and_completions_are_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"])
    files = [*ROOT.glob("man/*.[157]"), *ROOT.glob("completions/*")]
    assert {str(path.relative_to(ROOT)) for path in files} == shipped


def test_every_exit_status_is_explained() -> None:
    classes = [item for item in vars(errors).values() if isinstance(item, type)]
    raised = {str(item.exit_code) for item in classes if issubclass(item, errors.AmictlError)}
    explained = {status for status, _ in manual_texts.EXIT_STATUS}
    assert raised <= explained
    assert explained - raised == {"0", "3", "130", "143"}


def test_the_readme_names_the_test_command_that_ci_runs() -> None:
    command = re.search(r"^python3 -m venv .*$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert command is not None
    assert command[0] in (ROOT / "README.md").read_text()

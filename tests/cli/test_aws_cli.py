"""Command lines mean what they mean to the AWS CLI, or are refused by name."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from awscli.botocore.model import ListShape, Shape, StructureShape
from click.core import ParameterSource

from amictl.cli import shapes
from amictl.cli.command import Command
from amictl.cli.commands import waiting
from amictl.cli.ec2 import refusals
from amictl.cli.invocation import Invocation
from amictl.cli.main import program
from amictl.cli.operations import operation_of
from amictl.cli.option_types import StructuresType, StructureType
from amictl.cli.paging import PagingOption
from amictl.cli.skeletons import member_of, own_parameters
from amictl.cli.words import ListOption, Words
from amictl.errors import AmictlError, UnsupportedError
from tests import aws_cli
from tests.oracle import operation_model

ROOT = Path(__file__).resolve().parent.parent.parent
_ID = re.compile(r"\b(ami|snap|vol|i)-([0-9a-zA-Z]{5,})\b")

FREEZING = {"--freeze", "--pre-freeze", "--post-freeze", "--freeze-timeout", "--full-read"}
PASSPHRASES = {"--passphrase-fd", "--passphrase-file", "--passphrase-command"}
LUKS = {"--luks", "--luks-passphrase-fd", "--luks-passphrase-file", "--luks-passphrase-command"}
OURS = {
    "copy-image": {"--no-wait", "--recut"},
    "copy-snapshot": {"--no-wait", "--recut"},
    "create-image": FREEZING | {"--no-wait", "--architecture", "--boot-mode", "--root-device-name"},
    "create-key": PASSPHRASES | {"--alias", "--passphrase", "--key-file"},
    "create-restore-image-task": {"--identity", "--kms-key-id", "--no-wait", "--trusted-keys"},
    "create-rule": {"--dry-run"},
    "create-snapshot": FREEZING | {"--no-reboot", "--no-wait", "--parent"},
    "create-snapshots": FREEZING | {"--no-reboot", "--no-wait"},
    "create-store-image-task": {
        "--no-wait",
        "--recipient",
        "--recompress",
        "--sign-key",
        "--storage-class",
    },
    "create-volume": LUKS | {"--volume-id", "--as-of", "--force", "--in-place"},
    "delete-rule": {"--dry-run"},
    "delete-volume": {"--delete-file"},
    "export-image": {"--bucket", "--no-wait"},
    "import-image": FREEZING - {"--full-read"} | {"--no-reboot", "--no-wait"},
    "import-snapshot": FREEZING - {"--full-read"} | {"--no-reboot", "--no-wait"},
    "register-image": {"--certificate"},
    "update-rule": {"--dry-run"},
}
"""Options that EC2's operation of the same name has not."""

OUR_WAITERS = {"image-exported", "image-imported"}
"""Waiters that EC2 has not."""


def command_named(name: str) -> Command:
    command = program.get_command(click.Context(program), name)
    assert isinstance(command, Command)
    return command


OPERATIONS = {name: command_named(name) for name in program.table if aws_cli.service_of(name)}


def understood(command: Command, words: list[str]) -> dict[str, Any]:
    """What a command makes of the words, by EC2's names; arguments of its own are added."""
    context = click.Context(command, info_name=command.name, obj=Invocation(tuple(words)))
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    command.parse_args(context, [*words, *["disk.raw" for _ in arguments]])
    return {
        member_of(command, param): plain(context.params[str(param.name)])
        for param in own_parameters(command)
        if isinstance(param, click.Option)
        and context.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
        and context.params[str(param.name)] != ()
    }


def plain(value: Any) -> Any:
    """Lists for tuples, and one form for a moment."""
    match value:
        case tuple() | list():
            return [plain(item) for item in value]
        case dict():
            return {name: plain(member) for name, member in value.items()}
        case datetime():
            return value.astimezone(UTC).isoformat()
        case str() if re.match(r"\d{4}-\d\d-\d\d(T|$)", value):
            return datetime.fromisoformat(value).astimezone(UTC).isoformat()
        case _:
            return value


def with_whole_ids(words: list[str]) -> list[str]:
    """Ids of eight digits and placeholders as ids of seventeen."""

    def whole(match: re.Match[str]) -> str:
        digits = re.sub(r"[^0-9a-f]", "", match[2].lower())
        return f"{match[1]}-{digits[:17]:0<17}"

    return [_ID.sub(whole, word) for word in words]


def compared(name: str, words: list[str]) -> str | None:
    """How one command line is understood: `same`, `refused`, or the difference.

    None if the AWS CLI itself does not take it.
    """
    try:
        theirs = aws_cli.parameters_of(str(aws_cli.service_of(name)), [name, *words])
    except ValueError:
        return None
    theirs.pop("PaginationConfig", None)
    try:
        ours = understood(OPERATIONS[name], words)
    except UnsupportedError:
        return "refused"
    except (AmictlError, click.ClickException) as error:
        return f"{type(error).__name__}: {error}"
    return "same" if ours == plain(theirs) else f"{ours} is not {plain(theirs)}"


def test_the_examples_of_the_aws_cli_are_understood_or_refused_by_name() -> None:
    lines = [
        (name, with_whole_ids(words)) for name in OPERATIONS for words in aws_cli.examples(name)
    ]
    verdicts = [(name, words, compared(name, words)) for name, words in lines]
    taken = [verdict for verdict in verdicts if verdict[2] is not None]
    others = [verdict for verdict in taken if verdict[2] not in ("same", "refused")]
    report = "\n".join(f"{name} {' '.join(words)}\n    {text}" for name, words, text in others)
    assert len(taken) >= 70
    assert len(others) <= 0.05 * len(taken), report


@pytest.mark.parametrize("name", waiting.wait.table)
def test_the_examples_of_waiters_are_understood(name: str) -> None:
    waiter = waiting.wait.get_command(click.Context(waiting.wait), name)
    assert isinstance(waiter, Command)
    lines = list(aws_cli.examples(f"wait {name}"))
    assert bool(lines) == (name not in OUR_WAITERS)
    for words in lines:
        theirs = aws_cli.parameters_of("ec2", ["wait", name, *words])
        assert understood(waiter, words) == plain(theirs)


REFUSED = [
    pytest.param(name, words, id=" ".join((name, *words)))
    for name in OPERATIONS
    for words in map(with_whole_ids, aws_cli.examples(name))
    if compared(name, words) == "refused"
]


@pytest.mark.parametrize(("name", "words"), REFUSED)
def test_what_is_left_out_of_an_example_changes_nothing_else(name: str, words: list[str]) -> None:
    theirs = plain(aws_cli.parameters_of(str(aws_cli.service_of(name)), [name, *words]))
    operation = operation_of(name)
    assert operation is not None
    left_out = {operation.options[option][0] for option in refusals.OPTIONS.get(name, {})}
    try:
        ours = understood(OPERATIONS[name], [*words, "--ignore-unsupported"])
    except click.MissingParameter:
        return
    assert ours == {member: theirs[member] for member in theirs.keys() - left_out}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_option_is_ec2s_or_known_to_be_ours(name: str) -> None:
    operation = operation_of(name)
    assert operation is not None
    options = {
        param.opts[0]
        for param in own_parameters(OPERATIONS[name])
        if isinstance(param, click.Option) and not isinstance(param, PagingOption)
    }
    assert options - operation.options.keys() == OURS.get(name, set())


@pytest.mark.parametrize("name", OPERATIONS)
def test_pairs_are_ec2s_pairs(name: str) -> None:
    operation = operation_of(name)
    assert operation is not None
    pairs = [
        names
        for param in own_parameters(OPERATIONS[name])
        if isinstance(param, click.Option) and param.is_flag
        for names in (*param.opts, *param.secondary_opts)
        if param.opts[0] in operation.options
    ]
    assert [option for option in pairs if option not in operation.options] == []
    three_valued = [
        param.opts[0]
        for param in own_parameters(OPERATIONS[name])
        if isinstance(param, click.Option) and param.secondary_opts and param.default is not None
    ]
    assert three_valued == []


PLURALS = [
    pytest.param(command, option, id=f"{name} {option}")
    for name, command in OPERATIONS.items()
    for param in command.params
    for option in param.opts
    if isinstance(param, ListOption) and option.endswith("s")
]


@pytest.mark.parametrize(("command", "option"), PLURALS)
def test_the_singular_of_a_list_is_understood(command: Command, option: str) -> None:
    word = f"{option.removesuffix('s')}=x"
    assert Words.of(command, click.Context(command)).prepared([word]) == [f"{option}=x"]


def structured(command: Command) -> Iterator[tuple[str, shapes.Structure]]:
    """The structures that a command takes, by EC2's member."""
    for param in own_parameters(command):
        if isinstance(param.type, StructuresType | StructureType):
            yield member_of(command, param), param.type.shape


@pytest.mark.parametrize("name", OPERATIONS)
def test_structures_have_ec2s_members(name: str) -> None:
    operation = operation_of(name)
    assert operation is not None
    model = operation_model(operation.name)
    assert model is not None
    for member, shape in structured(OPERATIONS[name]):
        theirs = model.input_shape.members[member]
        assert list(strangers(shape, theirs)) == []


def strangers(ours: shapes.Shape, theirs: Shape) -> Iterator[str]:
    """Members that EC2's structure has not."""
    match ours:
        case shapes.Structure(members=members):
            structure = theirs.member if isinstance(theirs, ListShape) else theirs
            assert isinstance(structure, StructureShape)
            for name, member in members.items():
                if name in structure.members:
                    yield from strangers(member, structure.members[name])
                else:
                    yield name
        case shapes.ListOf(item=item):
            yield from strangers(item, theirs)
        case _:
            return


def test_what_amictl_knows_of_the_operations_is_up_to_date() -> None:
    text = (ROOT / "amictl" / "cli" / "operations.json").read_text()
    hint = "run: python -m tests.aws_cli amictl/cli/operations.json"
    assert text == aws_cli.operations_text(), hint

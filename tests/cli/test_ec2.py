"""Everything that EC2 has is here, or refused with a reason of its own; the page says so, too."""

import json
import re
from importlib.resources import files
from pathlib import Path

import click
import pytest
from awscli.botocore import xform_name
from awscli.botocore.loaders import Loader

from amictl.cli.catalog import COMMANDS
from amictl.cli.command import Command
from amictl.cli.commands.waiting import wait
from amictl.cli.ec2 import operations, refusals, services
from amictl.cli.global_options import global_options
from amictl.cli.main import program
from amictl.cli.words import names
from tests.conftest import Home
from tests.oracle import operation_model

PAGE = Path(__file__).resolve().parent.parent.parent / "man" / "amictl-ec2.7"
SERVICES = ("ec2", "ebs", "rbin", "dlm", "kms")
ANSWERS = {
    **refusals.OPERATIONS,
    **refusals.EVERYWHERE,
    **refusals.WAITERS,
    **{f"{name} {option}": reason for name, table in refusals.OPTIONS.items()
       for option, reason in table.items()},
}  # fmt: skip


def command(name: str) -> Command | None:
    """The command of this name; None for groups."""
    found = program.get_command(click.Context(program), name)
    return found if isinstance(found, Command) else None


def own_options(name: str) -> set[str]:
    """The names of all options of a command."""
    found = command(name)
    params = found.params if found else []
    return {
        option for param in params if isinstance(param, click.Option) for option in names(param)
    }


def ec2_options(name: str) -> set[str]:
    """The names of the options that the AWS CLI makes of the operation's parameters."""
    found = command(name)
    model = operation_model(found.operation) if found else None
    if model is None or model.input_shape is None:
        return set()
    members = model.input_shape.members.items()
    result = {f"--{xform_name(member, '-')}" for member, _ in members}
    flags = {xform_name(member, "-") for member, shape in members if shape.type_name == "boolean"}
    return result | {f"--no-{flag}".replace("--no-no-", "--") for flag in flags}


def operations_of(service: str) -> set[str]:
    """The operations of a service, as the AWS CLI writes them."""
    model = Loader().load_service_model(service, "service-2")
    return {xform_name(operation, "-") for operation in model["operations"]}


def sections() -> dict[str, str]:
    """The text of the page about each command."""
    parts = re.split(r"^\.S([HS]) (.*)\n", PAGE.read_text().replace("\\-", "-"), flags=re.MULTILINE)
    kinds, titles, texts = parts[1::3], parts[2::3], parts[3::3]
    return {
        name: text
        for kind, title, text in zip(kinds, titles, texts, strict=True)
        if kind == "S"
        for name in title.strip('"').split(", ")
    }


OPERATIONS = sorted(name for name in COMMANDS if ec2_options(name))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_option_of_an_operation_is_here_or_refused(name: str) -> None:
    here = own_options(name) | refusals.OPTIONS.get(name, {}).keys()
    assert ec2_options(name) - here == set()


@pytest.mark.parametrize("name", refusals.OPTIONS)
def test_only_options_that_ec2_has_and_amictl_has_not_are_refused(name: str) -> None:
    refused = refusals.OPTIONS[name].keys()
    assert refused - ec2_options(name) == set()
    assert refused & own_options(name) == set()


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_is_here_or_answered(service: str) -> None:
    missing = operations_of(service) - COMMANDS.keys()
    assert [name for name in sorted(missing) if refusals.operation_answer(name) is None] == []


def test_answers_about_operations_are_about_existing_ones() -> None:
    known = {name for service in SERVICES for name in operations_of(service)}
    assert (operations.EC2.keys() | services.SERVICES.keys()) - known == set()


def test_nothing_that_amictl_has_is_answered() -> None:
    assert refusals.OPERATIONS.keys() & COMMANDS.keys() == set()
    assert refusals.WAITERS.keys() & wait.table.keys() == set()
    assert [name for name in COMMANDS if refusals.operation_answer(name)] == []


def test_what_nobody_knows_has_no_answer() -> None:
    assert refusals.operation_answer("make-coffee") is None
    assert refusals.waiter_answer("coffee-ready") is None


def test_every_waiter_is_here_or_answered() -> None:
    model = json.loads(
        (
            files("awscli") / "botocore" / "data" / "ec2" / "2016-11-15" / "waiters-2.json"
        ).read_text()
    )
    missing = {xform_name(name, "-") for name in model["waiters"]} - wait.table.keys()
    assert [name for name in sorted(missing) if refusals.waiter_answer(name) is None] == []


def test_every_global_option_of_the_aws_cli_is_here_or_refused() -> None:
    theirs = json.loads((files("awscli") / "data" / "cli.json").read_text())["options"]
    ours = {option for param in (*global_options(), *program.params) for option in names(param)}
    assert {f"--{name}" for name in theirs} - ours - refusals.EVERYWHERE.keys() == set()
    assert ours & refusals.EVERYWHERE.keys() == set()


def test_answers_are_clauses_for_the_end_of_a_message() -> None:
    assert [name for name, answer in ANSWERS.items() if answer.endswith(".")] == []
    assert [name for name, answer in ANSWERS.items() if not 10 < len(answer) < 160] == []


def test_answers_name_only_commands_that_exist() -> None:
    verbs = "|".join({name.split("-")[0] for name in COMMANDS if "-" in name})
    answers = " ".join(ANSWERS.values())
    named = set(re.findall(rf"(?<!-)\b(?:{verbs})-[a-z-]+", answers))
    assert "launch-image" in named
    assert named - COMMANDS.keys() - wait.table.keys() == set()


def test_the_page_has_a_section_for_every_operation_and_for_nothing_else() -> None:
    assert set(sections()) == set(OPERATIONS)


def test_the_page_names_every_operation_around_images_that_is_not_here() -> None:
    page = PAGE.read_text().replace("\\-", "-")
    answered = operations.EC2.keys() | services.SERVICES.keys()
    assert [name for name in sorted(answered) if f"\\fB{name}\\fR" not in page] == []


@pytest.mark.parametrize("name", refusals.OPTIONS)
def test_the_section_of_an_operation_names_what_is_refused(name: str) -> None:
    refused = {option for option in refusals.OPTIONS[name] if not option.startswith("--no-")}
    text = sections()[name]
    assert [option for option in sorted(refused) if option not in text] == []


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["import-volume", "--image", "Format=RAW"], "use import-snapshot"),
        (["run-instances", "--image-id", "ami-1"], "use launch-image"),
        (["describe-vpcs"], "networks belong to your hypervisor"),
        (["get-lifecycle-policies"], "no policies"),
        (["start-snapshot", "--volume-size", "8"], "use create-snapshot"),
        (["rotate-key-on-demand"], "never replaced under the same id"),
        (["restore", "latest"], "use create-volume"),
        (["prune"], "delete-snapshot"),
        (["wait", "instance-running"], "by your hypervisor"),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else "",
)
def test_what_amictl_has_not_is_answered_by_name(
    amictl: Home, words: list[str], answer: str
) -> None:
    finished = amictl(*words)
    assert (finished.status, finished.out) == (15, "")
    assert answer in finished.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["create-image", "--instance-id", "i-0123456789abcdef0"], "name the files"),
        (["create-volume", "--availability-zone", "us-east-1a"], "has no zones"),
        (["register-image", "--kernel-id", "aki-1"], "part of the root disk"),
        (["describe-images", "--profile", "prod"], "no accounts"),
    ],
    ids=lambda given: given[1] if isinstance(given, list) else "",
)
def test_an_option_without_meaning_is_refused_before_anything_is_missed(
    amictl: Home, words: list[str], reason: str
) -> None:
    finished = amictl(*words)
    assert (finished.status, finished.out) == (15, "")
    assert f"{words[1]} is not supported" in finished.err
    assert reason in finished.err


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--block-device-mappings", "AvailabilityZone=us-east-1a", "no zones"),
        ("--block-device-mappings", "AvailabilityZoneId=use1-az1", "no zones"),
        ("--block-device-mappings", "EbsCardIndex=1", "by the hypervisor"),
        ("--block-device-mappings", "KmsKeyId=alias/k,Encrypted=true", "no image"),
        ("--block-device-mappings", "OutpostArn=arn", "no outposts"),
        ("--block-device-mappings", "VolumeInitializationRate=100", "whole"),
        ("--architecture", "arm64_mac", "machines of Apple"),
        ("--architecture", "x86_64_mac", "machines of Apple"),
    ],
)
def test_a_value_without_meaning_is_refused_with_its_reason(
    amictl: Home, option: str, value: str, reason: str
) -> None:
    disk = amictl.folder / "disk.raw"
    disk.write_bytes(bytes(4096))
    mapping = f"DeviceName=/dev/sdc,Ebs={{VolumeSize=1,{value}}}"
    words = [option, mapping if "=" in value else value]
    finished = amictl("create-image", "--name", "web", disk, *words)
    assert (finished.status, finished.out) == (15, "")
    assert value.partition("=")[0] in finished.err
    assert reason in finished.err

"""Parameters as JSON and YAML, and samples of them."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from amictl.cli.command import Command
from amictl.cli.invocation import Invocation
from amictl.cli.main import program
from amictl.cli.operations import operation_of
from amictl.cli.skeletons import input_skeleton, own_parameters
from amictl.errors import AmictlError, UnsupportedError
from tests.conftest import Home
from tests.oracle import operation_model

SNAPSHOT = "snap-0123456789abcdef0"
IMAGE = "ami-0123456789abcdef0"


def command_named(name: str) -> Command:
    command = program.get_command(click.Context(program), name)
    assert isinstance(command, Command)
    return command


COMMANDS = [
    command
    for name in program.table
    if isinstance(command := program.get_command(click.Context(program), name), Command)
]
OPERATIONS = [command for command in COMMANDS if operation_of(str(command.name))]


def parsed(name: str, *words: str) -> dict[str, Any]:
    context = click.Context(command_named(name), obj=Invocation(words))
    context.command.parse_args(context, list(words))
    return context.params


def from_json(name: str, members: dict[str, Any], *words: str) -> dict[str, Any]:
    return parsed(name, "--cli-input-json", json.dumps(members), *words)


def test_json_says_the_same_as_options() -> None:
    members = {"SnapshotId": SNAPSHOT, "Size": 8, "InPlace": True, "DryRun": False, "Target": "a"}
    words = ["--snapshot-id", SNAPSHOT, "--size", "8", "--in-place", "--no-dry-run", "a"]
    assert from_json("create-volume", members) == parsed("create-volume", *words)


def test_lists_and_structures_are_read_from_json() -> None:
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b, c"}]}]
    params = from_json("create-snapshot", {"TagSpecifications": tags, "Path": "disk.raw"})
    assert params["tag_specifications"] == tuple(tags)
    params = from_json("describe-images", {"ImageIds": [IMAGE]})
    assert params["image_ids"] == (IMAGE,)


def test_options_on_the_command_line_win() -> None:
    members = {"SnapshotId": SNAPSHOT, "Size": 8, "Target": "a"}
    params = from_json("create-volume", members, "--size", "9", "b")
    assert (params["size_gib"], params["target"]) == (9, Path("b"))
    assert params["snapshot_id"] == SNAPSHOT


def test_json_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text(json.dumps({"ImageIds": [IMAGE]}))
    params = parsed("describe-images", "--cli-input-json", f"file://{file}")
    assert params["image_ids"] == (IMAGE,)


def test_yaml_says_the_same_as_json() -> None:
    members = {"SnapshotId": SNAPSHOT, "Size": 8, "DryRun": True, "Target": "2026-11-22"}
    text = f"SnapshotId: {SNAPSHOT}\nSize: 8\nDryRun: true\nTarget: 2026-11-22\n"
    assert parsed("create-volume", "--cli-input-yaml", text) == from_json("create-volume", members)


def test_pieces_can_be_asked_for_in_json() -> None:
    assert from_json("describe-images", {"MaxResults": 5})["max_results"] == 5


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("describe-images", "{", "--cli-input-json: invalid JSON"),
        ("describe-images", "[]", "--cli-input-json: expected an object"),
        ("describe-images", '{"Image": 1}', "Unknown parameter in input: 'Image'"),
        ("describe-images", '{"ImageIds": "ami-1"}', "ImageIds: expected a list"),
        ("describe-images", '{"ImageIds": [["a"]]}', r"ImageIds\[0\]: expected a value"),
        ("create-volume", '{"SnapshotId": ["a"]}', "SnapshotId: expected one value"),
        ("create-volume", '{"SnapshotId": {"a": 1}}', "SnapshotId: expected one value"),
        ("create-volume", '{"DryRun": "yes"}', "DryRun: expected true or false"),
        ("create-volume", '{"Target": "a", "SnapshotId": "foo"}', 'Invalid id: "foo"'),
    ],
)
def test_wrong_input_is_named(name: str, text: str, message: str) -> None:
    with pytest.raises(AmictlError, match=message) as caught:
        parsed(name, "--cli-input-json", text)
    assert caught.value.exit_code == 2


def test_an_unsupported_member_is_refused_or_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    members = {"VolumeType": "gp3", "SnapshotId": SNAPSHOT, "Target": "a"}
    with pytest.raises(UnsupportedError, match="--volume-type is not supported"):
        from_json("create-volume", members)
    params = from_json("create-volume", members, "--ignore-unsupported")
    assert params["snapshot_id"] == SNAPSHOT
    assert "warning: --volume-type is left out" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_skeleton_has_a_sample_of_every_parameter(command: Command) -> None:
    shown = [param for param in own_parameters(command) if not getattr(param, "hidden", False)]
    sample = input_skeleton(command)
    assert len(sample) <= len(shown)
    assert None not in sample.values()


@pytest.mark.parametrize("command", OPERATIONS, ids=str)
def test_samples_have_ec2s_types(command: Command) -> None:
    operation = operation_of(str(command.name))
    assert operation is not None
    model = operation_model(operation.name)
    assert model is not None
    theirs = {member for member, _ in operation.options.values()}
    sample = {k: v for k, v in input_skeleton(command).items() if k in theirs}
    for member, value in sample.items():
        kind = {"list": list, "structure": dict, "boolean": bool, "integer": int}
        expected = kind.get(model.input_shape.members[member].type_name, str)
        assert isinstance(value, expected), member


@pytest.mark.parametrize("command", OPERATIONS, ids=str)
def test_the_sample_of_a_result_is_one_of_ec2s(command: Command) -> None:
    operation = operation_of(str(command.name))
    assert operation is not None
    model = operation_model(operation.name)
    assert model is not None
    members = model.output_shape.members if model.output_shape else {}
    assert operation.result.keys() == members.keys()


def test_a_skeleton_with_values_works(amictl: Home) -> None:
    disk = amictl.folder / "disk.raw"
    disk.write_bytes(b"disk" * 1024)
    asked = amictl("create-snapshot", "--generate-cli-skeleton")
    assert (asked.status, asked.err) == (0, "")
    members = json.loads(asked.out)
    tag = {"Key": "stage", "Value": "prod"}
    members |= {
        "Path": str(disk),
        "Description": "from JSON",
        "TagSpecifications": [{"ResourceType": "snapshot", "Tags": [tag]}],
        "DryRun": False,
        "NoWait": False,
        "Parent": "none",
        "VolumeId": None,
        "PreFreeze": "true",
        "PostFreeze": "true",
    }
    (amictl.folder / "input.json").write_text(json.dumps(members))
    made = amictl("create-snapshot", "--cli-input-json", "file://input.json")
    assert (made.status, made.err) == (0, "")
    assert json.loads(made.out)["Description"] == "from JSON"
    assert json.loads(made.out)["Tags"] == [tag]


@pytest.mark.parametrize("kind", ["input", "yaml-input", "output"])
def test_a_skeleton_needs_neither_options_nor_a_store(amictl: Home, kind: str) -> None:
    finished = amictl("create-image", "--generate-cli-skeleton", kind)
    assert (finished.status, finished.err) == (0, "")
    assert yaml.safe_load(finished.out)
    assert not amictl.local_region.exists()


def test_a_skeleton_may_be_asked_for_before_other_options(amictl: Home) -> None:
    finished = amictl("create-image", "--generate-cli-skeleton", "--name", "web")
    assert json.loads(finished.out)["Name"] == ""


def test_what_ec2_has_not_has_no_sample_of_its_result(amictl: Home) -> None:
    finished = amictl("check-store", "--generate-cli-skeleton", "output")
    assert (finished.status, finished.out) == (15, "")

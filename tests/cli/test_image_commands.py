"""The commands for images, end to end."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROGRAM, Finished, Home
from tests.oracle import require_ec2_shape


def result_of(finished: Finished) -> dict[str, Any]:
    assert (finished.status, finished.err) == (0, "")
    result = json.loads(finished.out)
    assert isinstance(result, dict)
    return result


def refusal_of(finished: Finished) -> tuple[int, str]:
    """Status, and the code of EC2."""
    assert finished.out == ""
    return finished.status, finished.err.partition("(")[2].partition(")")[0]


@pytest.fixture
def snapshot_id(amictl: Home) -> str:
    disk = amictl.folder / "disk.raw"
    disk.write_bytes(b"disk" * 5000)
    return amictl("create-snapshot", "--quiet", disk).out.strip()


@pytest.fixture
def image_id(amictl: Home, snapshot_id: str) -> str:
    mapping = f"DeviceName=/dev/sda1,Ebs={{SnapshotId={snapshot_id}}}"
    words = ["register-image", "--name", "web", "--block-device-mappings", mapping]
    return amictl(*words, "--quiet").out.strip()


def described(amictl: Home, *words: str) -> list[dict[str, Any]]:
    result = result_of(amictl("describe-images", *words))
    require_ec2_shape("DescribeImages", result)
    return list(result["Images"])


def test_an_image_is_registered_as_the_documentation_of_ec2_does(
    amictl: Home, snapshot_id: str
) -> None:
    finished = amictl(
        "register-image", "--name", "my-image", "--root-device-name", "/dev/xvda",
        "--architecture", "arm64", "--virtualization-type", "hvm",
        "--block-device-mappings",
        f"DeviceName=/dev/xvda,Ebs={{SnapshotId={snapshot_id},VolumeSize=8}}",
        "DeviceName=/dev/xvdf,Ebs={VolumeSize=100}",
        "DeviceName=/dev/xvdg,VirtualName=ephemeral1",
        "DeviceName=/dev/xvdh,NoDevice=",
        "--tag-specifications", "ResourceType=image,Tags=[{Key=stage,Value=prod}]",
    )  # fmt: skip
    image_id = result_of(finished)["ImageId"]
    (image,) = described(amictl, "--image-ids", image_id)
    sizes = [one.get("Ebs", {}).get("VolumeSize") for one in image["BlockDeviceMappings"]]
    assert (image["RootDeviceName"], image["Architecture"]) == ("/dev/xvda", "arm64")
    assert sizes == [8, 100, None]
    assert image["Tags"] == [{"Key": "stage", "Value": "prod"}]


def test_tags_for_snapshots_are_refused_by_register_image(amictl: Home, snapshot_id: str) -> None:
    finished = amictl(
        "register-image", "--name", "web",
        "--block-device-mappings", f"DeviceName=/dev/sda1,Ebs={{SnapshotId={snapshot_id}}}",
        "--tag-specifications", "ResourceType=snapshot,Tags=[{Key=a,Value=b}]",
    )  # fmt: skip
    assert refusal_of(finished) == (2, "InvalidParameterValue")


def test_a_name_that_is_taken_is_refused(amictl: Home, image_id: str, snapshot_id: str) -> None:
    mapping = f"DeviceName=/dev/sda1,Ebs={{SnapshotId={snapshot_id}}}"
    finished = amictl("register-image", "--name", "web", "--block-device-mappings", mapping)
    assert refusal_of(finished) == (14, "InvalidAMIName.Duplicate")
    assert image_id in finished.err


def test_images_are_found_by_filters(amictl: Home, image_id: str, snapshot_id: str) -> None:
    words = ["--owners", "self", "--filters", "Name=name,Values=w*,x"]
    by_snapshot = f"Name=block-device-mapping.snapshot-id,Values={snapshot_id}"
    assert [image["ImageId"] for image in described(amictl, *words, by_snapshot)] == [image_id]
    assert described(amictl, "--filters", "Name=name,Values=WEB") == []
    assert described(amictl, "--owners", "amazon") == []
    assert described(amictl, "--include-deprecated", "--no-include-disabled") != []


def test_wrong_questions_are_answered_with_the_codes_of_ec2(amictl: Home, image_id: str) -> None:
    for words, expected in (
        (["--filters", "Name=colour,Values=red"], (2, "InvalidParameterValue")),
        (["--filters", "Name=hypervisor,Values=xen"], (15, "UnsupportedOperation")),
        (["--owners", "me"], (2, "InvalidUserID.Malformed")),
        (["--image-ids", image_id, "ami-" + "0" * 17], (10, "InvalidAMIID.NotFound")),
        (["--image-ids", "ami-1"], (2, "InvalidAMIID.Malformed")),
    ):
        assert refusal_of(amictl("describe-images", *words)) == expected


def test_the_description_is_changed_in_both_forms(amictl: Home, image_id: str) -> None:
    for words in (
        ["--description", "one, with a comma"],
        ["--description", "Value=two"],
        ["--description", '{"Value": "three"}'],
        ["--attribute", "description", "--value", "four"],
    ):
        finished = amictl("modify-image-attribute", "--image-id", image_id, *words)
        assert (finished.status, finished.out, finished.err) == (0, "", "")
        asked = amictl(
            "describe-image-attribute", "--image-id", image_id, "--attribute", "description",
            "--query", "Description.Value", "--output", "text",
        )  # fmt: skip
        expected = words[-1].removeprefix("Value=").removeprefix('{"Value": "')
        assert asked.out.strip() == expected.removesuffix('"}')


def test_permissions_are_refused(amictl: Home, image_id: str) -> None:
    name = ["--image-id", image_id]
    permission = ["--launch-permission", "Add=[{Group=all}]"]
    for words in (
        ["modify-image-attribute", *name, *permission],
        ["modify-image-attribute", *name, "--attribute", "launchPermission", "--value", "x"],
        ["reset-image-attribute", *name, "--attribute", "launchPermission"],
    ):
        assert refusal_of(amictl(*words)) == (15, "UnsupportedOperation")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], "MissingParameter"),
        (["--attribute", "description"], "MissingParameter"),
        (["--description", "a", "--attribute", "description"], "InvalidParameterCombination"),
        (["--description", "a", "--value", "b"], "InvalidParameterCombination"),
    ],
)
def test_what_is_to_be_changed_must_be_said_once(
    amictl: Home, image_id: str, words: list[str], code: str
) -> None:
    finished = amictl("modify-image-attribute", "--image-id", image_id, *words)
    assert refusal_of(finished) == (2, code)


def test_states_are_changed_as_ec2_does(amictl: Home, image_id: str) -> None:
    soon = (datetime.now(UTC) + timedelta(days=300)).replace(second=31, microsecond=0)
    answers = {
        command: result_of(amictl(command, "--image-id", image_id, *words))["Return"]
        for command, *words in (
            ("disable-image",),
            ("enable-image",),
            ("enable-image-deprecation", "--deprecate-at", soon.isoformat()),
            ("enable-image-deregistration-protection", "--with-cooldown"),
            ("disable-image-deregistration-protection",),
        )
    }
    assert answers == {
        "disable-image": True,
        "enable-image": True,
        "enable-image-deprecation": True,
        "enable-image-deregistration-protection": "enabled-with-cooldown",
        "disable-image-deregistration-protection": "disabled",
    }
    (image,) = described(amictl)
    minute = soon + timedelta(seconds=29)
    assert image["DeprecationTime"] == minute.strftime("%Y-%m-%dT%H:%M:00.000Z")
    assert result_of(amictl("disable-image-deprecation", "--image-id", image_id))["Return"] is True
    finished = amictl("deregister-image", "--image-id", image_id)
    assert refusal_of(finished) == (14, "OperationNotPermitted")
    assert "cooldown" in finished.err


def test_a_deregistered_image_takes_its_snapshots_with_it_if_asked(
    amictl: Home, image_id: str, snapshot_id: str
) -> None:
    words = ["deregister-image", "--image-id", image_id, "--delete-associated-snapshots"]
    assert refusal_of(amictl(*words, "--dry-run")) == (17, "DryRunOperation")
    result = result_of(amictl(*words))
    assert result == {
        "Return": True,
        "DeleteSnapshotResults": [{"SnapshotId": snapshot_id, "ReturnCode": "success"}],
    }
    assert result_of(amictl("describe-snapshots"))["Snapshots"] == []
    assert refusal_of(amictl(*words)) == (10, "InvalidAMIID.NotFound")


def test_of_several_processes_that_register_one_name_exactly_one_does(
    amictl: Home, snapshot_id: str
) -> None:
    mapping = f"DeviceName=/dev/sda1,Ebs={{SnapshotId={snapshot_id}}}"
    words: list[str | Path] = [PROGRAM, "register-image", "--name", "web"]
    processes = [
        subprocess.Popen(
            [*words, "--block-device-mappings", mapping],
            env=amictl.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 14, 14, 14]
    assert sum("InvalidAMIName.Duplicate" in error for error in errors) == 3
    assert len(described(amictl)) == 1

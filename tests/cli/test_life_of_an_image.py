"""The whole life of an image, as EC2 documents it, with its codes and shapes at every step."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.test_images import make_disk
from tests.conftest import Home
from tests.oracle import require_ec2_shape


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who calls amictl, and looks at every answer."""

    amictl: Home

    def does(self, command: str, *words: str) -> dict[str, Any]:
        """The result, which has EC2's shape; a dry run before it only says that it would be so."""
        if not command.startswith(("describe-", "list-", "get-")):
            dry = self.amictl(command, *words, "--dry-run")
            assert (dry.status, dry.out) == (17, ""), dry.err
            assert f"(DryRunOperation) when calling the {operation(command)} operation" in dry.err
        finished = self.amictl(command, *words)
        assert (finished.status, finished.err) == (0, ""), (command, finished.err)
        result: dict[str, Any] = json.loads(finished.out) if finished.out else {}
        require_ec2_shape(operation(command), result)
        return result

    def is_refused(self, code: str, status: int, command: str, *words: str) -> str:
        """The message of an error that EC2 would give too; a dry run gives the same."""
        sentences = []
        for more in ([], ["--dry-run"]):
            if more and command.startswith(("describe-", "list-")):
                continue
            finished = self.amictl(command, *words, *more)
            begin = f"An error occurred ({code}) when calling the {operation(command)} operation: "
            assert finished.err.startswith(begin), finished.err
            assert (finished.status, finished.out) == (status, "")
            sentences.append(finished.err.splitlines()[0].removeprefix(begin))
        assert len(set(sentences)) == 1
        return sentences[0]

    def image(self, image_id: str) -> dict[str, Any]:
        (image,) = self.does("describe-images", "--image-ids", image_id)["Images"]
        assert isinstance(image, dict)
        return image


def operation(command: str) -> str:
    return "".join(word.capitalize() for word in command.split("-"))


@pytest.fixture
def person(amictl: Home) -> Person:
    return Person(amictl)


def test_the_life_of_an_image(person: Person) -> None:
    disk = str(make_disk(person.amictl.folder / "disk.raw"))
    image_id = str(person.does("create-image", "--name", "first", disk)["ImageId"])
    born = person.image(image_id)
    snapshot_id = born["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert born["State"] == "available"

    # Tags.
    person.does("create-tags", "--resources", image_id, snapshot_id, "--tags", "Key=stage,Value=a")
    person.does("create-tags", "--resources", image_id, "--tags", "Key=stage,Value=prod")
    tags = person.does("describe-tags", "--filters", f"Name=resource-id,Values={image_id}")["Tags"]
    assert tags == [
        {"Key": "stage", "ResourceId": image_id, "ResourceType": "image", "Value": "prod"}
    ]
    by_tag = ["--owners", "self", "--filters", "Name=tag:stage,Values=p*"]
    assert [one["ImageId"] for one in person.does("describe-images", *by_tag)["Images"]] == [
        image_id
    ]

    # Deprecated: its owner still sees it.
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=300)
    at = ["--image-id", image_id, "--deprecate-at"]
    past = (soon - timedelta(days=600)).isoformat()
    person.is_refused("InvalidParameterValue", 2, "enable-image-deprecation", *at, past)
    assert person.does("enable-image-deprecation", *at, soon.isoformat()) == {"Return": True}
    assert person.image(image_id)["DeprecationTime"].endswith(":00.000Z")
    assert person.does("describe-images")["Images"]
    assert person.does("disable-image-deprecation", "--image-id", image_id) == {"Return": True}
    assert "DeprecationTime" not in person.image(image_id)

    # Disabled: hidden, not launched, its name and snapshots still its own.
    assert person.does("disable-image", "--image-id", image_id) == {"Return": True}
    assert person.does("describe-images")["Images"] == []
    (hidden,) = person.does("describe-images", "--include-disabled")["Images"]
    assert hidden["State"] == "disabled"
    person.is_refused("InvalidSnapshot.InUse", 14, "delete-snapshot", "--snapshot-id", snapshot_id)
    launch = ["--image-id", image_id, "--directory", str(person.amictl.folder / "machine")]
    person.is_refused("InvalidAMIID.Unavailable", 14, "launch-image", *launch)
    person.is_refused("InvalidAMIName.Duplicate", 14, "create-image", "--name", "first", disk)
    assert person.does("enable-image", "--image-id", image_id) == {"Return": True}
    assert person.image(image_id)["State"] == "available"

    # Protected.
    protect = ["--image-id", image_id]
    assert person.does("enable-image-deregistration-protection", *protect) == {
        "Return": "enabled-without-cooldown"
    }
    asked = person.does(
        "describe-image-attribute", *protect, "--attribute", "deregistrationProtection"
    )
    assert asked["DeregistrationProtection"] == {"Value": "enabled-without-cooldown"}
    person.is_refused("OperationNotPermitted", 14, "deregister-image", *protect)
    assert person.does("disable-image-deregistration-protection", *protect) == {
        "Return": "disabled"
    }

    # Its mapping, registered once more; the snapshot is then used by both.
    mappings = json.dumps(born["BlockDeviceMappings"])
    register = ["--name", "second", "--root-device-name", "/dev/sda1"]
    second = str(
        person.does("register-image", *register, "--block-device-mappings", mappings)["ImageId"]
    )
    assert person.image(second)["BlockDeviceMappings"] == born["BlockDeviceMappings"]
    with_snapshots = "--delete-associated-snapshots"
    assert person.does("deregister-image", "--image-id", second, with_snapshots) == {
        "Return": True,
        "DeleteSnapshotResults": [{"SnapshotId": snapshot_id, "ReturnCode": "skipped"}],
    }

    # Recycled, and back under the same id, with everything that was written on it.
    before = person.image(image_id)
    period = "RetentionPeriodValue=1,RetentionPeriodUnit=DAYS"
    rules = [
        person.does("create-rule", "--resource-type", kind, "--retention-period", period)[
            "Identifier"
        ]
        for kind in ("EC2_IMAGE", "EBS_SNAPSHOT")
    ]
    assert person.does("deregister-image", "--image-id", image_id)["Return"] is True
    person.is_refused("InvalidAMIID.NotFound", 10, "describe-images", "--image-ids", image_id)
    (binned,) = person.does("list-images-in-recycle-bin")["Images"]
    assert (binned["ImageId"], binned["Name"]) == (image_id, "first")
    person.does("delete-snapshot", "--snapshot-id", snapshot_id)
    (binned,) = person.does("list-snapshots-in-recycle-bin")["Snapshots"]
    assert binned["SnapshotId"] == snapshot_id
    back = ["restore-image-from-recycle-bin", "--image-id", image_id]
    assert snapshot_id in person.is_refused("IncorrectState", 14, *back)
    person.does("restore-snapshot-from-recycle-bin", "--snapshot-id", snapshot_id)
    assert person.does(*back) == {"Return": True}
    assert person.image(image_id) == before
    assert person.does("list-images-in-recycle-bin")["Images"] == []

    # Gone.
    for rule in rules:
        person.does("delete-rule", "--identifier", rule)
    assert person.does("deregister-image", "--image-id", image_id, with_snapshots) == {
        "Return": True,
        "DeleteSnapshotResults": [{"SnapshotId": snapshot_id, "ReturnCode": "success"}],
    }
    assert person.does("describe-images", "--include-disabled")["Images"] == []
    assert person.does("describe-snapshots")["Snapshots"] == []
    person.is_refused("InvalidAMIID.NotFound", 10, "deregister-image", "--image-id", image_id)
    person.does("create-image", "--name", "first", disk)

    # And all of it is in the history.
    events = json.loads(person.amictl("describe-events", "--resource-ids", image_id).out)
    operations = [event["EventName"] for event in events["Events"]]
    assert operations[0] == "CreateImage"
    for one in (
        "EnableImageDeprecation", "DisableImageDeprecation", "DisableImage", "EnableImage",
        "EnableImageDeregistrationProtection", "DisableImageDeregistrationProtection",
        "RestoreImageFromRecycleBin",
    ):  # fmt: skip
        assert operations.count(one) == 1
    assert operations.count("DeregisterImage") == 2

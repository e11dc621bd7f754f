"""Volumes, launches and waiters through the command line."""

import json
import signal
from pathlib import Path

import pytest

from tests.cli.test_images import make_disk, result_of, snapshot_of
from tests.conftest import Finished, Home
from tests.oracle import require_ec2_shape


@pytest.fixture
def disk(amictl: Home) -> Path:
    return make_disk(amictl.folder / "disk.raw")


@pytest.fixture
def volume_id(amictl: Home, disk: Path) -> str:
    """A volume that was written to `back.raw`."""
    words = ["--tag-specifications", "ResourceType=volume,Tags=[{Key=stage,Value=test}]"]
    snapshot_id = snapshot_of(amictl, disk)
    volume = result_of(amictl("create-volume", "--snapshot-id", snapshot_id, *words, "back.raw"))
    require_ec2_shape("CreateVolume", volume)
    return str(volume["VolumeId"])


def test_a_volume_is_found_by_its_tag_and_deleted(amictl: Home, volume_id: str) -> None:
    result = result_of(amictl("describe-volumes", "--filters", "Name=tag:stage,Values=test,prod"))
    require_ec2_shape("DescribeVolumes", result)
    assert [one["VolumeId"] for one in result["Volumes"]] == [volume_id]
    words = ["--volume-id", volume_id, "--delete-file"]
    assert amictl("delete-volume", *words) == Finished(0, "", "")
    assert not (amictl.folder / "back.raw").exists()
    assert amictl("wait", "volume-deleted", "--volume-ids", volume_id) == Finished(0, "", "")


def test_a_volume_in_use_is_not_deleted(amictl: Home, volume_id: str) -> None:
    with (amictl.folder / "back.raw").open("r+b"):
        waited = amictl("wait", "volume-in-use", "--filters", "Name=tag-key,Values=stage")
        finished = amictl("delete-volume", "--volume-id", volume_id)
    assert waited == Finished(0, "", "")
    assert (finished.status, finished.out) == (14, "")
    assert "(VolumeInUse) when calling the DeleteVolume operation" in finished.err
    assert amictl("wait", "volume-available", "--volume-ids", volume_id) == Finished(0, "", "")


def test_a_volume_that_does_not_exist_is_told(amictl: Home, disk: Path) -> None:
    snapshot_of(amictl, disk)
    unknown = "vol-0123456789abcdef0"
    sentence = f"(InvalidVolume.NotFound) when calling the {{}} operation: The volume '{unknown}'"
    described = amictl("describe-volumes", "--volume-ids", unknown)
    deleted = amictl("delete-volume", "--volume-id", unknown)
    waited = amictl("wait", "volume-available", "--volume-ids", unknown)
    assert [one.status for one in (described, deleted, waited)] == [10, 10, 10]
    assert sentence.format("DescribeVolumes") in described.err
    assert sentence.format("DeleteVolume") in deleted.err
    assert waited.err.startswith(
        "Waiter VolumeAvailable failed: An error occurred (InvalidVolume.NotFound): The volume"
    )


def test_a_waiter_for_what_failed_says_so_as_ec2_does(amictl: Home, disk: Path) -> None:
    killed = amictl("create-snapshot", disk, "--freeze", "lease", "--post-freeze", "kill -9 $PPID")
    assert killed.status == -signal.SIGKILL
    (snapshot,) = result_of(amictl("describe-snapshots"))["Snapshots"]
    finished = amictl("wait", "snapshot-completed", "--snapshot-ids", snapshot["SnapshotId"])
    assert snapshot["State"] == "error"
    assert (finished.status, finished.out) == (14, "")
    assert finished.err.startswith(
        "Waiter SnapshotCompleted failed: Waiter encountered a terminal failure state: For"
        ' expression "Snapshots[].State" we matched expected path: "error" at least once\n'
    )


def test_a_waiter_needs_ids_or_filters(amictl: Home, disk: Path) -> None:
    snapshot_of(amictl, disk)
    finished = amictl("wait", "volume-available", "--timeout", "0")
    assert (finished.status, finished.out) == (2, "")
    assert "(MissingParameter): give --volume-ids or --filters" in finished.err


def test_a_waiter_takes_filters(amictl: Home, disk: Path) -> None:
    result_of(amictl("create-image", "--name", "first", disk))
    words = ["wait", "image-available", "--timeout", "0", "--filters"]
    assert amictl(*words, "Name=name,Values=fir*") == Finished(0, "", "")
    assert amictl(*words, "Name=name,Values=fir*", "--owners", "self") == Finished(0, "", "")
    assert amictl(*words, "Name=name,Values=second").status == 11
    assert amictl(*words, "Name=coffee,Values=black").status == 2


def test_an_image_is_launched_with_overrides(amictl: Home, disk: Path) -> None:
    image_id = amictl("create-image", "--name", "first", disk, "--quiet").out.strip()
    words = [
        "--block-device-mappings",
        "DeviceName=/dev/sdf,Ebs={VolumeSize=1}",
        "DeviceName=/dev/sdg,VirtualName=ephemeral0",
        "--ephemeral-size",
        "1",
        "--tag-specifications",
        "ResourceType=volume,Tags=[{Key=stage,Value=test}]",
    ]
    launch = ["launch-image", "--image-id", image_id, "--directory", "machine", *words]
    dry = amictl(*launch, "--dry-run")
    assert (dry.status, (amictl.folder / "machine").exists()) == (17, False)
    result = result_of(amictl(*launch))
    machine = amictl.folder / "machine"
    assert (machine / "sda1.raw").read_bytes() == disk.read_bytes()
    assert [one["Tags"] for one in result["Volumes"]] == [[{"Key": "stage", "Value": "test"}]] * 2
    assert json.loads(Path(result["Document"]).read_text())["ImageId"] == image_id
    assert Path(result["Script"]).stat().st_mode & 0o100
    again = amictl(*launch)
    assert (again.status, again.out) == (14, "")
    assert "(IncorrectState) when calling the LaunchImage operation: 'machine' is not" in again.err


def test_quiet_names_the_volumes_of_a_launch(amictl: Home, disk: Path) -> None:
    image_id = amictl("create-image", "--name", "first", disk, "--quiet").out.strip()
    words = ["launch-image", "--image-id", image_id, "--directory", "machine", "--quiet"]
    (volume_id,) = amictl(*words).out.split()
    (volume,) = result_of(amictl("describe-volumes", "--volume-ids", volume_id))["Volumes"]
    assert volume["Amictl"]["ImageId"] == image_id


def test_tags_are_for_volumes_only(amictl: Home, disk: Path) -> None:
    image_id = amictl("create-image", "--name", "first", disk, "--quiet").out.strip()
    words = ["--tag-specifications", "ResourceType=instance,Tags=[{Key=a,Value=b}]"]
    finished = amictl("launch-image", "--image-id", image_id, "--directory", "machine", *words)
    assert (finished.status, finished.out) == (2, "")
    assert "'instance' is not a resource that is made here: volume" in finished.err

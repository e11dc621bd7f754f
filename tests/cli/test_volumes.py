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


def test_an_empty_volume_is_not_made_and_it_is_told_how(amictl: Home) -> None:
    sentence = (
        "An error occurred (UnsupportedOperation) when calling the CreateVolume operation:"
        " create-volume writes snapshots, and makes no empty volume\n"
        "hint: make an empty disk with: truncate -s 80G {}\n"
    )
    assert amictl("create-volume", "--size", "80") == Finished(15, "", sentence.format("FILE"))
    told = Finished(15, "", sentence.format("'my disk.raw'"))
    assert amictl("create-volume", "--size", "80", "my disk.raw") == told


def test_a_volume_needs_a_target(amictl: Home) -> None:
    finished = amictl("create-volume", "--snapshot-id", "snap-0123456789abcdef0")
    assert (finished.status, finished.out) == (2, "")
    assert "(MissingParameter) when calling the CreateVolume operation: Missing" in finished.err


def test_a_snapshot_of_a_volume_needs_no_file(amictl: Home, volume_id: str) -> None:
    (amictl.folder / "back.raw").rename(amictl.folder / "moved.raw")
    moved = result_of(amictl("create-snapshot", "--volume-id", volume_id, "moved.raw"))
    again = result_of(amictl("create-snapshot", "--volume-id", volume_id))
    assert (moved["VolumeId"], again["VolumeId"]) == (volume_id, volume_id)
    assert again["Amictl"]["Parent"] == moved["SnapshotId"]
    missing = amictl("create-snapshot")
    assert (missing.status, missing.out) == (2, "")
    assert "(MissingParameter) when calling the CreateSnapshot operation: give" in missing.err


def test_a_snapshot_of_a_volume_that_does_not_exist_is_told(amictl: Home, disk: Path) -> None:
    snapshot_of(amictl, disk)
    for words in ([disk], []):
        unknown = amictl("create-snapshot", "--volume-id", "vol-0123456789abcdef0", *words)
        assert (unknown.status, unknown.out) == (10, "")
        assert "(InvalidVolume.NotFound) when calling the CreateSnapshot op" in unknown.err


def test_a_target_whose_name_leaves_no_room_for_a_mark_is_refused(amictl: Home, disk: Path) -> None:
    snapshot_id = snapshot_of(amictl, disk)
    finished = amictl("create-volume", "--snapshot-id", snapshot_id, "ä" * 120)
    assert (finished.status, finished.out) == (2, "")
    assert "is too long\nhint: at most 237 bytes leave room for .amictl-incomplete" in finished.err


def test_a_target_that_is_a_link_to_itself_is_refused(amictl: Home, disk: Path) -> None:
    snapshot_id = snapshot_of(amictl, disk)
    (amictl.folder / "loop").symlink_to("loop")
    finished = amictl("create-volume", "--snapshot-id", snapshot_id, "--force", "loop")
    assert (finished.status, finished.out) == (16, "")
    assert "cannot follow 'loop': Too many levels of symbolic links" in finished.err
    assert amictl("create-snapshot", "loop").status == 16


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_volume_needs_a_folder_to_be_made_in(amictl: Home, more: list[str]) -> None:
    disk = make_disk(amictl.folder / "disk.raw")
    snapshot = amictl("create-snapshot", disk, "--quiet").out.strip()
    finished = amictl("create-volume", "--snapshot-id", snapshot, "nowhere/new.raw", *more)
    assert (finished.status, finished.out) == (16, "")
    assert "nowhere" in finished.err

"""Snapshots, their locks and all tags through the command line, as `aws ec2` has them."""

import json
import threading
from pathlib import Path

import pytest

from tests.cli.test_images import make_disk, result_of, snapshot_of
from tests.conftest import Finished, Home
from tests.oracle import require_ec2_shape

NO_SNAPSHOT = "snap-0123456789abcdef0"


@pytest.fixture
def disk(amictl: Home) -> Path:
    return make_disk(amictl.folder / "disk.raw")


@pytest.fixture
def snapshot_id(amictl: Home, disk: Path) -> str:
    return snapshot_of(amictl, disk)


def refused(finished: Finished, status: int, code: str, operation: str) -> str:
    """The message of a command that failed as EC2 would say it."""
    begin = f"An error occurred ({code}) when calling the {operation} operation: "
    assert (finished.status, finished.out) == (status, "")
    assert finished.err.startswith(begin), finished.err
    return finished.err.removeprefix(begin).splitlines()[0]


def tags_of(amictl: Home, resource: str) -> dict[str, str]:
    words = ["--filters", f"Name=resource-id,Values={resource}"]
    return {tag["Key"]: tag["Value"] for tag in result_of(amictl("describe-tags", *words))["Tags"]}


# --- snapshots ---------------------------------------------------------------------------------


def test_several_disks_become_snapshots_at_once(amictl: Home, disk: Path) -> None:
    other = make_disk(amictl.folder / "other.raw", seed=2)
    words = ["--description", "both", "--tag-specifications"]
    tags = "ResourceType=snapshot,Tags=[{Key=cost,Value=1}]"
    result = result_of(amictl("create-snapshots", disk, other, *words, tags))
    require_ec2_shape("CreateSnapshots", result)
    assert [one["Tags"] for one in result["Snapshots"]] == [[{"Key": "cost", "Value": "1"}]] * 2
    assert len({one["StartTime"] for one in result["Snapshots"]}) == 1
    for source, one in zip((disk, other), result["Snapshots"], strict=True):
        target = amictl.folder / f"{source.name}.back"
        result_of(amictl("create-volume", "--snapshot-id", one["SnapshotId"], target))
        assert target.read_bytes() == source.read_bytes()


def test_no_wait_tells_the_ids_of_all(amictl: Home, disk: Path) -> None:
    other = make_disk(amictl.folder / "other.raw", seed=2)
    finished = amictl("create-snapshots", "--no-wait", "--quiet", disk, other)
    ids = finished.out.split()
    assert amictl("wait", "snapshot-completed", "--snapshot-ids", *ids).status == 0
    assert len(result_of(amictl("describe-snapshots", "--snapshot-ids", *ids))["Snapshots"]) == 2


def test_a_specification_without_tags_makes_no_snapshot(amictl: Home, disk: Path) -> None:
    words = ["--tag-specifications", "ResourceType=snapshot"]
    message = refused(
        amictl("create-snapshots", disk, *words), 2, "InvalidParameterValue", "CreateSnapshots"
    )
    assert message == "Tag specification must have at least one tag"


def test_an_instance_is_refused_by_name(amictl: Home) -> None:
    finished = amictl("create-snapshots", "--instance-specification", "InstanceId=i-1")
    message = refused(finished, 15, "UnsupportedOperation", "CreateSnapshots")
    assert "--instance-specification" in message


def test_snapshots_are_found_by_owner_and_filters(amictl: Home, snapshot_id: str) -> None:
    words = ["--owner-ids", "self", "--filters", "Name=status,Values=completed,pending"]
    query = ["--query", "Snapshots[*].{ID:SnapshotId,Time:StartTime}", "--output", "text"]
    finished = amictl("describe-snapshots", *words, *query)
    assert finished.out.split("\t")[0] == snapshot_id
    assert result_of(amictl("describe-snapshots", *words, "Name=volume-size,Values=2")) == {
        "Snapshots": []
    }


def test_an_unknown_filter_is_an_error(amictl: Home, snapshot_id: str) -> None:
    finished = amictl("describe-snapshots", "--filters", "Name=state,Values=completed")
    message = refused(finished, 2, "InvalidParameterValue", "DescribeSnapshots")
    assert message == "The filter 'state' is invalid"


def test_a_snapshot_in_use_stays_until_its_image_is_gone(amictl: Home, disk: Path) -> None:
    image_id = result_of(amictl("create-image", "--name", "image", disk))["ImageId"]
    (snapshot,) = result_of(amictl("describe-snapshots"))["Snapshots"]
    words = ["--snapshot-id", snapshot["SnapshotId"]]
    message = refused(
        amictl("delete-snapshot", *words), 14, "InvalidSnapshot.InUse", "DeleteSnapshot"
    )
    assert message == f"The snapshot {snapshot['SnapshotId']} is currently in use by {image_id}"
    result_of(amictl("deregister-image", "--image-id", image_id))
    finished = amictl("delete-snapshot", *words)
    assert (finished.status, finished.out, finished.err) == (0, "", "")
    assert result_of(amictl("describe-snapshots"))["Snapshots"] == []


def test_an_unknown_snapshot_cannot_be_deleted(amictl: Home, snapshot_id: str) -> None:
    finished = amictl("delete-snapshot", "--snapshot-id", NO_SNAPSHOT)
    message = refused(finished, 10, "InvalidSnapshot.NotFound", "DeleteSnapshot")
    assert message == f"The snapshot '{NO_SNAPSHOT}' does not exist."


def test_processes_do_not_both_map_and_delete_a_snapshot(amictl: Home, snapshot_id: str) -> None:
    device = f"DeviceName=/dev/sda1,Ebs={{SnapshotId={snapshot_id}}}"
    register = ["register-image", "--name", "image", "--root-device-name", "/dev/sda1"]
    lines = [
        [*register, "--block-device-mappings", device],
        ["delete-snapshot", "--snapshot-id", snapshot_id],
    ]
    ends: list[int] = []

    def run(words: list[str]) -> None:
        ends.append(amictl(*words).status)

    threads = [threading.Thread(target=run, args=(words,)) for words in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) in ([0, 10], [0, 14])


def test_attributes_of_a_snapshot(amictl: Home, snapshot_id: str) -> None:
    words = ["--snapshot-id", snapshot_id, "--attribute", "createVolumePermission"]
    shown = result_of(amictl("describe-snapshot-attribute", *words))
    assert shown == {"SnapshotId": snapshot_id, "CreateVolumePermissions": []}
    for command, operation in (
        ("modify-snapshot-attribute", "ModifySnapshotAttribute"),
        ("reset-snapshot-attribute", "ResetSnapshotAttribute"),
    ):
        refused(amictl(command, *words), 15, "UnsupportedOperation", operation)


# --- locks -------------------------------------------------------------------------------------


def test_a_lock_protects_until_it_is_taken_away(amictl: Home, snapshot_id: str) -> None:
    words = ["--snapshot-id", snapshot_id]
    duration = ["--lock-mode", "governance", "--lock-duration", "365"]
    locked = result_of(amictl("lock-snapshot", *words, *duration))
    require_ec2_shape("LockSnapshot", locked)
    assert (locked["LockState"], locked["LockDuration"]) == ("governance", 365)
    (described,) = result_of(amictl("describe-locked-snapshots"))["Snapshots"]
    assert described["LockExpiresOn"] == locked["LockExpiresOn"]
    message = refused(
        amictl("delete-snapshot", *words), 14, "OperationNotPermitted", "DeleteSnapshot"
    )
    assert f"{snapshot_id} is locked" in message
    assert result_of(amictl("unlock-snapshot", *words)) == {"SnapshotId": snapshot_id}
    assert amictl("delete-snapshot", *words).status == 0


def test_a_lock_can_end_on_a_date(amictl: Home, snapshot_id: str) -> None:
    words = ["--snapshot-id", snapshot_id, "--lock-mode", "governance"]
    locked = result_of(amictl("lock-snapshot", *words, "--expiration-date", "2099-06-30T00:00:00Z"))
    assert locked["LockExpiresOn"] == "2099-06-30T00:00:00.000Z"


def test_compliance_mode_is_refused(amictl: Home, snapshot_id: str) -> None:
    words = ["--snapshot-id", snapshot_id, "--lock-mode", "compliance", "--lock-duration", "1"]
    refused(amictl("lock-snapshot", *words), 15, "UnsupportedOperation", "LockSnapshot")


# --- tags --------------------------------------------------------------------------------------


def test_tags_are_given_and_taken_as_in_ec2(amictl: Home, snapshot_id: str) -> None:
    on = ["--resources", snapshot_id, "--tags"]
    first = amictl("create-tags", *on, "Key=webserver,Value=", "Key=stack,Value=Production")
    assert (first.status, first.out, first.err) == (0, "", "")
    second = amictl("create-tags", *on, 'Key="[Group]",Value="a,b"')
    assert (second.status, second.out) == (0, "")
    assert tags_of(amictl, snapshot_id) == {
        "[Group]": "a,b",
        "stack": "Production",
        "webserver": "",
    }
    assert amictl("delete-tags", *on, "Key=stack,Value=", "Key=webserver,Value=").status == 0
    assert tags_of(amictl, snapshot_id) == {"[Group]": "a,b", "stack": "Production"}
    assert amictl("delete-tags", *on, "Key=stack").status == 0
    assert tags_of(amictl, snapshot_id) == {"[Group]": "a,b"}
    assert amictl("delete-tags", "--resources", snapshot_id).status == 0
    assert tags_of(amictl, snapshot_id) == {}


def test_tags_come_from_a_file(amictl: Home, snapshot_id: str) -> None:
    tags = amictl.folder / "tags.json"
    tags.write_text(json.dumps([{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]))
    assert amictl("create-tags", "--resources", snapshot_id, "--tags", f"file://{tags}").status == 0
    assert tags_of(amictl, snapshot_id) == {"a": "1", "b": "2"}


def test_a_malformed_resource_is_named(amictl: Home, snapshot_id: str) -> None:
    words = ["--resources", snapshot_id, "snap-1", "--tags", "Key=a,Value=b"]
    message = refused(amictl("create-tags", *words), 2, "InvalidID", "CreateTags")
    assert message == "The ID 'snap-1' is not valid"
    assert tags_of(amictl, snapshot_id) == {}


@pytest.mark.parametrize("words", [("--tags", "Key=a,Value=b"), ("--resources", NO_SNAPSHOT)])
def test_tags_need_resources_and_resources_tags(amictl: Home, words: tuple[str, ...]) -> None:
    assert refused(amictl("create-tags", *words), 2, "MissingParameter", "CreateTags")

"""The recycle bin and the history, as somebody types them who knows `aws rbin` and `aws ec2`."""

import json
from pathlib import Path

import pytest

from tests.cli.test_images import make_disk, result_of
from tests.conftest import Finished, Home
from tests.oracle import require_ec2_shape

WEEK = ("--retention-period", "RetentionPeriodValue=7,RetentionPeriodUnit=DAYS")
UNKNOWN = "abcDEF12345"


@pytest.fixture
def disk(amictl: Home) -> Path:
    return make_disk(amictl.folder / "disk.raw")


def rule_id(amictl: Home, *words: str) -> str:
    return amictl("create-rule", *WEEK, *words, "--quiet").out.strip()


def test_a_rule_from_its_making_to_its_end(amictl: Home) -> None:
    words = [
        "--description",
        "all of production",
        "--resource-tags",
        "ResourceTagKey=stage,ResourceTagValue=prod",
        '{"ResourceTagKey": "stage", "ResourceTagValue": "live"}',
        "--tags",
        "Key=who,Value=me",
    ]
    made = result_of(amictl("create-rule", "--resource-type", "EC2_IMAGE", *WEEK, *words))
    require_ec2_shape("CreateRule", made)
    assert made["ResourceTags"] == [
        {"ResourceTagKey": "stage", "ResourceTagValue": "live"},
        {"ResourceTagKey": "stage", "ResourceTagValue": "prod"},
    ]
    one = ["--identifier", made["Identifier"]]
    longer = '{"RetentionPeriodValue": 90, "RetentionPeriodUnit": "DAYS"}'
    changed = result_of(amictl("update-rule", *one, "--retention-period", longer))
    require_ec2_shape("UpdateRule", changed)
    assert changed["RetentionPeriod"]["RetentionPeriodValue"] == 90
    assert changed["Description"] == "all of production"
    shown = result_of(amictl("get-rule", *one))
    require_ec2_shape("GetRule", shown)
    assert shown == {**changed, "Amictl": {"Tags": [{"Key": "who", "Value": "me"}]}}
    listed = amictl("list-rules", "--resource-type", "EC2_IMAGE", "--quiet")
    assert listed == Finished(0, made["Identifier"] + "\n", "")
    assert amictl("delete-rule", *one) == Finished(0, "", "")
    assert result_of(amictl("list-rules", "--resource-type", "EC2_IMAGE")) == {"Rules": []}


@pytest.mark.parametrize(
    ("words", "status", "code", "message"),
    [
        (
            ["get-rule", "--identifier", UNKNOWN],
            10,
            "ResourceNotFoundException",
            f"The retention rule '{UNKNOWN}' does not exist.",
        ),
        (
            ["get-rule", "--identifier", "x"],
            2,
            "ValidationException",
            "'x' is not the identifier of a retention rule",
        ),
        (
            ["create-rule", "--resource-type", "EBS_VOLUME", *WEEK],
            15,
            "UnsupportedOperation",
            "EBS_VOLUME: a volume is a file of yours, and delete-volume only forgets its record",
        ),
        (
            ["create-rule", "--resource-type", "EC2_IMAGE"],
            2,
            "MissingParameter",
            "Missing option '--retention-period'",
        ),
        (
            ["create-rule", "--resource-type", "EC2_IMAGE", "--retention-period", "7"],
            2,
            "InvalidParameterValue",
            "--retention-period: ",
        ),
        (
            ["create-rule", "--resource-type", "EC2_IMAGE", *WEEK, "--dry-run"],
            17,
            "DryRunOperation",
            "Request would have succeeded, but DryRun flag is set.",
        ),
        (
            ["list-images-in-recycle-bin", "--image-ids", "ami-0123456789abcdef0"],
            10,
            "InvalidAMIID.NotFound",
            "The image id '[ami-0123456789abcdef0]' does not exist in the Recycle Bin",
        ),
        (
            ["restore-snapshot-from-recycle-bin", "--snapshot-id", "snap-0123456789abcdef0"],
            10,
            "InvalidSnapshot.NotFound",
            "The snapshot 'snap-0123456789abcdef0' does not exist in the Recycle Bin.",
        ),
        (
            ["describe-events", "--resource-ids", "web"],
            2,
            "InvalidID",
            "The ID 'web' is not valid",
        ),
        (
            ["describe-events", "--filters", "Name=colour,Values=red"],
            2,
            "InvalidParameterValue",
            "The filter 'colour' is invalid",
        ),
    ],
)
def test_refusals(
    amictl: Home, disk: Path, words: list[str], status: int, code: str, message: str
) -> None:
    result_of(amictl("create-image", "--name", "web", disk))
    operation = "".join(word.capitalize() for word in words[0].split("-"))
    finished = amictl(*words)
    sentence = f"An error occurred ({code}) when calling the {operation} operation: {message}"
    assert (finished.status, finished.out) == (status, "")
    assert finished.err.startswith(sentence)


def test_a_deleted_image_and_its_snapshot_come_back(amictl: Home, disk: Path) -> None:
    image_id = amictl("create-image", "--name", "web", disk, "--quiet").out.strip()
    before = result_of(amictl("describe-images", "--image-ids", image_id))
    snapshot_id = before["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    for kind in ("EC2_IMAGE", "EBS_SNAPSHOT"):
        rule_id(amictl, "--resource-type", kind)
    result_of(amictl("deregister-image", "--image-id", image_id, "--delete-associated-snapshots"))
    gone = amictl("describe-images", "--image-ids", image_id)
    assert gone.status == 10
    assert gone.err.endswith(" list-images-in-recycle-bin those in the recycle bin\n")
    assert amictl("list-images-in-recycle-bin", "--quiet").out == f"{image_id}\n"
    (inside,) = result_of(amictl("list-snapshots-in-recycle-bin", "--snapshot-id", snapshot_id))[
        "Snapshots"
    ]
    assert inside["SnapshotId"] == snapshot_id
    image = ["restore-image-from-recycle-bin", "--image-id", image_id]
    early = amictl(*image)
    assert (early.status, early.out) == (14, "")
    assert "(IncorrectState) when calling the RestoreImageFromRecycleBin operation" in early.err
    assert snapshot_id in early.err
    snapshot = ["restore-snapshot-from-recycle-bin", "--snapshot-id", snapshot_id]
    assert amictl(*snapshot, "--dry-run").status == 17
    assert result_of(amictl(*snapshot))["State"] == "completed"
    assert amictl(*image, "--dry-run").status == 17
    assert result_of(amictl(*image)) == {"Return": True}
    assert result_of(amictl("describe-images", "--image-ids", image_id)) == before
    assert result_of(amictl("check-store"))["Faults"] == []
    history = ["describe-events", "--resource-ids", image_id, "--output", "text"]
    assert amictl(*history, "--query", "Events[*].[EventName,Outcome]").out.splitlines() == [
        "CreateImage\tavailable",
        "DeregisterImage\trecoverable",
        "RestoreImageFromRecycleBin\tavailable",
    ]


def test_events_by_time_and_filter_and_in_pages(amictl: Home, disk: Path) -> None:
    for name in ("one", "two", "three"):
        result_of(amictl("create-image", "--name", name, disk))
    result_of(amictl("create-snapshot", disk))
    first, second, *_ = result_of(amictl("describe-events"))["Events"]
    only = ["--filters", "Name=event-name,Values=CreateImage"]
    assert len(result_of(amictl("describe-events", *only))["Events"]) == 3
    until = ["--end-time", second["EventTime"]]
    assert result_of(amictl("describe-events", *until))["Events"] == [first, second]
    assert result_of(amictl("describe-events", "--start-time", "2999-01-01"))["Events"] == []
    page = result_of(amictl("describe-events", "--max-items", "3"))
    rest = result_of(amictl("describe-events", "--starting-token", page["NextToken"]))
    assert page["Events"][0] == first
    assert [event["EventName"] for event in rest["Events"]] == ["CreateSnapshot"]


def test_damaged_events_are_named_and_the_others_shown(amictl: Home, disk: Path) -> None:
    for name in ("one", "two"):
        result_of(amictl("create-image", "--name", name, disk))
    damaged = min((amictl.local_region / "events").iterdir())
    damaged.write_bytes(b"torn")
    finished = amictl("describe-events")
    result = json.loads(finished.out)
    assert (finished.status, len(result["Events"])) == (3, 1)
    assert [fault["Place"] for fault in result["Faults"]] == [f"events/{damaged.name}"]
    count, named = finished.err.splitlines()
    assert count == "DescribeEvents found 1 fault(s)"
    assert named.startswith(f"record: events/{damaged.name}: ")


def test_describe_store_names_unmapped_snapshots(amictl: Home, disk: Path) -> None:
    result_of(amictl("create-image", "--name", "web", disk))
    alone = amictl("create-snapshot", disk, "--quiet").out.strip()
    store = result_of(amictl("describe-store"))
    assert store["UnmappedSnapshots"] == [alone]
    assert store["RecycleBin"]["SnapshotCount"] == 0

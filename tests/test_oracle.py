"""The comparison with botocore's shapes accepts what AWS answers and refuses everything else."""

from typing import Any

import pytest

from tests.oracle import require_ec2_shape

IMAGE = {
    "ImageId": "ami-0123456789abcdef0",
    "State": "available",
    "Public": False,
    "CreationDate": "2026-11-22T12:00:00.000Z",
    "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}],
    "Tags": [{"Key": "stage", "Value": "prod"}],
}
SNAPSHOT = {"SnapshotId": "snap-0123456789abcdef0", "StartTime": "2026-11-22T12:00:00.123Z"}


def image(**members: Any) -> dict[str, Any]:
    return {"Images": [{**IMAGE, **members}]}


def snapshot(**members: Any) -> dict[str, Any]:
    return {"Snapshots": [{**SNAPSHOT, **members}]}


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ("DescribeImages", image()),
        ("DescribeImages", image(Amictl={"Anything": None})),
        ("DescribeImages", {"Images": [], "Amictl": 1}),
        ("DescribeSnapshots", snapshot(StartTime="2026-11-22T12:00:00+01:00")),
        ("DeleteSnapshot", {}),
        ("ListSnapshotBlocks", {"Blocks": [{"BlockIndex": 1, "BlockToken": "x"}], "BlockSize": 1}),
        ("CreateRule", {"Identifier": "0123456789a", "RetentionPeriod": {}, "Tags": []}),
    ],
)
def test_what_aws_could_answer_is_accepted(operation: str, result: dict[str, Any]) -> None:
    require_ec2_shape(operation, result)


@pytest.mark.parametrize(
    ("operation", "result", "place"),
    [
        ("DescribeImages", {"Image": []}, "DescribeImages: no member 'Image'"),
        ("DescribeImages", image(Id="ami-1"), r"DescribeImages.Images\[0\]: no member 'Id'"),
        ("DescribeImages", image(State="ready"), r"Images\[0\].State: 'ready' is not one of"),
        ("DescribeImages", image(Public="no"), r"Images\[0\].Public: expected bool"),
        ("DescribeImages", image(Name=None), r"Images\[0\].Name: expected str"),
        ("DescribeImages", image(Tags={}), r"Images\[0\].Tags: expected list"),
        ("DescribeImages", image(Tags=["a"]), r"Images\[0\].Tags\[0\]: expected dict"),
        (
            "DescribeImages",
            image(BlockDeviceMappings=[{"Ebs": {"VolumeSize": "8"}}]),
            r"BlockDeviceMappings\[0\].Ebs.VolumeSize: expected int",
        ),
        ("DescribeSnapshots", snapshot(VolumeSize=True), r"VolumeSize: True is no number"),
        ("DescribeSnapshots", snapshot(StartTime="yesterday"), "'yesterday' is no time"),
        ("DescribeSnapshots", snapshot(StartTime="2026-11-22T12:00:00"), "is no time in ISO 8601"),
        ("DescribeSnapshots", snapshot(StartTime=1), r"StartTime: expected str"),
        ("DeleteSnapshot", {"Return": True}, "DeleteSnapshot has no result"),
        ("DescribeStores", {}, "no service has the operation DescribeStores"),
    ],
)
def test_what_aws_would_not_answer_is_refused(
    operation: str, result: dict[str, Any], place: str
) -> None:
    with pytest.raises(AssertionError, match=place):
        require_ec2_shape(operation, result)

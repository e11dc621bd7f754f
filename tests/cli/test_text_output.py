"""Text output: the lines that the AWS CLI would write."""

from typing import Any

import pytest

from amictl.cli.text_output import text_of

IMAGES = {
    "Images": [
        {
            "State": "available",
            "ImageId": "ami-1",
            "Public": False,
            "BlockDeviceMappings": [{"Ebs": {"VolumeSize": 8}, "DeviceName": "/dev/sda1"}],
            "Tags": [{"Value": "b", "Key": "a"}],
        },
        {"State": "failed", "ImageId": "ami-2", "Public": False, "Description": "x"},
    ]
}


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (
            IMAGES,
            [
                "IMAGES\t\tami-1\tFalse\tavailable",
                "BLOCKDEVICEMAPPINGS\t/dev/sda1",
                "EBS\t8",
                "TAGS\ta\tb",
                "IMAGES\tx\tami-2\tFalse\tfailed",
            ],
        ),
        ({"ImageId": "ami-1"}, ["ami-1"]),
        (["a", "b"], ["a\tb"]),
        ([["a"], ["b"]], ["a", "b"]),
        ([["a", "b"], "c"], ["c", "a\tb"]),
        ({"Names": ["a", "b"]}, ["NAMES\ta", "NAMES\tb"]),
        ([], []),
        (None, ["None"]),
        (8, ["8"]),
        ([{"a": {"b": 1}}], ["A\t1"]),
        ([{"a": 1}, "b"], ["1", "b"]),
    ],
)
def test_lines(value: Any, lines: list[str]) -> None:
    assert text_of(value) == "".join(f"{line}\n" for line in lines)

"""copy-image and copy-snapshot, end to end: two regions of one user."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_images import make_disk
from tests.conftest import Finished, Home


@pytest.fixture
def home(amictl: Home) -> Home:
    """A user with the regions local, in which a disk is an image, and backup."""
    amictl("create-image", "--name", "web", make_disk(amictl.folder / "disk.raw"))
    amictl("create-region", "backup", "--directory", amictl.folder / "backup")
    return amictl


def image_id(home: Home) -> str:
    return home("describe-images", "--quiet").out.strip()


def copy(home: Home, *words: str | Path) -> Finished:
    return home(
        "copy-image", "--region", "backup", "--source-region", "local",
        "--source-image-id", image_id(home), "--name", "copy", *words,
    )  # fmt: skip


def images(home: Home, region: str) -> list[dict[str, Any]]:
    shapes: list[dict[str, Any]] = json.loads(home("describe-images", "--region", region).out)[
        "Images"
    ]
    return shapes


def test_copy_image_prints_the_id_of_an_image_that_is_available(home: Home) -> None:
    finished = copy(home)
    result = json.loads(finished.out)
    assert (finished.status, finished.err) == (0, "")
    assert result["Amictl"]["NewBytes"] > 0
    (image,) = images(home, "backup")
    assert (image["ImageId"], image["State"]) == (result["ImageId"], "available")
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    words = ["--region", "backup", "--snapshot-id", snapshot, "back.raw"]
    assert home("create-volume", *words).status == 0
    back, disk = home.folder / "back.raw", home.folder / "disk.raw"
    assert back.read_bytes() == disk.read_bytes()


def test_copy_image_without_waiting_leaves_a_worker(home: Home) -> None:
    finished = copy(home, "--no-wait", "--quiet")
    assert (finished.status, finished.err) == (0, "")
    words = ["image-available", "--region", "backup", "--image-ids", finished.out.strip()]
    assert home("wait", *words) == Finished(0, "", "")


def test_a_request_that_is_sent_again_without_waiting_has_the_same_answer(home: Home) -> None:
    first = copy(home, "--client-token", "t", "--quiet")
    again = copy(home, "--client-token", "t", "--quiet", "--no-wait")
    assert again == first
    other = copy(home, "--client-token", "t", "--description", "other")
    assert (other.status, other.out) == (14, "")
    assert "(IdempotentParameterMismatch)" in other.err


def test_a_worker_that_cannot_begin_says_why(home: Home) -> None:
    copy(home)
    finished = copy(home, "--no-wait")
    assert (finished.status, finished.out) == (14, "")
    assert "(InvalidAMIName.Duplicate)" in finished.err


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["--dry-run"], 17, "DryRunOperation"),
        (["--source-region", "nowhere"], 10, "InvalidRegion"),
        (["--source-image-id", "ami-0123456789abcdef0"], 10, "InvalidAMIID.NotFound"),
        (["--source-image-id", "x"], 2, "InvalidAMIID.Malformed"),
        (["--name", "x"], 2, "InvalidAMIName.Malformed"),
        (["--kms-key-id", "alias/a"], 2, "InvalidParameterDependency"),
        (["--destination-outpost-arn", "arn"], 15, "UnsupportedOperation"),
    ],
)
def test_what_is_refused_leaves_nothing(
    home: Home, words: list[str], status: int, code: str
) -> None:
    finished = copy(home, *words)
    assert (finished.status, finished.out) == (status, "")
    assert f"({code})" in finished.err
    assert images(home, "backup") == []


def test_a_source_region_is_needed(home: Home) -> None:
    words = ["--source-image-id", image_id(home), "--name", "copy"]
    finished = home("copy-image", *words)
    assert (finished.status, finished.out) == (2, "")
    assert "--source-region" in finished.err


def test_copy_snapshot_inside_of_a_region(home: Home) -> None:
    snapshot = home("describe-snapshots", "--quiet").out.strip()
    tags = ["--tag-specifications", "ResourceType=snapshot,Tags=[{Key=a,Value=b}]"]
    words = ["--source-region", "local", "--source-snapshot-id", snapshot, *tags]
    finished = home("copy-snapshot", *words)
    result = json.loads(finished.out)
    assert (finished.status, finished.err) == (0, "")
    assert result["Tags"] == [{"Key": "a", "Value": "b"}]
    assert result["Amictl"] == {"NewBytes": 0, "GarbageBytes": 0}
    assert len(home("describe-snapshots", "--quiet").out.split()) == 2


def test_the_history_tells_of_copies(home: Home) -> None:
    copied = json.loads(copy(home).out)["ImageId"]
    events = json.loads(home("describe-events", "--region", "backup").out)["Events"]
    found = [event for event in events if "copied" in str(event) or copied in str(event)]
    assert "CopyImage" in str(found)

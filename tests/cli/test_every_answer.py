"""Every command that AWS has too, called once in a busy region: its answer has AWS's shape."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from amictl.cli.main import program
from amictl.model.tasks import (
    EXPORT_IMAGE,
    IMPORT_IMAGE,
    IMPORT_SNAPSHOT,
    STORE_IMAGE,
    new_task,
)
from amictl.store import tasks
from amictl.store.opening import open_store
from tests.cli.test_images import make_disk
from tests.cli.test_life_of_an_image import operation
from tests.conftest import Home
from tests.faults.worlds import SURROUNDINGS
from tests.oracle import operation_model, require_ec2_shape

NOTHING_TO_ANSWER = {"modify-snapshot-attribute", "reset-snapshot-attribute"}
"""Refused, whatever is asked, until there are accounts."""
NOTHING_TO_ANSWER |= {"reset-image-attribute"}

PERIOD = ("--retention-period", "RetentionPeriodValue=1,RetentionPeriodUnit=DAYS")


class Region:
    """Calls commands, and remembers which."""

    def __init__(self, amictl: Home) -> None:
        self.amictl = amictl
        self.called: set[str] = set()

    def __call__(self, command: str, *words: str) -> dict[str, Any]:
        finished = self.amictl(command, *words)
        assert (finished.status, finished.err) == (0, ""), (command, finished.err)
        result: dict[str, Any] = json.loads(finished.out) if finished.out else {}
        require_ec2_shape(operation(command), result)
        self.called.add(command)
        return result


@pytest.fixture
def region(amictl: Home) -> Iterator[Region]:
    region = Region(amictl)
    yield region
    shared = {name for name in program.table if operation_model(operation(name)) is not None}
    assert region.called == shared - NOTHING_TO_ANSWER


def test_every_answer_has_the_shape_of_aws(region: Region) -> None:
    folder = region.amictl.folder
    disk = str(make_disk(folder / "disk.raw"))
    tags = ["--tag-specifications", "ResourceType=snapshot,Tags=[{Key=stage,Value=prod}]"]
    first = region("create-snapshot", disk, *tags, "--description", "first")["SnapshotId"]
    make_disk(folder / "disk.raw", seed=2)
    second = region("create-snapshot", disk)["SnapshotId"]
    region("create-snapshots", disk, str(make_disk(folder / "data.raw", seed=3)))
    image = region("create-image", "--name", "one", disk)["ImageId"]
    mapping = f"DeviceName=/dev/sda1,Ebs={{SnapshotId={first}}}"
    other = region(
        "register-image", "--name", "two", "--root-device-name", "/dev/sda1",
        "--block-device-mappings", mapping, "DeviceName=/dev/sdb,VirtualName=ephemeral0",
        "DeviceName=/dev/sdc,Ebs={VolumeSize=1}",
    )["ImageId"]  # fmt: skip
    volume = region("create-volume", "--snapshot-id", first, str(folder / "back.raw"))["VolumeId"]

    region("create-tags", "--resources", image, volume, "--tags", "Key=a,Value=b", "Key=c,Value=")
    region("delete-tags", "--resources", image, "--tags", "Key=c")
    assert region("describe-tags")["Tags"]
    asked = ["--image-id", image]
    region("modify-image-attribute", *asked, "--description", "changed")
    for attribute in ("description", "bootMode", "lastLaunchedTime", "launchPermission",
                      "productCodes", "deregistrationProtection"):  # fmt: skip
        region("describe-image-attribute", *asked, "--attribute", attribute)
    for attribute in ("createVolumePermission", "productCodes"):
        region("describe-snapshot-attribute", "--snapshot-id", first, "--attribute", attribute)
    later = (datetime.now(UTC) + timedelta(days=100)).isoformat()
    region("enable-image-deprecation", *asked, "--deprecate-at", later)
    region("enable-image-deregistration-protection", *asked, "--with-cooldown")
    region("disable-image-deregistration-protection", *asked)
    region("disable-image", *asked)
    assert len(region("describe-images", "--include-disabled")["Images"]) == 2
    region("enable-image", *asked)
    region("disable-image-deprecation", *asked)
    lock = ["--lock-mode", "governance", "--lock-duration", "3"]
    region("lock-snapshot", "--snapshot-id", first, *lock)
    assert region("describe-locked-snapshots")["Snapshots"]
    region("unlock-snapshot", "--snapshot-id", first)
    assert len(region("describe-snapshots")["Snapshots"]) == 5
    assert region("describe-volumes")["Volumes"]
    region("describe-regions")
    source = ["--source-region", "local"]
    region("copy-snapshot", *source, "--source-snapshot-id", first, *tags)
    copied = region("copy-image", *source, "--source-image-id", image, "--name", "three")
    shown = region("describe-images", "--image-ids", copied["ImageId"])["Images"][0]
    assert (shown["SourceImageId"], shown["SourceImageRegion"]) == (image, "local")

    blocks = region("list-snapshot-blocks", "--snapshot-id", first)["Blocks"]
    between = ["--first-snapshot-id", first, "--second-snapshot-id", second]
    assert region("list-changed-blocks", *between)["ChangedBlocks"]
    block = ["--block-index", str(blocks[0]["BlockIndex"])]
    token = ["--block-token", blocks[0]["BlockToken"]]
    region("get-snapshot-block", "--snapshot-id", first, *block, *token, str(folder / "block.bin"))

    rules = [
        region("create-rule", "--resource-type", kind, *PERIOD)["Identifier"]
        for kind in ("EC2_IMAGE", "EBS_SNAPSHOT")
    ]
    region("list-rules", "--resource-type", "EC2_IMAGE")
    region("get-rule", "--identifier", rules[0])
    region("update-rule", "--identifier", rules[0], "--description", "a day")
    region("deregister-image", "--image-id", other, "--delete-associated-snapshots")
    region("delete-snapshot", "--snapshot-id", second)
    assert region("list-images-in-recycle-bin")["Images"]
    assert len(region("list-snapshots-in-recycle-bin")["Snapshots"]) == 2
    region("restore-snapshot-from-recycle-bin", "--snapshot-id", first)
    region("restore-image-from-recycle-bin", "--image-id", other)
    region("delete-rule", "--identifier", rules[0])
    region("delete-volume", "--volume-id", volume)
    store_and_restore_an_image(region, image)
    import_and_export(region)
    call_all_about_tasks(region)
    call_all_about_keys(region)


def store_and_restore_an_image(region: Region, image: str) -> None:
    bucket = region.amictl.folder / "bucket"
    bucket.mkdir()
    stored = region("create-store-image-task", "--image-id", image, "--bucket", str(bucket))
    assert (bucket / stored["ObjectKey"]).exists()
    again = ["--bucket", str(bucket), "--object-key", stored["ObjectKey"], "--name", "again"]
    assert region("create-restore-image-task", *again)["ImageId"] != image


def import_and_export(region: Region) -> None:
    disk = str(region.amictl.folder / "disk.raw")
    tags = ["--tag-specifications", "ResourceType=import-image-task,Tags=[{Key=a,Value=b}]"]
    image = region("import-image", "--description", "raw", disk, *tags)["ImageId"]
    place = f"Format=RAW,Url={disk}"
    assert region("import-snapshot", "--disk-container", place)["SnapshotTaskDetail"]["SnapshotId"]
    bucket = f"S3Bucket={region.amictl.folder / 'bucket'},S3Prefix=exports/"
    how = ["--disk-image-format", "VMDK", "--s3-export-location", bucket]
    assert region("export-image", "--image-id", image, *how)["ExportImageTaskId"]
    assert len(region("describe-export-image-tasks")["ExportImageTasks"]) == 1


def call_all_about_tasks(region: Region) -> None:
    """Of each kind at least one, which is at work."""
    members = {
        "describe-store-image-tasks": ("StoreImageTaskResults", STORE_IMAGE),
        "describe-import-image-tasks": ("ImportImageTasks", IMPORT_IMAGE),
        "describe-import-snapshot-tasks": ("ImportSnapshotTasks", IMPORT_SNAPSHOT),
        "describe-export-image-tasks": ("ExportImageTasks", EXPORT_IMAGE),
    }
    with open_store(region.amictl.local_region) as store:
        for command, (member, kind) in members.items():
            task = new_task(kind, SURROUNDINGS)
            with tasks.running(store, task, SURROUNDINGS):
                assert region(command)[member]
                region("cancel-import-task", "--import-task-id", task.task_id)


def call_all_about_keys(region: Region) -> None:
    key = region("create-key", "--alias", "web")["KeyMetadata"]["KeyId"]
    region("describe-key", "--key-id", "alias/web")
    region("create-alias", "--alias-name", "alias/other", "--target-key-id", key)
    region("delete-alias", "--alias-name", "alias/other")
    region("enable-ebs-encryption-by-default")
    region("disable-ebs-encryption-by-default")
    region("get-ebs-encryption-by-default")
    region("modify-ebs-default-kms-key-id", "--kms-key-id", key)
    snapshot = region("create-snapshot", str(region.amictl.folder / "disk.raw"))["SnapshotId"]
    encrypted = ["--snapshot-id", snapshot, "--encrypted", "--kms-key-id", key]
    target = str(region.amictl.folder / "secret.raw")
    assert region("create-volume", *encrypted, target)["KmsKeyId"] == key
    assert region("create-snapshot", target)["KmsKeyId"] == key
    region("get-ebs-default-kms-key-id")
    region("reset-ebs-default-kms-key-id")
    other = region("create-key")["KeyMetadata"]["KeyId"]
    region("schedule-key-deletion", "--key-id", other)
    region("cancel-key-deletion", "--key-id", other)

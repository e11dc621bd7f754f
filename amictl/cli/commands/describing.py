"""describe-images, describe-snapshots and describe-store."""

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.options import ids_option


@command(
    "describe-images",
    presentation=Presentation(
        identifier="ImageId", columns=("ImageId", "Name", "State", "CreationDate")
    ),
    examples=[
        ("All images", "amictl describe-images"),
        (
            "The newest image",
            "amictl describe-images --query 'sort_by(Images,&CreationDate)[-1].ImageId'"
            " --output text",
        ),
    ],
)
@ids_option("--image-ids", "ami", help="Only these.")
def describe_images(invocation: Invocation, image_ids: tuple[str, ...]) -> Result:
    """Show images.

    Without --image-ids all images of the region are shown, those that failed included.
    """
    from amictl.actions import describing

    with invocation.open_store() as store:
        return describing.describe_images(store, image_ids)


@command(
    "describe-snapshots",
    presentation=Presentation(
        identifier="SnapshotId",
        columns=("SnapshotId", "VolumeId", "State", "StartTime", "VolumeSize", "Description"),
    ),
    examples=[
        ("All snapshots", "amictl describe-snapshots"),
        (
            "Those of one volume",
            "amictl describe-snapshots"
            " --query \"Snapshots[?VolumeId=='vol-0123456789abcdef0'].SnapshotId\"",
        ),
    ],
)
@ids_option("--snapshot-ids", "snap", help="Only these.")
def describe_snapshots(invocation: Invocation, snapshot_ids: tuple[str, ...]) -> Result:
    """Show snapshots.

    Without --snapshot-ids all snapshots of the region are shown, unfinished ones included.
    """
    from amictl.actions import describing

    with invocation.open_store() as store:
        return describing.describe_snapshots(store, snapshot_ids)


@command(
    "describe-store",
    examples=[
        ("How much is stored, and how much deduplication saves", "amictl describe-store"),
        ("The same of another directory", "amictl describe-store --store /mnt/backup/amis"),
    ],
)
def describe_store(invocation: Invocation) -> Result:
    """Show how much is stored and what each snapshot alone holds.

    Logical bytes are those of all volumes, unique bytes those that are left when each content is
    counted once, stored bytes those on the disk. For each snapshot: what deleting it would free.
    """
    from amictl.actions import accounting

    with invocation.open_store() as store:
        return accounting.describe_store(store)

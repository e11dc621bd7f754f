"""create-image and create-snapshot."""

from pathlib import Path
from typing import Any

import click

from amictl.cli import shapes
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE, DiskType, IdType, OneOf, StructuresType
from amictl.cli.options import (
    dry_run,
    freeze_request,
    freezing,
    list_option,
    no_wait,
    tag_specifications,
    tags_of,
)
from amictl.errors import UsageError

_FULL_READ = "Read every byte, even if the file's times say that nothing changed."


class ParentType(click.ParamType[str]):
    """auto, none, or a snapshot."""

    name = "parent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return value if value in ("auto", "none") else IdType("snap").convert(value, param, ctx)


@command(
    "create-image",
    presentation=Presentation(identifier="ImageId"),
    examples=[
        ("One disk", "amictl create-image --name web-2026-11-22 /srv/vm/web.raw"),
        (
            "A root disk and a data disk, named as the machine sees them",
            "amictl create-image --name shop /dev/sda1=root.raw /dev/sdb=data.raw",
        ),
        (
            "A running machine on XFS, with its database flushed for the moment",
            "amictl create-image --name shop --no-reboot --pre-freeze 'ssh db fsfreeze -f /srv'"
            " --post-freeze 'ssh db fsfreeze -u /srv' db.raw",
        ),
        (
            "With tags, returning as soon as the disk may change again",
            "amictl create-image --name web --no-wait"
            " --tag-specifications 'ResourceType=image,Tags=[{Key=stage,Value=prod}]' web.raw",
        ),
        (
            "With an empty third disk of 100 GiB, and a root disk that outlives its machine",
            "amictl create-image --name shop --block-device-mappings"
            " 'DeviceName=/dev/sda1,Ebs={DeleteOnTermination=false}'"
            " 'DeviceName=/dev/sdc,Ebs={VolumeSize=100}' root.raw data.raw",
        ),
    ],
)
@click.argument("disks", metavar="[DEVICE=]FILE...", nargs=-1, required=True, type=DiskType())
@click.option("--name", required=True, metavar="NAME", help="A name that no other image has.")
@click.option("--description", default="", metavar="TEXT", help="Up to 255 characters.")
@click.option(
    "--architecture",
    type=OneOf(("i386", "x86_64", "arm64"), refused=("x86_64_mac", "arm64_mac")),
    help="Found out from the root disk when not given.",
)
@click.option(
    "--boot-mode",
    type=click.Choice(("legacy-bios", "uefi", "uefi-preferred")),
    help="Found out from the root disk when not given.",
)
@click.option(
    "--root-device-name", metavar="DEVICE", help="The device of the first FILE; /dev/sda1."
)
@tag_specifications("image and its snapshots")
@list_option(
    "--block-device-mappings",
    StructuresType(shapes.BLOCK_DEVICE_MAPPING),
    metavar="MAPPING...",
    help="Devices to add to the image, or to change; see the examples.",
)
@freezing
@click.option("--full-read", is_flag=True, help=_FULL_READ)
@no_wait()
@dry_run()
def create_image(
    invocation: Invocation,
    disks: tuple[tuple[str | None, Path], ...],
    tag_specifications: tuple[dict[str, Any], ...],
    no_wait: bool,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Register the disks of a machine, as they are now, as an image.

    The first FILE is the root disk. All disks are secured at one moment; then each becomes a
    snapshot, of which only what is new is stored, and the image names them. Prints the ImageId
    when nothing depends on the files any more. Disks that are in use are refused, unless
    --no-reboot accepts them as a power cut would leave them.
    """
    if no_wait and (result := invocation.detached()):
        return result
    from amictl.actions import creating

    image_tags, snapshot_tags = tags_of(tag_specifications, "image", "snapshot")
    request = creating.CreateImageRequest(
        disks=disks,
        image_tags=image_tags,
        snapshot_tags=snapshot_tags,
        freeze=freeze_request(options),
        dry_run=bool(dry_run),
        **options,
    )
    with invocation.open_store_for_writing(dry_run=dry_run) as store:
        return creating.create_image(store, request, invocation.surroundings, invocation.on_secured)


@command(
    "create-snapshot",
    presentation=Presentation(identifier="SnapshotId"),
    examples=[
        ("A disk that no machine has open", "amictl create-snapshot /srv/vm/data.raw"),
        (
            "The same volume, whose file was moved",
            "amictl create-snapshot --volume-id vol-0123456789abcdef0 /mnt/new/data.raw",
        ),
        (
            "A volume that the region knows, at the path where it was last",
            "amictl create-snapshot --volume-id vol-0123456789abcdef0",
        ),
        (
            "Only the id, for a script",
            "amictl create-snapshot --quiet --description nightly /srv/vm/data.raw",
        ),
        (
            "With tags",
            "amictl create-snapshot data.raw"
            " --tag-specifications 'ResourceType=snapshot,Tags=[{Key=stage,Value=prod}]'",
        ),
    ],
)
@click.argument("path", metavar="[FILE]", required=False, type=FILE)
@click.option("--description", default="", metavar="TEXT", help="A note of your own.")
@click.option(
    "--volume-id",
    type=IdType("vol"),
    metavar="ID",
    help="The volume that this is, of which FILE may be left out; without this option, the volume"
    " that had the path of FILE before, or a new one.",
)
@click.option(
    "--parent",
    type=ParentType(),
    metavar="auto|none|ID",
    default="auto",
    show_default=True,
    help="The snapshot to compare with; auto is the volume's newest completed one.",
)
@tag_specifications("snapshot")
@freezing
@click.option("--full-read", is_flag=True, help=_FULL_READ)
@no_wait()
@dry_run()
def create_snapshot(
    invocation: Invocation,
    tag_specifications: tuple[dict[str, Any], ...],
    no_wait: bool,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Store the content of one disk at this moment.

    Only what no earlier snapshot holds is stored. The result is printed when nothing depends on
    FILE any more; FILE is never written to. Without FILE it is the disk of --volume-id, at the
    path where it was last.

    It is encrypted if the region encrypts by default, and whatever the region does, if the volume
    is one of a key, or FILE says so itself: amictl-security(7), DISKS OF A KEY.
    """
    if options["path"] is None and options["volume_id"] is None:
        raise UsageError("give FILE or --volume-id", code="MissingParameter")
    if no_wait and (result := invocation.detached()):
        return result
    from amictl.actions import creating

    (tags,) = tags_of(tag_specifications, "snapshot")
    request = creating.CreateSnapshotRequest(
        tags=tags, freeze=freeze_request(options), dry_run=bool(dry_run), **options
    )
    with invocation.open_store_for_writing(dry_run=dry_run) as store:
        return creating.create_snapshot(
            store, request, invocation.surroundings, invocation.on_secured
        )

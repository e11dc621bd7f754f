"""export-image."""

from typing import Any

import click

from amictl.cli import shapes
from amictl.cli.buckets import name_to_note
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import AnyCase, StructureType
from amictl.cli.options import dry_run, id_option, no_wait, tag_specifications, tags_of
from amictl.errors import UsageError


@command(
    "export-image",
    presentation=Presentation(identifier="ExportImageTaskId"),
    examples=[
        (
            "For VMware, into a bucket that has a name",
            "amictl export-image --image-id ami-0123456789abcdef0 --disk-image-format VMDK"
            " --s3-export-location S3Bucket=images,S3Prefix=exports/",
        ),
        (
            "For QEMU, into a directory",
            "amictl export-image --image-id ami-0123456789abcdef0 --disk-image-format QCOW2"
            " --bucket /srv/exports",
        ),
    ],
)
@id_option("--image-id", "ami", required=True, help="The image; it has one disk.")
@click.option(
    "--disk-image-format",
    type=AnyCase(("RAW", "VMDK", "VHD", "QCOW2")),
    required=True,
    help="The format of the file.",
)
@click.option(
    "--s3-export-location",
    type=StructureType(shapes.EXPORT_LOCATION),
    metavar="PLACE",
    help="The bucket, and what the key begins with; see the examples.",
)
@click.option(
    "--bucket",
    metavar="BUCKET",
    help="The bucket, instead: a name, s3://BUCKET/PREFIX or a directory.",
)
@click.option("--description", default="", metavar="TEXT", help="Up to 255 characters.")
@tag_specifications("task, as export-image-task")
@no_wait("the task is active")
@dry_run()
def export_image(
    invocation: Invocation,
    s3_export_location: dict[str, Any] | None,
    bucket: str | None,
    tag_specifications: tuple[dict[str, Any], ...],
    no_wait: bool,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Write the disk of an image to a bucket, in the format of a virtual machine monitor.

    The key is the prefix, the id of the task and the format: exports/export-ami-....vmdk. It
    appears whole or not at all. A VMDK is one optimised for streams, as EC2 writes it; a VHD grows,
    and has exactly the size of the disk, not one rounded to cylinders. Formats other than RAW
    count in sectors of 512 bytes, to which a disk is filled up with zeros.

    An image with several disks is refused, since a file holds one; an encrypted one because
    nothing that is encrypted leaves as plain: launch-image writes the disks of both.
    """
    if s3_export_location is not None and bucket is not None:
        raise UsageError(
            "give --s3-export-location or --bucket, not both", code="InvalidParameterCombination"
        )
    if s3_export_location is None and bucket is None:
        raise UsageError("give --s3-export-location or --bucket", code="MissingParameter")
    if no_wait and (result := invocation.detached()):
        return result
    from amictl.actions import exporting

    location = s3_export_location or {"S3Bucket": bucket}
    (tags,) = tags_of(tag_specifications, "export-image-task")
    with invocation.open_store() as store:
        target, folder = invocation.open_bucket(location["S3Bucket"])
        request = exporting.ExportImageRequest(
            image_id=options["image_id"],
            disk_image_format=options["disk_image_format"].upper(),
            bucket=name_to_note(location["S3Bucket"]),
            folder=folder,
            prefix=location.get("S3Prefix", ""),
            description=options["description"],
            tags=tags,
            dry_run=bool(dry_run),
        )
        return exporting.export_image(
            store, target, request, invocation.surroundings, invocation.on_begun
        )

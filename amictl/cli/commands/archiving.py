"""create-store-image-task."""

from pathlib import Path
from typing import Any

import click

from amictl.cli import shapes
from amictl.cli.buckets import name_to_note
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE, StructuresType
from amictl.cli.options import dry_run, id_option, list_option, no_wait, yes_no


@command(
    "create-store-image-task",
    presentation=Presentation(identifier="ObjectKey"),
    examples=[
        (
            "To a directory, as on another disk",
            "amictl create-store-image-task --image-id ami-0123456789abcdef0 --bucket /mnt/usb",
        ),
        (
            "To a bucket of an object store, in a folder",
            "amictl create-store-image-task --image-id ami-0123456789abcdef0"
            " --bucket s3://backups/images --storage-class STANDARD_IA"
            " --s3-object-tags Key=project,Value=web",
        ),
        (
            "Of an encrypted image, so that a recovery key opens it too, and signed",
            "amictl create-store-image-task --image-id ami-0123456789abcdef0 --bucket /mnt/usb"
            " --recipient age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"
            " --sign-key office.pem",
        ),
    ],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@click.option(
    "--bucket",
    required=True,
    metavar="BUCKET",
    help="Where the object goes: a bucket's name, s3://BUCKET/PREFIX, or a directory.",
)
@list_option(
    "--s3-object-tags",
    StructuresType(shapes.TAG),
    metavar="TAG...",
    help="Tags of the object, as Key=KEY,Value=VALUE; not in a directory.",
)
@click.option(
    "--storage-class", metavar="CLASS", help="The object's storage class; not in a directory."
)
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="RECIPIENT",
    help="Who can open it besides the image's keys: age1..., or an SSH key; may be repeated.",
)
@click.option(
    "--sign-key",
    type=FILE,
    metavar="FILE",
    help="Sign it with this Ed25519 key, in PEM or as in OpenSSH, mode 0600.",
)
@yes_no(
    "--recompress/--no-recompress",
    help="Compress everything anew, or nothing that need not be; else what is worth it.",
)
@no_wait("the task can be seen")
@dry_run()
def create_store_image_task(
    invocation: Invocation,
    bucket: str,
    s3_object_tags: tuple[dict[str, Any], ...],
    sign_key: Path | None,
    recompress: bool | None,
    no_wait: bool,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Write an image to a bucket, as one object that stands alone.

    The object is called ami-....bin, after the image, and appears when it is whole. It holds what
    is known of the image, but no permissions, and its disks, so that create-restore-image-task
    makes the image again, in any region; without amictl tar and zstd restore the disks, as
    amictl-archive(5) shows. A bucket holds an image once, and while one command stores it there,
    another is refused, with status 11.

    An encrypted image is encrypted in the archive, too, for the keys of its disks; its name and
    its tags cannot be seen on the object. A plain image is encrypted only with --recipient.

    --recompress makes the object smaller, by a few per cent, and takes longer; without it what the
    region has compressed is taken over where most of a part of the disk can be.
    describe-store-image-tasks shows how far it is.
    """
    if no_wait and not dry_run and (result := invocation.detached()):
        return result
    from amictl.actions import archiving
    from amictl.archives.segments import REUSE_ALL, REUSE_HALF, REUSE_NONE
    from amictl.cli import user_keys
    from amictl.keys.signing_keys import signer
    from amictl.model.tags import require_tags

    opened, prefix = invocation.open_bucket(bucket)
    request = archiving.StoreImageRequest(
        bucket_name=name_to_note(bucket),
        prefix=prefix,
        object_tags=require_tags([(tag["Key"], tag.get("Value", "")) for tag in s3_object_tags]),
        sign=signer(sign_key, user_keys.passphrases()) if sign_key else None,
        reuse_from={None: REUSE_HALF, True: REUSE_NONE, False: REUSE_ALL}[recompress],
        dry_run=bool(dry_run),
        **options,
    )
    with invocation.open_store() as store:
        return archiving.store_image(
            store, opened, request, invocation.surroundings, invocation.on_begun
        )

"""copy-image and copy-snapshot."""

from typing import Any

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.options import (
    Decorator,
    dry_run,
    id_option,
    no_wait,
    tag_specifications,
    tags_of,
    yes_no,
)

_REACHED = "the copy is pending"


def _source_region() -> Decorator:
    return click.option(
        "--source-region",
        required=True,
        metavar="REGION",
        help="The region to copy from, also if it is the same; --region is the one to copy to.",
    )


def _description() -> Decorator:
    return click.option("--description", default="", metavar="TEXT", help="Up to 255 characters.")


def _encrypted() -> Decorator:
    return yes_no(
        "--encrypted/--no-encrypted",
        help="Encrypt the copy; a copy of what is encrypted always is.",
    )


def _kms_key_id() -> Decorator:
    return click.option(
        "--kms-key-id",
        metavar="KEY",
        help="The key to encrypt the copy with: an id, an alias or an ARN; it needs --encrypted.",
    )


def _recut() -> Decorator:
    return click.option(
        "--recut",
        is_flag=True,
        help="Cut the content of an encrypted copy anew, so that its lengths do not show what its"
        " source is; everything is read and compressed again.",
    )


@command(
    "copy-image",
    presentation=Presentation(identifier="ImageId"),
    examples=[
        (
            "To the region backup, under the same name",
            "amictl copy-image --region backup --source-region local"
            " --source-image-id ami-0123456789abcdef0 --name web",
        ),
        (
            "With its tags and one more, returning at once, and safe to be sent twice",
            "amictl copy-image --region backup --source-region local --no-wait --copy-image-tags"
            " --source-image-id ami-0123456789abcdef0 --name web --client-token 2026-11-22"
            " --tag-specifications 'ResourceType=image,Tags=[{Key=from,Value=local}]'",
        ),
        (
            "Encrypted there with a key of its own",
            "amictl copy-image --region backup --source-region local"
            " --source-image-id ami-0123456789abcdef0 --name web"
            " --encrypted --kms-key-id alias/backup",
        ),
    ],
)
@_source_region()
@id_option("--source-image-id", "ami", required=True, help="The image to copy.")
@click.option("--name", required=True, metavar="NAME", help="A name that no other image has.")
@_description()
@_encrypted()
@_kms_key_id()
@_recut()
@yes_no("--copy-image-tags/--no-copy-image-tags", help="Give the copy the tags of its source.")
@tag_specifications("image and its snapshots")
@click.option(
    "--client-token",
    metavar="TOKEN",
    help="The same request with the same token, up to 128 characters, is done once.",
)
@no_wait(_REACHED)
@dry_run()
def copy_image(
    invocation: Invocation,
    tag_specifications: tuple[dict[str, Any], ...],
    copy_image_tags: bool | None,
    no_wait: bool,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Copy an image from another region, or within one.

    It goes, with all its snapshots, to the region that the command is for. The copy has ids of
    its own and does not need its source. Inside a region, and where the content is in the region
    already, no data moves; between regions of one owner what is stored moves as it is. A copy
    that was interrupted goes on when the command is run again: only what came after the last 16
    packs or 60 seconds is repeated. Deprecation, protection and permissions are not copied.
    Should the source be deleted while --no-wait leaves a worker at it, the copy may fail.

    A disk that is encrypted keeps its key, which is not needed for that: a copy that is made
    without it is unconfirmed until a command with the key has read it. With another key it is
    sealed anew, shares nothing with its source, and holds nothing that only others had; the
    next copy with this key is an increment again. Nothing that is encrypted becomes plain.

    An instance-store image takes its bundle along, into a folder of its own in the bucket that
    modify-region --bundle-bucket chose for the region; where none was chosen, the first copy makes
    a directory the bucket of the region. It cannot be encrypted by that.
    """
    if no_wait and (result := invocation.detached()):
        return result
    from amictl.actions import copying
    from amictl.cli.bundle_places import bundle_buckets

    image_tags, snapshot_tags = tags_of(tag_specifications, "image", "snapshot")
    request = copying.CopyImageRequest(
        copy_image_tags=bool(copy_image_tags),
        image_tags=image_tags,
        snapshot_tags=snapshot_tags,
        bundles=bundle_buckets(invocation),
        dry_run=bool(dry_run),
        **options,
    )
    with (
        invocation.open_named_store(request.source_region) as source,
        invocation.open_store_for_writing(dry_run=dry_run) as target,
    ):
        return copying.copy_image(
            source, target, request, invocation.surroundings, invocation.on_begun
        )


@command(
    "copy-snapshot",
    presentation=Presentation(identifier="SnapshotId"),
    examples=[
        (
            "To the region backup",
            "amictl copy-snapshot --region backup --source-region local"
            " --source-snapshot-id snap-0123456789abcdef0",
        ),
        (
            "Inside of a region, with a description and a tag of its own",
            "amictl copy-snapshot --source-region local --description 'before the update'"
            " --source-snapshot-id snap-0123456789abcdef0"
            " --tag-specifications 'ResourceType=snapshot,Tags=[{Key=keep,Value=yes}]'",
        ),
    ],
)
@_source_region()
@id_option("--source-snapshot-id", "snap", required=True, help="The snapshot to copy.")
@_description()
@_encrypted()
@_kms_key_id()
@_recut()
@tag_specifications("snapshot")
@no_wait(_REACHED)
@dry_run()
def copy_snapshot(
    invocation: Invocation,
    tag_specifications: tuple[dict[str, Any], ...],
    no_wait: bool,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Copy a snapshot from another region, or within one.

    It goes to the region that the command is for, as copy-image does with the snapshots of an
    image, plain or encrypted. The volume of the copy is what its disk is in that region, so that
    the next snapshot of the disk there is an increment of the copy. A copy that was interrupted
    goes on when the command is run again: only what came after the last 16 packs or 60 seconds is
    repeated.
    """
    if no_wait and (result := invocation.detached()):
        return result
    from amictl.actions import copying

    (tags,) = tags_of(tag_specifications, "snapshot")
    request = copying.CopySnapshotRequest(tags=tags, dry_run=bool(dry_run), **options)
    with (
        invocation.open_named_store(request.source_region) as source,
        invocation.open_store_for_writing(dry_run=dry_run) as target,
    ):
        return copying.copy_snapshot(
            source, target, request, invocation.surroundings, invocation.on_begun
        )

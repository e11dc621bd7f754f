"""create-restore-image-task, describe-archive and verify-archive."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from amictl.cli.buckets import name_to_note
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE
from amictl.cli.options import dry_run, no_wait, tag_specifications, tags_of

if TYPE_CHECKING:
    from amictl.archives.sealed import OpenKey
    from amictl.keys.public_keys import PublicKey

_ARCHIVE = Presentation(identifier="ArchiveId")
_FROM_BUCKET = "amictl {} s3://backups/ami-0123456789abcdef0.bin"


def _opening(function: Callable[..., Any]) -> Callable[..., Any]:
    """Who may have signed an archive, and what opens it: two options, for `_keys`."""
    for option in (
        click.option(
            "--trusted-keys",
            type=FILE,
            multiple=True,
            metavar="FILE",
            help="Public Ed25519 keys, in PEM or as in OpenSSH's .pub files; may be repeated.",
        ),
        click.option(
            "--identity",
            type=FILE,
            metavar="FILE",
            help="An identity file that opens it, in place of the keys in the key folder.",
        ),
    ):
        function = option(function)
    return function


def _keys(
    identity: Path | None, trusted_keys: tuple[Path, ...]
) -> "tuple[OpenKey, tuple[PublicKey, ...]]":
    """What opens an archive, and who may have signed it. Raises UsageError, StorageError."""
    from amictl.cli import user_keys
    from amictl.keys.public_keys import public_keys_in

    trusted = tuple(key for path in trusted_keys for key in public_keys_in(path))
    return user_keys.opener(identity), trusted


@command(
    "create-restore-image-task",
    presentation=Presentation(identifier="ImageId"),
    examples=[
        (
            "Under the name that it had",
            "amictl create-restore-image-task --bucket s3://backups"
            " --object-key ami-0123456789abcdef0.bin",
        ),
        (
            "From a directory, under another name, with one more tag, only if the office signed it",
            "amictl create-restore-image-task --bucket /mnt/usb --name web-restored"
            " --object-key ami-0123456789abcdef0.bin --trusted-keys office.pub"
            " --tag-specifications 'ResourceType=image,Tags=[{Key=from,Value=usb}]'",
        ),
    ],
)
@click.option(
    "--bucket",
    required=True,
    metavar="BUCKET",
    help="The bucket: a name, s3://BUCKET/PREFIX, or a directory.",
)
@click.option("--object-key", required=True, metavar="KEY", help="The archive in it.")
@click.option("--name", metavar="NAME", help="A name that no other image has; else the one it had.")
@tag_specifications("image and its snapshots, besides those that they had")
@click.option(
    "--kms-key-id",
    metavar="KEY",
    help="The key to encrypt all its disks with: an id, an alias or an ARN.",
)
@_opening
@no_wait("the image is pending")
@dry_run()
def create_restore_image_task(
    invocation: Invocation,
    bucket: str,
    object_key: str,
    tag_specifications: tuple[dict[str, Any], ...],
    identity: Path | None,
    trusted_keys: tuple[Path, ...],
    no_wait: bool,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Make an image of an archive in a bucket.

    It gets a new id, and has the name, the description, the tags and the disks of the image that
    was archived. What the region has already is neither read nor stored again; a restore that was
    interrupted goes on when the command is run again: only what came after the last 16 packs or 60
    seconds is repeated. Every byte that is read is compared with what the archive says of it, and
    nothing of it is registered before. What the region has is not looked at: if it may be damaged,
    check-store --read-data has to record that first, so that the restore stores it anew.

    A disk that was encrypted is encrypted again: with the key that is asked for, else with its own
    if that is in the key folder, else with the default key of the region. A disk that was plain is
    plain, unless a key is asked for or the region encrypts everything. The next snapshot of a disk
    is an increment of what was restored.

    With --trusted-keys the archive must be signed by one of these keys, which is found out before
    anything else of it is read. describe-restore-image-tasks shows how far it is.
    """
    if no_wait and (result := invocation.detached()):
        return result
    from amictl.actions import unarchiving

    image_tags, snapshot_tags = tags_of(tag_specifications, "image", "snapshot")
    open_key, trusted = _keys(identity, trusted_keys)
    request = unarchiving.RestoreImageRequest(
        name_to_note(bucket),
        object_key,
        image_tags=image_tags,
        snapshot_tags=snapshot_tags,
        trusted=trusted,
        dry_run=bool(dry_run),
        **options,
    )
    objects, prefix = invocation.open_bucket(bucket)
    source = objects.open(f"{prefix}/{object_key}" if prefix else object_key)
    try:
        with invocation.open_store_for_writing(dry_run=dry_run) as store:
            return unarchiving.restore_image(
                store, source, open_key, request, invocation.surroundings, invocation.on_begun
            )
    finally:
        source.close()


@command(
    "describe-archive",
    presentation=_ARCHIVE,
    examples=[
        ("What is in it", _FROM_BUCKET.format("describe-archive")),
        (
            "Which of the keys in a file signed it",
            "amictl describe-archive ami-0123456789abcdef0.bin --trusted-keys office.pub",
        ),
    ],
)
@_opening
@click.argument("archive", metavar="FILE|URL")
def describe_archive(
    invocation: Invocation, archive: str, identity: Path | None, trusted_keys: tuple[Path, ...]
) -> Result:
    """Show what is in an archive, without reading its disks.

    FILE|URL is a file, s3://BUCKET/KEY, or the name of a bucket, a slash and a key. Of an encrypted
    one that no key opens, only what is not sealed is shown: times, sizes and digests. With
    --trusted-keys, Trusted says whether one of these keys signed it, and SignedBy which; without
    them nobody can say who did.
    """
    from amictl.actions import unarchiving

    open_key, trusted = _keys(identity, trusted_keys)
    source = invocation.open_object(archive)
    try:
        return unarchiving.describe_archive(source, open_key, trusted)
    finally:
        source.close()


@command(
    "verify-archive",
    presentation=_ARCHIVE,
    examples=[
        ("All of it", _FROM_BUCKET.format("verify-archive")),
        (
            "Also that the office signed it",
            "amictl verify-archive ami-0123456789abcdef0.bin --trusted-keys office.pub",
        ),
    ],
)
@_opening
@click.argument("archive", metavar="FILE|URL")
def verify_archive(
    invocation: Invocation, archive: str, identity: Path | None, trusted_keys: tuple[Path, ...]
) -> Result:
    """Read an archive whole and check every byte of it.

    FILE|URL is as for describe-archive. Digests are compared, everything is decoded, and each piece
    of each disk compared with its name, up to the one name that stands for all of it. Of an
    encrypted archive that no key opens only the digests can be compared: Content says `sealed`
    then, and else `verified`. With --trusted-keys it must be signed by one of them.
    """
    from amictl.actions import unarchiving

    open_key, trusted = _keys(identity, trusted_keys)
    source = invocation.open_object(archive)
    try:
        return unarchiving.verify_archive(
            source, open_key, trusted, invocation.surroundings.progress
        )
    finally:
        source.close()

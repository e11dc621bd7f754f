"""import-image and import-snapshot."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from amictl.cli import shapes
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import AnyCase, OneOf, StructuresType, StructureType
from amictl.cli.options import (
    Decorator,
    dry_run,
    freeze_request,
    freezing,
    list_option,
    no_wait,
    tag_specifications,
    tags_of,
    yes_no,
)
from amictl.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from amictl.volumes.imports import DiskContainer

_REACHED = "the task is active"
_FILE = "file://"


def _encrypted() -> Decorator:
    return yes_no("--encrypted/--no-encrypted", help="Encrypt what is imported.")


def _kms_key_id() -> Decorator:
    return click.option(
        "--kms-key-id",
        metavar="KEY",
        help="The key to encrypt it with: an id, an alias or an ARN; it needs --encrypted.",
    )


@command(
    "import-image",
    presentation=Presentation(identifier="ImportTaskId"),
    examples=[
        ("A machine of VMware with two disks", "amictl import-image web.vmdk web-data.vmdk"),
        (
            "As with the AWS CLI, with a disk in a bucket and an empty architecture found out",
            "amictl import-image --description web --disk-containers"
            " 'Format=VMDK,UserBucket={S3Bucket=images,S3Key=web.vmdk}'",
        ),
        (
            "Encrypted, with a tag, returning at once",
            "amictl import-image --encrypted --kms-key-id alias/web --no-wait web.qcow2"
            " --tag-specifications 'ResourceType=image,Tags=[{Key=stage,Value=prod}]'",
        ),
    ],
)
@click.argument("disks", metavar="[FILE|URL]...", nargs=-1)
@list_option(
    "--disk-containers",
    StructuresType(shapes.IMAGE_DISK_CONTAINER),
    metavar="DISK...",
    help="The disks, with a format, a device or a snapshot; see the examples.",
)
@click.option("--description", default="", metavar="TEXT", help="Up to 255 characters.")
@click.option(
    "--architecture",
    type=OneOf(("i386", "x86_64", "arm64"), refused=("x86_64_mac", "arm64_mac")),
    help="Found out from the root disk when not given.",
)
@click.option(
    "--platform",
    type=AnyCase(("Windows", "Linux")),
    help="Found out from the root disk when not given.",
)
@click.option(
    "--boot-mode",
    type=OneOf(("legacy-bios", "uefi"), refused=("uefi-preferred",)),
    help="Found out from the root disk when not given.",
)
@_encrypted()
@_kms_key_id()
@tag_specifications("task, as import-image-task, the image or its snapshots")
@freezing
@no_wait(_REACHED)
@dry_run()
def import_image(
    invocation: Invocation,
    disks: tuple[str, ...],
    disk_containers: tuple[dict[str, Any], ...],
    tag_specifications: tuple[dict[str, Any], ...],
    encrypted: bool | None,
    kms_key_id: str | None,
    platform: str | None,
    no_wait: bool,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Make an image of the disks of another virtual machine monitor.

    Raw, qcow2, vmdk, vhd, vhdx and vdi, in files or buckets, the root disk first. The format is
    what the file says, unless one is given; a file that says none is raw, but refused if its name
    ends as that of another format. Raw is read directly, everything else by qemu-img,
    without a raw copy on a disk. A disk that leads to other files (a backing file, a parent,
    extents) is refused before it is read. Nothing is changed inside of the disks, so they need
    the drivers of the machine that they will run in.

    The image is called as the task. --quiet prints the id of the task, --query ImageId --output
    text that of the image.

    A file must be at rest, or be cloned or copied first, as with create-image; one that a machine
    writes to meanwhile is seldom sound in a format other than raw. Importing a file again stores
    only what changed since. A vhd counts the size in its footer, which programs that count in
    cylinders may take for a little less. An OVA is a tar archive: unpack it, and name its disks.
    """
    if no_wait and (result := invocation.detached()):
        return result
    from amictl.actions import importing
    from amictl.model.encryption import EncryptionRequest

    kinds = ("import-image-task", "image", "snapshot")
    tags, image_tags, snapshot_tags = tags_of(tag_specifications, *kinds)
    given = [*disk_containers, *({"Url": disk} for disk in disks)]
    with invocation.open_store_for_writing(dry_run=dry_run) as store:
        request = importing.ImportImageRequest(
            containers=tuple(_container(invocation, one) for one in given),
            encryption=EncryptionRequest(encrypted, kms_key_id),
            freeze=freeze_request(options),
            platform=platform.lower() if platform else None,
            tags=tags,
            image_tags=image_tags,
            snapshot_tags=snapshot_tags,
            dry_run=bool(dry_run),
            **options,
        )
        return importing.import_image(store, request, invocation.surroundings, invocation.on_begun)


@command(
    "import-snapshot",
    presentation=Presentation(identifier="ImportTaskId"),
    examples=[
        ("A disk of QEMU", "amictl import-snapshot /srv/images/data.qcow2"),
        (
            "As with the AWS CLI",
            "amictl import-snapshot --description data --disk-container"
            " 'Format=VHD,UserBucket={S3Bucket=images,S3Key=data.vhd}'",
        ),
        (
            "An object, whatever its format is, encrypted with the region's default key",
            "amictl import-snapshot --encrypted s3://images/data.vmdk",
        ),
    ],
)
@click.argument("disk", metavar="[FILE|URL]", required=False)
@click.option(
    "--disk-container",
    type=StructureType(shapes.SNAPSHOT_DISK_CONTAINER),
    metavar="DISK",
    help="The disk, with a format; see the examples.",
)
@click.option("--description", default="", metavar="TEXT", help="Up to 255 characters.")
@_encrypted()
@_kms_key_id()
@tag_specifications("task, as import-snapshot-task, or the snapshot")
@freezing
@no_wait(_REACHED)
@dry_run()
def import_snapshot(
    invocation: Invocation,
    disk: str | None,
    disk_container: dict[str, Any] | None,
    tag_specifications: tuple[dict[str, Any], ...],
    encrypted: bool | None,
    kms_key_id: str | None,
    no_wait: bool,
    dry_run: bool | None,
    description: str,
    **options: Any,
) -> Result:
    """Make a snapshot of a disk in a foreign format, or of one that is in a bucket.

    As import-image does with each disk of an image. The snapshot has the content of the disk
    inside, byte for byte; create-snapshot does the same for a raw file.
    """
    if (disk is None) == (disk_container is None):
        raise UsageError("give FILE, a URL or --disk-container", code="MissingParameter")
    if no_wait and (result := invocation.detached()):
        return result
    from amictl.actions import importing
    from amictl.model.encryption import EncryptionRequest

    tags, snapshot_tags = tags_of(tag_specifications, "import-snapshot-task", "snapshot")
    with invocation.open_store_for_writing(dry_run=dry_run) as store:
        request = importing.ImportSnapshotRequest(
            container=_container(invocation, disk_container or {"Url": disk}),
            description=description,
            encryption=EncryptionRequest(encrypted, kms_key_id),
            freeze=freeze_request(options),
            tags=tags,
            snapshot_tags=snapshot_tags,
            dry_run=bool(dry_run),
        )
        return importing.import_snapshot(
            store, request, invocation.surroundings, invocation.on_begun
        )


def _container(invocation: Invocation, given: dict[str, Any]) -> "DiskContainer":
    """The disk that a structure names, open if it is an object. Raises UsageError and others."""
    from amictl.volumes.imports import DiskContainer

    places = [name for name in ("Url", "UserBucket", "SnapshotId") if given.get(name)]
    if len(places) != 1:
        raise UsageError(
            "a disk has one of Url, UserBucket and SnapshotId", code="InvalidParameterCombination"
        )
    path, source = None, None
    if "UserBucket" in given:
        bucket, folder = invocation.open_bucket(given["UserBucket"]["S3Bucket"])
        key = given["UserBucket"]["S3Key"]
        source = bucket.open(f"{folder}/{key}" if folder else key)
    elif "Url" in given:
        path = _path(given["Url"])
        source = invocation.open_object(given["Url"]) if path is None else None
    return DiskContainer(
        path=path,
        source=source,
        url=source.where if source is not None else "",
        snapshot_id=given.get("SnapshotId"),
        format=_format(given.get("Format")),
        device_name=given.get("DeviceName"),
        description=given.get("Description", ""),
    )


def _path(url: str) -> Path | None:
    """The file that a URL or a path means; None for an object of a bucket."""
    if url.startswith(_FILE):
        return Path(url.removeprefix(_FILE))
    if url.startswith("s3://"):
        return None
    if "://" in url:
        raise UnsupportedError(
            f"{url!r} is neither a file nor an object of a bucket",
            hint="download it first, as with curl -LO, and import the file",
        )
    is_file = Path(url).exists() or url.startswith((".", "/")) or "/" not in url
    return Path(url) if is_file else None


def _format(word: str | None) -> str | None:
    from amictl.formats.foreign import READ

    if word is None or word.upper() in READ:
        return word.upper() if word else None
    if word.upper() == "OVA":
        raise UnsupportedError(
            "an OVA is not read here: it is a tar archive with the disks in it",
            hint="unpack it with tar -xf, and give each disk in it as a container of its own",
        )
    raise UsageError(
        f"{word!r} is no format of a disk", hint=f"use {', '.join(READ)}", code="InvalidFormat"
    )

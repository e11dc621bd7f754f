"""register-image, describe-images, deregister-image, and in which state images are."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from amictl.cli import shapes
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE, MomentType, OneOf, StructuresType, WordsType
from amictl.cli.options import (
    dry_run,
    filters,
    id_option,
    ids_option,
    list_option,
    tag_specifications,
    tags_of,
    yes_no,
)
from amictl.errors import UsageError

_IMAGE_ID = "ami-0123456789abcdef0"


@command(
    "register-image",
    presentation=Presentation(identifier="ImageId"),
    examples=[
        (
            "A snapshot as the root disk, larger than it was, and a new empty disk of 100 GiB",
            "amictl register-image --name web --root-device-name /dev/sda1 --block-device-mappings"
            " 'DeviceName=/dev/sda1,Ebs={SnapshotId=snap-0123456789abcdef0,VolumeSize=20}'"
            " 'DeviceName=/dev/sdf,Ebs={VolumeSize=100}'",
        ),
        (
            "For another processor than the root disk seems to be for, with a tag",
            "amictl register-image --name arm --architecture arm64 --block-device-mappings"
            " 'DeviceName=/dev/xvda,Ebs={SnapshotId=snap-0123456789abcdef0}'"
            " --tag-specifications 'ResourceType=image,Tags=[{Key=stage,Value=test}]'",
        ),
        (
            "An instance-store bundle in a bucket, signed by who has a certificate",
            "amictl register-image --name old --certificate cert.pem"
            " --image-location archive/debian/debian.img.manifest.xml",
        ),
    ],
)
@click.option("--name", required=True, metavar="NAME", help="A name that no other image has.")
@list_option(
    "--block-device-mappings",
    StructuresType(shapes.BLOCK_DEVICE_MAPPING),
    metavar="MAPPING...",
    help="The devices of the image; see the examples.",
)
@click.option(
    "--root-device-name",
    metavar="DEVICE",
    help="The device to start from; not needed if only one has a snapshot.",
)
@click.option("--description", default="", metavar="TEXT", help="Up to 255 characters.")
@click.option(
    "--architecture",
    type=OneOf(("i386", "x86_64", "arm64"), refused=("x86_64_mac", "arm64_mac")),
    help="Found out from the beginning of the root disk when not given, else x86_64.",
)
@click.option(
    "--boot-mode",
    type=click.Choice(("legacy-bios", "uefi", "uefi-preferred")),
    help="Found out from the beginning of the root disk when not given.",
)
@click.option(
    "--virtualization-type",
    type=OneOf(("hvm",), refused=("paravirtual",)),
    help="Always hvm.",
)
@click.option(
    "--image-location",
    metavar="BUCKET/KEY",
    help="The manifest of a bundle that holds the root disk: in a bucket, s3://, or a path.",
)
@click.option(
    "--certificate",
    type=FILE,
    metavar="FILE",
    help="Who signed the bundle: an X.509 certificate in PEM.",
)
@tag_specifications("image")
@dry_run()
def register_image(
    invocation: Invocation,
    tag_specifications: tuple[dict[str, Any], ...],
    image_location: str | None,
    certificate: Path | None,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Make an image of snapshots that are completed, or of an instance-store bundle.

    Nothing is copied: several images may map one snapshot, or be of one bundle. The image is
    available at once. A bundle is named by --image-location, and taken only if who has the
    --certificate signed it: the one that bundle-image was given.
    """
    from amictl.actions import registering

    (tags,) = tags_of(tag_specifications, "image")
    if image_location is not None or certificate is not None:
        options |= {"tags": tags, "dry_run": bool(dry_run)}
        return _register_bundle(invocation, image_location, certificate, options)
    request = registering.RegisterImageRequest(tags=tags, dry_run=bool(dry_run), **options)
    with invocation.open_store() as store:
        return registering.register_image(store, request, invocation.surroundings)


def _register_bundle(
    invocation: Invocation, location: str | None, certificate: Path | None, options: dict[str, Any]
) -> Result:
    from amictl.actions import registering_bundles as registering
    from amictl.cli import bundle_places

    if location is None:
        raise UsageError(
            "--certificate is for a bundle, and no --image-location says which",
            hint="add --image-location BUCKET/FOLDER/NAME.manifest.xml",
            code="MissingParameter",
        )
    if certificate is None:
        raise UsageError(
            "--image-location needs --certificate, which says who signed the bundle",
            hint="add --certificate FILE, the X.509 certificate that bundle-image was given",
            code="MissingParameter",
        )
    place = bundle_places.in_place(invocation, location)
    request = registering.RegisterBundleRequest(
        location=bundle_places.absolute(location),
        bundle=place,
        certificate=certificate,
        **options,
    )
    with invocation.open_store_for_writing(dry_run=request.dry_run) as store:
        return registering.register_bundle(store, request, invocation.surroundings)


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
        (
            "Images whose names begin with web and that have a tag",
            "amictl describe-images --owners self"
            " --filters 'Name=name,Values=web*' Name=tag:stage,Values=test,prod",
        ),
        (
            "Which images use a snapshot, disabled ones too",
            "amictl describe-images --include-disabled --filters"
            " Name=block-device-mapping.snapshot-id,Values=snap-0123456789abcdef0",
        ),
    ],
)
@ids_option("--image-ids", "ami", help="Only these.")
@list_option(
    "--owners",
    WordsType(),
    metavar="OWNER...",
    help="Only images of these: self, or an account; all images here are of one owner.",
)
@list_option(
    "--executable-users",
    WordsType(),
    metavar="USER...",
    help="Only images that these were permitted to launch: none, since nobody can be.",
)
@filters("as EC2 has them, for example name, state, tag:KEY, block-device-mapping.snapshot-id")
@yes_no(
    "--include-disabled/--no-include-disabled",
    help="Show disabled images too.",
)
@yes_no(
    "--include-deprecated/--no-include-deprecated",
    help="Deprecated images are always shown to their owner.",
)
@dry_run()
def describe_images(
    invocation: Invocation,
    include_disabled: bool | None,
    include_deprecated: bool | None,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Show images.

    Without --image-ids all images of the region are shown, those that failed included, but not
    disabled ones.
    """
    from amictl.actions import describing_images as describing

    selection = describing.ImageSelection(
        include_disabled=bool(include_disabled), dry_run=bool(dry_run), **options
    )
    with invocation.open_store_for_listing() as store:
        return describing.describe_images(store, selection=selection)


@command(
    "deregister-image",
    examples=[
        ("An image, but not its snapshots", f"amictl deregister-image --image-id {_IMAGE_ID}"),
        (
            "An image and those of its snapshots that no other image uses",
            f"amictl deregister-image --image-id {_IMAGE_ID} --delete-associated-snapshots",
        ),
    ],
)
@id_option("--image-id", "ami", required=True, help="The image, also one that failed.")
@yes_no(
    "--delete-associated-snapshots/--no-delete-associated-snapshots",
    help="Delete its snapshots too; the result says for each whether that was done.",
)
@dry_run()
def deregister_image(
    invocation: Invocation,
    image_id: str,
    delete_associated_snapshots: bool | None,
    dry_run: bool | None,
) -> Result:
    """Make an image not exist any more; its name is free then.

    It goes to the recycle bin if a retention rule is for it. A protected image is refused.
    """
    from amictl.actions import deregistering

    with invocation.open_store() as store:
        return deregistering.deregister_image(
            store,
            image_id,
            invocation.surroundings,
            delete_snapshots=bool(delete_associated_snapshots),
            dry_run=bool(dry_run),
        )


@command(
    "disable-image",
    examples=[("An image", f"amictl disable-image --image-id {_IMAGE_ID}")],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@dry_run()
def disable_image(invocation: Invocation, image_id: str, dry_run: bool | None) -> Result:
    """Hide an image, so that nothing is launched from it.

    It keeps its name and its snapshots; enable-image brings it back.
    """
    from amictl.actions import changing_images as changing

    with invocation.open_store() as store:
        return changing.disable_image(
            store, image_id, invocation.surroundings, dry_run=bool(dry_run)
        )


@command(
    "enable-image",
    examples=[("An image", f"amictl enable-image --image-id {_IMAGE_ID}")],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@dry_run()
def enable_image(invocation: Invocation, image_id: str, dry_run: bool | None) -> Result:
    """Make a disabled image available again."""
    from amictl.actions import changing_images as changing

    with invocation.open_store() as store:
        return changing.enable_image(
            store, image_id, invocation.surroundings, dry_run=bool(dry_run)
        )


@command(
    "enable-image-deprecation",
    examples=[
        (
            "At the end of a year",
            f"amictl enable-image-deprecation --image-id {_IMAGE_ID}"
            " --deprecate-at 2027-12-31T23:59:00Z",
        )
    ],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@click.option(
    "--deprecate-at",
    type=MomentType(),
    required=True,
    metavar="DATE",
    help="To the nearest minute; at most ten years from now.",
)
@dry_run()
def enable_image_deprecation(
    invocation: Invocation, image_id: str, deprecate_at: datetime, dry_run: bool | None
) -> Result:
    """Say from when on an image should not be used any more.

    It is a note for people and programs: the image can still be seen and launched.
    """
    from amictl.actions import changing_images as changing

    with invocation.open_store() as store:
        return changing.enable_image_deprecation(
            store, image_id, deprecate_at, invocation.surroundings, dry_run=bool(dry_run)
        )


@command(
    "disable-image-deprecation",
    examples=[("An image", f"amictl disable-image-deprecation --image-id {_IMAGE_ID}")],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@dry_run()
def disable_image_deprecation(
    invocation: Invocation, image_id: str, dry_run: bool | None
) -> Result:
    """Take the time away from which on an image is deprecated."""
    from amictl.actions import changing_images as changing

    with invocation.open_store() as store:
        return changing.disable_image_deprecation(
            store, image_id, invocation.surroundings, dry_run=bool(dry_run)
        )


@command(
    "enable-image-deregistration-protection",
    examples=[
        (
            "Also for a day after the protection has ended",
            f"amictl enable-image-deregistration-protection --image-id {_IMAGE_ID} --with-cooldown",
        )
    ],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@yes_no(
    "--with-cooldown/--no-with-cooldown",
    help="It can be deregistered only 24 hours after the protection has ended.",
)
@dry_run()
def enable_image_deregistration_protection(
    invocation: Invocation, image_id: str, with_cooldown: bool | None, dry_run: bool | None
) -> Result:
    """Refuse to deregister an image.

    It protects from mistakes with amictl, not from whoever may write to the region's directory.
    """
    from amictl.actions import changing_images as changing

    with invocation.open_store() as store:
        return changing.enable_image_deregistration_protection(
            store,
            image_id,
            invocation.surroundings,
            with_cooldown=bool(with_cooldown),
            dry_run=bool(dry_run),
        )


@command(
    "disable-image-deregistration-protection",
    examples=[
        ("An image", f"amictl disable-image-deregistration-protection --image-id {_IMAGE_ID}")
    ],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@dry_run()
def disable_image_deregistration_protection(
    invocation: Invocation, image_id: str, dry_run: bool | None
) -> Result:
    """Let an image be deregistered, after 24 hours if it was protected with a cooldown."""
    from amictl.actions import changing_images as changing

    with invocation.open_store() as store:
        return changing.disable_image_deregistration_protection(
            store, image_id, invocation.surroundings, dry_run=bool(dry_run)
        )

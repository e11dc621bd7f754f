"""launch-image."""

from functools import partial
from typing import Any

import click

from amictl.cli import shapes
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE, StructuresType
from amictl.cli.options import dry_run, id_option, list_option, tag_specifications, tags_of


@command(
    "launch-image",
    presentation=Presentation(identifier="VolumeId"),
    examples=[
        (
            "Every disk of an image, in a new folder",
            "amictl launch-image --image-id ami-0123456789abcdef0 --directory web-2",
        ),
        (
            "With a larger root disk and one disk less",
            "amictl launch-image --image-id ami-0123456789abcdef0 --directory web-2"
            " --block-device-mappings DeviceName=/dev/sda1,Ebs={VolumeSize=40}"
            " DeviceName=/dev/sdf,NoDevice=",
        ),
        (
            "What is taken from its data disk is encrypted",
            "amictl launch-image --image-id ami-0123456789abcdef0 --directory web-2"
            " --block-device-mappings DeviceName=/dev/sdf,Ebs={Encrypted=true,KmsKeyId=alias/web}",
        ),
        (
            "An image whose root disk is in a bundle, and which has an ephemeral disk",
            "amictl launch-image --image-id ami-0123456789abcdef0 --directory old"
            " --private-key pk.pem --ephemeral-size 10",
        ),
    ],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@click.option(
    "--directory",
    type=FILE,
    metavar="DIRECTORY",
    required=True,
    help="A folder that does not exist yet, or is empty.",
)
@list_option(
    "--block-device-mappings",
    StructuresType(shapes.BLOCK_DEVICE_MAPPING),
    metavar="MAPPING...",
    help="Change devices of the image, add some, or take some away; see the examples.",
)
@click.option(
    "--ephemeral-size",
    "ephemeral_size_gib",
    type=click.IntRange(1, 65536),
    metavar="GIB",
    help="The size of each ephemeral device, which is an empty disk.",
)
@click.option(
    "--private-key",
    type=FILE,
    metavar="FILE",
    help="Opens the bundle of an instance-store image: the RSA key of its certificate.",
)
@tag_specifications("volumes")
@dry_run()
def launch_image(
    invocation: Invocation,
    tag_specifications: tuple[dict[str, Any], ...],
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Write all disks of an image to files, ready to be started.

    The folder holds a sparse raw file for each device, launch.json with all that a launcher needs
    to know, and launch.sh, which starts QEMU: MEMORY=4096 CPUS=4 DIRECTORY/launch.sh. It appears
    whole or not at all, and nothing is started.

    A disk of an encrypted snapshot is a volume of its key, and others can be made one: see
    create-volume --encrypted. In a region that encrypts by default all are.

    The root disk of an instance-store image is no volume; its whole bundle is compared with its
    manifest first, which must be the one that was registered.
    """
    from amictl.actions import launching
    from amictl.cli import bundle_places

    (tags,) = tags_of(tag_specifications, "volume")
    request = launching.LaunchRequest(
        options.pop("image_id"),
        options.pop("directory"),
        find_bundle=partial(bundle_places.in_place, invocation),
        tags=tags,
        dry_run=bool(dry_run),
        **options,
    )
    with invocation.open_store() as store:
        return launching.launch_image(store, request, invocation.surroundings)

"""bundle-image, unbundle-image, upload-bundle, download-bundle and delete-bundle."""

from pathlib import Path
from typing import Any

import click

from amictl.cli import bundle_places as places
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE, WordsType
from amictl.cli.options import Decorator, dry_run, id_option, list_option
from amictl.errors import UsageError


def _pem(name: str, what: str, *, required: bool = False) -> Decorator:
    return click.option(name, type=FILE, metavar="FILE", required=required, help=what)


def _bucket(function: Any) -> Any:
    return click.option(
        "--bucket",
        required=True,
        metavar="BUCKET",
        help="The name of a bucket, perhaps with /FOLDER, s3://BUCKET/FOLDER, or a directory"
        " that begins with / or a full stop.",
    )(function)


def _which(function: Any) -> Any:
    for option in (
        click.option("--prefix", metavar="PREFIX", help="What the names of its parts begin with."),
        click.option("--manifest", metavar="NAME", help="The manifest in the bucket."),
    ):
        function = option(function)
    return function


_RETRY = click.option(
    "--retry", is_flag=True, help="Try each object up to five times more if the storage fails."
)


@command(
    "bundle-image",
    presentation=Presentation(identifier="Manifest"),
    examples=[
        (
            "A disk image file, signed with a key and its certificate",
            "amictl bundle-image --image debian.img --certificate cert.pem --private-key pk.pem"
            " --user 123456789012 --arch x86_64 --destination bundled"
            " --block-device-mapping ami=sda1,root=/dev/sda1,ephemeral0=sdb",
        ),
        (
            "An image of the region that has one disk",
            "amictl bundle-image --image-id ami-0123456789abcdef0 --certificate cert.pem"
            " --private-key pk.pem --user 123456789012 --destination bundled --prefix web",
        ),
    ],
)
@click.option("--image", type=FILE, metavar="FILE", help="A raw disk at rest.")
@id_option("--image-id", "ami", help="An image with one disk, which is not encrypted.")
@_pem("--certificate", "Whose bundle it is: an X.509 certificate in PEM.", required=True)
@_pem("--private-key", "The RSA key of the certificate; it signs.", required=True)
@click.option("--user", required=True, metavar="ACCOUNT", help="Twelve digits.")
@click.option(
    "--arch",
    "architecture",
    type=click.Choice(("i386", "x86_64", "arm64")),
    help="Found out from the disk when not given, else x86_64.",
)
@click.option(
    "--prefix",
    metavar="PREFIX",
    help="What the names of the files begin with; that of the image when not given.",
)
@click.option(
    "--destination",
    type=FILE,
    default=".",
    metavar="DIRECTORY",
    help="A folder that exists; the current one when not given.",
)
@_pem("--ec2certificate", "Who may open it besides; there is nobody when not given.")
@list_option(
    "--block-device-mapping",
    WordsType(),
    metavar="VIRTUAL=DEVICE...",
    help="Names of devices: of ami, root, swap and ephemeralN.",
)
@list_option(
    "--product-codes", WordsType(), metavar="CODE...", help="Kept in the manifest for others."
)
@dry_run()
def bundle_image(
    invocation: Invocation,
    image: Path | None,
    image_id: str | None,
    ec2certificate: Path | None,
    block_device_mapping: tuple[str, ...],
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Make an instance-store bundle: a manifest and numbered parts.

    The format is old and its cryptography weak: SHA-1, AES-128-CBC without authentication, RSA with
    PKCS#1 v1.5. It is here to read old bundles and to move on: for anything else use an archive,
    see create-store-image-task.

    The parts are PREFIX.part.00 and on, of 10 MiB each, PREFIX.manifest.xml is written last. The
    disk has to be at rest, and at most 10 GiB. Its content is encrypted with a fresh key, and that
    for the certificate; the copy of the key that is meant for EC2 is for the same certificate
    unless --ec2certificate is given, since there is no EC2 here.

    Windows is refused, as by EC2, and so is what is encrypted: it would no longer be protected by
    its own key.
    """
    from amictl.actions import bundling

    if (image is None) == (image_id is None):
        raise UsageError("give either --image or --image-id", code="InvalidParameterCombination")
    request = bundling.BundleImageRequest(
        ec2_certificate=ec2certificate,
        mappings=bundling.mappings_from(block_device_mapping),
        dry_run=bool(dry_run),
        **options,
    )
    if image is not None:
        return bundling.bundle_file(image, request, invocation.surroundings)
    assert image_id is not None
    with invocation.open_store() as store:
        return bundling.bundle_image(store, image_id, request, invocation.surroundings)


@command(
    "unbundle-image",
    presentation=Presentation(identifier="Image"),
    examples=[
        (
            "The image of a bundle, beside its parts",
            "amictl unbundle-image --manifest bundled/debian.img.manifest.xml --private-key pk.pem",
        )
    ],
)
@click.option(
    "--manifest", type=FILE, required=True, metavar="FILE", help="The manifest of the bundle."
)
@_pem("--private-key", "The RSA key that opens the bundle.", required=True)
@_pem("--certificate", "Who signed it; the owner of the private key when not given.")
@click.option(
    "--source",
    type=FILE,
    metavar="DIRECTORY",
    help="Where the parts are; beside the manifest when not given.",
)
@click.option(
    "--destination",
    type=FILE,
    default=".",
    metavar="DIRECTORY",
    help="Where the image file is to be; the current folder when not given.",
)
@dry_run()
def unbundle_image(
    invocation: Invocation,
    manifest: Path,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Write the image of an instance-store bundle to a new, sparse file.

    The format is old and its cryptography weak: SHA-1, AES-128-CBC without authentication, RSA with
    PKCS#1 v1.5. It is here to read old bundles and to move on: for anything else use an archive,
    see create-store-image-task.

    The manifest has to be signed with the certificate, or with the private key itself. Every part
    is compared with the manifest before anything is written, and the file appears when the digest
    of the whole is right; it has the name that the manifest gives it.
    """
    from amictl.actions import bundling

    request = bundling.UnbundleRequest(
        manifest=places.in_folder(manifest), dry_run=bool(dry_run), **options
    )
    return bundling.unbundle_image(request, invocation.surroundings)


@command(
    "upload-bundle",
    presentation=Presentation(identifier="Manifest"),
    examples=[
        (
            "Into a folder of a bucket that has a name",
            "amictl upload-bundle --bucket archive/debian"
            " --manifest bundled/debian.img.manifest.xml",
        ),
        (
            "From the eighth part on, after an interruption",
            "amictl upload-bundle --bucket s3://images/debian"
            " --manifest bundled/debian.img.manifest.xml --part 7 --retry",
        ),
    ],
)
@_bucket
@click.option(
    "--manifest", type=FILE, required=True, metavar="FILE", help="Its parts are beside it."
)
@click.option(
    "--part",
    type=click.IntRange(0, 16_383),
    default=0,
    metavar="NUMBER",
    help="The first part to be uploaded; those before it are there.",
)
@click.option("--skip-manifest", is_flag=True, help="Upload the parts only.")
@_RETRY
@dry_run()
def upload_bundle(
    invocation: Invocation,
    bucket: str,
    manifest: Path,
    part: int,
    skip_manifest: bool,
    retry: bool,
    dry_run: bool | None,
) -> Result:
    """Bring an instance-store bundle into a bucket, the manifest last.

    Every part is compared with the manifest. A part that is there already stays, if it is the
    same; nothing is replaced. Then register-image makes an image of it: --image-location says
    where the manifest is, --certificate who signed it.
    """
    from amictl.actions import bundle_transfers

    request = bundle_transfers.TransferRequest(
        source=places.in_folder(manifest),
        target=places.in_bucket(invocation, bucket, manifest.name),
        first_part=part,
        with_manifest=not skip_manifest,
        retry=retry,
        dry_run=bool(dry_run),
    )
    return bundle_transfers.transfer_bundle(request, invocation.surroundings)


@command(
    "download-bundle",
    presentation=Presentation(identifier="Manifest"),
    examples=[
        (
            "A bundle out of a bucket",
            "amictl download-bundle --bucket archive/debian --prefix debian.img"
            " --destination bundled",
        )
    ],
)
@_bucket
@_which
@click.option(
    "--destination",
    type=FILE,
    default=".",
    metavar="DIRECTORY",
    help="A folder that exists; the current one when not given.",
)
@_RETRY
@dry_run()
def download_bundle(
    invocation: Invocation,
    bucket: str,
    manifest: str | None,
    prefix: str | None,
    destination: Path,
    retry: bool,
    dry_run: bool | None,
) -> Result:
    """Fetch an instance-store bundle from a bucket.

    Every part is compared with the manifest, which is the last file that appears. Whose manifest
    it is, unbundle-image tells.
    """
    from amictl.actions import bundle_transfers

    name = places.manifest_named(manifest, prefix)
    request = bundle_transfers.TransferRequest(
        source=places.in_bucket(invocation, bucket, name),
        target=places.in_folder(destination / name),
        retry=retry,
        dry_run=bool(dry_run),
    )
    return bundle_transfers.transfer_bundle(request, invocation.surroundings)


@command(
    "delete-bundle",
    examples=[
        (
            "A bundle in a bucket",
            "amictl delete-bundle --bucket archive/debian --prefix debian.img",
        )
    ],
)
@_bucket
@_which
@_RETRY
@dry_run()
def delete_bundle(
    invocation: Invocation,
    bucket: str,
    manifest: str | None,
    prefix: str | None,
    retry: bool,
    dry_run: bool | None,
) -> Result:
    """Delete an instance-store bundle from a bucket: its parts, then its manifest.

    Images that were registered from it cannot be launched any more; deregister-image forgets them.
    """
    from amictl.actions import bundle_transfers

    place = places.in_bucket(invocation, bucket, places.manifest_named(manifest, prefix))
    return bundle_transfers.delete_bundle(place, retry=retry, dry_run=bool(dry_run))

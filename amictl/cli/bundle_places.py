"""Where a bundle is, from the words of the user."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from amictl.cli.invocation import Invocation
from amictl.errors import UsageError

if TYPE_CHECKING:
    from amictl.bundles.copying import BundleBuckets
    from amictl.bundles.opening import BundlePlace

_MANIFEST = ".manifest.xml"


def in_bucket(invocation: Invocation, bucket_text: str, name: str) -> "BundlePlace":
    """The manifest `name` in a bucket or in a folder of one. Raises UsageError."""
    from amictl.bundles.opening import BundlePlace

    bucket, prefix = invocation.open_bucket(bucket_text)
    return BundlePlace(bucket, f"{prefix}/{name}" if prefix else name)


def in_folder(manifest: Path) -> "BundlePlace":
    """A manifest that is a file, beside its parts."""
    from amictl.bundles.opening import BundlePlace
    from amictl.storage.object_files import DirectoryBucket

    return BundlePlace(DirectoryBucket(manifest.parent), manifest.name)


def in_place(invocation: Invocation, location: str) -> "BundlePlace":
    """What an image location means. Raises UsageError, BucketNotFoundError."""
    above, slash, name = location.rpartition("/")
    if not slash or not name:
        raise UsageError(
            f"{location!r} is not the place of a manifest",
            hint="for example BUCKET/FOLDER/image.manifest.xml, with the name of a bucket, a path,"
            " or s3://BUCKET/FOLDER/image.manifest.xml",
        )
    return in_bucket(invocation, above or "/", name)


def bundle_buckets(invocation: Invocation) -> "BundleBuckets":
    """How bundles are found that are copied with their images, and where they can go."""
    from amictl.bundles.copying import BundleBuckets
    from amictl.cli.regions import default_directory

    return BundleBuckets(
        partial(in_place, invocation),
        invocation.open_bucket,
        default_directory().parent / "buckets",
    )


def absolute(location: str) -> str:
    """The same place for whoever is in another folder."""
    return str(Path(location).absolute()) if location.startswith(".") else location


def manifest_named(manifest: str | None, prefix: str | None) -> str:
    """The name of a manifest in a bucket, given itself or by what its parts begin with.

    Raises UsageError unless exactly one of the two is given.
    """
    if (manifest is None) == (prefix is None):
        raise UsageError(
            "give either --manifest or --prefix",
            code="MissingParameter" if manifest is None else "InvalidParameterCombination",
        )
    return manifest if manifest is not None else f"{prefix}{_MANIFEST}"

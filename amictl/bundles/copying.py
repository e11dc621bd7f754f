"""The bundle of an image that is copied: it goes to the bucket of the region that it is copied to.

That bucket is a setting of the region. Where there is none, a directory of the user is made it, by
the first copy that needs one. amictl-bundle(5), COPIES.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from amictl.bundles.opening import BundlePlace, manifest_digest, read_bundle
from amictl.bundles.reading import require_sizes
from amictl.bundles.transferring import BundleTransfer
from amictl.errors import (
    ConflictError,
    InvalidManifestError,
    NotFoundError,
    StorageError,
    UnsupportedError,
)
from amictl.model import facts
from amictl.model.bundles import BundleManifest
from amictl.model.encryption import EncryptionRequest
from amictl.model.records import ImageCore, tags_from
from amictl.progress import Progress
from amictl.storage.disk import Disk, as_storage_error, make_directories
from amictl.storage.objects import ObjectBucket
from amictl.store import settings
from amictl.store.store import Store


@dataclass(frozen=True, slots=True)
class BundleBuckets:
    """How the buckets of bundles are found: by the texts that mean them.

    `find` gives the manifest of an image location, `open` a bucket and a folder in it; `own` is the
    folder in which the user's own buckets are made.
    """

    find: Callable[[str], BundlePlace]
    open: Callable[[str], tuple[ObjectBucket, str]]
    own: Path


@dataclass(frozen=True, slots=True)
class BundleCopy:
    """A bundle that is to be copied; `bucket` is the text of the target's bucket."""

    source: BundlePlace
    document: bytes
    manifest: BundleManifest
    bucket: str | None

    def bring(
        self, store: Store, image: ImageCore, buckets: BundleBuckets, progress: Progress
    ) -> ImageCore:
        """Bring the bundle to the bucket of a region; the core with its new location.

        Its folder there is called as the image. Raises CorruptStoreError, ConflictError,
        NotFoundError, StorageError; then nothing is left of it, as far as that can be done.
        """
        text = self.bucket or _made_bucket(store, buckets.own)
        bucket, prefix = buckets.open(text)
        name = self.source.key[len(self.source.prefix) :]
        folder = f"{prefix}/{image.image_id}" if prefix else image.image_id
        target = BundlePlace(bucket, f"{folder}/{name}")
        transfer = BundleTransfer(self.source, target)
        try:
            transfer.bring_parts(self.manifest, progress)
            transfer.bring_manifest(self.document)
        except BaseException:
            for part in self.manifest.parts:
                with suppress(StorageError, NotFoundError):
                    bucket.delete(target.prefix + part.file_name)
            raise
        location = {facts.IMAGE_LOCATION: f"{text.rstrip('/')}/{image.image_id}/{name}"}
        pairs = {tag.key: tag.value for tag in image.further}
        return replace(image, further=tags_from(pairs | location))


def planned_copy(
    target: Store, image: ImageCore, request: EncryptionRequest, buckets: BundleBuckets | None
) -> BundleCopy | None:
    """The bundle that an image takes along; None if it has none. Nothing is written.

    Raises UnsupportedError for a copy that is to be encrypted, InvalidManifestError if the
    manifest was changed, ConflictError if nobody knows where it should go, CorruptStoreError,
    NotFoundError, StorageError.
    """
    location = image.fact(facts.IMAGE_LOCATION)
    if location is None:
        return None
    if request.encrypted or request.kms_key_id is not None:
        raise UnsupportedError(
            f"{image.image_id} is an instance-store image, which copying cannot encrypt",
            hint="unbundle its disk, and use create-image and copy-image --encrypted",
        )
    assert buckets is not None
    bucket = settings.bundle_bucket(settings.read(target))
    if bucket is None and target.storage.where().startswith("s3://"):
        raise ConflictError(
            "the region has no bucket for bundles",
            hint="choose one: amictl modify-region REGION --bundle-bucket BUCKET",
        )
    source = buckets.find(location)
    document, bundle = read_bundle(source)
    if manifest_digest(document) != image.fact(facts.BUNDLE_MANIFEST):
        raise InvalidManifestError(
            f"the manifest {source.where} was changed since the image was registered"
        )
    require_sizes(source.bucket, source.prefix, bundle.manifest)
    return BundleCopy(source, document, bundle.manifest, bucket)


def _made_bucket(store: Store, folder: Path) -> str:
    """A directory of the user, mode 0700, which is the bucket of the region from now on."""
    path = folder / f"amis-for-{store.config.owner_id}-{store.config.store_id[:12]}"
    try:
        make_directories(Disk(), path)
    except OSError as error:
        raise as_storage_error(error, "make", path) from error
    changed = settings.change(
        store,
        lambda before: (
            before
            if settings.bundle_bucket(before)
            else settings.with_bundle_bucket(before, str(path))
        ),
    )
    return settings.bundle_bucket(changed) or str(path)

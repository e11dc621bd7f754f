"""Where a bucket is: in a directory, or in an object store."""

from collections.abc import Callable, Mapping

from amictl.model.buckets import BucketConfig
from amictl.storage.object_files import DirectoryBucket
from amictl.storage.objects import ObjectBucket
from amictl.storage.places import bucket_place


def open_bucket(
    bucket: BucketConfig,
    environment: Mapping[str, str],
    note: Callable[[str], None] = lambda _: None,
) -> ObjectBucket:
    """A bucket by its place; nothing is asked yet. `note` is told what somebody should know.

    Raises UsageError, and UnsupportedError if a library is missing.
    """
    if bucket.bucket_url is None:
        assert bucket.directory is not None
        return DirectoryBucket(bucket.directory.expanduser())
    from amictl.storage.upload_bucket import UploadBucket

    place = bucket_place(bucket.bucket_url, bucket.endpoint_url, environment)
    return UploadBucket(place, bucket.storage_class, note)

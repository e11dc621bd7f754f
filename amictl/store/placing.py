"""Where the store of a region is: in a directory, or in a bucket."""

from collections.abc import Mapping
from pathlib import Path

from amictl.errors import UsageError
from amictl.model.region import NewStore, RegionConfig
from amictl.model.surroundings import Surroundings
from amictl.storage.places import BucketPlace, bucket_place
from amictl.store.opening import create_store, look_into_store, open_store
from amictl.store.store import Store


def open_region(region: RegionConfig, environment: Mapping[str, str]) -> Store:
    """Open the store of a region for reading.

    Raises RegionNotFoundError, CorruptStoreError, UnsupportedError, StorageError.
    """
    return open_store(_place(region, environment))


def look_into_region(region: RegionConfig, environment: Mapping[str, str]) -> Store:
    """The same for a look in passing: a server that is not there is not waited for."""
    return look_into_store(_place(region, environment))


def create_region_store(
    region: RegionConfig,
    new: NewStore,
    environment: Mapping[str, str],
    surroundings: Surroundings,
) -> Store:
    """Make the store of a region where nothing is yet; durable when it returns.

    Raises UsageError, ConflictError if there is one or something else is there, StorageError.
    """
    return create_store(
        _place(region, environment),
        chunk_size_bytes=new.chunk_size_bytes,
        compression_level=new.compression_level,
        owner_id=new.owner_id,
        surroundings=surroundings,
    )


def _place(region: RegionConfig, environment: Mapping[str, str]) -> Path | BucketPlace:
    if region.directory is not None:
        if region.directory.parts[:1] == ("s3:",):  # as what was s3://BUCKET/PREFIX
            raise UsageError(
                f"{str(region.directory)!r} is not a directory",
                hint="give the bucket a name: amictl create-region NAME --bucket-url"
                " s3://BUCKET/PREFIX; then say --region NAME",
            )
        return region.directory.expanduser()
    assert region.bucket_url is not None
    return bucket_place(region.bucket_url, region.endpoint_url, environment)

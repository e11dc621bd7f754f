"""Buckets: which places for archives have a name; giving and forgetting one."""

from collections.abc import Sequence
from typing import Any

from amictl.errors import BucketNotFoundError, ConflictError
from amictl.formats import config
from amictl.model.buckets import BucketConfig, require_bucket_name
from amictl.model.region import UserPlaces
from amictl.model.surroundings import Surroundings
from amictl.storage import config_file
from amictl.storage.buckets import open_bucket


def create_bucket(
    places: UserPlaces, bucket: BucketConfig, surroundings: Surroundings
) -> dict[str, Any]:
    """Give a place a name; durable when it returns. The place must be there, and keeps all it has.

    Raises BucketNotFoundError if it is not there, ConflictError if the name is taken.
    """
    require_bucket_name(bucket.name)
    path = places.config_path.resolve()  # a symbolic link, as dot-file managers make, stays one
    with config_file.changing(path):
        text = config_file.read(path)
        if any(known.name == bucket.name for known in config.decode_buckets(text)):
            raise ConflictError(
                f"there is a bucket {bucket.name!r} already",
                hint="amictl describe-buckets shows where it is",
                code="BucketAlreadyExists",
            )
        changed = config.with_bucket(text, bucket)
        open_bucket(bucket, places.environment).names("")
        config_file.replace_with(path, changed, surroundings.random_bytes)
    return _description(bucket)


def describe_buckets(places: UserPlaces, names: Sequence[str] = ()) -> dict[str, Any]:
    """All buckets that have a name, or these, in the order of the configuration.

    Raises BucketNotFoundError if one of the names is unknown.
    """
    known = config.decode_buckets(config_file.read(places.config_path))
    for name in names:
        if all(bucket.name != name for bucket in known):
            raise _no_bucket(places, name)
    shown = [bucket for bucket in known if not names or bucket.name in names]
    return {"Buckets": [_description(bucket) for bucket in shown]}


def delete_bucket(places: UserPlaces, name: str, surroundings: Surroundings) -> dict[str, Any]:
    """Forget the name of a bucket; the place and what is in it stay. Durable when it returns.

    Raises BucketNotFoundError.
    """
    path = places.config_path.resolve()
    with config_file.changing(path):
        find_bucket(places, name)
        changed = config.without_bucket(config_file.read(path), name)
        config_file.replace_with(path, changed, surroundings.random_bytes)
    return {}


def find_bucket(places: UserPlaces, name: str) -> BucketConfig:
    """The bucket of this name. Raises BucketNotFoundError."""
    for bucket in config.decode_buckets(config_file.read(places.config_path)):
        if bucket.name == name:
            return bucket
    raise _no_bucket(places, name)


def _no_bucket(places: UserPlaces, name: str) -> BucketNotFoundError:
    return BucketNotFoundError(
        f"there is no bucket {name!r} in {str(places.config_path)!r}",
        hint="amictl describe-buckets lists them; amictl create-bucket gives a name; or write"
        f" s3://{name}, or ./{name} for a directory",
    )


def _description(bucket: BucketConfig) -> dict[str, Any]:
    facts = {
        "Directory": None if bucket.directory is None else str(bucket.directory),
        "BucketUrl": bucket.bucket_url,
        "EndpointUrl": bucket.endpoint_url,
        "StorageClass": bucket.storage_class,
    }
    told = {key: value for key, value in facts.items() if value is not None}
    return {"Name": bucket.name, "Amictl": told}

"""A region: a store with a name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from amictl.errors import UsageError

DEFAULT_CHUNK_SIZE_BYTES = 32 * 1024
DEFAULT_COMPRESSION_LEVEL = 3

_NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_BUCKET_URL = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9!_.*'()-]+)*/?"
_ENDPOINT_URL = r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9!_.*'()-]+)*/?"


@dataclass(frozen=True, slots=True)
class RegionConfig:
    """A region's name, and where its store is: an absolute directory, or a place in a bucket.

    Either `directory` or `bucket_url` (s3://BUCKET or s3://BUCKET/PREFIX) is None. Without
    `endpoint_url` the bucket is where its scheme says.
    """

    name: str
    directory: Path | None
    bucket_url: str | None = None
    endpoint_url: str | None = None


@dataclass(frozen=True, slots=True)
class UserPlaces:
    """Where a user's regions are told: the configuration file, the directory of the region `local`
    unless that file says otherwise, and the environment, which says where buckets are cached."""

    config_path: Path
    default_directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegionDefaults:
    """What holds for all regions of a user: which one is meant where none is named, and whose new
    ones are (twelve digits)."""

    region: str | None = None
    owner_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewStore:
    """What is decided when a store is made; without an owner a random one is taken."""

    chunk_size_bytes: int = DEFAULT_CHUNK_SIZE_BYTES
    compression_level: int = DEFAULT_COMPRESSION_LEVEL
    owner_id: str | None = None


def require_region_name(name: str) -> str:
    """Return `name` if a region can have it. Raises UsageError."""
    if not re.fullmatch(_NAME, name):
        raise UsageError(
            f"invalid region name {name!r}",
            hint="1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end",
        )
    return name


def require_bucket_url(url: str) -> str:
    """Return `url` if it names a bucket, and perhaps a prefix in it. Raises UsageError."""
    if not re.fullmatch(_BUCKET_URL, url):
        raise UsageError(
            f"{url!r} does not name a bucket", hint="write s3://BUCKET or s3://BUCKET/PREFIX"
        )
    return url


def require_endpoint_url(url: str) -> str:
    """Return `url` if it names an object store. Raises UsageError."""
    if not re.fullmatch(_ENDPOINT_URL, url):
        raise UsageError(
            f"{url!r} is not the address of an object store", hint="write https://HOST[:PORT]"
        )
    return url

"""Where a store can be: in a local directory, or in a bucket, below a prefix."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from amictl.errors import UsageError

CACHE_SIZE_BYTES = 2 << 30
_SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A prefix (empty: all) of a bucket; `endpoint_url` is None for AWS itself.

    `cache_folder` is for all buckets, and `cache_size_bytes` bounds what is kept of one.
    """

    bucket: str
    prefix: str
    endpoint_url: str | None
    cache_folder: Path
    cache_size_bytes: int = CACHE_SIZE_BYTES

    @property
    def url(self) -> str:
        """As people write it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def overlaps(self, other: "BucketPlace") -> bool:
        """Whether one of two places is inside of the other; a place does not overlap itself."""
        if (self.bucket, self.endpoint_url) != (other.bucket, other.endpoint_url):
            return False
        mine, its = f"{self.prefix}/".lstrip("/"), f"{other.prefix}/".lstrip("/")
        return mine != its and (mine.startswith(its) or its.startswith(mine))

    @property
    def own_cache_folder(self) -> Path:
        """The part of the cache for this place alone."""
        place = f"{self.endpoint_url or ''}\n{self.url}"
        return self.cache_folder / blake3(place.encode()).hexdigest()[:32]


def bucket_place(url: str, endpoint_url: str | None, environment: Mapping[str, str]) -> BucketPlace:
    """The place that `s3://BUCKET/PREFIX` names, with a cache where and as large as the
    environment says (AMICTL_CACHE, AMICTL_CACHE_SIZE). Without an endpoint it is the one that the
    environment says for all programs (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL).

    Raises UsageError.
    """
    bucket, prefix = _split(url)
    endpoint_url = endpoint_url or _endpoint_of_all(environment)
    if endpoint_url is not None and not endpoint_url.startswith(("http://", "https://")):
        raise UsageError(f"{endpoint_url!r} is not a URL that begins with https:// or http://")
    size = environment.get("AMICTL_CACHE_SIZE")
    return BucketPlace(
        bucket,
        prefix,
        endpoint_url.rstrip("/") if endpoint_url else None,
        _cache_folder(environment),
        CACHE_SIZE_BYTES if size is None else _size(size),
    )


def _endpoint_of_all(environment: Mapping[str, str]) -> str | None:
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")


def _split(url: str) -> tuple[str, str]:
    if not url.startswith("s3://"):
        raise UsageError(f"{url!r} does not begin with s3://")
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    parts = prefix.split("/") if prefix else []
    sound = all(part not in ("", ".", "..") and part.isascii() for part in parts)
    if not bucket or not sound or not url.isprintable() or any(c in url for c in " ?#%\\"):
        raise UsageError(
            f"{url!r} is not s3://BUCKET/PREFIX", hint="for example s3://backup/images"
        )
    return bucket, prefix


def _cache_folder(environment: Mapping[str, str]) -> Path:
    if path := environment.get("AMICTL_CACHE"):
        return Path(path).absolute()
    import platformdirs

    return platformdirs.user_cache_path("amictl")


def _size(text: str) -> int:
    digits, unit = text.rstrip("KMGT"), text[len(text.rstrip("KMGT")) :]
    if not (digits.isascii() and digits.isdecimal()) or unit not in _SIZE_UNITS:
        raise UsageError(
            f"AMICTL_CACHE_SIZE is {text!r}, which is not a size", hint="for example 500M or 4G"
        )
    return int(digits) * _SIZE_UNITS[unit]

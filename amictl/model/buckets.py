"""A bucket: a name for a place where archives, exports and bundles go."""

import re
from dataclasses import dataclass
from pathlib import Path

from amictl.errors import UsageError

_NAME = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_STORAGE_CLASS = r"[A-Z][A-Z0-9_]{0,63}"


@dataclass(frozen=True, slots=True)
class BucketConfig:
    """A bucket's name, empty if it has none, and where it is: an absolute directory, or a place in
    an object store.

    Either `directory` or `bucket_url` (s3://BUCKET or s3://BUCKET/PREFIX) is None. Without
    `endpoint_url` the store is where AWS has it; `storage_class` is what new objects get, if it is
    not said of them.
    """

    name: str
    directory: Path | None
    bucket_url: str | None = None
    endpoint_url: str | None = None
    storage_class: str | None = None

    @property
    def where(self) -> str:
        """The place in words for people."""
        return str(self.directory) if self.bucket_url is None else self.bucket_url


def require_bucket_name(name: str) -> str:
    """Return `name` if a bucket can have it. Raises UsageError."""
    if not re.fullmatch(_NAME, name):
        raise UsageError(
            f"invalid bucket name {name!r}",
            hint="3 to 63 lower-case letters, digits, hyphens and full stops, a letter or digit at"
            " both ends; or s3://BUCKET/PREFIX; or a directory, which begins with / or .",
            code="InvalidBucketName",
        )
    return name


def require_storage_class(name: str) -> str:
    """Return `name` if it has the form of a storage class. Raises UsageError."""
    if not re.fullmatch(_STORAGE_CLASS, name):
        raise UsageError(f"{name!r} is not a storage class", hint="for example STANDARD_IA")
    return name

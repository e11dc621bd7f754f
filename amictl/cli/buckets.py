"""Which bucket or object a text on the command line means."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from amictl.cli import regions

if TYPE_CHECKING:
    from amictl.model.buckets import BucketConfig
    from amictl.storage.objects import ObjectBucket, ObjectSource

Note = Callable[[str], None]


def open_bucket(
    text: str, environment: Mapping[str, str], note: Note
) -> "tuple[ObjectBucket, str]":
    """A bucket, and what the keys of objects in it begin with: a folder without slashes at its
    ends, or nothing.

    The text is s3://BUCKET/PREFIX, a directory if it begins with a slash or a full stop, else the
    name of a bucket and perhaps a folder in it. Raises BucketNotFoundError, UsageError.
    """
    from amictl.storage import buckets

    bucket, prefix = _meant(text, environment)
    return buckets.open_bucket(bucket, environment, note), prefix


def name_to_note(text: str) -> str:
    """What a task says of a bucket that this text means: of a directory the whole path."""
    return str(Path(text).absolute()) if text.startswith((".", "/")) else text


def open_object(text: str, environment: Mapping[str, str], note: Note) -> "ObjectSource":
    """An object: s3://BUCKET/KEY, or a file; where there is no such file, an object of a bucket
    that has a name.

    Raises ObjectNotFoundError, UsageError.
    """
    from amictl.errors import BucketNotFoundError, UsageError
    from amictl.storage.object_files import FileSource

    above, _, name = text.rpartition("/")
    if not text.startswith("s3://") and (Path(text).exists() or text.startswith((".", "/"))):
        return FileSource(Path(text))
    try:
        bucket, prefix = open_bucket(above or text, environment, note)
    except (BucketNotFoundError, UsageError):
        if text.startswith("s3://"):
            raise
        return FileSource(Path(text))
    return bucket.open(f"{prefix}/{name}" if prefix else name)


def _meant(text: str, environment: Mapping[str, str]) -> "tuple[BucketConfig, str]":
    from amictl.actions.buckets import find_bucket
    from amictl.model.buckets import BucketConfig, require_bucket_name
    from amictl.model.region import require_bucket_url

    if text.startswith("s3://"):
        return BucketConfig("", None, require_bucket_url(text).rstrip("/")), ""
    if text.startswith((".", "/")):
        return BucketConfig("", Path(text).absolute()), ""
    name, _, prefix = text.partition("/")
    return find_bucket(regions.places(environment), require_bucket_name(name)), prefix.strip("/")

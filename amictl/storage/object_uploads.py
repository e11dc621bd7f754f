"""A bucket in an object store: multipart uploads that complete under a free key, or not at all."""

from collections.abc import Callable, Mapping

from amictl.errors import UnsupportedError
from amictl.storage.objects import ObjectSource, ObjectWriter
from amictl.storage.places import BucketPlace


class UploadBucket:
    """See `storage.objects.ObjectBucket` for the contract."""

    def __init__(
        self, place: BucketPlace, storage_class: str | None, note: Callable[[str], None]
    ) -> None:
        raise UnsupportedError(f"{place.url}: archives go to directories only so far")

    def where(self, key: str = "") -> str:
        raise NotImplementedError

    def exists(self, key: str) -> bool:
        raise NotImplementedError

    def create(
        self,
        key: str,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
        storage_class: str | None,
    ) -> ObjectWriter:
        raise NotImplementedError

    def open(self, key: str) -> ObjectSource:
        raise NotImplementedError

    def delete(self, key: str) -> None:
        raise NotImplementedError

    def names(self, prefix: str) -> list[str]:
        raise NotImplementedError

"""A bucket in an object store. amictl-buckets(7)."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from amictl.errors import ObjectNotFoundError, StorageError
from amictl.storage import conditions, object_words
from amictl.storage.attempts import Patience
from amictl.storage.object_ranges import RangeSource
from amictl.storage.object_requests import Requests
from amictl.storage.object_uploads import PART_SIZE, Manner, ObjectUpload
from amictl.storage.objects import require_key, require_metadata, taken
from amictl.storage.places import BucketPlace
from amictl.storage.refusals import DeniedError
from amictl.storage.unfinished_uploads import UnfinishedUploads

_LISTED_MAX = 1_000_000
_LEASE_SECONDS = 180.0


class UploadBucket:
    """See `storage.objects.ObjectBucket` for the contract. Safe for many threads."""

    def __init__(
        self,
        place: BucketPlace,
        storage_class: str | None = None,
        note: Callable[[str], None] = lambda _: None,
        *,
        patience: Patience | None = None,
        part_size: int = PART_SIZE,
        lease_seconds: float = _LEASE_SECONDS,
    ) -> None:
        self._requests = Requests(place, patience or Patience())
        self._storage_class = storage_class
        self._unfinished = UnfinishedUploads(self._requests, note)
        self._part_size = part_size
        self._lease_seconds = lease_seconds

    def where(self, key: str = "") -> str:
        return self._requests.where(key)

    def exists(self, key: str) -> bool:
        try:
            self._requests.ask("HeadObject", require_key(key))
        except (DeniedError, ObjectNotFoundError):
            return False
        return True

    def require_new(
        self,
        key: str,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
        storage_class: str | None,
    ) -> None:
        require_metadata(metadata)
        if self.exists(key):
            raise taken(self.where(key))

    def create(
        self,
        key: str,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
        storage_class: str | None,
    ) -> ObjectUpload:
        self.require_new(key, metadata, tags, storage_class)
        words = object_words.encode(metadata, tags, storage_class or self._storage_class)
        self._unfinished.end_dead(key)
        return ObjectUpload(self._requests, key, words, self._unfinished, self._manner(key))

    def _manner(self, key: str) -> Manner:
        """How an object can be made. Raises BusyError where only one may make it at a time."""
        if conditions.are_honoured(self._requests, key, self._unfinished):
            return Manner(self._part_size, True, lambda: None, ExitStack())
        held = ExitStack()
        require_alone = held.enter_context(
            conditions.alone_with(
                self._requests.place, key, self._requests.patience, self._lease_seconds
            )
        )
        return Manner(self._part_size, False, require_alone, held)

    def open(self, key: str) -> RangeSource:
        return RangeSource(self._requests, require_key(key))

    def delete(self, key: str) -> None:
        self._requests.ask("DeleteObject", require_key(key))

    def names(self, prefix: str) -> list[str]:
        if "/" in prefix:
            require_key(prefix.rpartition("/")[0])
        names: list[str] = []
        more: dict[str, Any] = {}
        while True:
            answer = self._requests.ask_of_all("ListObjectsV2", prefix, Delimiter="/", **more)
            found = [str(one.get("Key", "")) for one in answer.get("Contents") or ()]
            beginning = self._requests.full("")
            if any(not key.startswith(self._requests.full(prefix)) for key in found):
                raise StorageError(f"the list of {self.where(prefix)} has what was not asked for")
            names += [key[len(beginning) :] for key in found]
            if not answer.get("IsTruncated"):
                # Hidden ones, and the marks of folders that other programs make, are no objects.
                return sorted(name for name in names if _is_visible(name))
            token = answer.get("NextContinuationToken")
            if not token or {"ContinuationToken": token} == more or len(names) > _LISTED_MAX:
                raise StorageError(f"the list of {self.where(prefix)} goes round in circles")
            more = {"ContinuationToken": token}


def _is_visible(key: str) -> bool:
    name = key.rpartition("/")[2]
    return bool(name) and not name.startswith(".")

"""An object in an object store that is read by ranges."""

from typing import Any

from amictl.errors import CorruptStoreError, ObjectMissingError, ObjectNotFoundError, StorageError
from amictl.storage import object_words
from amictl.storage.object_requests import Requests


class RangeSource:
    """See `storage.objects.ObjectSource` for the contract.

    Each answer must be of the object that was found at first, and must be exactly what was asked
    for. Of the object that is found by its key the etag tells whether it is still the same.
    """

    piece_size = 8 << 20  # each request costs money, and the way there and back
    reading_threads = 3

    def __init__(self, requests: Requests, key: str) -> None:
        """Raises ObjectNotFoundError, BucketNotFoundError, StorageError."""
        self.where = requests.where(key)
        self._requests = requests
        self._key = key
        try:
            answer = requests.ask("HeadObject", key)
        except ObjectNotFoundError:
            # The answer to HEAD has no body that says so if there is no bucket.
            requests.get(key, 0, 1)
            raise
        size = answer.get("ContentLength")
        if not isinstance(size, int) or size < 0:
            raise StorageError(f"the size of {self.where} was not told")
        self.size = size
        self.metadata = object_words.decode(answer)
        self._etag = answer.get("ETag")

    def read(self, offset: int, length: int) -> bytes:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise CorruptStoreError(f"{self.where} ends before byte {offset + length}")
        if not length:
            return b""
        try:
            data, answer = self._requests.get(self._key, offset, length)
        except ObjectNotFoundError:
            raise ObjectMissingError(f"{self.where} was deleted while it was read") from None
        if answer.get("ETag") != self._etag:
            raise StorageError(
                f"{self.where} was replaced while it was read", hint="run the command again"
            )
        if len(data) != length or not self._is_of(answer, offset, length):
            raise CorruptStoreError(
                f"{self.where} was asked for bytes {offset} to {offset + length}, and answered with"
                " something else"
            )
        return data

    def close(self) -> None:
        """Nothing is kept open for it."""

    def _is_of(self, answer: dict[str, Any], offset: int, length: int) -> bool:
        """Whether an answer says that it is this range; not all say it that have all."""
        told = answer.get("ContentRange")
        if told is None:
            return length == self.size
        return bool(told == f"bytes {offset}-{offset + length - 1}/{self.size}")

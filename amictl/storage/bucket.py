"""A store in an S3-compatible bucket.

What never changes (packs, runs) is put whole under a random name, from a local file, and read
through a cache on local disk; records are single puts. amictl-buckets(7).
"""

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from amictl.errors import CorruptStoreError, ObjectMissingError, StorageError
from amictl.storage.attempts import Patience
from amictl.storage.bucket_writing import BucketHold, BucketUpload, BucketWork
from amictl.storage.cache import Cache
from amictl.storage.disk import Disk
from amictl.storage.leases import ENDED, TTL_SECONDS, Leases
from amictl.storage.places import BucketPlace
from amictl.storage.refusals import NotKnownError
from amictl.storage.s3 import READ_SIZE_MAX, Answered, Bucket
from amictl.storage.waiting import result_of

BLOCK_SIZE = 1 << 20
_BLOCKS_IN_MEMORY = 32
_FETCHES = 8
_PART_SIZE = 8 << 20
_ABILITIES = "bucket.json"
_REPLACE_LOCK = "locks/replace"


class BucketStorage:
    """Objects below a prefix of a bucket; see `storage.interface.Storage` for the contract.

    Where conditional puts are not honoured, changes are made under a lease instead.
    """

    forkable = False
    waiting_threads = 14
    record_threads = 16
    sealing_threads = 4

    def __init__(
        self,
        place: BucketPlace,
        disk: Disk | None = None,
        *,
        patience: Patience | None = None,
        ttl_seconds: float = TTL_SECONDS,
    ) -> None:
        self.disk = disk or Disk()
        self.place = place
        self._bucket = Bucket(place, patience or Patience(), self._require_held)
        self._leases = Leases(self._bucket, ttl_seconds)
        self._cache = Cache(place.own_cache_folder, place.cache_size_bytes)
        self._blocks: OrderedDict[str, bytes] = OrderedDict()
        self._fetching: dict[str, Future[bytes]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_FETCHES, thread_name_prefix="fetch")
        self._conditional: bool | None = None

    @property
    def staging(self) -> Path:
        return self._cache.staging

    @property
    def marks(self) -> Path:
        return self._cache.marks

    @property
    def has_conditional_writes(self) -> bool:
        """Whether the server honours conditions on puts: tried once, and kept in the bucket."""
        if self._conditional is None:
            known = self.abilities().get("ConditionalWrites")
            self._conditional = self._probe() if known is None else known
        return self._conditional

    def abilities(self) -> dict[str, bool]:
        found = self._present(_ABILITIES)
        if found is None:
            return {}
        try:
            known = json.loads(found.data)["ConditionalWrites"]
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptStoreError(f"{self.where(_ABILITIES)} cannot be read") from error
        if not isinstance(known, bool):
            raise CorruptStoreError(f"{self.where(_ABILITIES)} says neither true nor false")
        return {"ConditionalWrites": known}

    def where(self, name: str = "") -> str:
        return self._bucket.where(name)

    def require_writable(self) -> None:
        self._bucket.put_unguarded("locks/probe", b"")

    def close(self) -> None:
        self._leases.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read(self, name: str) -> bytes:
        return self._bucket.get(name).data

    def read_into(self, name: str, offset: int, target: memoryview) -> None:
        end = offset + len(target)
        numbers = range(offset // BLOCK_SIZE, -(-end // BLOCK_SIZE))
        if len(numbers) > 1:
            fetches = [self._pool.submit(self._block, name, number) for number in numbers]
            blocks: Iterator[bytes] = map(result_of, fetches)
        else:
            blocks = (self._block(name, number) for number in numbers)
        for number, block in zip(numbers, blocks, strict=True):
            start = number * BLOCK_SIZE
            first, last = max(offset, start), min(end, start + BLOCK_SIZE)
            piece = block[first - start : last - start]
            if len(piece) != last - first:
                raise CorruptStoreError(f"{name} ends before byte {end}")
            target[first - offset : last - offset] = piece

    def distrust(self, name: str) -> None:
        prefix = f"{_key(name)}."
        with self._lock:
            for key in [key for key in self._blocks if key.startswith(prefix)]:
                del self._blocks[key]
        self._cache.forget(prefix)

    def map(
        self, name: str, require_sound: Callable[[memoryview], None] = lambda _: None
    ) -> memoryview:
        key = f"{_key(name)}.whole"
        found = self._cache.map(key)
        if found is not None:
            return found
        found = self._fetched(name, key)
        with suppress(CorruptStoreError):
            require_sound(found)
            return found
        # On the way or in the bucket: asked for once more, and not kept if it is in the bucket.
        self._cache.forget(key)
        found = self._fetched(name, key)
        try:
            require_sound(found)
        except CorruptStoreError:
            self._cache.forget(key)
        return found

    def _fetched(self, name: str, key: str) -> memoryview:
        """The whole object from the bucket, kept on local disk where it can be."""
        size = self._bucket.size(name)
        parts = range(0, size, _PART_SIZE)
        pieces = list(self._pool.map(lambda start: self._part(name, start, size), parts))
        self._cache.write(key, *pieces)
        return self._cache.map(key) or memoryview(b"".join(pieces))

    def size(self, name: str) -> int:
        return self._bucket.size(name)

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        for one in self._bucket.below(folder) if folder else self._bucket.top():
            # The marks of folders, which other programs make, are no objects of ours.
            if one.name and one.name.rpartition("/")[0] == folder:
                yield one.name, one.size

    def is_there(self, name: str) -> bool:
        if "/" not in name:  # folders are always there
            return True
        try:
            self._bucket.size(name)
        except ObjectMissingError:
            return False
        return True

    def write(self, name: str, data: bytes) -> None:
        self._bucket.put(name, data)

    def write_if_absent(self, name: str, data: bytes) -> bool:
        if self.has_conditional_writes:
            return self._bucket.put_new(name, data)
        return self._replaced_under_lease(name, data, None)

    def replace_if_unchanged(self, name: str, data: bytes, expected: bytes | None) -> bool:
        if not self.has_conditional_writes:
            return self._replaced_under_lease(name, data, expected)
        if expected is None:
            return self._bucket.put_new(name, data)
        present = self._present(name)
        if present is None or present.data != expected:
            return False
        return self._bucket.put_over(name, data, present.etag)

    def delete(self, name: str) -> None:
        self._bucket.delete(name)

    def clean(self, name: str) -> None:
        self._leases.removed(name)

    def begin(self, name: str) -> BucketUpload:
        return BucketUpload(self, name)

    def publish(self, uploads: Sequence[BucketUpload]) -> None:
        self._require_held()
        for upload in uploads:
            upload.published = True

    def put_immutable(self, name: str, content: memoryview) -> None:
        """Put what never changes under a name that nobody else uses."""
        if len(content) > READ_SIZE_MAX << 2:
            raise StorageError(f"{name} is too large for one request")
        self._bucket.put_unguarded(name, content)
        if name.endswith(".run"):
            self._cache.write(f"{_key(name)}.whole", content)  # it is read at once, and whole

    def make_folder(self, folder: str) -> None:
        """A bucket has no folders."""

    def remove_empty(self, folders: Sequence[str], locks: Sequence[str]) -> None:
        for one in self._bucket.below("locks"):
            self._bucket.delete(one.name)
        self._bucket.delete(_ABILITIES)

    def settle(self, folder: str) -> None:
        """What can be read from a bucket is durable."""

    def exclusively(self, name: str) -> AbstractContextManager[None]:
        return self._leases.alone([name], wait=True)

    def hold(self, name: str) -> BucketHold:
        return BucketHold(self._leases.join(name))

    def alone(self, names: Sequence[str]) -> AbstractContextManager[None]:
        return self._leases.alone(names, wait=False)

    def begin_work(self, name: str, head: bytes) -> BucketWork:
        return BucketWork(self._leases.take(name, head), head)

    def read_work(self, name: str) -> tuple[bytes, bool] | None:
        found = self._present(name)
        if found is None:
            return None
        ended = found.data.endswith(b"\n" + ENDED)
        data = found.data.removesuffix(ENDED) if ended else found.data
        return data, not ended and self._leases.is_fresh(found.modified)

    def is_worked_on(self, name: str) -> bool:
        found = self.read_work(name)
        return found is not None and found[1]

    def seconds_until_dead(self, name: str) -> float | None:
        found = self._present(name)
        if found is None or found.data.endswith(b"\n" + ENDED):
            return None
        left = self._leases.seconds_left(found.modified)
        return left if left > 0 else None

    def _require_held(self) -> None:
        self._leases.require_held()

    def _present(self, name: str) -> Answered | None:
        try:
            return self._bucket.get(name)
        except ObjectMissingError:
            return None

    def _replaced_under_lease(self, name: str, data: bytes, expected: bytes | None) -> bool:
        """Replace if unchanged where the server knows no conditions: one at a time, read back."""
        with self.exclusively(_REPLACE_LOCK):
            present = self._present(name)
            if (present.data if present else None) != expected:
                return False
            self._bucket.put(name, data)
            if self._bucket.get(name).data != data:
                raise StorageError(
                    f"somebody else wrote {self.where(name)} at the same time, without the lease",
                    hint="let only one command at a time write to this bucket",
                )
        return True

    def _probe(self) -> bool:
        """Try both conditions, with a right and a wrong one each, and keep what was found."""
        name = f"locks/probe-{os.urandom(8).hex()}"
        try:
            conditional = self._bucket.put_new(name, b"1")
            conditional &= not self._bucket.put_new(name, b"2")
            etag = self._bucket.get(name).etag
            conditional &= self._bucket.put_over(name, b"3", etag)
            conditional &= not self._bucket.put_over(name, b"4", etag)
        except NotKnownError:
            conditional = False
        self._leases.removed(name)
        abilities = {"ConditionalWrites": conditional, "format": "amictl-bucket", "version": 1}
        text = json.dumps(abilities, sort_keys=True, separators=(",", ":"))
        self._bucket.put(_ABILITIES, text.encode() + b"\n")
        return conditional

    def _block(self, name: str, number: int) -> bytes:
        """One block, from memory, from local disk or from the bucket; fetched once for all."""
        key = f"{_key(name)}.{number}"
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
                return block
            others = self._fetching.get(key)
            own = self._fetching[key] = Future() if others is None else others
        if others is not None:
            return result_of(others)
        try:
            block = self._cache.read(key)
            if block is None:
                block = self._part(name, number * BLOCK_SIZE, None, BLOCK_SIZE)
                self._cache.write(key, block)
        except BaseException as error:
            with self._lock:
                del self._fetching[key]
            own.set_exception(error)
            raise
        with self._lock:  # both at once, so that nobody finds it in neither
            del self._fetching[key]
            self._blocks[key] = block
            if len(self._blocks) > _BLOCKS_IN_MEMORY:
                self._blocks.popitem(last=False)
        own.set_result(block)
        return block

    def _part(self, name: str, start: int, size: int | None, length: int = _PART_SIZE) -> bytes:
        """A range of an object, less only at its end; its size is checked if it is known."""
        part = self._bucket.get_range(name, start, length)
        if size is not None and len(part.data) != min(length, size - start):
            raise CorruptStoreError(f"{name} is not as long as it was")
        return part.data


def _key(name: str) -> str:
    return name.replace("/", "_")

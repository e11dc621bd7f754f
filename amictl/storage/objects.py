"""The small interface behind which buckets keep what is exchanged: archives, exports, bundles.

An object is a key, bytes, and a few words about them. A key is a relative path that people see. No
object is ever replaced: it appears whole, under a key that was free, or not at all.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from amictl.errors import ObjectExistsError, UsageError

_KEY_BYTES_MAX = 900
_METADATA_BYTES_MAX = 2048


class ObjectSource(Protocol):
    """An object that is read in any order, by any thread."""

    size: int
    """In bytes."""

    where: str
    """Its place in words for people: a path or a URL."""

    piece_size: int
    """So many bytes should be asked for at once, where many follow each other."""

    reading_threads: int
    """Threads that pay for reading such pieces. As many pieces are in memory, and one more."""

    metadata: Mapping[str, str]
    """What was said of it when it was written: empty where it cannot be kept, and not to be
    trusted."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly this range, which may be empty.

        Raises CorruptStoreError if the object ends before, ObjectMissingError if it was deleted,
        StorageError, also if it was replaced.
        """
        ...

    def close(self) -> None:
        """Let go of it. May be called again."""
        ...


class ObjectWriter(Protocol):
    """An object that comes into being. Nobody sees it before `finish` returns.

    As a context manager it is abandoned at the end, unless it was finished.
    """

    def write(self, data: bytes) -> None:
        """Add bytes at the end, by one thread at a time. Raises StorageError."""
        ...

    def finish(self) -> None:
        """Make it visible, whole and durable.

        Raises ObjectExistsError if the key was taken meanwhile, also by somebody who finishes at
        the same time (of an unconditional bucket amictl-buckets(7) tells what holds), and
        StorageError. After an error there is nothing, unless its message says that nobody knows.
        """
        ...

    def abandon(self) -> None:
        """Leave nothing of it, unless it was finished. Never raises; may be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ObjectBucket(Protocol):
    """Objects by their keys. All methods raise StorageError, and BucketNotFoundError where
    there is no such bucket.
    """

    def where(self, key: str = "") -> str:
        """The place of an object, or of all, in words for people: a path or a URL."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key; no where the credentials do not allow to ask."""
        ...

    def require_new(
        self,
        key: str,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
        storage_class: str | None,
    ) -> None:
        """Raises what `create` would raise, as far as that can be told without writing."""
        ...

    def create(
        self,
        key: str,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
        storage_class: str | None,
    ) -> ObjectWriter:
        """Begin a new object. What killed writers left of it is removed first.

        Metadata has names of lower-case ASCII and values of any text, 2048 bytes in all. Raises
        ObjectExistsError at once if the key is taken, UnsupportedError for tags or a storage class
        in a directory, UsageError.
        """
        ...

    def open(self, key: str) -> ObjectSource:
        """Begin to read. Raises ObjectNotFoundError."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; durable when it returns. No error if it is not there."""
        ...

    def names(self, prefix: str) -> list[str]:
        """The keys that begin with this and go on without a slash, sorted."""
        ...


class Unfinished:
    """A writer that is abandoned when its block ends, unless it was finished before."""

    def abandon(self) -> None:
        """See `ObjectWriter.abandon`."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abandon()


def require_key(key: str) -> str:
    """Return `key` if an object can have it: a relative path without hidden names.

    Raises UsageError.
    """
    parts = key.split("/")
    sound = all(part and not part.startswith(".") for part in parts)
    if not sound or not key.isprintable() or len(key.encode()) > _KEY_BYTES_MAX:
        raise UsageError(
            f"{key!r} is not the key of an object",
            hint="for example images/ami-1234567890abcdef0.bin; no part begins with a full stop",
        )
    return key


def require_metadata(metadata: Mapping[str, str]) -> None:
    """Raises UsageError if the words about an object are too many."""
    size = sum(len(name) + len(text.encode()) for name, text in metadata.items())
    if size > _METADATA_BYTES_MAX:
        raise UsageError(f"what is said of an object has {size} bytes, of 2048 that are allowed")


def taken(where: str) -> ObjectExistsError:
    """The error for a key that is taken."""
    return ObjectExistsError(
        f"{where} exists already",
        hint="no object is ever replaced: delete it first, or choose another place",
    )

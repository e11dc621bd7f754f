"""The small interface behind which a region's objects live.

An object is a name and bytes. Names are relative paths of safe characters that amictl makes up.
A directory implements it now; a bucket needs nothing more.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class Upload(Protocol):
    """An object that grows; nobody sees it before `Storage.publish`."""

    name: str
    size: int

    def append(self, data: bytes) -> None:
        """Add bytes at the end. Raises StorageError."""
        ...

    def seal(self) -> None:
        """Make the bytes durable.

        The object still has no name. Raises StorageError, once and for all.
        """
        ...

    def discard(self) -> None:
        """Forget it, if it was not published. Never raises."""
        ...


class Storage(Protocol):
    """Named objects. All methods raise StorageError where the medium fails.

    Reading an object that is not there raises ObjectMissingError.
    """

    def read(self, name: str) -> bytes:
        """The whole object."""
        ...

    def read_into(self, name: str, offset: int, target: memoryview) -> None:
        """Fill `target` from a range. Raises CorruptStoreError if the object ends before."""
        ...

    def map(self, name: str) -> memoryview:
        """The whole immutable object as memory that is not counted as this program's own."""
        ...

    def size(self, name: str) -> int:
        """Length in bytes."""
        ...

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """Names (with the folder) and lengths of the objects directly in a folder, in no order."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write whole, in place of any before; durable when it returns."""
        ...

    def write_if_absent(self, name: str, data: bytes) -> bool:
        """Write whole unless the name is taken (then False); durable when it returns."""
        ...

    def replace_if_unchanged(self, name: str, data: bytes, expected: bytes | None) -> bool:
        """Replace whole if the content is still `expected` (None: absent).

        Durable when it returns True.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove; durable when it returns. No error if it is not there."""
        ...

    def begin(self, name: str) -> Upload:
        """Begin an object that grows."""
        ...

    def publish(self, uploads: Sequence[Any]) -> None:
        """Give uploads of this storage, all sealed, their names; durable when it returns."""
        ...

"""The small interface behind which a region's objects live.

An object is a name and bytes. Names are relative paths of safe characters that amictl makes up.
Besides objects there are what stands in for locks of a kernel where there is none: holds, which end
with their process at the latest when a while has gone by without it, and work in hand.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from amictl.storage.disk import Disk


class Upload(Protocol):
    """An object that grows. Nobody sees it before it is whole, and nobody must count on it before
    `Storage.publish`.
    """

    name: str
    size: int

    def append(self, data: bytes | memoryview) -> None:
        """Add bytes at the end, which may be changed afterwards. Raises StorageError."""
        ...

    def seal(self) -> None:
        """Make the bytes durable, with or without the name.

        Any thread may do it. Raises StorageError, once and for all.
        """
        ...

    def discard(self) -> None:
        """Forget it, if it was not published. Never raises."""
        ...


class Hold(Protocol):
    """A place in a crowd: see `Storage.hold`."""

    def release(self) -> None:
        """Let go. Never raises; may be called again."""
        ...


class WorkInHand(Protocol):
    """An object that says what its writer is at work on, and how far that is.

    It counts as alive until its writer ends it, or is dead: see `Storage.begin_work`.
    """

    def write(self, state: bytes) -> None:
        """Say how far the work is, in place of what was said before. Raises StorageError.

        Not durable, and others may see it a little later.
        """
        ...

    def end(self, state: bytes) -> None:
        """Leave a last word, as far as that can still be said, and let go. Never raises."""
        ...

    def remove(self) -> None:
        """The work is done: let go, and leave nothing if that can be. Never raises."""
        ...

    def release(self) -> None:
        """Let go; what was said stays. Never raises; may be called again."""
        ...


class Storage(Protocol):
    """Named objects. All methods raise StorageError where the medium fails.

    Reading an object that is not there raises ObjectMissingError.
    """

    disk: Disk
    """The local file system, for what is written outside of the storage."""

    forkable: bool
    """Whether it can be used on in a child that was forked."""

    waiting_threads: int
    """Threads that pay beyond the processors, because so many wait for a reply."""

    record_threads: int
    """Records that are worth reading at the same time; 1 where nothing waits for a reply."""

    sealing_threads: int
    """Uploads that are worth sealing at the same time."""

    @property
    def staging(self) -> Path:
        """A local folder for files that nobody needs after this process, such as clones."""
        ...

    @property
    def marks(self) -> Path:
        """A local folder where incomplete restores to devices are marked."""
        ...

    def where(self, name: str = "") -> str:
        """The place of an object, or of all of it, in words for people: a path or a URL."""
        ...

    def abilities(self) -> Mapping[str, bool]:
        """What was found out of the medium that decides what can be promised, by its name."""
        ...

    def require_writable(self) -> None:
        """Raises StorageError if nothing can be written here."""
        ...

    def close(self) -> None:
        """Let everything go that was kept open or held."""
        ...

    def read(self, name: str) -> bytes:
        """The whole object."""
        ...

    def read_into(self, name: str, offset: int, target: memoryview) -> None:
        """Fill `target` from a range of an object that never changes, by any thread.

        Raises CorruptStoreError if the object ends before.
        """
        ...

    def distrust(self, name: str) -> None:
        """What was read of an object may not be what is stored: keep no copy of it."""
        ...

    def map(
        self, name: str, require_sound: Callable[[memoryview], None] = lambda _: None
    ) -> memoryview:
        """The whole immutable object as memory that is not counted as this program's own.

        What comes from afar and is to be kept here is looked at before: if `require_sound` raises
        CorruptStoreError it is fetched once more, and what is damaged then too is not kept.
        """
        ...

    def size(self, name: str) -> int:
        """Length in bytes."""
        ...

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """Names (with the folder) and lengths of the objects directly in a folder, in no order.

        Raises ObjectMissingError where there are folders, and this one is missing.
        """
        ...

    def is_there(self, name: str) -> bool:
        """Whether anything has this name, whatever it is."""
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

    def clean(self, name: str) -> None:
        """Remove what nothing needs any more. It may come back, and may stay where nobody may
        delete; no error if it is not there.
        """
        ...

    def begin(self, name: str) -> Upload:
        """Begin an object that grows."""
        ...

    def publish(self, uploads: Sequence[Any]) -> None:
        """Give uploads of this storage, all sealed, their names; durable when it returns."""
        ...

    def make_folder(self, folder: str) -> None:
        """Make a folder that an older store may lack; durable when it returns."""
        ...

    def remove_empty(self, folders: Sequence[str], locks: Sequence[str]) -> None:
        """Remove what is left of a store whose objects are deleted: empty folders, and locks."""
        ...

    def settle(self, folder: str) -> None:
        """Make durable what others have put into a folder (empty: into the top one)."""
        ...

    def exclusively(self, name: str) -> AbstractContextManager[None]:
        """Hold a lock for a short change, alone, after waiting for it.

        Where it can be lost, writing raises StorageError from then on.
        """
        ...

    def hold(self, name: str) -> Hold:
        """Hold a lock together with others, after waiting for who holds it `alone`.

        Where it can be lost, writing raises StorageError from then on.
        """
        ...

    def alone(self, names: Sequence[str]) -> AbstractContextManager[None]:
        """Hold locks so that nobody else holds any. Raises BusyError at once if somebody does."""
        ...

    def begin_work(self, name: str, head: bytes) -> WorkInHand:
        """Put work in hand, as alive: `head`, then the state that is written later.

        Durable when it returns.
        """
        ...

    def read_work(self, name: str) -> tuple[bytes, bool] | None:
        """What was said of work in hand, and whether its writer is alive; None if there is none.

        Raises CorruptStoreError for what cannot be read.
        """
        ...

    def is_worked_on(self, name: str) -> bool:
        """Whether there is work in hand whose writer is alive. What it says is not looked at."""
        ...

    def seconds_until_dead(self, name: str) -> float | None:
        """How long work in hand still counts as alive if its writer is dead; None where that is
        known at once, or there is no such work.
        """
        ...
